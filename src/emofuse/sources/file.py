"""Media files: video, audio and subtitles read through PyAV, streaming."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.media import (
    AudioInfo,
    Channels,
    Diagnostic,
    MediaInfo,
    MediaKind,
    Packet,
    Track,
    Utterance,
    VideoInfo,
    Watermark,
)
from ..core.protocols import Source
from ..core.time import NS, clock
from ..errors import InputError
from ..io.media_types import HEAD, IMAGE_SUFFIXES, TEXT_SUFFIXES, by_content
from ..io.paths import check_file
from .images import ImageSource, still
from .sound_tracks import Voiced, choose_audio
from .subtitles import Readable, choose_subtitles
from .timestamps import TimestampRepair
from .tracks import (
    AudioReader,
    Clock,
    GivenText,
    Item,
    Reader,
    SubtitleReader,
    VideoReader,
    declared_end_ns,
    demuxed,
    length_ns,
    shown_size,
)
from .transcript import UtteranceSource, describe_text

if TYPE_CHECKING:
    import av
    from av.codec.hwaccel import HWAccel
    from av.subtitles.stream import SubtitleStream

ORDER = (Track.VIDEO, Track.AUDIO, Track.TEXT)

TEXT_CODECS = frozenset({"subrip", "srt", "mov_text", "ass", "ssa", "webvtt", "text"})
"""Subtitle codecs that hold text; the others hold images of text."""

PROGRESS_STEP_NS = NS // 10
"""A track's progress is reported when it advanced by at least this much."""

PATIENCE_NS = {Track.VIDEO: 3 * NS, Track.AUDIO: 3 * NS, Track.TEXT: NS}
"""A track without packets counts as silent up to this much before the others."""

SHORTFALL_NS = NS // 2
"""A file that ends this much before its declared end is called truncated."""

GUESSED_LENGTH = frozenset({"aac", "ac3", "amr", "mp3", "mpeg", "mpegts"})
"""Formats whose length FFmpeg estimates from the bitrate or the last packets."""

SUBTITLES = "subtitles"
"""Where the text comes from if the file has subtitles."""

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,mpegvideo,mpegtsraw,gif,ogg,"
    "wav,mp3,flac,aac,ac3,eac3,aiff,amr,amrnb,amrwb,caf,w64,au,mxf,rm,nut,dv,h264,hevc,m4v,ivf,"
    "wv,ape,tta,dts,opus,apng,mjpeg,yuv4mpegpipe,vob,f4v"
)
"""Containers that are opened: none that names other files, as playlists do."""

_MOST_FPS = 60.0
"""What a moment is looked at with at most, whatever its declared length."""

_LEAST_FRAMES = 4
"""A film is sampled at least so often if it has so many frames: a tracker wants some."""

MAX_THREADS = 4
"""Decoding threads; every one of them holds a frame in memory."""


