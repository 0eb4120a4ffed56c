"""What worker processes do: open uploads, check them against the limits, analyze them.

Nothing here runs in the server's own process.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.media import Frame, MediaInfo, MediaKind, Packet, Track, Watermark
from ...core.protocols import ProgressCallback, Source
from ...core.time import NS, Span, clock
from ...errors import InputError
from ...io.images import TooManyPixels, image_size
from ...io.media_types import ContentType
from ..http.errors import ApiError
from ..options import AnalysisOptions
from ..settings import Limits

if TYPE_CHECKING:
    from ...analyzer import Analyzer, AnalyzerConfig

_KEPT = 3  # analyzers of other settings than the server's; each may hold models of its own

_SLACK_NS = NS
"""A recording may be this much longer than allowed: durations are declared roughly."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a client sent, stored under a name of our choice.

    Args:
        path: where it is; its suffix follows from its content.
        name: the client's name for it.
        type: what its content is.
        bytes: its size in bytes.
    """

    path: Path
    name: str
    type: ContentType
    bytes: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What an upload turned out to be when it was opened; seconds and pixels."""

    kind: str
    duration: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Open uploads and check that they go together and are within the limits.

    Args:
        uploads: media and text to be analyzed together.
        transcript: their transcript.
        seconds: longest duration that is allowed.
    """

    uploads: tuple[Upload, ...]
    transcript: Upload | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Analyze uploads and write the results into a folder.

    Args:
        probe: the uploads; checked again, because files may have changed since.
        options: how.
        out: the folder; created if needed.
        formats: which files are written.
    """

    probe: Probe
    options: AnalysisOptions
    out: Path
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observe:
    """Take an image, sound and words as one observation; write it as ``observation.json``.

    Args:
        probe: the uploads.
        options: how.
        face_crop: the image is nothing but a face.
        out: the folder; created if needed.
    """

    probe: Probe
    options: AnalysisOptions
    face_crop: bool
    out: Path


@dataclass(frozen=True, slots=True)
class Export:
    """Write the result of a job in formats; see `jobs.edited.export`.

    Args:
        result: the result as it was found.
        folder: where the files go.
        formats: which.
        media: the medium, for formats that need it.
    """

    result: Path
    folder: Path
    formats: tuple[str, ...]
    media: Path | None


Task = Probe | Analysis | Observe | Export


class AnalyzerWorker:
    """Does tasks, with models that stay loaded.

    Args:
        config: how media are analyzed.
        limits: what is accepted.
    """

    def __init__(self, config: AnalyzerConfig, limits: Limits) -> None:
        from ...analyzer import Analyzer

        self._limits = limits
        self._main = Analyzer(config)
        self._others: OrderedDict[str, Analyzer] = OrderedDict()

    def warm_up(self) -> None:
        """Load the models before a client waits for them."""
        from ...core.media import AudioInfo, VideoInfo

        everything = MediaInfo(
            "warm-up",
            MediaKind.VIDEO,
            video=VideoInfo(64, 64, 25.0, "none"),
            audio=AudioInfo(16000, 1, "none"),
        )
        self._main.pipeline(everything)

    def do(self, task: Task, progress: ProgressCallback) -> Facts:
        """Do a task.

        Raises:
            ApiError: if the uploads are refused.
            EmofuseError: if they cannot be analyzed.
        """
        if isinstance(task, Probe):
            return _assign_roles(task, self._limits).facts
        if isinstance(task, Observe):
            return self._observe(task)
        if isinstance(task, Export):
            return _export(task)
        return self._analyze(task, progress)

    def _observe(self, task: Observe) -> Facts:
        from ...observe import Observer
        from ...text.transcripts import read_transcript

        roles = _assign_roles(task.probe, self._limits)
        kind = MediaKind(roles.facts.kind)
        if kind is MediaKind.VIDEO:
            raise ApiError(
                "bad-combination",
                f"{roles.main.name} is a video; an observation takes an image, sound and text: "
                "send videos to /v1/analyze",
            )
        said = roles.main if kind is MediaKind.TEXT else roles.transcript
        with _with_client_names(said):
            text = " ".join(u.text for u in read_transcript(said.path)) if said else None
        sound = roles.main if kind is MediaKind.AUDIO else roles.audio
        analyzer = self._analyzer(task.options)
        with _with_client_names(roles.main, roles.audio, roles.transcript):
            found = Observer(analyzer).observe(
                image=roles.main.path if kind is MediaKind.IMAGE else None,
                audio=sound.path if sound else None,
                text=text,
                face_crop=task.face_crop,
            )
        task.out.mkdir(parents=True, exist_ok=True)
        content = json.dumps(found.to_mapping(), ensure_ascii=False)
        (task.out / "observation.json").write_text(content, encoding="utf-8")
        return roles.facts

    def _analyze(self, task: Analysis, progress: ProgressCallback) -> Facts:
        from ...export import exporters, finish, result_name

        roles = _assign_roles(task.probe, self._limits)
        analyzer = self._analyzer(task.options)
        longest_ns = round(task.probe.seconds * NS) + _SLACK_NS

        def watch(done_ns: int, total_ns: int | None) -> None:
            if done_ns > longest_ns:  # the file is longer than it declares
                raise _too_long(roles.main.name, done_ns, task.probe.seconds)
            progress(done_ns, total_ns)

        kinds = [exporters()[name] for name in task.formats]
        opened = [kind(task.out / result_name(kind), overwrite=True) for kind in kinds]
        named = _with_client_names(roles.main, roles.audio, roles.transcript)
        with named, closing(_open(roles, analyzer)) as source:
            timeline = analyzer.collect(source, exporters=opened, progress=watch)
        media = replace(timeline.media, name=roles.main.name, path=None)
        finish(opened, replace(timeline, media=media))
        return replace(roles.facts, duration=timeline.duration_ns / NS)

    def _analyzer(self, options: AnalysisOptions) -> Analyzer:
        """Return an analyzer for options; of those that differ from the main one a few are kept."""
        config = options.over(self._main.config)
        if config == self._main.config:
            return self._main
        key = options.model_dump_json()
        made = self._others.pop(key, None) or self._main.sharing(config)
        self._others[key] = made
        while len(self._others) > _KEPT:
            self._others.popitem(last=False)
        return made


