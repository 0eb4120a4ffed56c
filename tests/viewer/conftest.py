"""A real server, and Debian's Chromium with files for a camera and a microphone."""

from __future__ import annotations

import io
import shutil
import signal
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType, Page
    from tests.server.serving import Running

PATIENCE = 90_000  # milliseconds; machines that test are busy

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
)

TIME = "document.querySelector('[role=slider]').getAttribute('aria-valuenow')"
"""Where the playhead is."""

INK = """(selector) => {
  const canvas = document.querySelector(selector);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((_, i) => i % 4 === 3 && data[i] > 0).length;
}"""
"""How many pixels of a canvas are drawn."""

Opened = Callable[..., "Page"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    for module in ("fastapi", "uvicorn", "websockets", "httpx"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'emofuse[web]'")
    from tests.server.serving import Running

    server = Running(tmp_path_factory.mktemp("web") / "state", {"EMOFUSE_GRACE": 1})
    try:
        yield server.wait()
    finally:
        server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def chromium() -> Iterator[tuple[BrowserType, str]]:
    """What starts browsers, and where the browser is.

    Not for the whole session: while it lives, no other test can run an event loop.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no browser: install Debian's chromium")
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        yield playwright.chromium, found


@pytest.fixture(scope="session")
def devices(media: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What a browser takes for camera and microphone: a clip."""
    folder = tmp_path_factory.mktemp("devices")
    camera, microphone = folder / "camera.mjpeg", folder / "microphone.wav"
    make_camera(media / "talking.mp4", camera)
    make_microphone(media / "talking.mp4", microphone)
    return camera, microphone


@pytest.fixture(scope="module")
def browser(chromium: tuple[BrowserType, str], devices: tuple[Path, Path]) -> Iterator[Browser]:
    """A browser with a camera and a microphone, that lets every page use them."""
    camera, microphone = devices
    kind, path = chromium
    browser = kind.launch(
        executable_path=path,
        args=[
            *(*_FLAGS, "--use-fake-ui-for-media-stream"),
            f"--use-file-for-fake-video-capture={camera}",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture
def strict_browser(chromium: tuple[BrowserType, str]) -> Iterator[Browser]:
    """A browser that lets no page use its camera or microphone."""
    kind, path = chromium
    browser = kind.launch(executable_path=path, args=_FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def visit(browser: Browser, server: Running) -> Iterator[Callable[..., Page]]:
    """Opens a view: `visit("#/live", width=390)`. The page's errors are the test's."""
    yield from visits(browser, server)


def visits(browser: Browser, server: Running) -> Iterator[Callable[..., Page]]:
    faults: list[str] = []
    contexts: list[Any] = []

    def hear(kind: str, text: str) -> None:
        # "Failed to load": the server refused, which the page tells in its own words.
        if kind == "error" and "Failed to load" not in text:
            faults.append(text)

    def go(view: str = "", *, width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 860}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: hear(message.type, message.text))
        page.goto(f"{server.url}/{view}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def analyzed(visit: Callable[..., Page], media: Path) -> Callable[..., Page]:
    """Drops files of the repository, or words, on the start page and waits for the result."""

    def go(*names: str, words: str = "", **options: Any) -> Page:
        page = visit(**options)
        if words:
            page.get_by_label("Words to analyze").fill(words)
        if names:
            page.get_by_label("Files to analyze").set_input_files([media / name for name in names])
        if words or len(names) > 1:
            page.get_by_role("button", name="Analyze", exact=True).click()
        page.locator(".result").wait_for()
        return page

    return go


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opened]:
    """Opens a page as a file; it may ask for nothing but itself and `also`, and not complain."""
    contexts, faults, asked, allowed = [], [], [], set()

    def hear(text: str) -> None:
        # On a slow machine `INK` reads a canvas again and again, and Chromium gives a hint.
        if "willReadFrequently" not in text:
            faults.append(text)

    def go(path: Path, *, width: int = 1100, also: tuple[Path, ...] = (), **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: hear(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        allowed.update(p.as_uri() for p in (path, *also, *(p.with_suffix(".css") for p in also)))
        page.goto(path.as_uri())
        until(page, "document.documentElement.dataset.ready !== undefined")
        page.wait_for_timeout(50)  # for what is drawn with the next frame
        return page

    yield go
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} <= allowed
    assert not faults


def label(page: Page) -> str:
    """What is said of the moment at the playhead."""
    return page.locator(".verdict-label").inner_text()


def until(page: Page, condition: str) -> None:
    """Wait for an expression (`wait_for_function` needs what the page's policy forbids)."""
    for _ in range(PATIENCE // 100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never true: {condition}")


def make_camera(clip: Path, to: Path) -> None:
    """Write a clip's pictures one after the other as JPEG, which Chromium plays as a camera."""
    with av.open(str(clip)) as container, to.open("wb") as out:
        for frame in container.decode(video=0):
            picture = io.BytesIO()
            frame.to_image().resize((640, 480)).save(picture, "JPEG", quality=85)
            out.write(picture.getvalue())


def make_microphone(clip: Path, to: Path, rate: int = 48_000, times: int = 1) -> None:
    """Write a clip's sound, `times` over."""
    with av.open(str(clip)) as container:
        resampler = av.AudioResampler("s16", "mono", rate)
        pieces = [
            piece.to_ndarray().tobytes()
            for frame in container.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    with wave.open(str(to), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(b"".join(pieces) * times)
