"""Whole recordings as one array, for training and evaluation."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ..core.media import AudioChunk, Track
from ..errors import InputError
from .file import FileSource


def read_audio(path: str | os.PathLike[str], rate: int = 16000) -> NDArray[np.float32]:
    """Read a file's audio as mono float32 at `rate` Hz, shape (n,).

    It passes through the same decoder and downmix as `FileSource`. It begins
    where the audio begins, even if a frame began earlier; gaps are zeros.

    Raises:
        InputError: if the file cannot be read or holds no audio.
    """
    import soxr

    source = FileSource(path, tracks={Track.AUDIO})
    try:
        chunks = [item for item in source.packets() if isinstance(item, AudioChunk)]
    finally:
        source.close()
    if not chunks:
        raise InputError(f"the audio track of {path} cannot be decoded")
    samples = np.zeros(chunks[-1].end, np.float32)
    for chunk in chunks:
        samples[chunk.first : chunk.end] = chunk.samples
    if chunks[0].rate == rate:
        return samples
    resampled: NDArray[np.float32] = soxr.resample(samples, chunks[0].rate, rate)
    return resampled
