"""The one way from a media file to its timeline.

Command line, server, live view, batch and evaluation all analyze media through
an `Analyzer`; it composes sources, models and the engine and adds nothing of its
own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import __version__
from .config.loader import Flag, check_types, read
from .core.estimates import Estimate, Modality, Subject, SubjectKind
from .core.identity import IdentityEmbedding
from .core.labels import CANONICAL, LabelMap
from .core.media import (
    Channels,
    Diagnostic,
    Frame,
    Grade,
    MediaInfo,
    MediaKind,
    Packet,
    Sample,
    Track,
    Watermark,
    WindowSpec,
)
from .core.modality import modalities, specs
from .core.protocols import (
    Exporter,
    FrontEnd,
    Fuser,
    ProgressCallback,
    Recogniser,
    Source,
    Stage,
)
from .core.time import Span, to_ns
from .core.timeline import Provenance, Timeline
from .corpora.labels import canonical_map
from .engine.active_speaker import (
    ActiveSpeakerAttribution,
    ActiveSpeakerConfig,
    ActiveSpeakerMethod,
)
from .engine.align import Aligner
from .engine.branch import Branch
from .engine.channels import MOST_CHANNELS, ByChannel
from .engine.pipeline import Chain, Fuse, Pipeline, Select
from .engine.smooth import SmoothConfig, make_smoother
from .engine.windows import Recognise, Windower
from .errors import InputError, ModelError
from .face.config import FaceConfig
from .fusion.config import FusionConfig
from .fusion.factory import make_fuser
from .fusion.rejection import Rejection, RejectionConfig
from .group.config import GroupConfig
from .identity.config import IdentityConfig
from .models.registry import load
from .models.store import Store
from .speech.vad import VadConfig
from .text.transcribe import NONE, TranscribeConfig

if TYPE_CHECKING:
    from .group.stage import GroupStage
    from .identity.resolve import Identifier

T = TypeVar("T")

_MOST_THREADS = 256
"""More would only take memory and time: the models are small."""


@dataclass(frozen=True, slots=True)
class AnalyzerConfig:
    """Everything that can be set about an analysis.

    Args:
        modalities: which modalities are analyzed: face, speech, text, and what other
            packages add.
        models: modality → id of its model; those left out keep their default.
        affect: modality → id of a further model, of which valence and arousal are taken.
        threads: CPU threads of each model.
        fps: frames analyzed per second of media.
        max_side: frames with a longer side (pixels) are shrunk to this first.
        subtitle_track: number of the subtitle track that is read, counted from 1, or its
            language as the file names it (``eng``); None: the first that the text model reads.
        audio_track: likewise the sound track that is heard; None: the first with a voice.
        channels: what becomes of the channels of a sound: ``mix``, or ``speakers``, which makes
            each a speaker of its own, as in calls; their voices are not given to faces.
        hwaccel: device that decodes videos, as FFmpeg calls it (``cuda``, ``videotoolbox``);
            None: the processor.
        slot_seconds: length of the slots of the fused timeline.
        smoothing: how fused estimates are smoothed along time.
        active_speaker: how a voice is given to the face that speaks.
        batch: most samples that a model is given at once.
        max_wait_seconds: longest that a started batch waits; 0 for live use.
        lookahead_seconds: how far past a step the voice model hears before it answers;
            None: as its card says. Less is quicker and, at the start of speech, less sure.
        face: detection and tracking.
        vad: voice activity.
        transcribe: speech recognition where no transcript is given.
        fusion: strategy and weights.
        rejection: when a fused estimate is uncertain.
        group: the mood of the group, if it is wanted; then more faces are followed, too.
        identity: who is who.

    Raises:
        InputError: if a number is out of range or no modality is left.

    Example:
        >>> AnalyzerConfig(models={Modality.FACE: "mine"}).models[Modality.TEXT]
        'text-minilm-v3'
    """

    modalities: tuple[Modality, ...] = field(default_factory=modalities)
    models: Mapping[Modality, str] = field(default_factory=dict)
    affect: Mapping[Modality, str] = field(default_factory=dict)
    threads: int = 1
    fps: float = 8.0
    max_side: int = 1280
    subtitle_track: int | str | None = None
    audio_track: int | str | None = None
    channels: Channels = Channels.MIX
    hwaccel: str | None = None
    slot_seconds: float = 0.5
    smoothing: SmoothConfig = field(default_factory=SmoothConfig)
    active_speaker: ActiveSpeakerConfig = field(default_factory=ActiveSpeakerConfig)
    batch: int = 8
    max_wait_seconds: float = 1.0
    lookahead_seconds: float | None = None
    face: FaceConfig = field(default_factory=FaceConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    transcribe: TranscribeConfig = field(default_factory=TranscribeConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    rejection: RejectionConfig = field(default_factory=RejectionConfig)
    group: GroupConfig = field(default_factory=GroupConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)

    def __post_init__(self) -> None:
        check_types(self)
        positive = {"fps": self.fps, "max_side": self.max_side, "slot_seconds": self.slot_seconds}
        for name, value in {**positive, "batch": self.batch}.items():
            if not value > 0:
                raise InputError(f"{name} must be > 0, got {value}")
            if value == inf:
                raise InputError(f"{name} must be finite, got {value}")
        if not 0 <= self.max_wait_seconds < inf:
            raise InputError(f"max_wait_seconds must be >= 0, got {self.max_wait_seconds}")
        if self.lookahead_seconds is not None and not self.lookahead_seconds >= 0:
            raise InputError(f"lookahead_seconds must be >= 0, got {self.lookahead_seconds}")
        if not 1 <= self.threads <= _MOST_THREADS:
            raise InputError(f"threads must be 1 to {_MOST_THREADS}, got {self.threads}")
        if isinstance(self.modalities, str):
            raise InputError(f"modalities: got {self.modalities!r}, expected a list of names")
        try:
            object.__setattr__(self, "modalities", tuple(map(Modality, self.modalities)))
        except ValueError as e:
            raise InputError(f"modalities: {e}") from None
        if not self.modalities or Modality.FUSED in self.modalities:
            raise InputError(
                f"modalities must name at least one of {', '.join(modalities())}, "
                f"got {[m.value for m in self.modalities]}"
            )
        object.__setattr__(self, "models", default_models() | dict(self.models))
        for modality, model_id in self.models.items():
            if not isinstance(model_id, str):
                raise InputError(f"models.{modality}: got {model_id!r}, expected a model's id")
        if self.group.enabled and self.face.max_faces < self.group.max_faces:
            face = replace(self.face, max_faces=self.group.max_faces)
            object.__setattr__(self, "face", face)


def default_models() -> dict[Modality, str]:
    """Return the id of each modality's default model.

    Example:
        >>> default_models()[Modality.FACE]
        'face-v4'
    """
    return {modality: row.model for modality, row in specs().items()}


def read_config(
    path: Path | None = None,
    flags: Mapping[str, Flag] | None = None,
    base: AnalyzerConfig | None = None,
) -> AnalyzerConfig:
    """Read the analyzer's settings from a file, with flags on top; see `config.loader.read`.

    Raises:
        InputError: if the file cannot be read, or a setting is unknown or wrong.
    """
    return read(AnalyzerConfig, path, flags, base)


class Analyzer:
    """Analyzes media. Models are loaded when first needed and kept for the next medium.

    Args:
        config: all settings; the defaults work offline.
        store: where models come from; by default those embedded and those cached.
    """

    def __init__(self, config: AnalyzerConfig | None = None, store: Store | None = None) -> None:
        self.config = config or AnalyzerConfig()
        self._store = store or Store()
        self._recognisers: dict[Modality, Recogniser] = {}
        self._affects: dict[str, Recogniser] = {}
        self._front_ends: dict[Modality, FrontEnd] = {}
        self._shared: dict[str, Any] = {}
        self._building = threading.RLock()  # several live sessions may start at once

    def sharing(self, config: AnalyzerConfig) -> Analyzer:
        """Return an analyzer with other settings that shares the models loaded so far.

        Detectors and speech recognisers, which remember what they were fed, are its own.
        Where the settings of the models differ nothing is shared.
        """
        other = Analyzer(config, self._store)
        mine = self.config
        if (config.models, config.threads) == (mine.models, mine.threads):
            other._recognisers, other._affects = self._recognisers, self._affects
        return other

    def analyze(
        self,
        path: str | os.PathLike[str],
        *,
        transcript: str | os.PathLike[str] | None = None,
        asked: bool = True,
        exporters: Sequence[Exporter] = (),
        progress: ProgressCallback | None = None,
    ) -> Timeline:
        """Analyze one medium from its start to its end.

        Args:
            path: a video, sound, image, subtitle or text file.
            transcript: a file with what is said in it, see `text.transcripts`; otherwise the
                medium's own subtitles are used, otherwise speech recognition if installed.
            asked: whether somebody wants that transcript; one that only lies beside the
                medium does not stop it if it cannot be read: a note says so.
            exporters: are given every sampled frame and every estimate as they come; the
                timeline and the end are the caller's to give (`export.finish`).
            progress: is told how far the analysis is.

        Raises:
            InputError: if the medium or the transcript cannot be read.
            ModelError: if a model is missing or damaged.
        """
        with closing(self.open(path, transcript=transcript, asked=asked)) as source:
            return self.collect(source, exporters=exporters, progress=progress)

    def open(
        self,
        path: str | os.PathLike[str],
        *,
        transcript: str | os.PathLike[str] | None = None,
        asked: bool = True,
    ) -> Source:
        """Open a medium as this analyzer wants to read it; see `analyze`."""
        from .io.media_types import TEXT_SUFFIXES
        from .sources.file import open_source
        from .sources.noted import Noted
        from .sources.prefetch import Prefetch
        from .speech.vad import is_voiced
        from .text.transcripts import read_transcript

        path = Path(path)
        sampling: dict[str, Any] = {
            "fps": self.config.fps,
            "max_side": self.config.max_side,
            "readable": self._readable,
            "subtitle_track": self.config.subtitle_track,
            "voiced": is_voiced,
            "audio_track": self.config.audio_track,
            "channels": self.config.channels,
            "hwaccel": self.config.hwaccel,
        }
        if path.suffix.lower() in TEXT_SUFFIXES:
            if transcript is not None:
                raise InputError(f"{path} is a text itself; a transcript goes with video or sound")
            said = read_transcript(path)
            return Noted(open_source(path, utterances=said), said.notes)
        if transcript is None:
            return Prefetch(open_source(path, **sampling))
        with closing(open_source(path, **sampling)) as probe:  # plain text needs the length
            span = Span(0, probe.info.duration_ns) if probe.info.duration_ns else None
        transcript = Path(transcript)
        try:
            said = read_transcript(transcript, span)
        except InputError as e:
            if asked:
                raise
            note = Diagnostic("transcript-unread", f"{e}; the medium is analyzed without it")
            return Noted(Prefetch(open_source(path, **sampling)), [note])
        source = open_source(path, **sampling, utterances=said, transcript=transcript.name)
        return Noted(Prefetch(source), said.notes)

    def _readable(self, text: str) -> bool:
        """Whether the text model was taught the language of a text."""
        from .text.language import is_readable

        languages = self._store.card(self.config.models[Modality.TEXT]).languages
        return not languages or is_readable(text, languages)

    def collect(
        self,
        source: Source,
        *,
        exporters: Sequence[Exporter] = (),
        progress: ProgressCallback | None = None,
    ) -> Timeline:
        """Analyze a whole source and return its timeline."""
        estimates: list[Estimate] = []
        notes: list[Diagnostic] = []
        done_ns = 0
        identifier = self.identifier(source.info)
        for item in self.stream(source):
            if identifier is not None and isinstance(item, (IdentityEmbedding, Estimate)):
                identifier.feed(item)
            if isinstance(item, (Frame, Estimate)):
                for exporter in exporters:
                    exporter.write(item)
            if isinstance(item, Estimate):
                estimates.append(item)
            elif isinstance(item, Diagnostic):
                notes.append(item)
            elif isinstance(item, Watermark) and isinstance(item.track, Track):
                done_ns = max(done_ns, item.upto_ns)
                if progress is not None:
                    progress(done_ns, source.info.duration_ns)
        who = identifier.resolve() if identifier is not None else None
        return Timeline(
            media=source.info,
            estimates=tuple(estimates if who is None else who.applied(estimates)),
            provenance=self.provenance(source.info),
            notes=tuple(notes),
            duration_ns=done_ns,
            people=None if who is None else who.people,
        )

    def stream(
        self, source: Source
    ) -> Iterator[Frame | Estimate | Watermark | Diagnostic | IdentityEmbedding]:
        """Analyze a source as it is read.

        Yields the sampled frames and the source's progress as they pass, every
        estimate as soon as it is known, `Watermark(Modality.FUSED, …)` when all that
        starts before a time is out, notes, and embeddings of faces and voices. Estimates name
        tracks and the voice: who they are is known at the end (`identifier`).
        """
        yield from self.remarks(source.info)
        pipeline: Pipeline | ByChannel = self.pipeline(source.info)
        channels = source.info.audio.channels if source.info.audio is not None else 1
        if self.config.channels is Channels.SPEAKERS and channels > 1:
            pipeline = self._by_channel(source.info, channels)
        if not self.config.group.enabled:
            yield from self.run(source.packets(), pipeline)
            return
        group = self._group_stage(source.info)
        for item in self.run(_shown_to(group, source.packets()), pipeline):
            yield item
            if not isinstance(item, IdentityEmbedding):
                yield from group.feed(item)
        yield from group.flush()

    def _by_channel(self, info: MediaInfo, count: int) -> ByChannel:
        """Build a pipeline for each channel of a sound, and one for all else.

        Raises:
            InputError: if the mood of the group is wanted, too: it mixes all voices.
        """
        if self.config.group.enabled:
            raise InputError("channels as speakers and the mood of the group do not go together")
        if count > MOST_CHANNELS:
            raise InputError(
                f"{info.name} has {count} channels, expected at most {MOST_CHANNELS} speakers; "
                "leave the channels mixed (--channels mix)"
            )
        heard = replace(info, kind=MediaKind.AUDIO, video=None, text=None)
        rest = replace(info, audio=None)
        others = self.pipeline(rest) if rest.tracks else None
        return ByChannel([self.pipeline(heard) for _ in range(count)], others)

    def _keep(self, name: str, make: Callable[[], T]) -> T:
        """Return what was made under a name before, or make it."""
        if name not in self._shared:
            self._shared[name] = make()
        return cast(T, self._shared[name])

    def _group_stage(self, info: MediaInfo) -> GroupStage:
        """Make what tells the mood of the group."""
        from .group.stage import GroupStage, make_mood_estimator

        config = self.config.group
        threads = self.config.threads
        if "group" not in self._shared:
            self._shared["group"] = load(config.model, self._store, threads)
        return GroupStage(config, make_mood_estimator(self._shared["group"], self._store), info)

    @staticmethod
    def run(
        packets: Iterable[Packet], pipeline: Pipeline | ByChannel
    ) -> Iterator[Frame | Estimate | Watermark | Diagnostic | IdentityEmbedding]:
        """Drive packets through a pipeline: feed everything, then flush."""
        for packet in packets:
            if isinstance(packet, (Frame, Watermark)):
                yield packet
            yield from pipeline.feed(packet)
        yield from pipeline.flush()

    def pipeline(self, info: MediaInfo) -> Pipeline:
        """Build the pipeline for a medium: one branch per modality that it can have."""
        return Pipeline([branch.joined() for branch in self.branches(info)], self.joint(info))

    def branches(self, info: MediaInfo) -> tuple[Branch, ...]:
        """Build what looks at, listens to and reads a medium; live, each runs in its own thread."""
        with self._building:
            return tuple(self._branches(info))

    def _branches(self, info: MediaInfo) -> Iterator[Branch]:
        listeners: list[Branch] = []
        for modality in self._present(info):
            context = self._context(modality, info)
            stages = self._front_end(modality).stages(context)
            chain = Chain(*self._embeddings(modality, stages, info), self._recognise(modality))
            if context.track is Track.AUDIO:
                listeners.append(Branch(modality.value, Track.AUDIO, chain, modality))
            else:
                selected = Chain(Select(context.track), chain)
                yield Branch(modality.value, context.track, selected, modality)
        if listeners:
            yield self._ears(listeners)

    def identifier(self, info: MediaInfo) -> Identifier | None:
        """Make what says who is who in a medium; None where nobody asks."""
        if not self._identifies(info):
            return None
        from .identity.resolve import Identifier

        return Identifier(self.config.identity)

    def _identifies(self, info: MediaInfo) -> bool:
        """In a photo everybody is somebody else: only other files can have them, too."""
        config = self.config.identity
        return config.enabled and (info.kind is not MediaKind.IMAGE or config.across_files)

    def _embeddings(
        self, modality: Modality, stages: Sequence[Stage[Any, Any]], info: MediaInfo
    ) -> Iterator[Stage[Any, Any]]:
        """Put what embeds faces behind the stages of the front end, what embeds voices before."""
        from .identity.encoders import FaceEmbedder, VoiceEmbedder, face_encoder, voice_encoder

        if modality not in (Modality.FACE, Modality.SPEECH) or not self._identifies(info):
            yield from stages
            return
        config, threads = self.config.identity, self.config.threads
        if modality is Modality.FACE:
            faces = partial(face_encoder, config.face_model, self._store, threads)
            yield from stages
            yield FaceEmbedder(self._keep("face identity", faces))
        elif not config.voices or self.config.channels is Channels.SPEAKERS:
            yield from stages
        else:
            voices = partial(voice_encoder, config.voice_model, self._store, threads)
            batch = {} if self.config.max_wait_seconds else {"batch": 1}
            yield VoiceEmbedder(self._keep("voice identity", voices), **batch)
            yield from stages

    def _ears(self, listeners: Sequence[Branch]) -> Branch:
        """Audio → voiced regions at 16 kHz, for all that listens."""
        from .speech.resample import Resample
        from .speech.vad import VoiceActivityDetector

        ears = Chain(Select(Track.AUDIO), Resample(), VoiceActivityDetector(self.config.vad))
        return Branch("audio", Track.AUDIO, ears, followers=tuple(listeners))

    def joint(self, info: MediaInfo) -> tuple[Stage[Any, Any], ...]:
        """Build what brings a medium's branches together: alignment, fusion, smoothing."""
        config = self.config
        attribution: tuple[Stage[Any, Any], ...] = ()
        if self._attributes_speech(info):
            attribution = (ActiveSpeakerAttribution(config.active_speaker),)
        return (
            Aligner(to_ns(config.slot_seconds), self._present(info)),
            *attribution,
            Fuse(self.fuser(info)),
            make_smoother(config.smoothing, to_ns(config.slot_seconds)),
            Rejection(config.rejection, self._present(info)),
        )

    def fuser(self, info: MediaInfo) -> Fuser:
        """Make the configured fuser for a medium's modalities."""
        return self.fuser_of(self._present(info))

    def fuser_of(self, modalities: Iterable[Modality]) -> Fuser:
        """Make the configured fuser for some modalities."""
        models = {m: self._store.card(self.config.models[m]) for m in modalities}
        return make_fuser(self.config.fusion, models=models, store=self._store)

    def estimate(self, modality: Modality, sample: Sample) -> Estimate:
        """Ask a modality's model about one sample."""
        with self._building:
            recognise = self._recognise(modality)
        (estimate,) = (e for e in (*recognise.feed(sample), *recognise.flush()))
        assert isinstance(estimate, Estimate)
        return estimate

    def provenance(self, info: MediaInfo) -> Provenance:
        """Say what this analyzer uses for a medium."""
        present, fusion = self._present(info), self.config.fusion
        models = {m: self._recogniser(m).model_id for m in present}
        components: dict[str, str] = {}
        for modality in present:
            if modality in self.config.affect:
                components[f"affect of {modality.value}"] = self.config.affect[modality]
            context = self._context(modality, info)
            components |= self._front_end(modality).components(context)
        if self.config.group.enabled:
            components["group"] = self.config.group.model
        return Provenance(
            version=__version__,
            models={**models, Modality.FUSED: fusion.card or fusion.strategy},
            components=components,
            settings=_plain(asdict(self.config)),
        )

    def _present(self, info: MediaInfo) -> tuple[Modality, ...]:
        """The configured modalities that a media file can tell anything about."""
        return tuple(m for m in self.config.modalities if self._can_tell(m, info))

    def _can_tell(self, modality: Modality, info: MediaInfo) -> bool:
        if not set(modality.spec.tracks) & info.tracks:
            return False
        return self._front_end(modality).available(self._context(modality, info))

    def _context(self, modality: Modality, info: MediaInfo) -> _Context:
        track = next(track for track in modality.spec.tracks if track in info.tracks)
        return _Context(self, modality, info, track)

    def _front_end(self, modality: Modality) -> FrontEnd:
        if modality not in self._front_ends:
            self._front_ends[modality] = front_end(modality)
        return self._front_ends[modality]

    def _attributes_speech(self, info: MediaInfo) -> bool:
        """Whether there may be faces and voices, so that one has to be given to the other."""
        subjects = {m.spec.subject for m in self._present(info)}
        return {SubjectKind.FACE, SubjectKind.SPEAKER} <= subjects

    def _recognise(self, modality: Modality) -> Recognise:
        config = self.config
        return Recognise(
            self._recogniser(modality),
            modality,
            config.batch,
            to_ns(config.max_wait_seconds),
            embeddings=config.fusion.learned,  # the pools have no use for them
            label_map=self._label_map(modality),
            affect=self._affect(modality),
        )

    def _affect(self, modality: Modality) -> Recogniser | None:
        """The further model that tells a modality's valence and arousal, if one is wanted."""
        model_id = self.config.affect.get(modality)
        if model_id is None:
            return None
        card = self._store.card(model_id)
        if card.affect is None or card.modality is not modality:
            raise ModelError(
                f"affect.{modality.value}: {model_id!r} tells no valence and arousal of "
                f"{modality.value}; choose a model whose card has [affect]"
            )
        if model_id not in self._affects:
            self._affects[model_id] = load(model_id, self._store, self.config.threads)
        return self._affects[model_id]

    def _label_map(self, modality: Modality) -> LabelMap | None:
        """Where the labels of a modality's model go; None if they are canonical ones."""
        card = self._store.card(self._recogniser(modality).model_id)
        if card.dimensional:
            raise ModelError(
                f"{card.id!r} tells valence and arousal and no emotions: name it under affect "
                "(--affect-model), beside a model that tells emotions"
            )
        if set(card.taxonomy.labels) <= set(CANONICAL.labels) and not card.taxonomy.multi_label:
            return None
        return card.label_map or canonical_map(card.taxonomy)

    def _recogniser(self, modality: Modality) -> Recogniser:
        if modality not in self._recognisers:
            model_id = self.config.models[modality]
            reads = self._store.card(model_id).modality
            if reads is not modality:
                raise ModelError(
                    f"models.{modality.value}: {model_id!r} reads {reads.value}, expected a model "
                    f"that reads {modality.value} (emofuse models list --modality "
                    f"{modality.value})"
                )
            self._recognisers[modality] = load(model_id, self._store, self.config.threads)
        return self._recognisers[modality]

    def remarks(self, info: MediaInfo) -> Iterator[Diagnostic]:
        """Tell of labels that are mapped, and of modalities that cannot be had from a medium."""
        missing = set(self.config.modalities) - set(self._present(info))
        for modality in self._present(info):
            label_map = self._label_map(modality)
            if label_map is not None:
                model_id = self._recogniser(modality).model_id
                yield Diagnostic("labels-mapped", f"labels of {model_id}: {label_map.told}")
        if self.config.group.enabled and Track.VIDEO not in info.tracks:
            by = "judged by voices alone" if Track.AUDIO in info.tracks else "not judged"
            yield Diagnostic("no-picture", f"the group is {by}: the medium has no pictures")
        unwanted = self.config.transcribe.engine == NONE
        if Modality.TEXT in missing and info.audio is not None and not unwanted:
            yield Diagnostic(
                "no-transcript",
                "no words: the medium has no transcript or subtitles and no speech recogniser "
                "is at hand (pip install 'emofuse[asr]', or give a transcript)",
            )


