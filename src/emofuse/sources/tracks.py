"""One reader per track of a file: encoded packets in, timed items out.

Every reader keeps a promise in `upto_ns`: what it will still hand out starts no
earlier. Times are nanoseconds since the start of the file, which is the
earliest start of any track that is read.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.media import AudioChunk, Channels, Diagnostic, Frame, Track, Utterance
from ..core.time import NS, Span, clock, ns_to_samples, samples_to_ns
from .skipping import Decode, FrameSkipper

if TYPE_CHECKING:
    import av
    from av.subtitles.stream import SubtitleStream
    from av.subtitles.subtitle import AssSubtitle

Item = Frame | AudioChunk | Utterance

TICK_SLACK_NS = NS // 1000
"""Containers that count in milliseconds show frames up to this much before their tick."""

LONGEST_HOLD_NS = 5 * NS
"""How long a frame lasts at most where the container doesn't say when its track ends."""

LONGEST_STILL_NS = 600 * NS
"""How long one frame is shown at most."""

LONGEST_SILENCE_NS = 30 * NS
"""A video track without packets for this long is taken for over, if its end isn't declared."""

AUDIO_JUMP_NS = NS // 20
"""Timestamps that differ less than this from the count of samples are jitter."""

_LOUDEST = 4.0
"""Samples beyond this are not loud but of another scale."""

_STRAY = 0.01
"""Fewer samples beyond it are damage, not another scale."""

_CANCELLED = 1e-3
"""A mix of less than this part of its channels' power is what is left when they cancel."""

_FAINT = 1e-5
"""Sound of a lower power (-50 dB) is a pause."""

_LOUDER = 30.0
"""A channel of so many times the other's power (15 dB) is heard alone."""

_TURN, _TURNS = 1.0, 0.5
"""Channels hold one speaker each if either is alone for this many seconds, and together for
this part of the time in which anything is heard."""

_CALL = (
    "the two channels carry different voices, as those of calls do, and were mixed "
    "(--channels speakers makes each a speaker)"
)

LONGEST_CUE_NS = 600 * NS
"""How long a subtitle is shown at most: its declared duration may be damaged."""

LONE_CUE_NS = 2 * NS
"""How long a subtitle lasts that declares no duration."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns timestamps of streams into times in the file.

    Args:
        origin_ns: when the file starts, on the streams' clocks.
    """

    origin_ns: int = 0

    def time(self, stamp: int | None, stream: av.stream.Stream) -> int | None:
        """Return the time of a timestamp; None if there is none."""
        return None if stamp is None else max(0, length_ns(stamp, stream) - self.origin_ns)


class Reader(Protocol):
    """What `FileSource` asks of a track."""

    track: Track
    upto_ns: int

    @property
    def end_ns(self) -> int:
        """Where what was read so far ends."""
        ...

    def feed(self, packet: av.Packet[Any]) -> Iterator[Item]:
        """Decode one packet; yield what it completes."""
        ...

    def advance(self, upto_ns: int) -> Iterator[Item]:
        """Go on to `upto_ns`: no packet that starts earlier will be fed any more."""
        ...

    def flush(self) -> Iterator[Item]:
        """Yield what the decoder and the reader still hold."""
        ...


