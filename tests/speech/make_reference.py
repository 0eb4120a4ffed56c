"""Writes reference.npz: what librosa makes of a short sound. Run it with librosa installed.

python tests/speech/make_reference.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REFERENCE = Path(__file__).with_name("reference.npz")
RATE = 16_000
SHAPE = {"n_fft": 512, "hop_length": 200, "center": False}
BANDS = {"n_mels": 40, "fmin": 60.0, "fmax": 7600.0}
FINE = {"n_fft": 1024, "hop_length": 256, "center": False}


def sound() -> NDArray[np.float32]:
    """A rising tone with overtones in hiss, then near silence: 0.35 s."""
    t = np.arange(5600) / RATE
    tone = sum(np.sin(2 * np.pi * k * (150 * t + 300 * t**2)) / k for k in range(1, 9))
    hiss = np.random.default_rng(3).normal(0, 0.02, t.size)
    return ((0.1 * tone + hiss) * np.where(t < 0.25, 1.0, 0.003)).astype(np.float32)


def reference(x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """librosa's mel power, cepstra, chroma and so on of a sound."""
    import librosa

    power = librosa.feature.melspectrogram(y=x, sr=RATE, **SHAPE, **BANDS)
    cepstra = librosa.feature.mfcc(S=librosa.power_to_db(power), sr=RATE, n_mfcc=13)
    found = {
        "mel_power": power,
        "mfcc": cepstra,
        "deltas": librosa.feature.delta(cepstra, width=9, mode="nearest"),
        "chroma": librosa.feature.chroma_stft(y=x, sr=RATE, tuning=0.0, **FINE),
        "contrast": librosa.feature.spectral_contrast(y=x, sr=RATE, **FINE),
        "crossings": librosa.feature.zero_crossing_rate(
            x, frame_length=512, hop_length=256, center=False
        )[0],
        "yin": librosa.yin(
            x, fmin=65, fmax=500, sr=RATE, frame_length=1024, hop_length=256, center=False
        ),
    }
    return {name: value.astype(np.float32) for name, value in found.items()}


if __name__ == "__main__":
    np.savez_compressed(REFERENCE, sound=sound(), **reference(sound()))
