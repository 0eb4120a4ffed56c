"""Media files: video, sound and subtitles read through PyAV, streaming."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.media import (
    AudioInfo,
    MediaInfo,
    MediaKind,
    Packet,
    Progress,
    Track,
    Utterance,
    VideoInfo,
)
from ..core.time import NS
from ..errors import InputError
from .tracks import (
    AudioReader,
    GivenText,
    Reader,
    SubtitleReader,
    VideoReader,
    shown_size,
    to_clock,
)

if TYPE_CHECKING:
    import av

ALL_TRACKS = frozenset(Track)

TEXT_CODECS = frozenset({"subrip", "srt", "mov_text", "ass", "ssa", "webvtt", "text"})
"""Subtitle codecs that hold text; the others hold pictures of text."""

PROGRESS_STEP_NS = NS // 10
"""A track's progress is told when it went on by at least this much."""

PATIENCE_NS = 3 * NS
"""A track without packets counts as silent up to this much before the others."""

TEXT_PATIENCE_NS = NS
"""The same for subtitles, which are silent most of the time."""

SHORTFALL_NS = NS // 2
"""A file that ends this much before its declared end is called truncated."""

MAX_THREADS = 4
"""Decoding threads; every one of them holds a picture in memory."""


class FileSource:
    """A media file. Pictures are sampled; sound and subtitles are complete.

    Decoding streams: memory doesn't grow with the file's length. Files without a
    video track or without sound are fine. Where a file breaks off, what could be
    read is delivered, followed by a `Note` that says where.

    Args:
        path: the file.
        fps: pictures per second of media to deliver.
        max_side: pictures with a longer side are scaled down to this.
        utterances: a given transcript; it takes the place of subtitles.
        transcript: name of that transcript, for `info`.
        tracks: which kinds of track to read.

    Raises:
        InputError: if the file is missing, empty, not media, or has no track to read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float = 8.0,
        max_side: int = 1280,
        utterances: Sequence[Utterance] | None = None,
        transcript: str | None = None,
        tracks: Collection[Track] = ALL_TRACKS,
    ) -> None:
        if not fps > 0 or max_side < 1:
            raise InputError(f"need fps > 0 and max_side >= 1, got {fps} and {max_side}")
        self._path = Path(path)
        self._container = open_container(self._path)
        try:
            self._set_up(fps, max_side, utterances, transcript, tracks)
        except BaseException:
            self.close()
            raise

    def _set_up(
        self,
        fps: float,
        max_side: int,
        utterances: Sequence[Utterance] | None,
        transcript: str | None,
        tracks: Collection[Track],
    ) -> None:
        video, audio, subtitles = pick_streams(self._container, tracks, utterances is None)
        if video is None and audio is None:
            kinds = ", ".join(sorted({s.type for s in self._container.streams})) or "nothing"
            raise InputError(
                f"no video or sound to read in {self._path} (it holds: {kinds}); "
                "give a media file with a video or an audio track"
            )
        self._streams = [s for s in (video, audio, subtitles) if s is not None]
        starts = [to_clock(s.start_time, s, 0) for s in (video, audio) if s and s.start_time]
        if any(s is not None and not s.start_time for s in (video, audio)):
            starts.append(0)
        origin = min(starts)
        rotation = first_rotation(self._path) if video else 0
        readers: dict[int, Reader] = {}
        if video is not None:
            video.thread_type = "AUTO"
            video.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
            readers[video.index] = VideoReader(video, origin, fps, max_side, rotation)
        if audio is not None:
            readers[audio.index] = AudioReader(audio, origin)
        if subtitles is not None:
            readers[subtitles.index] = SubtitleReader(subtitles, origin)
        elif utterances is not None:
            readers[-1] = GivenText(utterances)
        self._readers = readers
        self._origin_ns = origin
        self.info = self._describe(video, audio, rotation, origin)
        if subtitles is not None or utterances is not None:
            source = "subtitles" if utterances is None else transcript or "transcript"
            self.info = replace(self.info, text=source)

    def _describe(
        self,
        video: av.VideoStream | None,
        audio: av.AudioStream | None,
        rotation: int,
        origin: int,
    ) -> MediaInfo:
        duration = self._container.duration
        return MediaInfo(
            name=self._path.name,
            kind=MediaKind.VIDEO if video else MediaKind.AUDIO,
            duration_ns=None if duration is None else duration * 1000,
            video=None if video is None else describe_video(video, rotation),
            audio=None if audio is None else describe_audio(audio, origin),
            path=str(self._path),
        )

    def packets(self) -> Iterator[Packet]:
        """Yield frames, sound, utterances and progress; then notes, and progress to the end."""
        promised = dict.fromkeys(self._readers, 0)
        position = 0
        for packet in self._demux():
            reader = self._readers[packet.stream.index]
            yield from reader.feed(packet)
            if reader.track is not Track.TEXT:
                stamp = packet.dts if packet.dts is not None else packet.pts
                if stamp is not None:
                    position = max(position, to_clock(stamp, packet.stream, self._origin_ns))
            for index, other in self._readers.items():
                patience = TEXT_PATIENCE_NS if other.track is Track.TEXT else PATIENCE_NS
                yield from other.advance(position - patience)
                if other.upto_ns - promised[index] >= PROGRESS_STEP_NS:
                    promised[index] = other.upto_ns
                    yield Progress(other.track, other.upto_ns)
        for reader in self._readers.values():
            yield from reader.flush()
        end = max(r.end_ns for r in self._readers.values())
        for reader in self._readers.values():
            yield Progress(reader.track, max(end, reader.upto_ns))

    def _demux(self) -> Iterator[av.Packet]:
        for packet in self._container.demux(self._streams):
            if packet.size:
                yield packet

    def close(self) -> None:
        """Let go of the file; harmless when called twice."""
        self._container.close()


def open_container(path: Path) -> av.container.InputContainer:
    """Open a media file with PyAV, or say why that is impossible.

    Raises:
        InputError: if there is no such file, it is empty, a folder or not media.
    """
    import av

    check_file(path)
    try:
        # The prefix keeps names such as "a:b.mp4" from being read as a protocol, and the
        # whitelist keeps playlists from reaching for other files or the network.
        return av.open(f"file:{path.absolute()}", options={"protocol_whitelist": "file"})
    except av.FFmpegError as error:
        raise InputError(
            f"cannot read {path} as media ({error.strerror or error}); give a video "
            "(mp4, mov, mkv, webm, flv, avi, mpg, gif), sound (wav, mp3, flac, ogg, opus, m4a) "
            "or image file that plays in a media player"
        ) from None


def check_file(path: Path) -> None:
    """Check that `path` is a file with something in it.

    Raises:
        InputError: if it is not.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, expected a media file; name a file in it")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes), expected a media file; copy it again")
    except OSError as error:
        raise InputError(
            f"cannot open {path}: {error.strerror}; check the path and its permissions"
        ) from None


