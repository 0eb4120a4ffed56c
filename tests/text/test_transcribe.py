"""Speech recognition: which one is taken, what it hears, and the stage around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.estimates import Modality
from emofuse.core.media import AudioChunk, Diagnostic, Utterance, Watermark
from emofuse.core.time import Span, samples_to_ns
from emofuse.errors import InputError, MissingExtra, ModelError
from emofuse.sources.audio import read_audio
from emofuse.text.moonshine import MoonshineNet, find_moonshine
from emofuse.text.transcribe import (
    RATE,
    TRANSCRIBERS,
    Transcribe,
    TranscribeConfig,
    Transcriber,
    find_whisper,
    make_transcriber,
    transcriber_name,
)

HAS_SPHINX = find_spec("pocketsphinx") is not None
HAS_WHISPER = find_spec("faster_whisper") is not None
HAS_MOONSHINE = find_moonshine() is not None
needs_sphinx = pytest.mark.skipif(not HAS_SPHINX, reason="pocketsphinx is not installed")
needs_whisper = pytest.mark.skipif(not HAS_WHISPER, reason="faster-whisper is not installed")
needs_moonshine = pytest.mark.skipif(
    not HAS_MOONSHINE, reason="moonshine-voice with its model is not installed"
)

Out = Utterance | Watermark


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two sentences with silence around them, float32 at 16 kHz; see make_speech.py."""
    return read_audio(Path(__file__).with_name("speech.flac"))


@pytest.fixture(scope="module")
def sphinx() -> Transcriber:
    engine = make_transcriber(TranscribeConfig("pocketsphinx"))
    assert engine is not None
    return engine


@pytest.fixture(scope="module")
def moonshine() -> Transcriber:
    engine = make_transcriber(TranscribeConfig("moonshine"))
    assert engine is not None
    return engine


def test_none_means_none() -> None:
    assert make_transcriber(TranscribeConfig("none")) is None
    assert transcriber_name(TranscribeConfig("none")) == "none"


@pytest.mark.parametrize("engine", ["auto", "none", *TRANSCRIBERS])
def test_a_recogniser_is_named_without_being_loaded(engine: str) -> None:
    """What would be made, or the same error as where it is made; and no weights are read."""
    config = TranscribeConfig(engine)
    expected: str | type[Exception]
    try:
        made = make_transcriber(config)
        expected = "none" if made is None else made.name
    except (MissingExtra, ModelError) as error:
        expected = type(error)
    script = (
        "import sys\n"
        "from emofuse.errors import EmofuseError\n"
        "from emofuse.text.transcribe import TranscribeConfig, transcriber_name\n"
        "try: print(transcriber_name(TranscribeConfig(sys.argv[1])))\n"
        "except EmofuseError as error: print(type(error).__name__)\n"
        "print({'onnxruntime', 'pocketsphinx'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, engine], capture_output=True, text=True, check=True
    )
    name = expected if isinstance(expected, str) else expected.__name__
    assert done.stdout.splitlines() == [name, "set()"]


def test_asking_for_a_missing_pocketsphinx_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r"emofuse\[asr\]"):
        make_transcriber(TranscribeConfig("pocketsphinx"))


def test_asking_for_a_missing_whisper_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r"emofuse\[whisper\]"):
        make_transcriber(TranscribeConfig("whisper"))


@needs_whisper
def test_a_whisper_model_that_is_not_here_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path / "cache"))
    assert find_whisper() is None
    with pytest.raises(ModelError, match="models pull whisper-base"):
        make_transcriber(TranscribeConfig("whisper"))
    with pytest.raises(ModelError, match="no Whisper model 'giant'"):
        make_transcriber(TranscribeConfig("whisper", model="giant"))
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot load"):
        make_transcriber(TranscribeConfig("whisper", model=str(tmp_path)))
    automatic = make_transcriber()
    assert automatic is None or automatic.name in ("moonshine", "pocketsphinx")