class VideoReader:
    """Samples frames at ticks of ``1 / fps`` and converts only those to RGB.

    The first decoded frame at or after each tick is delivered, at its own time. It lasts
    until the next delivered one, so that spans tile; while it stays longer than `hold_ns` it is
    delivered again, piece by piece, so that nobody downstream waits for long and
    a still image is not taken for an empty stretch. The last one lasts until
    the track ends. Frames that no other one refers to are decoded only where a tick
    would go without a frame (see `FrameSkipper`).

    Args:
        stream: the video stream.
        clock: the file's clock.
        fps: sampling rate in frames per second of media.
        max_side: frames with a longer side are scaled down to this many pixels.
        rotation: counter-clockwise turn, in degrees, from stored to shown.
    """

    track = Track.VIDEO

    def __init__(
        self, stream: av.VideoStream, clock: Clock, fps: float, max_side: int, rotation: int
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self.upto_ns = self.end_ns = 0
        self.hold_ns = max(NS, round(2 * NS / fps))
        self._stream, self._clock, self._fps = stream, clock, fps
        self._max_side, self._quarters = max_side, rotation // 90 % 4
        self._scaler = VideoReformatter()
        self._declared_end_ns = declared_end_ns(stream, clock.origin_ns)
        # A damaged rate must not make the last frame last for days.
        self._frame_ns = min(round(NS / (stream.average_rate or 25)), LONGEST_HOLD_NS)
        self._skipper = FrameSkipper(stream, self._tick)
        self._waiting: list[int] = []  # those of them that it hasn't given back (a heap)
        self._held: tuple[NDArray[np.uint8], int] | None = None
        self._held_from = 0  # since when it is shown
        self.notes: dict[str, Diagnostic] = {}
        self._shown_ns = -1  # time of the last decoded frame
        self._drained = False  # whether the decoder knows that the track is over
        self._next_tick = 0

    def feed(self, packet: av.Packet[Any]) -> Iterator[Frame]:
        """Decode one packet; yield the sampled frames that it completes."""
        if self._drained:  # it was not over
            self._stream.codec_context.flush_buffers()
            self._drained = False
        at = self._clock.time(packet.dts if packet.pts is None else packet.pts, self._stream)
        how = Decode.ALWAYS
        if at is not None:
            length = length_ns(packet.duration, self._stream) if packet.duration else 0
            self.end_ns = max(self.end_ns, at + (length or self._frame_ns))
            if packet.pts is not None:
                how = self._skipper.choose(packet, at)
            if how is Decode.NEVER:
                return
            heapq.heappush(self._waiting, at)
        self._stream.codec_context.skip_frame = how.value
        for frame in self._stream.decode(packet):
            yield from self._take(frame)

    def advance(self, upto_ns: int) -> Iterator[Frame]:
        """Hand out the held frame for the time before `upto_ns`."""
        declared = self._declared_end_ns
        silence = LONGEST_SILENCE_NS if declared is None else 0
        if self._waiting and upto_ns >= max(self.end_ns + silence, declared or 0):
            yield from self._drain()
        upto_ns = min([upto_ns, *self._waiting[:1]])
        if self._held is not None:
            if upto_ns < self._reach_ns:
                yield from self._pieces(upto_ns)
                return
            yield from self._release(self._reach_ns)
        self.upto_ns = max(self.upto_ns, upto_ns)

    def flush(self) -> Iterator[Frame]:
        """Yield what the decoder still holds; the last frame lasts until the track's end."""
        yield from self._drain()
        yield from self._release(self.end_ns)

    def _drain(self) -> Iterator[Frame]:
        """Take from the decoder what it holds back for reordering and threading."""
        if not self._drained:
            self._drained = True
            for frame in self._stream.decode(None):
                yield from self._take(frame)
            self._waiting.clear()

    def _tick(self, time_ns: int) -> int:
        """Return the number of the last tick at or before a time; tick 0 is the start."""
        return int((time_ns + TICK_SLACK_NS) * self._fps // NS)

    def _take(self, frame: av.VideoFrame) -> Iterator[Frame]:
        at = self._time(frame)
        while self._waiting and self._waiting[0] <= at:
            heapq.heappop(self._waiting)
        if at <= self._shown_ns:
            return
        self._shown_ns = at
        if self._tick(at) < self._next_tick:
            return
        self._next_tick = self._tick(at) + 1
        yield from self._release(at)
        self.upto_ns = max(self.upto_ns, at)
        self._held = self._to_rgb(frame), self.upto_ns
        self._held_from = self.upto_ns

    def _time(self, frame: av.VideoFrame) -> int:
        time = self._clock.time(frame.dts if frame.pts is None else frame.pts, self._stream)
        if time is None:
            return self._shown_ns + self._frame_ns if self._shown_ns >= 0 else 0
        return time

    @property
    def _reach_ns(self) -> int:
        """How far the held frame lasts if no other one comes."""
        declared = self._declared_end_ns
        return max(self._shown_ns + LONGEST_HOLD_NS if declared is None else declared, self.end_ns)

    def _pieces(self, until_ns: int) -> Iterator[Frame]:
        """Hand out the held frame for whole holds that end by `until_ns`."""
        until_ns = self._bounded(until_ns)
        while self._held is not None and self._held[1] + self.hold_ns <= until_ns:
            image, start = self._held
            self.upto_ns = start + self.hold_ns
            self._held = image, self.upto_ns
            yield Frame(image, Span(start, self.upto_ns))

    def _bounded(self, until_ns: int) -> int:
        """Let a frame last no longer than any slide: times beyond that are damaged."""
        if until_ns - self._held_from <= LONGEST_STILL_NS:
            return until_ns
        told = f"a frame of {clock(until_ns - self._held_from)} is shown for ten minutes only"
        self.notes.setdefault("long-frame", Diagnostic("long-frame", told, self._held_from))
        return self._held_from + LONGEST_STILL_NS

    def _release(self, until_ns: int) -> Iterator[Frame]:
        """Hand out the held frame until `until_ns` and let go of it."""
        until_ns = self._bounded(min(until_ns, self._reach_ns))
        yield from self._pieces(until_ns)
        if self._held is not None:
            (image, start), self._held = self._held, None
            if start < until_ns:
                self.upto_ns = until_ns
                yield Frame(image, Span(start, until_ns))

    def _to_rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        width, height = shown_size(frame.width, frame.height, self._stream)
        scale = min(1.0, self._max_side / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        shrinks = width < frame.width or height < frame.height
        rgb = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation="AREA" if shrinks else "BILINEAR",
        )
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), self._quarters))