def pick_streams(
    container: av.container.InputContainer, tracks: Collection[Track], subtitles: bool
) -> tuple[av.VideoStream | None, av.AudioStream | None, av.SubtitleStream | None]:
    """Pick the main video and audio track and the first track of text subtitles, if any."""
    from av.stream import Disposition

    def decodable(kind: str) -> list[av.stream.Stream]:
        streams = (s for s in container.streams if s.type == kind and s.codec_context is not None)
        return [s for s in streams if not s.disposition & Disposition.attached_pic]

    videos, audios = decodable("video"), decodable("audio")
    texts = [s for s in decodable("subtitle") if s.codec_context.name in TEXT_CODECS]

    def main(kind: Track, streams: list[av.stream.Stream]) -> av.stream.Stream | None:
        if kind not in tracks or not streams:
            return None
        name = {Track.TEXT: "subtitle"}.get(kind, kind.value)
        best = container.streams.best(name)
        return best if best in streams else streams[0]

    video, audio = main(Track.VIDEO, videos), main(Track.AUDIO, audios)
    return video, audio, main(Track.TEXT, texts) if subtitles else None


def first_rotation(path: Path) -> int:
    """Return by how many degrees counter-clockwise the first picture is to be turned."""
    import av

    with open_container(path) as container:
        try:
            for frame in container.decode(video=0):
                return int(getattr(frame, "rotation", 0)) % 360
        except av.FFmpegError:
            return 0  # the main pass reports what is wrong
    return 0


def describe_video(stream: av.VideoStream, rotation: int) -> VideoInfo:
    """Describe a video track as it is shown."""
    width, height = shown_size(stream.codec_context.width, stream.codec_context.height, stream)
    if rotation % 180:
        width, height = height, width
    fps = float(stream.average_rate) if stream.average_rate else None
    return VideoInfo(width, height, fps, stream.codec_context.name, rotation)


def describe_audio(stream: av.AudioStream, origin_ns: int) -> AudioInfo:
    """Describe an audio track."""
    start = to_clock(stream.start_time, stream, origin_ns) if stream.start_time else 0
    context = stream.codec_context
    return AudioInfo(int(stream.rate), stream.channels, context.name, max(0, start))


def open_source(
    path: str | os.PathLike[str],
    *,
    fps: float = 8.0,
    max_side: int = 1280,
    utterances: Sequence[Utterance] | None = None,
    transcript: str | None = None,
) -> Source:
    """Open any medium: a video, sound or image file.

    Args:
        path: the file.
        fps: pictures per second of media to deliver.
        max_side: pictures with a longer side are scaled down to this.
        utterances: a transcript of the file, if there is one.
        transcript: that transcript's name, for `MediaInfo.text`.

    Raises:
        InputError: if the file cannot be used.
    """
    return FileSource(
        path, fps=fps, max_side=max_side, utterances=utterances, transcript=transcript
    )
