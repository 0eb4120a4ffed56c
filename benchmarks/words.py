"""How well do the speech recognisers hear, how fast, and what do they dream up for noise?

    EMOFUSE_DATA=… python -m benchmarks.words [--corpora FOLDER] [--clips 48] [--engines …]

Read are clips of RAVDESS (fold 2; two sentences), of CREMA-D's validation speakers
(twelve sentences) and of GRID (commands like "bin blue at F two now"), drawn with one
seed. Sound goes the way it goes in use: voice activity, regions, recogniser. Errors
are the fewest words that must be replaced, left out or put in, a share of the words
that were said; signs, capitals and how numbers are written do not count. Speed is
seconds of recognised sound in a second of processor time on one thread.

Noise is everyday noise without a voice: once through voice activity as in use, once in
pieces without it, which says what the recogniser itself keeps out. Word times are
compared with those that pocketsphinx finds when it is told the words.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.core.media import AudioChunk, Utterance
from emofuse.corpora.manifest import Entry, Manifest, Split
from emofuse.corpora.recipes import crema_d, ravdess
from emofuse.sources.audio import read_audio
from emofuse.speech.vad import VadConfig, VoiceActivityDetector
from emofuse.text.transcribe import (
    RATE,
    Transcribe,
    TranscribeConfig,
    Transcriber,
    make_transcriber,
)

Waveform = NDArray[np.float32]
Clip = tuple[Waveform, str]

ENGINES = ("moonshine", "pocketsphinx")
NUMBERS = "zero one two three four five six seven eight nine ten eleven".split()  # noqa: SIM905
GRID = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    {"z": "zero", **{str(i): NUMBERS[i] for i in range(1, 10)}},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
"""What each letter of a GRID clip's name says (Cooke et al. 2006)."""


class Timed:
    """A recogniser that counts what it is given and the processor time it takes."""

    def __init__(self, engine: Transcriber) -> None:
        self.name = engine.name
        self._engine = engine
        self.heard = self.taken = 0.0

    def transcribe(self, samples: Waveform, start: int) -> list[Utterance]:
        """Pass on to the recogniser."""
        begin = time.process_time()
        found = self._engine.transcribe(samples, start)
        self.taken += time.process_time() - begin
        self.heard += len(samples) / RATE
        return found