class FileSource:
    """A media file. Frames are sampled; audio and subtitles are complete.

    Decoding streams: memory doesn't grow with the file's length. Files without a
    video track or without audio are fine. Where a file breaks off, what could be
    read is delivered, followed by a `Diagnostic` that says where.

    Args:
        path: the file.
        fps: frames per second of media to deliver.
        max_side: frames with a longer side are scaled down to this.
        utterances: a given transcript; it takes the place of subtitles.
        transcript: name of that transcript, for `info`.
        tracks: which kinds of track to read.
        readable: whether the text model reads a text: of several subtitle tracks the first
            that it reads is taken.
        subtitle_track: the subtitle track to take: its number, counted from 1, or its language.
        voiced: tells whether somebody speaks in a sound: of several sound tracks the first with
            a voice is taken.
        audio_track: the sound track to take, likewise.
        channels: what becomes of the channels of a sound.
        hwaccel: device that decodes the video, as FFmpeg calls it (``cuda``, ``videotoolbox``);
            None: the processor. Where it cannot, the processor does, and a note says so.

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
        tracks: Collection[Track] = ORDER,
        readable: Readable | None = None,
        subtitle_track: int | str | None = None,
        voiced: Voiced | None = None,
        audio_track: int | str | None = None,
        channels: Channels = Channels.MIX,
        hwaccel: str | None = None,
    ) -> None:
        if not (math.isfinite(fps) and fps > 0) or max_side < 1:
            raise InputError(f"need fps > 0 and max_side >= 1, got {fps} and {max_side}")
        self._path, self._wanted = Path(path), frozenset(tracks)
        self._channels = channels
        self._position_ns = 0  # how far the file was read
        self._damaged: list[int] = []  # positions of packets that could not be decoded
        self._broke_off = ""  # why reading ended before the file's end
        self._delivered = False
        self._chosen: list[Diagnostic] = []  # what was chosen among several tracks
        self._container = open_container(self._path, hwaccel)
        self._missing_bytes = missing_bytes(self._path)
        try:
            video, audio, text = pick_streams(self._container, self._wanted, utterances is None)
            if text is not None:
                text = self._choose_subtitles(readable, subtitle_track) or text
            if audio is not None:
                audio = self._choose_audio(audio, voiced, audio_track)
            if hwaccel and video is not None and not video.codec_context.is_hwaccel:
                told = f"{hwaccel} does not decode this video here; it is decoded in software"
                self._chosen.append(Diagnostic("decoded-in-software", told))
            streams = video, audio, text
            self._streams = [stream for stream in streams if stream is not None]
            self.info, self._clock = self._look(*streams)
            self._declared_end_ns = self._look_for_end()
            self._timestamps = TimestampRepair(
                self._clock.origin_ns, self._declared_end_ns, is_joinable(self._container)
            )
            self._readers = self._make_readers(*streams, fps, max_side)
        except BaseException:
            self.close()
            raise
        if utterances is not None:
            self._readers[-1] = GivenText(utterances)
            self.info = replace(self.info, text=transcript or "transcript")

    def _choose_subtitles(
        self, readable: Readable | None, wanted: int | str | None
    ) -> SubtitleStream | None:
        """Choose among several subtitle tracks; None where there is one alone."""
        tracks = text_tracks(self._container)
        if len(tracks) == 1 and wanted is None:
            return None
        with open_container(self._path) as other:
            found, notes = choose_subtitles(other, text_tracks(other), readable, wanted)
            index = found.index  # not to be asked for once its container is closed
        self._chosen += notes
        return next(track for track in tracks if track.index == index)

    def _choose_audio(
        self, main: av.AudioStream, voiced: Voiced | None, wanted: int | str | None
    ) -> av.AudioStream:
        """Choose among several sound tracks; another container is read for it."""
        tracks = [t for t in self._container.streams.audio if is_usable(t)]
        if wanted is None and (len(tracks) == 1 or voiced is None):
            return main
        with open_container(self._path) as other:
            there = other.streams
            found, notes = choose_audio(
                other,
                cast("av.AudioStream", there[main.index]),
                [cast("av.AudioStream", there[track.index]) for track in tracks],
                voiced,
                wanted,
            )
            index = found.index
        self._chosen += notes
        return next(track for track in tracks if track.index == index)

    def _look(
        self,
        video: av.VideoStream | None,
        audio: av.AudioStream | None,
        text: SubtitleStream | None,
    ) -> tuple[MediaInfo, Clock]:
        """Describe the file, and set the clock to the first start of a track."""
        if video is None and audio is None:
            kinds = ", ".join(sorted({s.type for s in self._container.streams})) or "nothing"
            damaged = ", whose description is damaged" if kinds in ("audio", "video") else ""
            raise InputError(
                f"no video or audio to read in {self._path} (it holds: {kinds}{damaged}); "
                "give a media file with a video or an audio track"
            )
        starts = [length_ns(s.start_time or 0, s) for s in (video, audio) if s is not None]
        duration = self._container.duration
        info = MediaInfo(
            name=self._path.name,
            kind=MediaKind.VIDEO if video is not None else MediaKind.AUDIO,
            duration_ns=None if duration is None else duration * 1000,
            video=None if video is None else describe_video(video, self._path),
            audio=None if audio is None else describe_audio(audio, min(starts)),
            text=None if text is None else SUBTITLES,
            path=str(self._path),
        )
        return info, Clock(min(starts))

    def _look_for_end(self) -> int:
        """Return when the file ends according to its container; 0 if that is only a guess."""
        tracks = [stream for stream in self._streams if stream.type != "subtitle"]
        known = self._container.format.name not in GUESSED_LENGTH
        if self._container.format.name == "mp3":
            known = bool(tracks[0].start_time)  # the tag that holds the delay holds the length too
        ends = [declared_end_ns(stream, self._clock.origin_ns) for stream in tracks]
        if known and None not in ends:
            return max(end for end in ends if end is not None)
        return self.info.duration_ns or 0 if known and self.info.text != SUBTITLES else 0

    def _make_readers(
        self,
        video: av.VideoStream | None,
        audio: av.AudioStream | None,
        text: SubtitleStream | None,
        fps: float,
        max_side: int,
    ) -> dict[int, Reader]:
        """Make a reader for each track, by the index of its stream."""
        readers: dict[int, Reader] = {}
        if self.info.duration_ns and video is not None:  # a moment is looked at more closely
            fps = max(fps, min(_MOST_FPS, _LEAST_FRAMES * NS / self.info.duration_ns))
        if video is not None:
            video.thread_type = "AUTO"
            video.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
            rotation = self.info.video.rotation if self.info.video is not None else 0
            readers[video.index] = VideoReader(video, self._clock, fps, max_side, rotation)
        if audio is not None:
            readers[audio.index] = AudioReader(audio, self._clock, self._channels)
        if text is not None:
            readers[text.index] = SubtitleReader(text, self._clock)
        return readers

    @property
    def is_still(self) -> bool:
        """Whether it is a film of one frame without sound: an image."""
        if [s.type for s in self._streams] != ["video"] or self._streams[0].frames > 1:
            return False
        return self._streams[0].frames == 1 or packet_count(self._path, self._streams[0].index) == 1

    def packets(self) -> Iterator[Packet]:
        """Yield frames, audio, utterances and progress; at the end notes, and progress for all.

        Raises:
            InputError: if nothing in the file can be decoded.
        """
        yield from self._chosen
        promised = dict.fromkeys(self._readers, 0)
        for packet in self._demux():
            yield from self._decoded(self._readers[packet.stream.index].feed(packet))
            for index, reader in self._readers.items():
                yield from reader.advance(self._position_ns - PATIENCE_NS[reader.track])
                if reader.upto_ns - promised[index] >= PROGRESS_STEP_NS:
                    promised[index] = reader.upto_ns
                    yield Watermark(reader.track, reader.upto_ns)
        yield from self._finish()

    def _finish(self) -> Iterator[Packet]:
        """Hand out what decoders hold, then say what the user should know, then the end."""
        for reader in self._readers.values():
            yield from self._decoded(reader.flush())
        if not self._delivered:
            raise InputError(
                f"nothing in {self._path} can be decoded, although it looks like media; "
                "it may be damaged or encrypted: try another copy"
            )
        end = max(max(r.end_ns, r.upto_ns) for r in self._readers.values())
        for reader in self._readers.values():
            yield from reader.advance(end)
        yield from self._notes(end)
        for reader in self._readers.values():
            yield Watermark(reader.track, end)

    def _demux(self) -> Iterator[av.Packet[Any]]:
        """Yield the packets of the tracks in use, and follow the position in the file."""
        import av

        try:
            for packet in demuxed(self._container, self._streams):
                self._timestamps.repair(packet)
                if packet.stream.type != "subtitle":
                    stamp = packet.pts if packet.dts is None else packet.dts
                    here = self._clock.time(stamp, packet.stream)
                    self._position_ns = max(self._position_ns, here or 0)
                yield packet
        except av.FFmpegError as error:
            self._broke_off = error.strerror or str(error)

    def _decoded(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on what a decoder yields, counting packets that it cannot decode."""
        import av

        try:
            for item in items:
                self._delivered = True
                yield item
        except av.FFmpegError:
            self._damaged.append(self._position_ns)

    def _notes(self, end_ns: int) -> Iterator[Diagnostic]:
        """Say what is unusual about what was read."""
        name, seen = self.info.name, self.info.video is not None
        if seen and self.info.audio is None and Track.AUDIO in self._wanted:
            yield Diagnostic("no-audio", f"{name} has no audio that can be read")
        declared, missing = self._declared_end_ns, self._missing_bytes
        truncated = self._broke_off or missing or end_ns + SHORTFALL_NS < declared
        if truncated:
            total = f" of {clock(declared)}" if declared > end_ns else ""
            why = f"{missing} bytes are missing" if missing else self._broke_off
            text = f"{name} breaks off: reading stopped at {clock(end_ns)}{total}"
            yield Diagnostic("truncated", f"{text} ({why})" if why else text, end_ns)
        yield from self._timestamps.notes(name)
        for reader in self._readers.values():
            if isinstance(reader, (AudioReader, VideoReader)):
                yield from reader.notes.values()
        damaged = [at for at in self._damaged if not truncated or at + NS < end_ns]
        if damaged:
            text = f"packets of {name} that could not be decoded: {len(damaged)}"
            yield Diagnostic("damaged", f"{text}, the first at {clock(damaged[0])}", damaged[0])
        left = sum(len(r.left) for r in self._readers.values() if isinstance(r, GivenText))
        if left:
            text = f"utterances of {self.info.text} that start after {name} ends, left out: {left}"
            yield Diagnostic("transcript-too-long", text, end_ns)

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        self._container.close()


