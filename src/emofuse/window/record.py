"""Recording a live session: a video with its annotations, and the timeline's files."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, Modality
from ..core.media import AudioChunk, Frame, MediaInfo, Watermark
from ..core.time import NS, Span, to_ns
from ..core.timeline import Provenance, Timeline
from ..errors import EmofuseError, InputError
from ..export import finish, result_name, routine_exporters
from ..io.files import OutputFolder
from ..streaming import Event, Measurement, MeasurementKind

if TYPE_CHECKING:
    import av

VIDEO = "recording.mp4"
PATIENCE_NS = to_ns(15.0)
"""How long after its end a recording waits for results that are still on their way."""

_WAITING = 12  # pictures that may wait for the encoder
_EARLY = 1000  # pieces of sound that wait for the first picture
_MS = Fraction(1, 1000)


class Recorder:
    """Writes what is shown and heard, and collects what is said about it.

    Encoding has a thread of its own; pictures that it cannot take are left out.

    Args:
        folder: where the files go; made anew.
        info: the live medium.
        provenance: of the timeline.
        start_ns: session time at which the recording starts.

    Raises:
        InputError: if the folder cannot be written to or holds a recording.
    """

    def __init__(
        self, folder: Path, info: MediaInfo, provenance: Provenance, start_ns: int
    ) -> None:
        self.folder, self.start_ns = folder, start_ns
        self.stop_ns: int | None = None
        self.dropped = 0
        self.error: Exception | None = None
        paths = {kind: folder / result_name(kind) for kind in routine_exporters().values()}
        OutputFolder(folder).claim(VIDEO, *(path.name for path in paths.values()))
        self._exporters = [kind(path) for kind, path in paths.items()]
        self._info, self._provenance = info, provenance
        self._estimates: list[Estimate] = []
        self._fused_ns = 0
        self._stopped_at_ns = 0
        self._queue: queue.Queue[Any] = queue.Queue(_WAITING * 8)
        self._encoder = threading.Thread(target=self._encode, name="emofuse-record", daemon=True)
        self._encoder.start()

    def picture(self, image: NDArray[np.uint8], at_ns: int) -> None:
        """Take a picture as shown, RGB uint8, at a session time."""
        if self.stop_ns is not None or at_ns < self.start_ns:
            return
        if self._queue.qsize() > _WAITING:
            self.dropped += 1
            return
        at = Span(at_ns - self.start_ns, at_ns - self.start_ns + NS // 25)
        self._put(Frame(image, at))

    def sound(self, chunk: AudioChunk) -> None:
        """Take sound as it was heard."""
        if self.stop_ns is None and chunk.span.start_ns >= self.start_ns:
            self._put(chunk)

    def event(self, event: Event) -> None:
        """Take what the session says."""
        if isinstance(event, Watermark) and event.track is Modality.FUSED:
            self._fused_ns = event.upto_ns
        elif isinstance(event, Measurement) and event.kind is MeasurementKind.TIMELINE:
            span = event.estimate.span
            if span.end_ns > self.start_ns and span.start_ns < (self.stop_ns or span.end_ns):
                self._estimates.append(event.estimate)

    def stop(self, at_ns: int) -> None:
        """End the recording at a session time; results about it are still taken."""
        if self.stop_ns is None:
            self.stop_ns, self._stopped_at_ns = max(at_ns, self.start_ns), time.monotonic_ns()
            self._queue.put(None)

    @property
    def complete(self) -> bool:
        """Whether all results about it are there, or will not be waited for any longer."""
        if self.stop_ns is None:
            return False
        waited_ns = time.monotonic_ns() - self._stopped_at_ns
        return self._fused_ns >= self.stop_ns or waited_ns > PATIENCE_NS

    def write(self) -> None:
        """Finish the video and write the timeline's files.

        Raises:
            InputError: if something cannot be written.
        """
        assert self.stop_ns is not None
        self._encoder.join()
        if self.error is not None:
            raise InputError(f"cannot record to {self.folder}: {self.error}")
        finish(self._exporters, self.timeline())

    def timeline(self) -> Timeline:
        """Return the recording's timeline; its time 0 is the recording's start."""
        assert self.stop_ns is not None
        whole = Span(self.start_ns, self.stop_ns)
        clipped = ((e, e.span.clip(whole)) for e in list(self._estimates))
        shifted = tuple(
            replace(e, span=Span(s.start_ns - self.start_ns, s.end_ns - self.start_ns))
            for e, s in clipped
            if s is not None
        )
        path = self.folder / VIDEO
        media = replace(
            self._info, name=VIDEO, path=str(path), duration_ns=self.stop_ns - self.start_ns
        )
        return Timeline(media, shifted, self._provenance, duration_ns=whole.duration_ns)

    def _put(self, item: Frame | AudioChunk) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:  # the disk is asleep
            self.dropped += 1

    def _encode(self) -> None:
        try:
            self._write_video()
        except (OSError, ValueError, EmofuseError) as error:
            self.error = error
            while self._queue.get() is not None:
                pass

    def _write_video(self) -> None:
        import av

        with av.open(str(self.folder / VIDEO), "w") as container:
            tracks: dict[type, Any] = {}
            early: deque[AudioChunk] = deque(maxlen=_EARLY)
            while (item := self._queue.get()) is not None:
                if isinstance(item, Frame):
                    for exporter in self._exporters:
                        exporter.write(item)
                if tracks:
                    if type(item) in tracks:  # no pictures came when the file was begun
                        tracks[type(item)].write(item)
                elif isinstance(item, Frame) or self._info.video is None or len(early) == _EARLY:
                    tracks = self._begin(container, (*early, item))
                else:  # all tracks are made at once, and the picture's size isn't known yet
                    early.append(item)
            if early and not tracks:
                tracks = self._begin(container, early)
            for track in tracks.values():
                track.close()

    def _begin(
        self, container: av.container.OutputContainer, first: Sequence[Frame | AudioChunk]
    ) -> dict[type, Any]:
        """Make the tracks and write what has come; the last of it may be a picture."""
        newest = first[-1]
        tracks: dict[type, Any] = {}
        if isinstance(newest, Frame):
            tracks[Frame] = _Pictures(container, newest.image.shape)
        if self._info.audio is not None:
            tracks[AudioChunk] = _Sound(container, self._info.audio.rate, self.start_ns)
        for item in first:
            tracks[type(item)].write(item)
        return tracks


class _Pictures:
    """The video track: pictures keep their times, however unevenly they come."""

    def __init__(self, container: av.container.OutputContainer, shape: tuple[int, ...]) -> None:
        self._container = container
        self._stream: Any = container.add_stream("libx264", rate=25)
        self._stream.height, self._stream.width = (n - n % 2 for n in shape[:2])
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _MS
        self._stream.options = {"preset": "veryfast", "crf": "23", "tune": "zerolatency"}
        self._last = -1

    def write(self, frame: Frame) -> None:
        import av

        image = frame.image[: self._stream.height, : self._stream.width]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._last = picture.pts = max(self._last + 1, frame.at.start_ns * 1000 // NS)
        picture.time_base = _MS
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode())


class _Sound:
    """The sound track; what is missing is silence."""

    def __init__(self, container: av.container.OutputContainer, rate: int, start_ns: int) -> None:
        self._container, self._rate = container, rate
        self._first = -(-start_ns * rate // NS)
        self._written = 0
        self._stream: Any = container.add_stream("aac", rate=rate, layout="mono")

    def write(self, chunk: AudioChunk) -> None:
        missing = chunk.first - self._first - self._written
        if missing > 0:
            self._encode(np.zeros(missing, np.float32))
        self._encode(chunk.samples[max(0, -missing) :])

    def close(self) -> None:
        self._container.mux(self._stream.encode())

    def _encode(self, samples: NDArray[np.float32]) -> None:
        import av

        if not len(samples):
            return
        sound = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts = self._rate, self._written
        sound.time_base = Fraction(1, self._rate)
        self._written += len(samples)
        self._container.mux(self._stream.encode(sound))