def _export(task: Export) -> Facts:
    from .edited import export

    for format_ in task.formats:
        export(task.result, task.folder, format_, task.media)
    return Facts("result")


@dataclass(frozen=True, slots=True)
class _Roles:
    """Uploads by their role."""

    main: Upload
    audio: Upload | None  # beside an image
    transcript: Upload | None
    facts: Facts


def _assign_roles(probe: Probe, limits: Limits) -> _Roles:
    """Open every upload and find its role.

    Raises:
        ApiError: if one exceeds a limit, or they do not go together.
        InputError: if one cannot be opened.
    """
    opened = [(upload, _inspect(upload, probe.seconds, limits)) for upload in probe.uploads]
    by_kind: dict[MediaKind, list[tuple[Upload, Facts]]] = {}
    for upload, facts in opened:
        by_kind.setdefault(MediaKind(facts.kind), []).append((upload, facts))
    transcript = [upload for upload, _ in by_kind.pop(MediaKind.TEXT, [])]
    transcript += [probe.transcript] if probe.transcript is not None else []
    together = sorted(kind.value for kind, found in by_kind.items() for _ in found)
    allowed: tuple[list[str], ...] = ([], ["video"], ["audio"], ["image"], ["audio", "image"])
    if together not in allowed or len(transcript) > 1 or not (together or transcript):
        parts = [*together, *("text" for _ in transcript)]
        raise ApiError(
            "bad-combination",
            f"got {' + '.join(parts) or 'nothing'} in one request; one request takes one video, "
            "audio file or image, or an image with an audio file, each with or without a "
            "transcript; send independent media in separate requests",
        )
    said = transcript[0] if transcript else None
    if not together:
        assert said is not None
        return _Roles(said, None, None, _inspect(said, probe.seconds, limits))
    sound = by_kind.get(MediaKind.AUDIO, [(None, None)])[0]
    if MediaKind.IMAGE in by_kind:
        main, facts = by_kind[MediaKind.IMAGE][0]
        if sound[1] is not None:
            facts = replace(facts, duration=sound[1].duration)
        return _Roles(main, sound[0], said, facts)
    main, facts = opened[0] if opened[0][0].type.kind is not MediaKind.TEXT else opened[1]
    return _Roles(main, None, said, facts)


def _inspect(upload: Upload, seconds: float, limits: Limits) -> Facts:
    """Open one upload and close it again."""
    if upload.type.kind is MediaKind.TEXT:
        return _inspect_text(upload, seconds, limits)
    if upload.type.kind is MediaKind.IMAGE:
        return _inspect_image(upload, limits)
    return _inspect_recording(upload, seconds, limits)


def _inspect_text(upload: Upload, seconds: float, limits: Limits) -> Facts:
    from ...text.transcripts import read_transcript

    if upload.bytes > limits.text_bytes:
        raise ApiError(
            "too-large",
            f"{upload.name} has {upload.bytes} bytes; the limit for text is {limits.text_bytes}",
        )
    with _with_client_names(upload):
        utterances = read_transcript(upload.path)
    end_ns = max((u.span.end_ns for u in utterances), default=0)
    # Plain text has no time of its own; a subtitle's last line may be anywhere.
    if upload.type.suffix != ".txt" and end_ns > seconds * NS + _SLACK_NS:
        raise _too_long(upload.name, end_ns, seconds)
    if not utterances:
        raise ApiError("unusable", f"{upload.name} contains no text")
    return Facts(MediaKind.TEXT.value, end_ns / NS)


def _inspect_image(upload: Upload, limits: Limits) -> Facts:
    try:
        with _with_client_names(upload):
            width, height = image_size(upload.path, max_pixels=limits.megapixels * 1e6)
    except TooManyPixels as error:
        raise ApiError("too-many-pixels", str(error)) from None
    return Facts(MediaKind.IMAGE.value, None, width, height)