def normal(text: str) -> list[str]:
    """Words in lower case without signs, numbers below twelve spelt out."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))
    return [NUMBERS[int(w)] if w.isdigit() and int(w) < len(NUMBERS) else w for w in words]


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest words to replace, leave out or put in (Levenshtein's distance)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def listen(engine: Transcriber, sound: Waveform) -> list[Utterance]:
    """Recognise as `emofuse analyze` does."""
    voice, words = VoiceActivityDetector(VadConfig()), Transcribe(engine)
    voiced = [*voice.feed(AudioChunk(sound, RATE, 0)), *voice.flush()]
    found = [out for item in voiced for out in words.feed(item)] + list(words.flush())
    return [out for out in found if isinstance(out, Utterance)]


def judge(engine: Transcriber, clips: Sequence[Clip]) -> dict[str, Any]:
    """Error rate, sentences without an error, speed, and how right confidences are."""
    timed = Timed(engine)
    wrong = said = perfect = 0
    confidences: dict[bool, list[float]] = {True: [], False: []}
    for sound, text in clips:
        utterances = listen(timed, sound)
        truth, heard = normal(text), normal(" ".join(u.text for u in utterances))
        missed = errors(truth, heard)
        wrong, said, perfect = wrong + missed, said + len(truth), perfect + (missed == 0)
        for utterance in utterances:
            for word in utterance.words:
                is_right = all(part in truth for part in normal(word.text))
                confidences[is_right].append(word.confidence or 0.0)
    return {
        "clips": len(clips),
        "words": said,
        "word_error_rate": round(wrong / said, 4),
        "sentences_right": round(perfect / len(clips), 4),
        "times_real_time": round(timed.heard / timed.taken, 1),
        "mean_confidence": {
            "of right words": _mean(confidences[True]),
            "of wrong words": _mean(confidences[False]),
        },
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def dreams(engine: Transcriber, noises: Sequence[Waveform]) -> dict[str, Any]:
    """What is heard where nobody speaks."""
    rng = np.random.default_rng(0)
    in_use = [u.text for noise in noises for u in listen(engine, noise)]
    pieces = []
    for noise in noises:
        for seconds in (0.5, 1, 2, 4, 8) * 3:
            first = int(rng.integers(len(noise) - int(seconds * RATE)))
            pieces.append(noise[first : first + int(seconds * RATE)])
    heard = [" ".join(u.text for u in engine.transcribe(piece, 0)) for piece in pieces]
    return {
        "minutes": round(sum(map(len, noises)) / RATE / 60, 1),
        "words_in_use": sum(len(text.split()) for text in in_use),
        "pieces_without_voice_activity": len(pieces),
        "of_them_with_words": sum(map(bool, heard)),
        "examples": sorted(set(filter(None, heard)))[:6],
    }


def border_errors(engine: Transcriber, clips: Sequence[Clip]) -> dict[str, Any]:
    """Seconds between a word's borders and forced alignment's, where every word is right."""
    from pocketsphinx import Decoder

    decoder = Decoder(loglevel="FATAL", samprate=RATE, cmn="batch")
    off: list[float] = []
    for sound, text in clips:
        utterances = listen(engine, sound)
        words = [word for utterance in utterances for word in utterance.words]
        if len(utterances) != 1 or [w for v in words for w in normal(v.text)] != normal(text):
            continue
        truth = list(_aligned(decoder, sound, normal(text)))
        if len(truth) == len(words):
            for (start, end), word in zip(truth, words, strict=True):
                off += [abs(word.span.start - start), abs(word.span.end - end)]
    return {
        "borders": len(off),
        "median_seconds": round(float(np.median(off)), 3),
        "ninth_decile_seconds": round(float(np.quantile(off, 0.9)), 3),
    }


def _aligned(decoder: Any, sound: Waveform, words: list[str]) -> Iterator[tuple[float, float]]:
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    loud = sound * (16_000 / max(1e-4, float(np.abs(sound).max())))
    decoder.process_raw(loud.astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    for segment in decoder.seg() or ():
        if segment.word[0] not in "<[+":
            yield segment.start_frame / 100, (segment.end_frame + 1) / 100


def draw(manifest: Manifest, clips: int, **wanted: Any) -> list[Clip]:
    """Draw clips whose entries have these attributes."""

    def fits(entry: Entry) -> bool:
        return all(getattr(entry, name) == value for name, value in wanted.items())

    found = sorted((e for e in manifest if fits(e)), key=lambda entry: entry.id)
    random.Random(0).shuffle(found)
    return [(read_audio(e.path), e.text or "") for e in found[:clips] if e.path is not None]


def grid(folder: Path) -> list[Clip]:
    """GRID's clips, which are named after what they say."""
    clips = []
    for path in sorted(folder.glob("grid_??????.mpg")):
        letters = path.stem.removeprefix("grid_")
        text = " ".join(part[sign] for part, sign in zip(GRID, letters, strict=True))
        clips.append((read_audio(path), text))
    return clips


def main() -> None:
    """Measure and write ``benchmarks/results/words.json``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpora", type=Path, help="folder with crema-d/ and ravdess/")
    parser.add_argument("--clips", type=int, default=48, help="of each corpus")
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("set EMOFUSE_DATA to the folder of the corpora")
    corpora = arguments.corpora or root
    sets = {
        "ravdess": draw(ravdess.load(corpora), arguments.clips, fold=2),
        "crema-d": draw(crema_d.load(corpora), arguments.clips, split=Split.VALIDATION),
        "grid": grid(root / "clips"),
    }
    noises = [read_audio(path) for path in sorted((root / "noise").glob("*.flac"))]
    figures: dict[str, Any] = {}
    for name in arguments.engines:
        engine = make_transcriber(TranscribeConfig(name))
        assert engine is not None
        figures[engine.name] = {corpus: judge(engine, clips) for corpus, clips in sets.items()}
        figures[engine.name]["noise"] = dreams(engine, noises)
        figures[engine.name]["word_times"] = border_errors(engine, sets["crema-d"])
    write_result("words", {"engines": figures})


if __name__ == "__main__":
    main()
