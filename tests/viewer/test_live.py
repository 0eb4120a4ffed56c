"""The live view with a clip as camera and microphone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.viewer.conftest import PATIENCE, visits

from emofuse.core.estimates import Modality
from emofuse.export.json import read_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from tests.server.serving import Running

Visit = Callable[..., "Page"]

# How much neighbouring pixels differ in the middle of the face.
DETAIL = """(() => {
  const canvas = document.querySelector('.view'), [w, h] = [canvas.width, canvas.height];
  const [wide, tall] = [Math.round(w * 0.12), Math.round(h * 0.2)];
  const { data } = canvas.getContext('2d').getImageData(w * 0.44, h * 0.3, wide, tall);
  let sum = 0;
  for (let i = 4; i < data.length; i++) sum += Math.abs(data[i] - data[i - 4]);
  return sum / data.length;
})()"""


def start(page: Page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator(".live[data-state=running]").wait_for()


def test_labels_appear_and_a_recording_can_be_kept(visit: Visit, tmp_path: Path) -> None:
    page = visit("#/live")
    page.get_by_text("Nothing is stored unless you record").wait_for()
    page.get_by_label("recognize words").uncheck()  # a busy machine has enough to do
    start(page)
    page.locator(".tabs button", has_text="Face").first.wait_for()
    page.locator(".verdict-label", has_not_text="nothing here").wait_for()
    page.locator(".stats dd", has_text="ms").wait_for()
    page.locator(".past .row").first.wait_for()  # on the timeline, too

    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(4000)
    page.get_by_label("blur faces").check()
    page.get_by_role("button", name="End recording").click()
    recorded = page.locator(".recorded")
    recorded.wait_for()
    page.wait_for_timeout(2000)  # results may come after what they tell about
    files = {}
    for name in ("video", "JSON", "CSV"):
        with page.expect_download() as download:
            recorded.get_by_role("button", name=name).click()
        files[name] = tmp_path / name
        download.value.save_as(files[name])
    timeline = read_json(files["JSON"])
    assert timeline.of(Modality.FUSED)
    assert all(e.span.end_ns <= timeline.duration_ns + 1_000_000 for e in timeline)
    lines = files["CSV"].read_text().splitlines()
    assert lines[0].startswith("file,start,end,subject,modality,label,")
    assert len(lines) > len(timeline.estimates) > 0  # later results have been added meanwhile
    assert files["video"].read_bytes()[:4] == b"\x1a\x45\xdf\xa3"  # WebM

    page.locator(".private").click()  # away from the buttons
    page.keyboard.press(" ")
    page.locator(".live[data-state=paused]").wait_for()
    page.keyboard.press(" ")
    page.locator(".live[data-state=running]").wait_for()
    page.keyboard.press("a")
    page.get_by_text("listening …").wait_for()
    assert page.get_by_label("Listen", exact=True).input_value() == "talk"
    page.keyboard.press("q")
    page.locator(".live[data-state=idle]").wait_for()
    assert page.get_by_role("button", name="Start", exact=True).is_visible()


def test_a_microphone_alone(visit: Visit) -> None:
    page = visit("#/live")
    page.get_by_label("Camera", exact=True).select_option("none")
    page.get_by_label("recognize words").uncheck()
    start(page)
    page.locator(".tabs button", has_text="Voice").wait_for()
    assert page.locator(".tabs button", has_text="Face").count() == 0
    assert page.locator(".stats dd", has_text="complete").is_visible()


def test_a_camera_alone(visit: Visit) -> None:
    page = visit("#/live")
    page.get_by_label("Microphone", exact=True).select_option("none")
    start(page)
    page.locator(".tabs button", has_text="Face").first.wait_for()
    assert page.locator(".tabs button", has_text="Voice").count() == 0
    sharp = min(detail(page))
    page.get_by_label("blur faces").check()
    page.wait_for_timeout(300)
    assert max(detail(page)) < 0.6 * sharp  # whether the face is found just now or not


def detail(page: Page) -> list[float]:
    values = []
    for _ in range(8):
        values.append(float(page.evaluate(DETAIL)))
        page.wait_for_timeout(250)
    return values


def test_a_refusal_is_explained(strict_browser: Browser, server: Running) -> None:
    for visit in visits(strict_browser, server):
        page = visit("#/live")
        page.get_by_role("button", name="Start", exact=True).click()
        page.locator(".messages .note").first.wait_for(timeout=PATIENCE)
        told = page.locator(".messages").inner_text()
        assert "may not use the camera" in told
        assert "may not use the microphone" in told
        page.locator(".live[data-state=idle]").wait_for()
