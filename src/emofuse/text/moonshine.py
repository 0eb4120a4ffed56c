"""Moonshine tiny, the speech recognition net, on our own runtime.

The package `moonshine-voice` (MIT) carries the net for English in its wheels up to
0.1.0: an encoder of the waveform, a decoder that says token after token, and the
tokens' bytes. Its own library is left alone: it takes every core, tells neither how
sure it is nor lets itself be told so, and brings a second ONNX Runtime.

Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice
Commands", 2024, https://arxiv.org/abs/2410.15608.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..models.runtime import Session

RATE = 16_000
"""Sampling rate in Hz that the net hears."""

_ENCODER, _DECODER, _TOKENS = "encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"
_START, _END = 1, 2
_HEADS, _HEAD_WIDTH = 8, 36  # of the tiny net's attention
_SPACE = "\u2581"  # SentencePiece's sign for a space, which begins a word
_SHORTEST = RATE // 10  # less sound leaves the encoder without a single frame
_PACE = 12  # tokens a second that nobody exceeds; the net when it dreams does


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word and how sure the net is of it, in [0, 1]."""

    text: str
    confidence: float


def find_moonshine() -> Path | None:
    """Return the folder of the net in the package `moonshine-voice`, or None.

    Nothing is imported from the package. Its versions after 0.1.0 lack the net.
    """
    spec = find_spec("moonshine_voice")
    for package in (spec and spec.submodule_search_locations) or ():
        folder = Path(package) / "assets" / "tiny-en"
        if all((folder / name).is_file() for name in (_ENCODER, _DECODER, _TOKENS)):
            return folder
    return None


class MoonshineNet:
    """Moonshine tiny: hears up to about half a minute of English at once.

    The best token is taken at each step, so equal samples give equal words.

    Args:
        folder: holds the two graphs and the tokens; see `find_moonshine`.
        threads: intra-op threads.

    Raises:
        ModelError: if a file cannot be loaded.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._encoder = Session(folder / _ENCODER, threads, gpu=False)
        self._decoder = Session(folder / _DECODER, threads, gpu=False)
        self._past = [name for name in self._decoder.inputs if name.startswith("past_key_values.")]
        self._tokens = _read_tokens(folder / _TOKENS)

    def hear(self, samples: NDArray[np.float32]) -> list[HeardWord]:
        """Return the words that are said in mono float32 samples at `RATE`, shape (n,).

        There are none in less than a tenth of a second, in silence, and where the
        net begins to dream: where it says more than anyone can in that time.
        """
        if len(samples) < _SHORTEST or float(np.abs(samples).max()) < 1e-4:
            return []
        steps = 4 + len(samples) * _PACE // RATE
        said: list[tuple[int, float]] = []
        for token, probability in self._decode(samples):
            if token == _END:
                return list(self._words(said))
            if len(said) == steps:
                break
            said.append((token, probability))
        return []

    def _decode(self, samples: NDArray[np.float32]) -> Iterator[tuple[int, float]]:
        """Yield the best token of each step and its probability, without end."""
        mask = np.ones((1, len(samples)), np.int64)
        sound = self._encoder.run({"input_values": samples[None], "attention_mask": mask})[0]
        # The first step makes the keys and values that the others go on with.
        nothing = np.zeros((1, _HEADS, 1, _HEAD_WIDTH), np.float32)
        past = dict.fromkeys(self._past, nothing)
        token, is_first = _START, True
        while True:
            answers = self._decoder.run(
                {
                    "input_ids": np.array([[token]], np.int64),
                    "encoder_hidden_states": sound,
                    "encoder_attention_mask": mask,
                    "use_cache_branch": np.array([not is_first]),
                    **past,
                }
            )
            answer = dict(zip(self._decoder.outputs, answers, strict=True))
            for name in self._past:
                if is_first or ".decoder." in name:  # what was heard does not change
                    past[name] = answer[name.replace("past_key_values", "present")]
            logits = answer["logits"][0, -1].astype(np.float64)
            token, is_first = int(logits.argmax()), False
            yield token, float(1 / np.exp(logits - logits[token]).sum())

    def _words(self, said: Iterable[tuple[int, float]]) -> Iterator[HeardWord]:
        """Join tokens to words; a word is as sure as its least sure token."""
        spelt, confidence = b"", 1.0
        for token, probability in said:
            piece = self._tokens[token]
            if piece.startswith(_SPACE.encode()):
                yield from _word(spelt, confidence)
                spelt, confidence = b"", 1.0
            spelt += piece
            confidence = min(confidence, probability)
        yield from _word(spelt, confidence)


def _word(spelt: bytes, confidence: float) -> Iterator[HeardWord]:
    # One token may hold several words, and notes ("♪") are none.
    for text in spelt.decode("utf-8", "replace").replace(_SPACE, " ").split():
        if any(map(str.isalnum, text)):
            yield HeardWord(text, confidence)


def _read_tokens(path: Path) -> list[bytes]:
    """Read the tokens' bytes: each behind its length, which takes two bytes from 128 on.

    Raises:
        ModelError: if the file cannot be read or breaks off.
    """
    try:
        data = path.read_bytes()
        tokens, at = [], 0
        while at < len(data):
            length, at = data[at], at + 1
            if length >= 128:
                length, at = length - 128 + 128 * data[at], at + 1
            tokens.append(data[at : at + length])
            at += length
    except (OSError, IndexError) as e:
        raise ModelError(f"cannot read the tokens of {path}: {e}") from e
    if at != len(data) or len(tokens) <= _END:
        raise ModelError(f"{path} breaks off: install moonshine-voice anew")
    return tokens