def open_container(path: Path, hwaccel: str | None = None) -> av.container.InputContainer:
    """Open a media file with PyAV, or say why that is impossible.

    Args:
        path: the file.
        hwaccel: device that shall decode video; if there is none, the processor does.

    Raises:
        InputError: if there is no such file, it is empty, a folder or not media; or if FFmpeg
            does not know the device.
    """
    import av

    check_file(path)
    # From 19 on PyAV is lenient unasked: what it cannot decode it keeps as surrogates.
    lenient: Any = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

    def opened(device: HWAccel | None) -> av.container.InputContainer:
        # The prefix keeps names such as "a:b.mp4" from being read as a protocol, and the
        # whitelists keep playlists from reaching for other files or the network.
        container: av.container.InputContainer = av.open(
            f"file:{path.absolute()}",
            container_options={"protocol_whitelist": "file", "format_whitelist": _CONTAINERS},
            hwaccel=device,
            **lenient,
        )
        return container

    try:
        if hwaccel:
            with suppress(av.FFmpegError):  # no such device in this machine
                return opened(_accelerator(hwaccel))
        return opened(None)
    except av.FFmpegError as error:
        raise InputError(
            f"cannot read {path} as media ({error.strerror or error}): it is another kind of "
            "file or incomplete; give a video (mp4, mov, mkv, webm, flv, avi, mpg, gif), audio "
            "(wav, mp3, flac, ogg, opus, m4a) or image file that plays in a media player"
        ) from None