@needs_whisper
def test_whisper_hears_the_sentences(speech: np.ndarray) -> None:
    folder = os.environ.get("EMOFUSE_WHISPER")
    if not folder:
        pytest.skip("no Whisper model: set EMOFUSE_WHISPER to the folder of one")
    engine = make_transcriber(TranscribeConfig("whisper", folder, "en"))
    assert engine is not None
    heard = engine.transcribe(speech, 0)
    text = " ".join(u.text for u in heard).lower().translate(dict.fromkeys(map(ord, ".,!?")))
    assert {"very", "happy", "today", "mother", "angry"} <= set(text.split())
    check_times(heard, Span(0, samples_to_ns(len(speech), RATE)))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"engine": "parrot"}, "'auto', 'none', 'moonshine', 'pocketsphinx' or 'whisper'"),
        ({"threads": 0}, "threads >= 1"),
        ({"longest_seconds": 60.0}, "from 3 to 30"),
    ],
)
def test_a_wrong_setting_is_an_input_error(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TranscribeConfig(**settings_)  # type: ignore[arg-type]


def check_times(heard: list[Utterance], within: Span) -> None:
    for utterance in heard:
        assert within.start_ns <= utterance.span.start_ns < utterance.span.end_ns
        assert utterance.span.end_ns <= within.end_ns
        assert utterance.text.split() == [w for word in utterance.words for w in word.text.split()]
        assert all(a.span.end_ns <= b.span.end_ns for a, b in pairwise(utterance.words))
        assert all(w.confidence is not None and 0 <= w.confidence <= 1 for w in utterance.words)


@needs_sphinx
def test_pocketsphinx_hears_most_words(sphinx: Transcriber, speech: np.ndarray) -> None:
    middle = len(speech) // 2  # lies in the pause
    first = sphinx.transcribe(speech[:middle], 0)
    second = sphinx.transcribe(speech[middle:], middle)
    assert {"i", "am", "happy", "today"} <= set(first[0].text.split())
    assert {"my", "mother", "angry"} <= set(second[0].text.split())
    border, end = samples_to_ns(middle, RATE), samples_to_ns(len(speech), RATE)
    check_times(first, Span(0, border))
    check_times(second, Span(border, end))


@needs_sphinx
def test_pocketsphinx_answers_by_the_samples_alone(sphinx: Transcriber, speech: np.ndarray) -> None:
    part = speech[: RATE * 3]
    alone = sphinx.transcribe(part, 0)
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    sphinx.transcribe(noise, 0)
    assert sphinx.transcribe(part, 0) == alone
    softer = sphinx.transcribe(part * np.float32(0.01), 0)
    assert [u.text for u in softer] == [u.text for u in alone]


@needs_sphinx
@pytest.mark.parametrize("samples", [0, 1, 100, RATE])
def test_pocketsphinx_hears_nothing_in_silence(sphinx: Transcriber, samples: int) -> None:
    assert sphinx.transcribe(np.zeros(samples, np.float32), 0) == []


@needs_moonshine
def test_moonshine_is_the_first_choice_where_no_whisper_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if HAS_WHISPER:
        constants = pytest.importorskip("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path / "cache"))
    automatic = make_transcriber()
    assert automatic is not None
    assert automatic.name == "moonshine"


@needs_moonshine
def test_moonshine_writes_sentences(moonshine: Transcriber, speech: np.ndarray) -> None:
    middle = len(speech) // 2  # lies in the pause
    first = moonshine.transcribe(speech[:middle], 0)
    second = moonshine.transcribe(speech[middle:], middle)
    assert [u.text.replace("to-day", "today") for u in first] == ["I am very happy today."]
    assert [u.text for u in second] == ["My mother is very angry."]
    assert min(u.confidence for u in first + second) > 0.8
    border, end = samples_to_ns(middle, RATE), samples_to_ns(len(speech), RATE)
    check_times(first, Span(0, border))
    check_times(second, Span(border, end))


@needs_moonshine
def test_moonshine_hears_the_voices_of_the_demo(moonshine: Transcriber) -> None:
    sound = read_audio(Path(__file__).parents[1] / "media" / "speech.ogg")
    heard = [u.text for u in moonshine.transcribe(sound[: len(sound) // 2], 0)]
    assert [text.replace(",", "").rstrip(".!") for text in heard] == ["I am so happy this is great"]


@needs_moonshine
def test_moonshine_answers_by_the_samples_alone(moonshine: Transcriber, speech: np.ndarray) -> None:
    part = speech[: RATE * 3]
    alone = moonshine.transcribe(part, 0)
    moonshine.transcribe(speech[RATE * 3 :], 0)
    assert moonshine.transcribe(part, 0) == alone
    softer = moonshine.transcribe(part * np.float32(0.01), 0)
    assert [u.text for u in softer] == [u.text for u in alone]


@needs_moonshine
@pytest.mark.parametrize("samples", [0, 1, 100, RATE // 10, RATE])
def test_moonshine_hears_nothing_in_silence(moonshine: Transcriber, samples: int) -> None:
    assert moonshine.transcribe(np.zeros(samples, np.float32), 0) == []


@needs_moonshine
@pytest.mark.parametrize("samples", [RATE // 10, RATE // 10 + 1, RATE // 2])
def test_moonshine_bears_scraps_of_sound(
    moonshine: Transcriber, speech: np.ndarray, samples: int
) -> None:
    heard = moonshine.transcribe(speech[RATE : RATE + samples], RATE)
    check_times(heard, Span(samples_to_ns(RATE, RATE), samples_to_ns(RATE + samples, RATE)))


@needs_moonshine
@pytest.mark.parametrize("seconds", [1, 5])
def test_moonshine_hears_no_words_in_noise(moonshine: Transcriber, seconds: int) -> None:
    noise = np.random.default_rng(seconds).normal(0, 0.1, seconds * RATE).astype(np.float32)
    assert all(u.confidence < moonshine.trusted for u in moonshine.transcribe(noise, 0))


def test_asking_for_a_missing_moonshine_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r"emofuse\[asr\]"):
        make_transcriber(TranscribeConfig("moonshine"))


class Guesser:
    """A transcriber that is sure of itself or not."""

    name, trusted = "guesser", 0.6

    def __init__(self, *confidences: float) -> None:
        self._confidences = iter(confidences)

    def transcribe(self, samples: np.ndarray, start: int) -> list[Utterance]:
        span = Span(samples_to_ns(start, RATE), samples_to_ns(start + len(samples), RATE))
        return [Utterance("words", span, (), next(self._confidences))]


def test_words_that_nobody_is_sure_of_are_left_out_and_told_once() -> None:
    stage = Transcribe(Guesser(0.9, 0.3, 0.5, 0.6))
    out = []
    for n in range(4):
        chunk = AudioChunk(np.ones(RATE, np.float32), RATE, first=3 * n * RATE)
        out += [*stage.feed(chunk), *stage.flush()]
    assert [u.confidence for u in out if isinstance(u, Utterance)] == [0.9, 0.6]
    (note,) = [d for d in out if isinstance(d, Diagnostic)]
    assert (note.code, note.at_ns) == ("words-unsure", samples_to_ns(3 * RATE, RATE))


@needs_moonshine
def test_tokens_that_break_off_are_a_model_error(tmp_path: Path) -> None:
    folder = find_moonshine()
    assert folder is not None
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    whole = (folder / "tokenizer.bin").read_bytes()
    (tmp_path / "tokenizer.bin").unlink()
    (tmp_path / "tokenizer.bin").write_bytes(whole[:-3])
    with pytest.raises(ModelError, match="breaks off"):
        MoonshineNet(tmp_path)


class Ruler:
    """A transcriber that says how long the sound was and how it began."""

    name, trusted = "ruler", 0.0

    def transcribe(self, samples: np.ndarray, start: int) -> list[Utterance]:
        if not samples.any():
            return []
        span = Span(samples_to_ns(start, RATE), samples_to_ns(start + len(samples), RATE))
        return [Utterance(f"{len(samples)} {samples.sum():.4f}", span)]


def feed(stage: Transcribe, items: Iterator[AudioChunk | Watermark]) -> list[Out]:
    return [out for item in items for out in stage.feed(item)] + list(stage.flush())


def chunks(samples: np.ndarray, first: int, sizes: Iterator[int]) -> Iterator[AudioChunk]:
    at = 0
    while at < len(samples):
        piece = samples[at : at + max(1, next(sizes))]
        yield AudioChunk(piece, RATE, first + at)
        at += len(piece)


REGIONS = [(0.0, 1.0), (1.4, 0.2), (2.0, 40.0), (45.0, 15.0), (61.0, 0.5)]
"""Voiced regions: start and length in seconds."""


def stream(sizes: Iterator[int]) -> Iterator[AudioChunk | Watermark]:
    rng = np.random.default_rng(7)
    for start, length in REGIONS:
        samples = rng.normal(0, 0.1, int(length * RATE)).astype(np.float32)
        samples[int(11.3 * RATE) : int(11.5 * RATE)] *= 0.01  # a pause to cut at
        first = int(start * RATE)
        for chunk in chunks(samples, first, sizes):
            yield chunk
            yield Watermark(Modality.SPEECH, chunk.span.end_ns)
        yield Watermark(Modality.SPEECH, chunk.span.end_ns + 1)


@given(st.lists(st.integers(50, 200_000), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_any_chunking_gives_the_same_regions(sizes: list[int]) -> None:
    def again() -> Iterator[int]:
        while True:
            yield from sizes
            yield 9_999

    def whole() -> Iterator[int]:
        while True:
            yield 10**9

    expected = [u for u in feed(Transcribe(Ruler()), stream(whole())) if isinstance(u, Utterance)]
    found = feed(Transcribe(Ruler()), stream(again()))
    assert [u for u in found if isinstance(u, Utterance)] == expected
    promised = 0
    for out in found:
        if isinstance(out, Watermark):
            assert out.track is Modality.TEXT
            promised = max(promised, out.upto_ns)
        else:
            assert out.span.start_ns >= promised
    assert promised >= samples_to_ns(int(61.5 * RATE), RATE)


def test_long_speech_is_cut_in_its_pause() -> None:
    sizes = iter(lambda: 10**9, None)
    spans = [u.span for u in feed(Transcribe(Ruler()), stream(sizes)) if isinstance(u, Utterance)]
    long = [s for s in spans if 2.0 <= s.start < 42.0]
    assert 2 + 11.3 <= long[0].end <= 2 + 11.5
    assert all(a.end_ns == b.start_ns for a, b in pairwise(long))
    assert (long[0].start, long[-1].end) == (2.0, 42.0)
    assert max(s.duration for s in spans) <= 15.0


def test_progress_goes_on_through_silence() -> None:
    stage = Transcribe(Ruler())
    for second in (1, 5, 60):
        progress = Watermark(Modality.SPEECH, second * 10**9)
        assert list(stage.feed(progress)) == [Watermark(Modality.TEXT, second * 10**9)]


def test_reset_forgets_the_region() -> None:
    stage = Transcribe(Ruler())
    list(stage.feed(AudioChunk(np.ones(RATE, np.float32), RATE, 0)))
    stage.reset()
    assert list(stage.flush()) == []


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="16000 Hz, got 8000"):
        list(Transcribe(Ruler()).feed(AudioChunk(np.ones(9, np.float32), 8000, 0)))