def _scale_of(peak: float) -> float:
    """Return what brings integers of the fewest bits that hold a peak to [-1, 1]."""
    bits = next((bits for bits in (16, 24) if peak <= 2**bits), 32)
    return float(2.0 ** (1 - bits))


class AudioReader:
    """Decodes audio to mono float32 at the stream's own rate.

    The index of each sample comes from counting; the container's timestamps
    decide where the count starts and move it only when they jump, since they are
    often rounded to milliseconds. Audio that overlaps what was already delivered
    is dropped.
    """

    track = Track.AUDIO

    def __init__(
        self, stream: av.AudioStream, clock: Clock, channels: Channels = Channels.MIX
    ) -> None:
        self.upto_ns = 0
        self._channels = channels
        self._alone = np.zeros(2)  # seconds in which one of two channels is heard alone
        self._heard = 0.0  # seconds in which any is
        self.rate = int(stream.rate)
        self._stream, self._clock = stream, clock
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None  # what the resampler takes
        self._names: list[str] = []  # of its channels
        self._next: int | None = None  # index of the next sample, once audio has started
        self._scale = 1.0  # 16-bit values in a float file are brought to [-1, 1]
        self.notes: dict[str, Diagnostic] = {}

    def feed(self, packet: av.Packet[Any]) -> Iterator[AudioChunk]:
        """Decode one packet; yield its audio."""
        for frame in self._stream.decode(packet):
            yield from self._take(frame)

    def advance(self, upto_ns: int) -> Iterator[AudioChunk]:
        """Count the time before `upto_ns` as silent."""
        self.upto_ns = max(self.upto_ns, upto_ns)
        yield from ()

    def flush(self) -> Iterator[AudioChunk]:
        """Yield what the decoder still holds."""
        for frame in self._stream.decode(None):
            yield from self._take(frame)
        if self._alone.min() > _TURN and self._alone.sum() > _TURNS * self._heard:
            self._note("channels-differ", _CALL)

    @property
    def end_ns(self) -> int:
        """Where the audio ends."""
        return samples_to_ns(self._next or 0, self.rate)

    def _take(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        for planes, channels in self._convert(frame):
            planes = self._mended(planes)
            if self._channels is Channels.MIX:
                planes = self._mixed(planes, channels)[None]
            first, length = self._place(frame, planes.shape[1]), planes.shape[1]
            self._next = first + length
            late = max(0, ns_to_samples(self.upto_ns, self.rate) - first)
            if late < length:
                self.upto_ns = self.end_ns
                for n, samples in enumerate(np.ascontiguousarray(planes[:, late:])):
                    yield AudioChunk(samples, self.rate, first + late, n)

    def _mended(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Silence what is no number, and scale integers that were stored as floats."""
        low, high = planes.min(initial=0.0), planes.max(initial=0.0)
        peak = float(np.maximum(-low, high))  # not finite if any sample is not
        if peak <= _LOUDEST and self._scale == 1.0:
            return planes
        if not np.isfinite(peak):
            planes = np.nan_to_num(planes, nan=0.0, posinf=0.0, neginf=0.0)
            self._note("audio-not-finite", "samples that are no numbers were silenced")
        if (np.abs(planes) * self._scale > _LOUDEST).mean() > _STRAY:
            self._scale = _scale_of(float(np.abs(planes).max()))
            self._note("audio-scaled", "samples beyond full scale were scaled down to it")
        if self._scale != 1.0:
            planes = planes * np.float32(self._scale)
        return planes.clip(-_LOUDEST, _LOUDEST)

    def _mixed(self, planes: NDArray[np.float32], channels: list[str]) -> NDArray[np.float32]:
        """Mix channels down; where two cancel each other the louder one is taken alone."""
        samples = downmix(planes, channels)
        if len(planes) != 2:
            return samples
        products = (planes @ planes.T) / max(1, len(samples))
        powers = products.diagonal()
        self._compare(powers, len(samples) / self.rate)
        if products.sum() / 4 >= _CANCELLED * powers.mean():  # the power of the mix
            return samples
        only = int(np.argmax(powers))
        told = f"the two channels cancel each other; channel {only + 1} is used alone there"
        self._note("channels-cancel", told)
        return np.ascontiguousarray(planes[only])

    def _compare(self, powers: NDArray[np.float32], seconds: float) -> None:
        """Add up how long one of two channels is heard without the other."""
        if powers.max() > _FAINT:
            self._heard += seconds
            self._alone += seconds * (powers > _LOUDER * powers[::-1])

    def _note(self, code: str, message: str) -> None:
        self.notes.setdefault(code, Diagnostic(code, message, self.upto_ns))

    def _place(self, frame: av.AudioFrame, length: int) -> int:
        """Return the index of the frame's first sample."""
        time = self._clock.time(frame.pts, self._stream)
        if time is None:
            return self._next or 0
        index = (time * self.rate + NS // 2) // NS
        jitter = AUDIO_JUMP_NS * self.rate // NS
        if self._next is not None and abs(index - self._next) <= jitter:
            return self._next
        return index

    def _convert(self, frame: av.AudioFrame) -> Iterator[tuple[NDArray[np.float32], list[str]]]:
        """Yield float planes at the stream's rate and their channels; the format may change.

        PyAV crashes where eight channels or more lie in planes of their own.
        """
        import av

        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self._kind:
            self._kind = kind
            self._names = [channel.name for channel in frame.layout.channels]
            is_plain = kind[0] == "fltp" and kind[2] == self.rate and len(self._names) <= 2
            # What most codecs deliver needs no conversion.
            self._resampler = None if is_plain else av.AudioResampler(format="flt", rate=self.rate)
        if self._resampler is None:
            yield np.asarray(frame.to_ndarray(), np.float32), self._names
            return
        for packed in self._resampler.resample(frame):
            yield packed.to_ndarray().reshape(-1, len(self._names)).T, self._names


class SubtitleReader:
    """Decodes a text subtitle track to utterances."""

    track = Track.TEXT

    def __init__(self, stream: SubtitleStream, clock: Clock) -> None:
        self.upto_ns = self.end_ns = 0
        self._stream, self._clock = stream, clock

    def feed(self, packet: av.Packet[Any]) -> Iterator[Utterance]:
        """Decode one cue."""
        time = self._clock.time(packet.pts, self._stream)
        if time is None:
            return
        start = max(self.upto_ns, time)
        length = length_ns(packet.duration, self._stream) if packet.duration else LONE_CUE_NS
        length = min(length, LONGEST_CUE_NS)
        lines = [plain_text(rect.ass.decode("utf-8", "replace")) for rect in text_rects(packet)]
        if text := " ".join(filter(None, lines)):
            self.upto_ns = start
            self.end_ns = max(self.end_ns, start + length)
            yield Utterance(text, Span(start, start + length))

    def advance(self, upto_ns: int) -> Iterator[Utterance]:
        """Go on to `upto_ns`."""
        self.upto_ns = max(self.upto_ns, upto_ns)
        yield from ()

    def flush(self) -> Iterator[Utterance]:
        """Yield nothing: a cue is never held."""
        yield from ()


class GivenText:
    """Hands out utterances of a given transcript in time with the file."""

    track = Track.TEXT
    end_ns = 0  # a transcript doesn't make the file longer

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        self.left = sorted(utterances, key=lambda u: u.span, reverse=True)
        self.upto_ns = 0

    def feed(self, packet: av.Packet[Any]) -> Iterator[Utterance]:
        """Yield nothing: a transcript has no packets."""
        yield from ()

    def advance(self, upto_ns: int) -> Iterator[Utterance]:
        """Yield the utterances that start before `upto_ns`."""
        while self.left and self.left[-1].span.start_ns < upto_ns:
            yield self.left.pop()
        self.upto_ns = max(self.upto_ns, upto_ns)

    def flush(self) -> Iterator[Utterance]:
        """Yield nothing: what starts after the file's end isn't in it."""
        yield from ()


def demuxed(container: av.container.InputContainer, streams: Any) -> Iterator[av.Packet[Any]]:
    """Yield the packets of some streams that hold anything.

    PyAV stumbles over packets of streams that turn up while a file is read, as they do in
    damaged FLV; these are left out.
    """
    while True:
        try:
            for packet in container.demux(streams):
                if packet.size:  # decoding an empty packet would end the decoder
                    yield packet
            return
        except IndexError:
            continue


def length_ns(stamp: int, stream: av.stream.Stream) -> int:
    """Convert a timestamp or duration in a stream's units to nanoseconds."""
    base = stream.time_base
    assert base is not None
    return int(stamp * base.numerator * NS // base.denominator)


def declared_end_ns(stream: av.stream.Stream, origin_ns: int) -> int | None:
    """Return when a track ends according to its container, or None if it doesn't say."""
    if stream.duration is not None:
        return length_ns((stream.start_time or 0) + stream.duration, stream) - origin_ns
    tag = {key.upper(): value for key, value in stream.metadata.items()}.get("DURATION", "")
    match = re.fullmatch(r"(\d+):(\d+):(\d+)(?:\.(\d+))?", tag)  # Matroska
    if match is None:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups()[:3])
    fraction = int((match.group(4) or "0").ljust(9, "0")[:9])
    return ((hours * 60 + minutes) * 60 + seconds) * NS + fraction - origin_ns


def shown_size(width: int, height: int, stream: av.VideoStream) -> tuple[int, int]:
    """Return width and height with square pixels, before any rotation."""
    aspect = stream.sample_aspect_ratio
    return (round(width * aspect), height) if aspect else (width, height)


MIX = {"FC": 1.0, "LFE": 0.0, "FL": 0.7071, "FR": 0.7071}
"""Shares of a surround sound's channels; the others get 0.5 (after ITU-R BS.775)."""


def downmix(planes: NDArray[Any], channels: list[str]) -> NDArray[np.float32]:
    """Mix channels × samples to mono without clipping: float32, (samples,)."""
    if len(planes) == 1:
        return np.ascontiguousarray(planes[0], dtype=np.float32)
    if len(planes) == 2:
        return np.asarray((planes[0] + planes[1]) * np.float32(0.5), dtype=np.float32)
    named = len(channels) == len(planes)
    shares = [MIX.get(name, 0.5) for name in channels] if named else [1.0] * len(planes)
    weights = np.array(shares, np.float32) / np.float32(sum(shares))
    return np.asarray(weights @ planes, dtype=np.float32)


def text_rects(packet: av.Packet[Any]) -> Iterator[AssSubtitle]:
    """Yield the texts in a subtitle packet (PyAV < 15 wraps them in sets)."""
    decoded: list[Any] = packet.decode()
    for found in decoded:
        for rect in found if hasattr(found, "rects") else (found,):
            if hasattr(rect, "ass"):
                yield rect


def plain_text(ass: str) -> str:
    """Return what an ASS event line says, without its fields, markup and line breaks."""
    text = ass.split(",", 8)[-1]
    text = re.sub(r"\{[^}]*\}|<[^>]*>", "", text)
    return " ".join(re.sub(r"\\[Nnh]", " ", text).split())