def _accelerator(name: str) -> HWAccel:
    from av.codec.hwaccel import HWAccel, hwdevices_available

    known = hwdevices_available()
    if name not in known:
        raise InputError(
            f"no device decodes video as {name!r} here; expected one of {', '.join(known)}, or "
            "leave it out"
        )
    return HWAccel(name, allow_software_fallback=True)


def pick_streams(
    container: av.container.InputContainer, tracks: Collection[Track], subtitles: bool
) -> tuple[av.VideoStream | None, av.AudioStream | None, SubtitleStream | None]:
    """Pick the main video and audio track and the first track of text subtitles, if any."""

    def main(track: Track) -> Any:
        kind = "subtitle" if track is Track.TEXT else track.value
        usable = [s for s in container.streams if s.type == kind and is_usable(s)]
        best = container.streams.best(kind)  # type: ignore[arg-type]
        return best if best in usable else next(iter(usable), None)

    wanted = set(tracks) - (set() if subtitles else {Track.TEXT})
    video, audio, text = (main(t) if t in wanted else None for t in ORDER)
    return video, audio, text


def is_usable(stream: Any) -> bool:
    """Whether a track can be decoded as what it is."""
    from av.stream import Disposition

    context, cover = stream.codec_context, stream.disposition & Disposition.attached_pic
    if not context or cover:
        return False
    if stream.type == "audio":  # damaged headers declare a rate of 0 Hz
        return bool(stream.rate and stream.channels)
    return stream.type != "subtitle" or context.name in TEXT_CODECS


def text_tracks(container: av.container.InputContainer) -> list[SubtitleStream]:
    """Return the subtitle tracks that hold text."""
    tracks = container.streams.subtitles
    return [t for t in tracks if t.codec_context and t.codec_context.name in TEXT_CODECS]


def packet_count(path: Path, index: int, most: int = 2) -> int:
    """Count the packets of a track, no further than `most`; not every container tells."""
    import av

    with open_container(path) as container:
        try:
            packets = demuxed(container, container.streams[index])
            return sum(1 for _ in itertools.islice(packets, most))
        except av.FFmpegError:
            return 0  # the main pass reports what is wrong


