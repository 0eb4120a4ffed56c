"""From voiced sound to words, with whichever speech recogniser is at hand."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Modality
from ..core.media import AudioChunk, Diagnostic, Utterance, Watermark, Word
from ..core.registry import Registry, check_names, named
from ..core.time import Span, samples_to_ns, to_ns
from ..errors import EmofuseError, InputError, MissingExtra, ModelError
from ..models.store import ModelLocation, Store
from .moonshine import MoonshineNet, find_moonshine
from .sentences import share_time

RATE = 16_000
"""Sampling rate in Hz that speech recognisers expect."""

Waveform = NDArray[np.float32]

_WHISPER_SIZES = ("small", "base", "tiny", "small.en", "base.en", "tiny.en")
"""Models that are looked for when none is named, the best first; larger ones are slow on a CPU."""


class Transcriber(Protocol):
    """A speech recogniser. What it answers depends on the samples alone."""

    trusted: float
    """Confidence of an utterance below which its words are left out, in [0, 1]."""

    @property
    def name(self) -> str:
        """What it is, for people, e.g. ``"pocketsphinx"``."""
        ...

    def transcribe(self, samples: Waveform, start: int) -> list[Utterance]:
        """Recognise speech.

        Args:
            samples: mono, float32, shape (n,), at `RATE` Hz.
            start: stream index of the first sample, from which the utterances' times follow.
        """
        ...


class TranscriberKind(Protocol):
    """What is registered for a speech recogniser: its class, as a rule."""

    rank: int
    """Place among those that ``auto`` tries, ascending."""

    def describe(self, config: TranscribeConfig) -> str:
        """Return the `Transcriber.name` of what would be made, without loading it.

        Raises:
            MissingExtra: if it is not installed.
            ModelError: if its model is not on this machine.
        """
        ...

    def __call__(self, config: TranscribeConfig) -> Transcriber:
        """Make it; raises what `describe` does, and if the model cannot be loaded."""
        ...


TRANSCRIBERS: Registry[TranscriberKind] = Registry("emofuse.transcribers", "speech recogniser")
"""The speech recognisers by name."""

_UNSURE = (
    "speech was recognized with too little certainty at some places (another language, noise, "
    "unclear speech): these words are left out; a transcript would tell them"
)

AUTO, NONE = "auto", "none"
"""What may be asked for beside a name: the best at hand, and none."""


@dataclass(frozen=True, slots=True)
class TranscribeConfig:
    """Speech recognition where nobody gives a transcript.

    Args:
        engine: which speech recogniser; ``auto`` takes the best that works here without a
            download.
        model: for Whisper, the folder of a CTranslate2 model or the name of one
            that was downloaded before, e.g. ``"base"``; by default the largest of
            small, base and tiny that is there. Nothing is ever downloaded.
        language: of the speech, e.g. ``"en"``; by default Whisper finds out.
            Moonshine and pocketsphinx know English only, and the embedded text
            model as well.
        threads: CPU threads of Whisper and Moonshine.
        longest_seconds: speech without a pause is cut where it is quietest
            before it gets longer than this.

    Raises:
        InputError: if a number is out of range or the engine is unknown.
    """

    engine: str = named(TRANSCRIBERS, AUTO, AUTO, NONE)
    model: str | None = None
    language: str | None = None
    threads: int = 1
    longest_seconds: float = 15.0

    def __post_init__(self) -> None:
        check_names(self, "transcribe")
        if self.threads < 1 or not 3 <= self.longest_seconds <= 30:
            raise InputError(
                "speech recognition needs threads >= 1 and longest_seconds from 3 to 30, got "
                f"{self.threads} and {self.longest_seconds}"
            )


def make_transcriber(config: TranscribeConfig | None = None) -> Transcriber | None:
    """Make the speech recogniser that is asked for; None if none is wanted or at hand.

    Raises:
        MissingExtra: if one is asked for by name and not installed.
        ModelError: if one is asked for by name and its model is not on this machine.
    """
    config = config or TranscribeConfig()
    kind = _chosen(config)
    return None if kind is None else kind(config)


def transcriber_name(config: TranscribeConfig | None = None) -> str:
    """Return the name of what `make_transcriber` would make, without loading it.

    Returns:
        A `Transcriber.name`, or ``"none"``.

    Raises:
        MissingExtra, ModelError: as `make_transcriber` does, but for models that cannot
            be loaded.

    Example:
        >>> transcriber_name(TranscribeConfig(engine="none"))
        'none'
    """
    config = config or TranscribeConfig()
    kind = _chosen(config)
    return NONE if kind is None else kind.describe(config)


def _chosen(config: TranscribeConfig) -> TranscriberKind | None:
    """Return which one it is to be: the best at hand if none is named."""
    if config.engine == NONE:
        return None
    if config.engine != AUTO:
        return TRANSCRIBERS.load(config.engine)
    known = []
    for name in TRANSCRIBERS:
        with suppress(EmofuseError):  # of a package that is broken
            known.append(TRANSCRIBERS.load(name))
    for kind in sorted(known, key=lambda kind: kind.rank):
        with suppress(EmofuseError):  # not at hand
            kind.describe(config)
            return kind
    return None


def _moonshine_folder() -> Path:
    folder = find_moonshine()
    if folder is not None:
        return folder
    if not _is_installed("moonshine_voice"):
        raise MissingExtra("asr", "speech recognition with Moonshine")
    raise ModelError(
        "this moonshine-voice came without a model (versions after 0.1.0 do): run  "
        "pip install 'emofuse[asr]'"
    )


def _need_pocketsphinx() -> None:
    if not _is_installed("pocketsphinx"):
        raise MissingExtra("asr", "speech recognition with pocketsphinx")


def _whisper_folder(config: TranscribeConfig) -> Path:
    if not _is_installed("faster_whisper"):
        raise MissingExtra("whisper", "speech recognition with Whisper")
    folder = find_whisper(config.model)
    if folder is not None:
        return folder
    wanted = config.model or "base"
    fetch = f"python -c \"import faster_whisper; faster_whisper.download_model('{wanted}')\""
    if f"whisper-{wanted}" in {card.id for card in Store().cards()}:
        fetch = f"emofuse models pull whisper-{wanted}"
    raise ModelError(
        f"no Whisper model {wanted!r} on this machine: fetch it once with  {fetch}  or set "
        "transcribe.model to the folder of one"
    )


def _whisper_name(config: TranscribeConfig, folder: Path) -> str:
    # In Hugging Face's cache: models--Systran--faster-whisper-base/snapshots/REVISION
    # In our own: models/whisper-base-DIGEST
    ours = folder.name.removeprefix("whisper-").rpartition("-")[0]
    theirs = folder.parents[1].name.split("whisper-")[-1]
    size = config.model or (ours if folder.name.startswith("whisper-") else theirs)
    return f"whisper ({Path(size).name})"


def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


class Moonshine:
    """Moonshine tiny for English (Jeffries et al. 2024), which its package carries.

    It writes capitals and full stops, which tell sentences apart. It knows not when
    a word was said: words share the time of their region by their length, which
    puts half of their borders within 0.12 s of where they are (benchmarks/words.py).

    Args:
        config: says how many threads.

    Raises:
        MissingExtra: if moonshine-voice is not installed.
        ModelError: if it came without the net, or the net cannot be loaded.
    """

    name = "moonshine"
    rank = 1
    trusted = 0.6  # of German and Polish, heard as English, 97 % lie below; of English, 3 %

    @classmethod
    def describe(cls, config: TranscribeConfig) -> str:
        """Return its name; see `TranscriberKind`."""
        _moonshine_folder()
        return cls.name

    def __init__(self, config: TranscribeConfig) -> None:
        self._net = MoonshineNet(_moonshine_folder(), config.threads)

    def transcribe(self, samples: Waveform, start: int) -> list[Utterance]:
        """Recognise English speech; see `Transcriber`."""
        heard = self._net.hear(samples)
        if not heard:
            return []
        confidence = sum(word.confidence for word in heard) / len(heard)
        end = samples_to_ns(start + len(samples), RATE)
        whole = Span(samples_to_ns(start, RATE), end)
        spans = share_time([word.text for word in heard], whole)
        words = tuple(
            Word(word.text, span, word.confidence) for word, span in zip(heard, spans, strict=True)
        )
        text = " ".join(word.text for word in words)
        return [Utterance(text, whole, words, confidence)]


class PocketSphinx:
    """CMU PocketSphinx with the English model in its package (Huggins-Daines et al. 2006).

    Fast, small and often wrong: on acted short sentences it misses four words in
    ten. Its search is kept narrow, which makes it more than twice as fast and
    costs no measurable accuracy.

    Raises:
        MissingExtra: if pocketsphinx is not installed.
    """

    name = "pocketsphinx"
    rank = 2
    trusted = 0.35  # of German and Polish two thirds lie below; so does much English, misheard

    @classmethod
    def describe(cls, config: TranscribeConfig) -> str:
        """Return its name; see `TranscriberKind`."""
        _need_pocketsphinx()
        return cls.name

    def __init__(self, config: TranscribeConfig | None = None) -> None:
        _need_pocketsphinx()
        from pocketsphinx import Decoder  # loads a model of 30 MB: only who listens pays

        self._decoder = Decoder(
            loglevel="FATAL",
            samprate=RATE,
            maxhmmpf=2000,
            maxwpf=5,
            pl_window=5,
            cmn="batch",  # each region on its own, whatever was said before
        )
        self._frame = RATE // int(self._decoder.config["frate"])
        self._lock = threading.Lock()  # live sessions share one decoder

    def transcribe(self, samples: Waveform, start: int) -> list[Utterance]:
        """Recognise English speech; see `Transcriber`."""
        with self._lock:
            words = tuple(self._words(samples, start))
        if not words:
            return []
        # The expected share of right words.
        confidence = sum(word.confidence or 0.0 for word in words) / len(words)
        span = Span(words[0].span.start_ns, words[-1].span.end_ns)
        text = " ".join(word.text for word in words)
        return [Utterance(text, span, words, confidence)]

    def _words(self, samples: Waveform, start: int) -> Iterator[Word]:
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < 1e-4:
            return
        # Loudness must not matter, and soft speech not drown in 16 bits.
        pcm = np.round(samples * (16_000 / peak)).astype("<i2")
        decoder = self._decoder
        decoder.reinit_feat()  # forgets the noise it has heard so far
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        for segment in decoder.seg() or ():
            text = segment.word.split("(")[0]  # "the(2)" is the second way to say it
            if text and text[0] not in "<[+":  # silence and noises
                certainty = min(1.0, max(0.0, float(segment.prob)))
                yield Word(text, self._span(segment, start, len(samples)), certainty)

    def _span(self, segment: Any, start: int, length: int) -> Span:
        first = min(segment.start_frame * self._frame, length)
        end = min((segment.end_frame + 1) * self._frame, length)
        return Span(samples_to_ns(start + first, RATE), samples_to_ns(start + end, RATE))


class Whisper:
    """OpenAI's Whisper (Radford et al. 2023) run by faster-whisper, in int8 on the CPU.

    Args:
        config: names the model; it must be on this machine.

    Raises:
        MissingExtra: if faster-whisper is not installed.
        ModelError: if the model is not there or cannot be loaded.
    """

    rank = 0
    trusted = 0.37  # Whisper's own limit: a mean log-probability of -1

    @classmethod
    def describe(cls, config: TranscribeConfig) -> str:
        """Return ``"whisper"`` and the model; see `TranscriberKind`."""
        return _whisper_name(config, _whisper_folder(config))

    def __init__(self, config: TranscribeConfig) -> None:
        folder = _whisper_folder(config)
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=config.threads,
                local_files_only=True,
            )
        except Exception as e:  # CTranslate2 and huggingface-hub raise families of their own
            raise ModelError(f"cannot load the Whisper model in {folder}: {e}") from e
        self._language = config.language
        self._name = _whisper_name(config, folder)

    @property
    def name(self) -> str:
        """``"whisper"`` and the model."""
        return self._name

    def transcribe(self, samples: Waveform, start: int) -> list[Utterance]:
        """Recognise speech of any language; see `Transcriber`."""
        segments, _ = self._model.transcribe(
            samples,
            language=self._language,
            beam_size=1,
            temperature=0.0,  # else it samples when unsure
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=False,
        )
        end = len(samples) / RATE
        offset = samples_to_ns(start, RATE)
        found = (_whispered(s, offset, end) for s in segments if s.no_speech_prob < 0.6)
        return [utterance for utterance in found if utterance is not None]


def _whispered(segment: Any, offset_ns: int, end: float) -> Utterance | None:
    """Make an utterance of a segment of faster-whisper whose times count from `offset_ns`."""

    def span(start: float, stop: float) -> Span:
        start = min(max(0.0, start), end)
        return Span(offset_ns + to_ns(start), offset_ns + to_ns(min(max(start, stop), end)))

    text = " ".join(segment.text.split())
    at = span(segment.start, segment.end)
    if not any(map(str.isalnum, text)) or at.duration_ns == 0:  # it dreams on after the end
        return None
    words = tuple(
        Word(w.word.strip(), span(w.start, w.end), min(1.0, max(0.0, float(w.probability))))
        for w in segment.words or ()
        if w.word.strip()
    )
    return Utterance(text, at, words, min(1.0, math.exp(segment.avg_logprob)))


def find_whisper(model: str | None = None) -> Path | None:
    """Return the folder of a Whisper model on this machine, or None. Downloads nothing.

    Args:
        model: a folder, or the name of a model that ``emofuse models pull whisper-NAME`` has
            fetched, or that may be in Hugging Face's cache; None looks for the usual sizes.

    Raises:
        ModelError: if faster-whisper knows no model of that name.
    """
    if model is not None and (Path(model) / "model.bin").is_file():
        return Path(model)
    from faster_whisper import download_model
    from huggingface_hub.errors import LocalEntryNotFoundError

    for name in _WHISPER_SIZES if model is None else (model,):
        if (pulled := _pulled_whisper(name)) is not None:
            return pulled
        try:
            folder = Path(download_model(name, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        except ValueError as e:
            raise ModelError(f"no Whisper model {model!r}: neither a folder of one, and {e}") from e
        if (folder / "model.bin").is_file():
            return folder
    return None


def _pulled_whisper(name: str) -> Path | None:
    """The folder of a model that `emofuse models pull` has fetched."""
    store = Store()
    card = next((c for c in store.cards() if c.id == f"whisper-{name}"), None)
    if card is None or store.location(card) is ModelLocation.REMOTE:
        return None
    return store.files(card)["weights"].parent


class Transcribe:
    """Turns voiced regions into utterances: a `Stage`.

    Takes the voiced 16 kHz chunks and the progress of `speech/vad.py`; yields
    utterances when a region has ended, and `Watermark(Modality.TEXT)`. A region
    is cut before it is longer than `longest` seconds, in the quietest tenth of a
    second of that stretch's last third, so nothing depends on how the sound came in.
    Words that the recogniser is not sure enough of are left out, and a note says so:
    it invents them for noise and for languages that it does not know.

    Args:
        engine: the speech recogniser.
        longest: seconds of sound that are recognised at once.
    """

    def __init__(self, engine: Transcriber, longest: float = 15.0) -> None:
        self._engine = engine
        self._longest = round(longest * RATE)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._pieces: list[Waveform] = []
        self._first = self._end = 0  # stream indices of what is held
        self._told = False

    def feed(self, item: AudioChunk | Watermark) -> Iterator[Utterance | Watermark | Diagnostic]:
        """Take voiced sound or progress; yield what was said in ended regions.

        Raises:
            ValueError: if the sound is not at 16 kHz.
        """
        if isinstance(item, AudioChunk):
            yield from self._extend(item)
            return
        if item.upto_ns > samples_to_ns(self._end, RATE):
            yield from self.flush()
        upto = item.upto_ns
        if self._pieces:
            upto = min(upto, samples_to_ns(self._first, RATE))
        yield Watermark(Modality.TEXT, upto)

    def flush(self) -> Iterator[Utterance | Diagnostic]:
        """Recognise what is held."""
        if self._pieces:
            yield from self._recognise(np.concatenate(self._pieces))
        self._pieces = []

    def _extend(self, chunk: AudioChunk) -> Iterator[Utterance | Diagnostic]:
        if chunk.rate != RATE:
            raise ValueError(f"speech recognition needs {RATE} Hz, got {chunk.rate}")
        if self._pieces and chunk.first != self._end:
            yield from self.flush()
        if not self._pieces:
            self._first = self._end = chunk.first
        self._pieces.append(chunk.samples)
        self._end = chunk.end
        while self._end - self._first > self._longest:
            held = np.concatenate(self._pieces)
            cut = _quietest(held[: self._longest])
            yield from self._recognise(held[:cut])
            self._pieces = [held[cut:]]
            self._first += cut

    def _recognise(self, samples: Waveform) -> Iterator[Utterance | Diagnostic]:
        for utterance in self._engine.transcribe(samples, self._first):
            if utterance.confidence >= self._engine.trusted:
                yield utterance
            elif not self._told:
                self._told = True
                yield Diagnostic("words-unsure", _UNSURE, utterance.span.start_ns)


def _quietest(samples: Waveform) -> int:
    """Return the middle of the quietest tenth of a second in the last third."""
    width = RATE // 10
    first = len(samples) * 2 // 3
    blocks = samples[first : first + (len(samples) - first) // width * width].reshape(-1, width)
    power = (blocks.astype(np.float64) ** 2).mean(axis=1)
    return first + int(power.argmin()) * width + width // 2
