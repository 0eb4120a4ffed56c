"""Words: transcripts, speech recognition, sentences, and what they express."""