def first_rotation(path: Path, index: int) -> int:
    """Return by how many degrees counter-clockwise the first frame is to be turned."""
    import av

    with open_container(path) as container:
        try:
            for packet in demuxed(container, container.streams[index]):
                for frame in packet.decode():
                    return int(frame.rotation) % 360
        except av.FFmpegError:
            return 0  # the main pass reports what is wrong
    return 0


def is_joinable(container: av.container.InputContainer) -> bool:
    """Whether clocks start anew now and then in files of a format."""
    from av.format import Flags

    return bool(container.format.flags & cast("int", Flags.ts_discont.value))


def missing_bytes(path: Path) -> int:
    """Return how many bytes a RIFF file (wav, avi) lacks according to its header."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = os.fstat(file.fileno()).st_size
    except OSError:  # it was removed since it was opened, and is read all the same
        return 0
    announced = int.from_bytes(head[4:], "little") + 8
    if head[:4] != b"RIFF" or announced > 0xFFFFFF00:  # streamed: length unknown
        return 0
    return max(0, announced - size)


def describe_video(stream: av.VideoStream, path: Path) -> VideoInfo:
    """Describe a video track as it is shown."""
    rotation = first_rotation(path, stream.index)
    width, height = shown_size(stream.codec_context.width, stream.codec_context.height, stream)
    if rotation % 180:
        width, height = height, width
    fps = float(stream.average_rate) if stream.average_rate else None
    return VideoInfo(width, height, fps, stream.codec_context.name, rotation)


def describe_audio(stream: av.AudioStream, origin_ns: int) -> AudioInfo:
    """Describe an audio track."""
    start = length_ns(stream.start_time or 0, stream) - origin_ns
    return AudioInfo(int(stream.rate), stream.channels, stream.codec_context.name, start)


def open_source(
    path: str | os.PathLike[str],
    *,
    fps: float = 8.0,
    max_side: int = 1280,
    utterances: Sequence[Utterance] | None = None,
    transcript: str | None = None,
    readable: Readable | None = None,
    subtitle_track: int | str | None = None,
    voiced: Voiced | None = None,
    audio_track: int | str | None = None,
    channels: Channels = Channels.MIX,
    hwaccel: str | None = None,
) -> Source:
    """Open any media file: a video, audio, image or text file.

    A text file is only opened together with what was read from it.

    Args:
        path: the file.
        fps: frames per second of media to deliver.
        max_side: frames with a longer side are scaled down to this.
        utterances: a transcript of the file, if there is one; for a text file
            (txt, srt, vtt) its own contents.
        transcript: that transcript's name, for `MediaInfo.text`.
        readable: whether the text model reads a text; see `FileSource`.
        subtitle_track: the subtitle track to take: its number, counted from 1, or its language.
        voiced: tells whether somebody speaks in a sound; see `FileSource`.
        audio_track: the sound track to take: its number, counted from 1, or its language.
        channels: what becomes of the channels of a sound.
        hwaccel: device that decodes the video; see `FileSource`.

    Raises:
        InputError: if the file cannot be used.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        check_file(path)
        if utterances is None:
            raise InputError(
                f"{path} is text, expected a video, sound or image (in Python, give its "
                "`utterances`: emofuse.text.transcripts.read_transcript)"
            )
        return UtteranceSource(describe_text(path, utterances), utterances)
    said: dict[str, Any] = {"utterances": utterances, "transcript": transcript}
    if suffix in IMAGE_SUFFIXES or _is_image(path):
        return ImageSource(path, fps=fps, max_side=max_side, **said)
    chosen: dict[str, Any] = {
        "readable": readable,
        "subtitle_track": subtitle_track,
        "voiced": voiced,
        "audio_track": audio_track,
        "channels": channels,
        "hwaccel": hwaccel,
    }
    source = FileSource(path, fps=fps, max_side=max_side, **said, **chosen)
    return still(source) if source.is_still else source


def _is_image(path: Path) -> bool:
    """Whether a file holds a still image, whatever its name ends in."""
    check_file(path)
    try:
        with path.open("rb") as file:
            found = by_content(file.read(HEAD))
    except OSError:
        return False  # who opens it next says why
    return found is not None and found.kind is MediaKind.IMAGE
