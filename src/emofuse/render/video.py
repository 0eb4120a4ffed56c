"""An annotated copy of a film as MP4; the film itself is only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..core.media import Frame, MediaKind, Track
from ..core.time import NS, Span
from ..core.timeline import Timeline
from ..errors import InputError
from ..export.whole import WholeTimeline
from ..io.atomic import atomic_path
from ..sources.file import FileSource, open_container, pick_streams
from .overlay import Overlay

if TYPE_CHECKING:
    import av

_FPS, _SIDE = 30.0, 1920
"""Most frames a second, and pixels along the longer side, of a copy."""

_PLAIN_FPS = 10
_PLAIN = (720, 1280, 3)
"""Of what is drawn on where there is only sound."""

_MS = Fraction(1, 1000)

_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Codecs of sound that MP4 holds, which is then taken as it is."""


class AnnotatedVideoExporter(WholeTimeline):
    """Writes a timeline with `write_annotated`.

    Args:
        path: the file.
        overwrite: replace an existing one.
        shared: not used.
        blur_faces: whether faces are made unrecognizable.
    """

    name = "mp4"
    stem = "annotated"
    suffix = ".mp4"
    content_type = "video/mp4"
    summary = "a copy of the film with boxes, names and bars"
    on_request = True
    needs_media = True

    def __init__(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        shared: Path | None = None,
        blur_faces: bool = False,
    ) -> None:
        super().__init__(path, overwrite=overwrite, shared=shared)
        self._blur = blur_faces

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_annotated(timeline, self.path, blur_faces=self._blur)


def write_annotated(timeline: Timeline, path: Path | str, *, blur_faces: bool = False) -> None:
    """Write a copy of a timeline's medium with what was found drawn into it.

    A frame has each face's box with name, label and the three most probable labels (dashed and
    white where the result is uncertain), voices without a face in the corner, and the words. Sound
    is kept; where there is no picture, it is drawn on a dark ground. Frames are at most 30 a second
    and 1920 pixels long. H.264 where PyAV brings an encoder for it, else MPEG-4 Part 2.

    Args:
        timeline: what to draw; the medium is looked for where it was analyzed.
        path: the copy.
        blur_faces: whether faces are made unrecognizable, a second before and after they are
            found, too. Faces that were not found are not: look through it before you pass it on.

    Raises:
        InputError: if the medium is not there any more, is no film or sound, or would be replaced.
    """
    path = Path(path)
    source = Path(timeline.media.path or timeline.media.name)
    if timeline.media.kind not in (MediaKind.VIDEO, MediaKind.AUDIO):
        raise InputError(
            f"{timeline.media.name} is no film and no sound: there is no annotated copy of it; "
            "leave mp4 out of the formats"
        )
    if not source.is_file():
        raise InputError(
            f"{source} is not there any more; an annotated copy needs it where it was analyzed"
        )
    if path.exists() and path.samefile(source):
        raise InputError(f"{path} is the medium itself, which is never changed")
    overlay = Overlay(timeline, blur_faces=blur_faces)
    with atomic_path(path) as part:
        _write(source, timeline, overlay, part)


def _write(source: Path, timeline: Timeline, overlay: Overlay, path: Path) -> None:
    import av

    with (
        av.open(str(path), "w", format="mp4") as out,
        open_container(source) as container,
        closing(FileSource(source, fps=_FPS, max_side=_SIDE, tracks=_tracks(timeline))) as opened,
    ):
        start_ns = opened.info.audio.start_ns if opened.info.audio else 0
        frames = _frames(opened, timeline)
        first = next(frames, None)
        if first is None:
            raise InputError(f"no frame of {source} can be read")
        pictures = _Pictures(out, first.image.shape)
        sound = _Sound(container, out, start_ns)
        for frame in chain((first,), frames):
            sound.copy(frame.at.start_ns)
            pictures.write(overlay.draw(frame.image, frame.at.start_ns), frame.at.start_ns)
        pictures.close()
        sound.copy(None)


def _tracks(timeline: Timeline) -> tuple[Track, ...]:
    return (Track.VIDEO, Track.AUDIO) if timeline.media.video else (Track.AUDIO,)


def _frames(opened: FileSource, timeline: Timeline) -> Iterator[Frame]:
    """Yield the film's frames, or dark ones where there is sound alone."""
    if opened.info.video is not None:
        yield from (packet for packet in opened.packets() if isinstance(packet, Frame))
        return
    image, step = np.full(_PLAIN, 24, np.uint8), NS // _PLAIN_FPS
    for start in range(0, max(timeline.duration_ns, step), step):
        yield Frame(image, Span(start, start + step))


class _Pictures:
    """The track of pictures; they keep their times."""

    def __init__(self, out: av.container.OutputContainer, shape: tuple[int, ...]) -> None:
        self._out = out
        self._stream = cast(Any, out.add_stream(_codec(), rate=round(_FPS)))
        self._stream.height, self._stream.width = (max(2, n - n % 2) for n in shape[:2])
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _MS
        if self._stream.codec_context.name == "libx264":
            self._stream.options = {"preset": "veryfast", "crf": "23"}
        else:
            self._stream.bit_rate = 4_000_000
        self._last = -1

    def write(self, image: Any, time_ns: int) -> None:
        import av

        even = np.ascontiguousarray(image[: self._stream.height, : self._stream.width])
        picture = av.VideoFrame.from_ndarray(even, format="rgb24")
        self._last = picture.pts = max(self._last + 1, round(time_ns / NS * 1000))
        picture.time_base = _MS
        self._out.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._out.mux(self._stream.encode())


class _Sound:
    """The track of sound: taken as it is where MP4 holds it, else encoded anew."""

    def __init__(
        self,
        container: av.container.InputContainer,
        out: av.container.OutputContainer,
        start_ns: int,
    ) -> None:
        _, stream, _ = pick_streams(container, (Track.AUDIO,), False)
        self._out, self._start_ns = out, start_ns
        self._packets = iter(container.demux(stream)) if stream is not None else iter(())
        self._stream: Any = None
        if stream is not None:
            self._copied = stream.codec_context.name in _COPIED
            self._first = stream.start_time or 0
            if self._copied:
                self._stream = out.add_stream_from_template(stream)
            else:
                rate = min(stream.rate, 48_000)
                self._stream = out.add_stream("aac", rate=rate, layout="stereo")

    def copy(self, upto_ns: int | None) -> None:
        """Bring over what sounds up to a time; all that is left where it is None."""
        for packet in self._packets:
            if not packet.size or packet.pts is None:
                continue
            here = self._start_ns + (packet.pts - self._first) * packet.time_base * NS
            self._take(packet)
            if upto_ns is not None and here > upto_ns:
                return
        if upto_ns is None and self._stream is not None and not self._copied:
            self._out.mux(self._stream.encode())

    def _take(self, packet: Any) -> None:
        shift = round(Fraction(self._start_ns, NS) / packet.time_base) - self._first
        if self._copied:
            packet.pts += shift
            packet.dts = packet.pts if packet.dts is None else packet.dts + shift
            packet.stream = self._stream
            self._out.mux(packet)
            return
        for frame in packet.decode():
            frame.pts = None if frame.pts is None else frame.pts + shift
            self._out.mux(self._stream.encode(frame))


def _codec() -> str:
    """Return an encoder that PyAV brings."""
    from av.codec import codecs_available

    return "libx264" if "libx264" in codecs_available else "mpeg4"
