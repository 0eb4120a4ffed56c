"""From devices to a session: a thread for each, so that none waits for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from ..analyzer import Analyzer, AnalyzerConfig
from ..core.estimates import Estimate
from ..core.media import Diagnostic, MediaInfo, MediaKind, Packet, Track
from ..core.protocols import Source
from ..errors import EmofuseError, InputError
from ..sources.device import Device
from ..sources.file import FileSource
from ..sources.paced import Paced
from ..sources.prefetch import Prefetch
from .config import live_config
from .events import Measurement, MeasurementKind
from .session import LiveSession

Opener = Callable[[bool], Device]
"""Opens a device; if it is told to wait, one that is missing now may come later."""


class Feeder(threading.Thread):
    """Reads a source in a thread of its own and hands on its packets.

    Args:
        source: what to read; it is closed at the end.
        push: takes every packet; must not block for long.
        ended: is called when the source has ended, by itself or by `close`.
    """

    def __init__(
        self,
        source: Source,
        push: Callable[[Packet], None],
        ended: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name=f"emofuse-{source.info.name}", daemon=True)
        self.source = source
        self._push, self._ended = push, ended

    def run(self) -> None:
        """Read until the source ends."""
        try:
            for packet in self.source.packets():
                self._push(packet)
        except Exception as error:  # whatever it is, the other device goes on
            message = f"{self.source.info.name} has failed: {error or type(error).__name__}"
            self._push(Diagnostic("source-failed", message))
        finally:
            self.source.close()
            if self._ended is not None:
                self._ended()

    def close(self, timeout: float = 2.0) -> None:
        """Stop reading; harmless when called twice."""
        self.source.close()
        if self.is_alive() and self is not threading.current_thread():
            self.join(timeout)


def open_camera(
    camera: int | str | Path,
    *,
    size: tuple[int, int] = (640, 480),
    fps: float = 25.0,
    loop: bool = False,
    wait: bool = False,
) -> Device:
    """Open a camera by number, or a file that is played as if it were one.

    Args:
        camera: number or device of a camera, or a video file.
        size: asked of a camera; of a file the longer of both is the most.
        fps: pictures per second.
        loop: play a file again and again.
        wait: a camera that is missing is looked for until it is there.

    Raises:
        InputError: if it cannot be opened.
    """
    if (path := _file(camera)) is not None:
        return _played(path, Track.VIDEO, loop, fps=fps, max_side=max(size))
    from ..sources.camera import Webcam

    number = int(camera) if isinstance(camera, str) and camera.isdigit() else camera
    return Webcam(number, size=size, fps=fps, wait=wait)


def open_microphone(
    microphone: int | str | Path | None, *, loop: bool = False, wait: bool = False
) -> Device:
    """Open a microphone by number or name, or a file that is played as if it were one.

    Args:
        microphone: number or name; a sound or video file; None: the system's choice.
        loop: play a file again and again.
        wait: a microphone that is missing is looked for until it is there.

    Raises:
        InputError: if it cannot be opened.
        MissingExtra: if sounddevice is not installed.
    """
    if (path := _file(microphone)) is not None:
        return _played(path, Track.AUDIO, loop)
    from ..sources.microphone import Microphone

    if isinstance(microphone, Path):
        raise InputError(f"there is no file {microphone}")
    number = isinstance(microphone, str) and microphone.isdigit()
    device = int(microphone) if number else microphone  # type: ignore[arg-type]
    return Microphone(device, wait=wait)


def _file(device: int | str | Path | None) -> Path | None:
    """Return the file that is named instead of a device, if it is one."""
    if device is None or isinstance(device, int) or not Path(device).is_file():
        return None
    return Path(device)


def _played(path: Path, track: Track, loop: bool, **sampling: float) -> Paced:
    def open_file() -> Source:
        return Prefetch(FileSource(path, tracks={track}, **sampling), depth=8)  # type: ignore[arg-type]

    return Paced(open_file, loop)


def joined_info(infos: Sequence[MediaInfo]) -> MediaInfo:
    """Describe what several devices deliver together."""
    video = next((i.video for i in infos if i.video is not None), None)
    audio = next((i.audio for i in infos if i.audio is not None), None)
    name = " + ".join(dict.fromkeys(i.name for i in infos))
    kind = MediaKind.VIDEO if video is not None else MediaKind.AUDIO
    return MediaInfo(name, kind, video=video, audio=audio)


def open_devices(
    camera: int | str | Path | bool,
    microphone: int | str | Path | bool,
    *,
    loop: bool = False,
    fps: float = 25.0,
) -> tuple[list[Device], list[Diagnostic]]:
    """Open a camera and a microphone; one is enough, the other is looked for until it is there.

    Beside a file that is played, which has an end, nothing is looked for.

    Args:
        camera: see `open_camera`; False: none.
        microphone: see `open_microphone`; True: the system's choice, False: none.
        loop: play files again and again.
        fps: pictures per second.

    Returns:
        What could be opened or is looked for, and a note about what is neither.

    Raises:
        EmofuseError: if nothing that is wanted can be opened.
    """
    wanted: list[Opener] = []
    if camera is not False:
        number: int | str | Path = 0 if camera is True else camera
        wanted.append(lambda wait: open_camera(number, fps=fps, loop=loop, wait=wait))
    if microphone is not False:
        chosen = None if microphone is True else microphone
        wanted.append(lambda wait: open_microphone(chosen, loop=loop, wait=wait))
    if not wanted:
        raise InputError("neither a camera nor a microphone is wanted; leave one of them on")
    return opened(wanted)


def opened(wanted: Sequence[Opener]) -> tuple[list[Device], list[Diagnostic]]:
    """Open devices; see `open_devices`.

    Raises:
        EmofuseError: if none can be opened; why the first cannot.
    """
    sources, missing = _try(wanted, wait=False)
    if not sources:
        raise missing[0][1]
    if not any(isinstance(source, Paced) for source in sources):
        later, missing = _try([opener for opener, _ in missing], wait=True)
        sources += later
    return sources, [Diagnostic("device-missing", str(error)) for _, error in missing]


def _try(
    wanted: Sequence[Opener], *, wait: bool
) -> tuple[list[Device], list[tuple[Opener, EmofuseError]]]:
    sources, missing = [], []
    for opener in wanted:
        try:
            sources.append(opener(wait))
        except EmofuseError as error:
            missing.append((opener, error))
    return sources, missing


def live(
    camera: int | str | Path | bool = 0,
    microphone: int | str | Path | bool = True,
    *,
    config: AnalyzerConfig | None = None,
    kinds: Collection[MeasurementKind | str] = (MeasurementKind.NOW,),
    on_note: Callable[[Diagnostic], None] | None = None,
) -> Iterator[Estimate]:
    """Analyze a camera and a microphone live.

        for estimate in emofuse.live():
            print(estimate.subject, estimate.label, estimate.confidence)

    Leaving the loop lets go of the devices. If only one of both is there, it goes
    on with that one, and looks for the other. A file in place of a device is played in
    real time; when all files have ended, so does the loop.

    Args:
        camera: number of the camera, or a video file; False: none.
        microphone: number or part of the name, or a file; True: the system's
            choice; False: none.
        config: settings; by default those of `live_config`.
        kinds: which estimates: ``now`` (everybody's fused state at this moment, with
            every picture), ``frame`` (faces, raw), ``timeline`` (what stays).
        on_note: is told what the user should know, e.g. that the camera is lost.

    Raises:
        InputError: if neither device can be opened, or an argument is wrong.
    """
    try:
        wanted = {MeasurementKind(kind) for kind in kinds}
    except ValueError:
        known = ", ".join(kind.value for kind in MeasurementKind)
        raise InputError(f"no kind of measurement in {list(kinds)!r}; there are {known}") from None
    analyzer = Analyzer(config or live_config())
    sources, notes = open_devices(camera, microphone, fps=analyzer.config.fps)
    return _live(analyzer, sources, notes, wanted, on_note or (lambda note: None))


def _live(
    analyzer: Analyzer,
    sources: Sequence[Device],
    notes: Sequence[Diagnostic],
    wanted: set[MeasurementKind],
    on_note: Callable[[Diagnostic], None],
) -> Iterator[Estimate]:
    with ExitStack() as stack:
        for source in sources:
            stack.enter_context(closing(source))
        info = joined_info([source.info for source in sources])
        session = stack.enter_context(LiveSession(analyzer, info))
        feed(session, sources, stack)
        for note in notes:
            on_note(note)
        for event in session:
            if isinstance(event, Diagnostic):
                on_note(event)
            elif isinstance(event, Measurement) and event.kind in wanted:
                yield event.estimate


def feed(
    session: LiveSession,
    sources: Sequence[Device],
    stack: ExitStack,
    push: Callable[[Packet], None] | None = None,
) -> None:
    """Start a feeder for each source, all on one clock; when all have ended, so has the session.

    Args:
        session: is fed.
        sources: are read and closed.
        stack: closes the feeders.
        push: is given every packet, in its feeder's thread, instead of `session.push`.
    """
    running, counting = len(sources), threading.Lock()

    def ended() -> None:
        nonlocal running
        with counting:
            running -= 1
            last = running == 0
        if last:
            session.finish()

    if all(source.origin_ns is None for source in sources):
        now_ns = time.monotonic_ns()
        for source in sources:
            source.origin_ns = now_ns
    for source in sources:
        feeder = Feeder(source, push or session.push, ended)
        stack.callback(feeder.close)
        feeder.start()