def _inspect_recording(upload: Upload, seconds: float, limits: Limits) -> Facts:
    from ...sources.file import FileSource, open_container

    with _with_client_names(upload):
        with closing(open_container(upload.path)) as container:  # what is declared, undecoded
            for stream in container.streams.video:
                if (context := stream.codec_context) is None:
                    continue  # nothing here decodes it
                _check_pixels(upload.name, context.width, context.height, limits.video_megapixels)
                rate = float(stream.average_rate or 0)
                declared = (container.duration or 0) / 1e6 * rate
                if max(stream.frames or 0, declared) > limits.frames:
                    raise ApiError(
                        "too-many-frames",
                        f"{upload.name} has {max(stream.frames or 0, round(declared))} frames; the "
                        f"limit is {limits.frames}",
                    )
            duration_ns = None if container.duration is None else container.duration * 1000
        if duration_ns is not None and duration_ns > seconds * NS + _SLACK_NS:
            raise _too_long(upload.name, duration_ns, seconds)
        with closing(FileSource(upload.path)) as source:
            info = source.info
    video = info.video
    size = (None, None) if video is None else (video.width, video.height)
    return Facts(info.kind.value, info.duration, *size)


def _check_pixels(name: str, width: int, height: int, megapixels: float) -> None:
    if width * height > megapixels * 1e6:
        raise ApiError(
            "too-many-pixels",
            f"{name} is {width} × {height}, more than {megapixels:g} million pixels; shrink it",
        )


def _too_long(name: str, duration_ns: int, seconds: float) -> ApiError:
    return ApiError(
        "too-long",
        f"{name} lasts at least {clock(duration_ns)}; the limit here is {seconds:g} s: cut it, or "
        "send it to POST /v1/jobs if that takes more",
    )


class _with_client_names:  # noqa: N801
    """Replaces the paths of uploads in errors by the client's names for them."""

    def __init__(self, *uploads: Upload | None) -> None:
        self._uploads = [upload for upload in uploads if upload is not None]

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError):
            message = str(error)
            for upload in self._uploads:
                message = message.replace(str(upload.path), upload.name)
                message = message.replace(upload.path.name, upload.name)
            raise type(error)(message) from error


def _open(roles: _Roles, analyzer: Analyzer) -> Source:
    transcript = roles.transcript
    if roles.audio is not None:
        return _open_still(roles, roles.audio, analyzer)
    if transcript is None:
        return analyzer.open(roles.main.path)
    return _Renamed(analyzer.open(roles.main.path, transcript=transcript.path), transcript.name)


def _open_still(roles: _Roles, sound: Upload, analyzer: Analyzer) -> Source:
    """Open an image that is shown while audio plays."""
    from ...sources.file import FileSource
    from ...text.transcripts import read_transcript

    duration = roles.facts.duration
    span = Span(0, round(duration * NS)) if duration else Span(0, NS)
    transcript, utterances = roles.transcript, None
    if transcript is not None:
        utterances = read_transcript(transcript.path, span)
    audio = FileSource(
        sound.path,
        tracks={Track.AUDIO, Track.TEXT},
        utterances=utterances,
        transcript=transcript.name if transcript else None,
    )
    return ImageWithAudio(analyzer.open(roles.main.path), audio, span)


class ImageWithAudio:
    """An image that is shown for as long as audio plays.

    Args:
        image: delivers the image.
        audio: delivers audio, and a transcript if there is one.
        span: how long it is shown.
    """

    def __init__(self, image: Source, audio: Source, span: Span) -> None:
        self._image, self._audio, self._span = image, audio, span
        self.info = replace(
            image.info,
            duration_ns=span.end_ns,
            audio=audio.info.audio,
            text=audio.info.text,
        )

    def packets(self) -> Iterator[Packet]:
        """Yield the image, then the audio."""
        for packet in self._image.packets():
            if isinstance(packet, Frame):
                yield Frame(packet.image, self._span)
        end_ns = self._span.end_ns
        yield Watermark(Track.VIDEO, end_ns)
        for packet in self._audio.packets():
            if isinstance(packet, Watermark):
                end_ns = max(end_ns, packet.upto_ns)
            yield packet
        for track in sorted(self.info.tracks, key=lambda t: t.value):  # they end together
            yield Watermark(track, end_ns)

    def close(self) -> None:
        """Close both."""
        self._image.close()
        self._audio.close()


class _Renamed:
    """A source whose transcript is shown under the client's name for it."""

    def __init__(self, source: Source, text: str) -> None:
        self._source = source
        self.info = replace(source.info, text=text)

    def packets(self) -> Iterator[Packet]:
        return self._source.packets()

    def close(self) -> None:
        self._source.close()


def facts_mapping(facts: Facts) -> Mapping[str, Any]:
    """Return facts as plain types."""
    return {
        "kind": facts.kind,
        "duration": facts.duration,
        "width": facts.width,
        "height": facts.height,
    }