def _shown_to(group: GroupStage, packets: Iterable[Packet]) -> Iterator[Packet]:
    for packet in packets:
        group.see(packet)
        yield packet


def _plain(value: Any) -> Any:
    """Reduce settings to what JSON knows."""
    if isinstance(value, Mapping):
        return {getattr(k, "value", k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else getattr(value, "value", value)


def front_end(modality: Modality) -> FrontEnd:
    """Import the front end of a modality.

    Raises:
        ModelError: if it cannot be imported.
    """
    module, _, name = modality.spec.front_end.partition(":")
    try:
        return cast(FrontEnd, getattr(import_module(module), name))
    except (ImportError, AttributeError) as e:
        raise ModelError(
            f"the front end {modality.spec.front_end!r} of the modality {modality.value!r} cannot "
            f"be imported: {e}; install its package again"
        ) from e


@dataclass(frozen=True, slots=True)
class _Context:
    """A modality's `StageContext`."""

    analyzer: Analyzer
    modality: Modality
    info: MediaInfo
    track: Track

    @property
    def config(self) -> AnalyzerConfig:
        return self.analyzer.config

    @property
    def store(self) -> Store:
        return self.analyzer._store

    @property
    def identifies(self) -> bool:
        return self.analyzer._identifies(self.info)

    @property
    def attributes_speech(self) -> bool:
        looks = self.config.active_speaker.method is ActiveSpeakerMethod.MOUTH
        return looks and self.analyzer._attributes_speech(self.info)

    def windower(self, subject: Subject, quality: Callable[[Any, int], Grade]) -> Windower:
        return Windower(self._window(), subject, quality)

    def _window(self) -> WindowSpec:
        card = self.store.card(self.config.models[self.modality])
        lookahead = self.config.lookahead_seconds
        if card.window is None:
            raise ModelError(f"the card of {card.id!r} declares no [window]")
        if lookahead is None:
            return card.window
        longest_ns = card.window.window_ns - card.window.hop_ns
        return replace(card.window, lookahead_ns=min(to_ns(lookahead), longest_ns))

    def shared(self, name: str, make: Callable[[], T]) -> T:
        return self.analyzer._keep(name, make)
