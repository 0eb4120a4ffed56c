"""The native window: SDL through pygame-ce, which brings its own and leaves OpenCV alone."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pygame

from ..analyzer import Analyzer
from ..core.estimates import Modality
from ..core.media import AudioChunk, Diagnostic, Packet, Track, Watermark
from ..core.time import NS, to_ns
from ..errors import EmofuseError, InputError
from ..sources.device import Device
from ..streaming import Event, LiveSession, Measurement, MeasurementKind
from ..streaming.feed import feed, joined_info
from .draw import Painter
from .record import Recorder
from .state import LiveState, Snapshot, Status

TALK_NS = to_ns(2.0)
"""How long push-to-talk listens."""

FROZEN_NS = to_ns(0.5)
"""A picture that stands for longer is called frozen."""

_HUSH_NS = to_ns(0.4)  # silence that ends what was said
_HEARD_NS = to_ns(2.0)  # by when something must have been understood of it
_IDLE = 0.1  # seconds after which the window is drawn anew without a new picture


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """How the window starts.

    Args:
        size: width and height in points.
        fullscreen: fill the screen.
        push_to_talk: sound is analyzed for two seconds after the key ``a`` only.
        record_to: folder that gets a folder for each recording.
    """

    size: tuple[int, int] = (1180, 700)
    fullscreen: bool = False
    push_to_talk: bool = False
    record_to: Path = field(default_factory=Path)


@dataclass(slots=True)
class Shown:
    """What was shown when: the window's own measurements.

    Args:
        ages_ns: how old pictures were when they were shown.
        frozen_ns: time that the same picture stood for longer than half a second, beyond
            that half second, while pictures were expected.
        pictures: how many pictures were shown.
    """

    ages_ns: deque[int] = field(default_factory=lambda: deque(maxlen=4096))
    frozen_ns: int = 0
    pictures: int = 0
    _times_ns: deque[int] = field(default_factory=lambda: deque(maxlen=64))

    def show(self, age_ns: int, now_ns: int) -> None:
        """Note that a new picture was shown."""
        if self._times_ns:
            self.frozen_ns += max(0, now_ns - self._times_ns[-1] - FROZEN_NS)
        self._times_ns.append(now_ns)
        self.ages_ns.append(age_ns)
        self.pictures += 1

    def rest(self) -> None:
        """Note that no pictures are expected for a while."""
        self._times_ns.clear()

    @property
    def fps(self) -> float:
        """Pictures a second lately."""
        if len(self._times_ns) < 2:
            return 0.0
        return (len(self._times_ns) - 1) * NS / max(1, self._times_ns[-1] - self._times_ns[0])


class LiveWindow:
    """Shows a camera and what is read from it, until somebody quits or the devices end.

    Args:
        analyzer: analyzes.
        sources: camera, microphone or both; closed at the end.
        notes: shown at the start.
        config: how the window starts.

    Raises:
        InputError: if there is no screen to open a window on.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        sources: Sequence[Device],
        notes: Sequence[Diagnostic] = (),
        config: WindowConfig | None = None,
    ) -> None:
        self.config = config or WindowConfig()
        self.state, self.shown = LiveState(), Shown()
        self.session: LiveSession | None = None
        self.recordings: list[Path] = []
        self._analyzer, self._sources = analyzer, tuple(sources)
        self._info = joined_info([source.info for source in self._sources])
        for note in notes:
            self.state.tell(note.message)
        self._running, self._paused, self._full = True, False, self.config.fullscreen
        self._talk_start_ns: int | None = None
        self._heard = True
        self._recorder: Recorder | None = None
        self._finishing: list[Recorder] = []
        self._drawn = 0
        self._failure: BaseException | None = None
        self._keys: dict[int, Callable[[], None]] = {
            pygame.K_q: self.quit,
            pygame.K_SPACE: self.pause,
            pygame.K_r: self.record,
            pygame.K_a: self.talk,
            pygame.K_f: self.fullscreen,
            pygame.K_ESCAPE: self._escape,
        }

    def run(self) -> None:
        """Open the window and keep it up to date until it is closed.

        Raises:
            EmofuseError: if a model is missing, or a window cannot be opened.
        """
        screen = self._open()
        painter = Painter()
        try:
            with ExitStack() as stack:
                for source in self._sources:
                    stack.enter_context(closing(source))
                self._start(stack, screen, painter)
                with suppress(KeyboardInterrupt):  # as good as the key q
                    while self._running and self.session is not None and not self.session.ended:
                        self._step(painter)
                self._end(painter)
        finally:
            pygame.quit()

    def quit(self) -> None:
        """Close the window soon."""
        self._running = False

    def pause(self) -> None:
        """Stand still, or go on."""
        self._paused = not self._paused
        self.shown.rest()

    def fullscreen(self) -> None:
        """Fill the screen, or no longer."""
        self._full = not self._full
        _set_mode(self.config.size, self._full)

    def talk(self) -> None:
        """Listen for two seconds, in push-to-talk mode."""
        if self._info.audio is None:
            self.state.tell("there is no microphone")
        elif not self.config.push_to_talk:
            self.state.tell("the microphone is always on; start with --push-to-talk to choose")
        elif self._talk_start_ns is None and not self._paused:
            self._talk_start_ns, self._heard = time.monotonic_ns(), False

    def record(self) -> None:
        """Start a recording, or end it."""
        if self._recorder is not None:
            self._stop_recording()
            return
        name = time.strftime("emofuse-%Y-%m-%d-%H%M%S")
        try:
            self._recorder = Recorder(
                self.config.record_to / name,
                self._info,
                self._analyzer.provenance(self._info),
                self._session_ns(),
            )
        except InputError as error:
            self.state.tell(str(error))

    def snapshot_status(self) -> Status:
        """Say what the small print shows."""
        counters = self.session.counters() if self.session is not None else None
        now_ns = time.monotonic_ns()
        talked_ns = None if self._talk_start_ns is None else now_ns - self._talk_start_ns
        ages = list(self.shown.ages_ns)[-25:]
        recorder = self._recorder
        shown = {m: d.p50 for m, d in counters.latency.items() if m != "fused"} if counters else {}
        return Status(
            latency_ms=shown,
            age_ms=float(np.median(ages)) / 1e6 if ages else 0.0,
            dropped=counters.dropped_frames if counters else 0,
            fps=self.shown.fps,
            recording_seconds=(self._session_ns() - recorder.start_ns) / NS if recorder else None,
            talking=None if talked_ns is None else min(1.0, talked_ns / TALK_NS),
            paused=self._paused,
            push_to_talk=self.config.push_to_talk,
            sound=self._info.audio is not None,
        )

    def _open(self) -> pygame.Surface:
        try:
            pygame.display.init()
            pygame.display.set_caption("emofuse live")
            return _set_mode(self.config.size, self._full)
        except pygame.error as error:
            raise InputError(
                f"no window can be opened ({error}): emofuse live needs a screen; "
                "programs use emofuse.live()"
            ) from None

    def _start(self, stack: ExitStack, screen: pygame.Surface, painter: Painter) -> None:
        """Load the models while the window already answers, then let the devices in."""
        loader = threading.Thread(target=self._load, name="emofuse-load", daemon=True)
        loader.start()
        while loader.is_alive() and self._running:
            self._handle_keys()
            painter.splash(pygame.display.get_surface() or screen, "loading the models …")
            pygame.display.flip()
            loader.join(_IDLE / 2)
        if self._failure is not None:
            raise self._failure
        if self.session is None or not self._running:
            return
        stack.enter_context(self.session)
        self.state.origin_ns = time.monotonic_ns()
        for source in self._sources:
            source.origin_ns = self.state.origin_ns
        feed(self.session, self._sources, stack, self._take)

    def _load(self) -> None:
        try:
            self.session = LiveSession(self._analyzer, self._info, listener=self._hear)
        except BaseException as error:
            self._failure = error

    def _step(self, painter: Painter) -> None:
        self._handle_keys()
        self._finish_talk()
        self._finish_recordings()
        self.state.wait(self._drawn, _IDLE)
        snap = self.state.snapshot()
        screen = pygame.display.get_surface()
        if screen is None:
            return
        painter.window(screen, snap, self.snapshot_status())
        pygame.display.flip()
        self._note_shown(snap)
        self._write_picture(painter, snap)
        self._drawn = snap.picture.number if snap.picture is not None else 0

    def _note_shown(self, snap: Snapshot) -> None:
        if snap.picture is not None and snap.picture.number != self._drawn:
            now_ns = time.monotonic_ns()
            self.shown.show(now_ns - snap.picture.at_ns, now_ns)

    def _write_picture(self, painter: Painter, snap: Snapshot) -> None:
        fresh = snap.picture is not None and snap.picture.number != self._drawn
        if self._recorder is None or not fresh or snap.picture is None:
            return
        surface = painter.picture(snap, mirror=False)
        if surface is not None:
            pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8)
            image = pixels.reshape(surface.get_height(), surface.get_width(), 3)
            self._recorder.picture(image, snap.picture.at_ns - self.state.origin_ns)

    def _handle_keys(self) -> None:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.quit()
            elif event.type == pygame.KEYDOWN and event.key in self._keys:
                self._keys[event.key]()

    def _escape(self) -> None:
        if self._full:
            self.fullscreen()

    def _take(self, packet: Packet) -> None:
        """Take what a device delivers, in that device's thread."""
        if self.session is None or (self._paused and not isinstance(packet, Diagnostic)):
            return
        if not isinstance(packet, Diagnostic):
            self.state.see(packet)
        if isinstance(packet, AudioChunk):
            if self._recorder is not None:
                self._recorder.sound(packet)
            if self.config.push_to_talk and self._talk_start_ns is None:
                return
        if isinstance(packet, Watermark) and packet.track is Track.AUDIO:
            return  # sound tells its own; in push-to-talk mode it comes when it is asked for
        self.session.push(packet)

    def _hear(self, event: Event) -> None:
        """Take what the session says, in its thread."""
        self.state.hear(event)
        if isinstance(event, Measurement) and event.kind is MeasurementKind.TIMELINE:
            self._heard |= event.estimate.modality is Modality.SPEECH
        for recorder in (self._recorder, *self._finishing):
            if recorder is not None:
                recorder.event(event)

    def _finish_talk(self) -> None:
        """After two seconds, close what was said at once, and say if there was nothing."""
        if self._talk_start_ns is None or self.session is None:
            return
        if time.monotonic_ns() - self._talk_start_ns >= TALK_NS:
            self._talk_start_ns = None
            self.session.push(Watermark(Track.AUDIO, self._session_ns() + _HUSH_NS))
            threading.Timer(_HEARD_NS / NS, self._tell_unheard).start()

    def _tell_unheard(self) -> None:
        if not self._heard:
            self.state.tell("no speech was heard; press a and speak right away")

    def _stop_recording(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.stop(self._session_ns())
            self._finishing.append(recorder)

    def _finish_recordings(self) -> None:
        for recorder in [r for r in self._finishing if r.complete]:
            self._finishing.remove(recorder)
            threading.Thread(target=self._save, args=(recorder,), name="emofuse-save").start()

    def _save(self, recorder: Recorder) -> None:
        try:
            recorder.write()
        except EmofuseError as error:
            self.state.tell(str(error))
        else:
            self.recordings.append(recorder.folder)
            self.state.tell(f"recorded to {recorder.folder}")

    def _end(self, painter: Painter) -> None:
        """Let a recording get the results that are still on their way."""
        self._stop_recording()
        if self.session is None or not self._finishing:
            return
        screen = pygame.display.get_surface()
        self.session.finish()
        while not (self.session.ended or all(r.complete for r in self._finishing)):
            if screen is not None:
                painter.splash(screen, "finishing the recording …")
                pygame.display.flip()
            pygame.event.pump()
            time.sleep(_IDLE)
        for recorder in self._finishing:
            self._save(recorder)

    def _session_ns(self) -> int:
        return time.monotonic_ns() - self.state.origin_ns


def _set_mode(size: tuple[int, int], full: bool) -> pygame.Surface:
    if full:
        return pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
    return pygame.display.set_mode(size, pygame.RESIZABLE)
