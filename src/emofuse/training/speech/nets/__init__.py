"""Nets for speech: each name with the module and attribute of its `NetKind`."""

KINDS: dict[str, str] = {
    "cnn-attention": "cnn_attention:CNN_ATTENTION",
    "cnn-lstm": "cnn_lstm:CNN_LSTM",
    "mel-cnn": "mel_cnn:MEL_CNN",
    "mfcc-bilstm": "mfcc_bilstm:MFCC_BILSTM",
    "mfcc-cnn": "mfcc_cnn:MFCC_CNN",
    "wav2vec2": "wav2vec2:WAV2VEC2",
    "whisper": "whisper:WHISPER",
    "whisper-probe": "whisper:PROBE",
    "yamnet": "yamnet:YAMNET",
}
