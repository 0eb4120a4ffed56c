"""The window, run for real: on SDL's dummy screen, and under Xvfb with real key presses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pygame", reason="the window is an extra: emofuse[live]")

import pygame

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.details import FaceDetails
from emofuse.core.estimates import (
    Estimate,
    FusionDetails,
    Modality,
    Probabilities,
    Subject,
    SubjectKind,
)
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Frame
from emofuse.core.time import NS, Span
from emofuse.errors import InputError
from emofuse.export import result_name, routine_exporters
from emofuse.streaming import Measurement, MeasurementKind, live_config
from emofuse.streaming.feed import open_devices
from emofuse.text.transcribe import TranscribeConfig
from emofuse.window.draw import Painter
from emofuse.window.state import LiveState, Status
from emofuse.window.window import LiveWindow, WindowConfig

LONG = 60.0


@pytest.fixture
def dummy_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.quit()


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    words = TranscribeConfig(engine="none")
    return Analyzer(live_config(AnalyzerConfig(transcribe=words)))


class Hands(threading.Thread):
    """Somebody who waits for what is to be seen and presses keys."""

    def __init__(self, window: LiveWindow, *steps: tuple[Callable[[], bool], int]) -> None:
        super().__init__(daemon=True)
        self._window, self._steps = window, steps
        self.stuck: int | None = None

    def run(self) -> None:
        for number, (ready, key) in enumerate(self._steps):
            deadline = time.monotonic() + LONG
            while not ready() and time.monotonic() < deadline:
                time.sleep(0.02)
            if not ready():
                self.stuck = number
                break
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))
        if self.stuck is not None:
            self._window.quit()


def open_window(analyzer: Analyzer, media: Path, config: WindowConfig) -> LiveWindow:
    clip = media / "talking.mp4"
    sources, notes = open_devices(clip, clip, loop=True)
    return LiveWindow(analyzer, sources, notes, config)


def test_keys_pause_record_fill_the_screen_and_quit(
    analyzer: Analyzer, media: Path, tmp_path: Path, dummy_screen: None
) -> None:
    window = open_window(analyzer, media, WindowConfig(record_to=tmp_path))
    counts: list[int] = []

    def labelled() -> bool:
        return any(p.now is not None for p in window.state.snapshot().people)

    def stands_still() -> bool:
        counts.append(window.shown.pictures)
        return window._paused and len(counts) > 20 and counts[-1] == counts[-10]

    def more_pictures() -> bool:
        return not window._paused and window.shown.pictures > counts[-1] + 5

    hands = Hands(
        window,
        (labelled, pygame.K_r),
        (lambda: window._recorder is not None and window.shown.pictures > 15, pygame.K_SPACE),
        (stands_still, pygame.K_SPACE),
        (more_pictures, pygame.K_f),
        (lambda: window._full, pygame.K_f),
        (lambda: not window._full, pygame.K_a),  # the microphone is on: a note says so
        (lambda: any("always on" in n for n in window.state.snapshot().notes), pygame.K_q),
    )
    hands.start()
    window.run()
    assert hands.stuck is None
    assert window.session is not None
    assert not window.session.errors
    (folder,) = window.recordings
    assert (folder / "recording.mp4").stat().st_size > 1000
    assert {p.name for p in folder.iterdir()} == {
        "recording.mp4",
        *(result_name(kind) for kind in routine_exporters().values()),
    }


def test_push_to_talk_hears_two_seconds_and_nothing_else(
    analyzer: Analyzer, media: Path, dummy_screen: None
) -> None:
    window = open_window(analyzer, media, WindowConfig(push_to_talk=True))
    voices: list[Estimate] = []
    inner = window._hear

    def listen(event: object) -> None:
        if isinstance(event, Measurement) and event.estimate.modality is Modality.SPEECH:
            voices.append(event.estimate)
        inner(event)  # type: ignore[arg-type]

    window._hear = listen  # type: ignore[assignment,method-assign]

    def silent_so_far() -> bool:
        return window.session is not None and window._session_ns() > 2 * NS and not voices

    talked = []

    def heard() -> bool:
        talked.append(window._talk_start_ns)
        return window._talk_start_ns is None and len(talked) > 5 and bool(voices)

    hands = Hands(
        window,
        (lambda: silent_so_far() and window.shown.pictures > 5, pygame.K_a),
        (heard, pygame.K_q),
    )
    hands.start()
    window.run()
    assert hands.stuck is None
    assert sum(e.span.duration_ns for e in voices) <= 2.5 * NS


def test_a_missing_screen_is_an_error_that_helps(
    analyzer: Analyzer, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    with pytest.raises(InputError, match="needs a screen"):
        open_window(analyzer, media, WindowConfig()).run()


def face(x: float, top: int = 1, uncertain: object = None) -> Estimate:
    p = np.full(8, 0.05)
    p[top] = 0.65
    return Estimate(
        Subject(SubjectKind.FACE, 1),
        Span(0, NS),
        Probabilities(CANONICAL, p),
        Modality.FACE,
        1.0,
        "made",
        details=FaceDetails(box=(x, 0.3, 0.2, 0.3)),
        uncertain=uncertain,  # type: ignore[arg-type]
    )


def painted(e: Estimate, size: tuple[int, int] = (1180, 700)) -> np.ndarray:
    state = LiveState()
    state.see(Frame(np.zeros((480, 640, 3), np.uint8), Span(0, 1)))
    state.hear(Measurement(MeasurementKind.FRAME, e, 0))
    surface = pygame.Surface(size)
    Painter().window(surface, state.snapshot(), Status())
    return pygame.surfarray.array3d(surface).swapaxes(0, 1)


def test_the_picture_is_a_mirror(dummy_screen: None) -> None:
    """Who is on the left of the picture sees their box on the right."""
    yellow = np.array((246, 185, 28))
    columns = np.nonzero((painted(face(0.1)) == yellow).all(axis=2)[:, :840].any(axis=0))[0]
    assert columns.min() > 420


def test_an_uncertain_face_looks_uncertain(dummy_screen: None) -> None:
    from emofuse.core.estimates import Rejected, RejectionReason

    yellow = np.array((246, 185, 28))
    sure = (painted(face(0.4)) == yellow).all(axis=2).sum()
    unsure = face(0.4, uncertain=Rejected(RejectionReason.LOW_CONFIDENCE))
    assert sure > 200
    assert (painted(unsure) == yellow).all(axis=2).sum() == 0


@pytest.mark.parametrize("size", [(320, 240), (700, 500), (1920, 1080)])
def test_any_size_can_be_drawn(dummy_screen: None, size: tuple[int, int]) -> None:
    assert painted(face(0.4), size).any()


def test_two_modalities_that_contradict_each_other_are_named(dummy_screen: None) -> None:
    e = face(0.4)
    blend = FusionDetails(
        {Modality.FACE: 0.5, Modality.SPEECH: 0.5}, 0.8, {Modality.FACE: e.probabilities}
    )
    from dataclasses import replace

    fused = replace(e, modality=Modality.FUSED, fusion=blend)
    state = LiveState()
    for kind, estimate in ((MeasurementKind.FRAME, e), (MeasurementKind.NOW, fused)):
        state.hear(Measurement(kind, estimate, 0))
    painter = Painter()
    drawn: list[str] = []
    text = painter._text
    painter._text = lambda *args: drawn.append(args[0]) or text(*args)  # type: ignore[assignment,func-returns-value]
    painter.window(pygame.Surface((1180, 700)), state.snapshot(), Status())
    assert {"they disagree", "face 50 %", "voice 50 %", "Person 1"} <= set(drawn)
    assert any("not feelings" in line for line in drawn)


@pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")),
    reason="needs Xvfb and xdotool for a real window and real key presses",
)
def test_real_keys_in_a_real_window(media: Path, tmp_path: Path) -> None:
    with xvfb() as display:
        env = {**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11"}
        clip = str(media / "talking.mp4")
        command = [sys.executable, "-m", "emofuse", "live", "--camera", clip, "--loop"]
        command += ["--microphone", clip, "--asr", "none", "--record-to", str(tmp_path)]
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            press(env, "r", lambda: any(tmp_path.iterdir()))
            video = next(tmp_path.iterdir()) / "recording.mp4"
            wait_for(lambda: video.is_file() and video.stat().st_size > 0)
            press(env, "q", lambda: process.poll() is not None)
        finally:
            process.kill()
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.strip() == str(video.parent)
    assert (video.parent / "timeline.json").is_file()


def wait_for(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not ready():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def press(env: dict[str, str], key: str, done: Callable[[], bool]) -> None:
    """Press a key until somebody listens and it has an effect."""
    deadline = time.monotonic() + LONG
    while not done():
        assert time.monotonic() < deadline, f"the key {key} does nothing"
        subprocess.run(["xdotool", "key", key], env=env, check=True)
        settled = time.monotonic() + 6.0  # pressed twice it would end what it began
        while not done() and time.monotonic() < settled:
            time.sleep(0.1)


class xvfb:  # noqa: N801 - used like a function
    """A screen that nobody sees."""

    def __enter__(self) -> str:
        read, write = os.pipe()
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24"],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as answer:
            return f":{answer.readline().strip()}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
