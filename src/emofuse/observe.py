"""A face, a voice and words as one observation: one result, without a timeline."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

from .analyzer import Analyzer, AnalyzerConfig
from .core.details import FaceDetails
from .core.estimates import SPEAKER, Estimate, Modality, Subject, SubjectKind
from .core.media import Diagnostic, Sample
from .core.modality import modalities
from .core.observation import Observation
from .core.protocols import Slot, Source
from .core.time import NS, Span
from .core.timeline import Timeline
from .engine.align import pool
from .engine.pipeline import Pipeline
from .errors import InputError
from .fusion.rejection import Rejection
from .sources.memory import PictureSource, read_pixels, sound_source, text_source

_WHOLE = Span(0, NS)  # an observation has no time; slots need one

Weights = Mapping[str, float]


class Observer:
    """Observes faces, voices and words with models that are loaded once.

    Args:
        analyzer: has the models and settings; default: one with `config`.
        config: settings; the defaults work offline.

    Example:
        observer = Observer()
        result = observer.observe(image="face.jpg", audio="voice.wav")
        print(result["face"].label, result["speech"].label, result.label, result.confidence)
        print(observer.fuse(result, {"face": 0.8, "speech": 0.2}).label)
    """

    def __init__(
        self, analyzer: Analyzer | None = None, config: AnalyzerConfig | None = None
    ) -> None:
        self.analyzer = analyzer or Analyzer(config)
        self._parts: dict[tuple[Modality, ...], Analyzer] = {}

    def observe(
        self,
        *,
        image: Any = None,
        audio: Any = None,
        text: str | None = None,
        weights: Weights | None = None,
        face_crop: bool = False,
    ) -> Observation:
        """Observe what there is of one person; at least one of the three is needed.

        Args:
            image: see `sources.memory.read_pixels`; of several faces the largest counts.
            audio: see `sources.memory.sound_source`; the whole of it counts as one.
            text: what is said; without it, speech recognition if that is installed.
            weights: modality → how much it counts, ≥ 0; those not named do not count.
                Default: as configured.
            face_crop: the image is nothing but a face: it is not looked for.

        Raises:
            InputError: if nothing is given, or something cannot be read.
            ModelError: if a model is missing or damaged.
        """
        if image is None and audio is None and text is None:
            raise InputError("nothing to observe; give an image, audio or text")
        found: dict[Modality, Estimate] = {}
        notes: list[Diagnostic] = []
        if image is not None:
            pixels = read_pixels(image, self.analyzer.config.max_side)
            seen = self._crop(pixels) if face_crop else self._face(pixels, notes)
            found |= {Modality.FACE: seen} if seen else {}
        if audio is not None:
            counts = self._weighted(weights).config.fusion.all_weights[Modality.TEXT] > 0
            found |= self._heard(audio, notes, words=text is None and counts)
        if text is not None:
            found |= _pooled(self.read(text_source(text), (Modality.TEXT,), notes))
        return self.fuse(Observation(found, None, tuple(notes)), weights)

    def fuse(self, observation: Observation, weights: Weights | None = None) -> Observation:
        """Fuse what an observation holds again, with other weights; no model is run.

        Raises:
            InputError: if a weight is negative, of an unknown modality, or all are 0.
        """
        found = observation.estimates
        analyzer = self._weighted(weights)
        if not found:
            return replace(observation, fused=None)
        subject = Subject(SubjectKind.FACE) if Modality.FACE in found else SPEAKER
        fuser = analyzer.fuser_of(found)
        fused = fuser.fuse(Slot(subject, _WHOLE, dict(found)))
        if fused is None:
            return replace(observation, fused=None)
        marked = next(iter(Rejection(analyzer.config.rejection, tuple(found)).feed(fused)))
        assert isinstance(marked, Estimate)
        return replace(observation, fused=marked)

    def _weighted(self, weights: Weights | None) -> Analyzer:
        if weights is None:
            return self.analyzer
        config = self.analyzer.config
        fusion = replace(config.fusion, weights=read_weights(weights))
        return self.analyzer.sharing(replace(config, fusion=fusion))

    def _face(self, pixels: Any, notes: list[Diagnostic]) -> Estimate | None:
        seen = self.read(PictureSource(pixels), (Modality.FACE,), notes)
        if not seen:
            notes.append(Diagnostic("no-face", "no face was found in the image"))
            return None
        if len(seen) > 1:
            notes.append(
                Diagnostic("several-faces", f"{len(seen)} faces; the largest of them counts")
            )
        return replace(max(seen, key=_size), subject=Subject(SubjectKind.FACE), span=_WHOLE)

    def _crop(self, pixels: Any) -> Estimate:
        from .face.quality import crop_quality

        details = FaceDetails(box=(0.0, 0.0, 1.0, 1.0), side=float(min(pixels.shape[:2])))
        subject = Subject(SubjectKind.FACE)
        sample = Sample(subject, _WHOLE, pixels, crop_quality(pixels), details)
        return self.analyzer.estimate(Modality.FACE, sample)

    def _heard(
        self, audio: Any, notes: list[Diagnostic], *, words: bool
    ) -> dict[Modality, Estimate]:
        wanted = (Modality.SPEECH, Modality.TEXT) if words else (Modality.SPEECH,)
        with sound_source(audio) as source:
            if source.info.audio is None:
                raise InputError(f"{source.info.name} has no sound; give a sound file as audio")
            found = _pooled(self.read(source, wanted, notes))
        if Modality.SPEECH not in found:
            notes.append(Diagnostic("no-voice", "no voice was found in the audio"))
        return found

    def read(
        self,
        source: Source,
        wanted: tuple[Modality, ...],
        notes: list[Diagnostic] | None = None,
    ) -> list[Estimate]:
        """Return what the models say of a source, each by itself; nothing is fused.

        Args:
            source: what is read.
            wanted: which modalities.
            notes: takes what the user should know.

        Raises:
            InputError: if none of the modalities is switched on.
        """
        analyzer = self._part(wanted)
        if notes is not None:
            notes += [n for n in analyzer.remarks(source.info) if n.code != "no-transcript"]
        branches = [branch.joined() for branch in analyzer.branches(source.info)]
        found = []
        for item in analyzer.run(source.packets(), Pipeline(branches, ())):
            if isinstance(item, Estimate):
                found.append(item)
            elif isinstance(item, Diagnostic) and notes is not None:
                notes.append(item)
        return found

    def _part(self, wanted: tuple[Modality, ...]) -> Analyzer:
        """The analyzer for some modalities; it keeps its detector."""
        config = self.analyzer.config
        left = tuple(m for m in config.modalities if m in wanted)
        if not left:
            names = " or ".join(m.value for m in wanted)
            raise InputError(f"{names} is switched off in the settings (`modalities`)")
        if left not in self._parts:
            self._parts[left] = self.analyzer.sharing(replace(config, modalities=left))
        return self._parts[left]


def read_weights(weights: Weights) -> dict[Modality, float]:
    """Read weights by name; modalities that are not named do not count.

    Raises:
        InputError: if one is of an unknown modality, or not a number ≥ 0.
    """
    read = dict.fromkeys(modalities(), 0.0)
    for name, value in weights.items():
        try:
            modality = Modality(name)
        except ValueError as e:
            raise InputError(f"weights: {e}") from None
        if modality is Modality.FUSED or not isinstance(value, (int, float)) or not value >= 0:
            raise InputError(f"weights: got {name}={value!r}, expected numbers >= 0")
        read[modality] = float(value)
    return read


def _pooled(estimates: Iterable[Estimate]) -> dict[Modality, Estimate]:
    """All that each modality says, as one estimate."""
    said: dict[Modality, list[Estimate]] = {}
    for e in estimates:
        said.setdefault(e.modality, []).append(e)
    return {modality: _as_one(group) for modality, group in said.items()}


def _as_one(estimates: Sequence[Estimate]) -> Estimate:
    start = min(e.span.start_ns for e in estimates)
    whole = Span(start, max(e.span.end_ns for e in estimates))
    return replace(pool(estimates, whole), subject=SPEAKER, span=_WHOLE)


def _size(e: Estimate) -> float:
    details = e.find_details(FaceDetails)
    return (details.side if details else None) or 0.0


@overload
def analyze(
    path: str | os.PathLike[str],
    *,
    transcript: str | os.PathLike[str] | None = None,
    config: AnalyzerConfig | None = None,
    group: bool = False,
) -> Timeline: ...


@overload
def analyze(
    *,
    image: list[Any] | None = None,
    audio: list[Any] | None = None,
    text: list[str] | None = None,
    weights: Weights | None = None,
    face_crop: bool = False,
    config: AnalyzerConfig | None = None,
) -> list[Observation]: ...


@overload
def analyze(
    *,
    image: Any = None,
    audio: Any = None,
    text: str | None = None,
    weights: Weights | None = None,
    face_crop: bool = False,
    config: AnalyzerConfig | None = None,
) -> Observation: ...


def analyze(
    path: str | os.PathLike[str] | None = None,
    *,
    transcript: str | os.PathLike[str] | None = None,
    image: Any = None,
    audio: Any = None,
    text: Any = None,
    weights: Weights | None = None,
    face_crop: bool = False,
    config: AnalyzerConfig | None = None,
    group: bool = False,
) -> Timeline | Observation | list[Observation]:
    """Analyze one medium, or a face, a voice and words together.

        emofuse.analyze("interview.mp4")                              # a Timeline
        emofuse.analyze(image="face.jpg", audio="voice.wav")          # an Observation
        emofuse.analyze(image=[a, b], audio=[(x, 16000), (y, 16000)]) # a list of them

    Models are loaded for each call: who analyzes more keeps an `Analyzer` or an `Observer`.

    Args:
        path: a video, sound, image, subtitle or text file; see `Analyzer.analyze`.
        transcript: of the medium.
        image: see `Observer.observe`; lists are observed pair by pair, None where one lacks.
        audio: likewise.
        text: likewise.
        weights: modality → how much it counts in the observation.
        face_crop: the images are nothing but faces.
        config: settings.
        group: tell the mood of the group in the medium, too: estimates of ``group-1``.

    Raises:
        InputError: if an input cannot be read, or they do not go together.
        ModelError: if a model is missing or damaged.
    """
    given = {"image": image, "audio": audio, "text": text}
    if path is not None:
        if any(value is not None for value in given.values()):
            raise InputError("give either a medium, or image, audio and text; not both")
        if weights is not None or face_crop:
            raise InputError("weights and face_crop go with image, audio and text; of a medium "
                             "set config.fusion.weights")  # fmt: skip
        config = config or AnalyzerConfig()
        if group:
            config = replace(config, group=replace(config.group, enabled=True))
        return Analyzer(config).analyze(path, transcript=transcript)
    if group:
        raise InputError("a group is looked at in a medium: give its path")
    if transcript is not None:
        raise InputError("a transcript goes with a medium; give what is said as text")
    observer = Observer(config=config)
    lists = {name: value for name, value in given.items() if isinstance(value, list)}
    if not lists:
        return observer.observe(**given, weights=weights, face_crop=face_crop)
    return [
        observer.observe(**one, weights=weights, face_crop=face_crop) for one in _rows(given, lists)
    ]


def _rows(given: Mapping[str, Any], lists: Mapping[str, list[Any]]) -> Iterable[dict[str, Any]]:
    lengths = {name: len(value) for name, value in lists.items()}
    single = [name for name, value in given.items() if value is not None and name not in lists]
    if len(set(lengths.values())) > 1 or single:
        raise InputError(
            f"lists must have one length and all be lists, got {lengths}"
            + (f" and {', '.join(single)} alone" if single else "")
        )
    for i in range(next(iter(lengths.values()))):
        yield {name: value[i] for name, value in lists.items()}
