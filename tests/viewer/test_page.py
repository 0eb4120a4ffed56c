"""Pages that were written, opened as files: drawn, played, by keys, on a phone, on paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.export.synthetic import pictures, timeline
from tests.viewer.conftest import INK, TIME, Opened, label, until

from emofuse.export.html import write_report
from emofuse.export.summary import summarise, to_mapping

if TYPE_CHECKING:
    pass

NASTY = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"
LABELS = "[...document.querySelectorAll('.row h3')].map((node) => node.innerText)"
CONTRAST = """() => {
  const rgb = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith('color(srgb') ? parts.map((v, i) => (i < 3 ? 255 * v : v)) : parts;
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (c) => {
    const [r, g, b] = c.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if ((colour[3] ?? 1) > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const written = (node) => [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const ratio = (node) => {
    const both = [rgb(getComputedStyle(node).color), behind(node)].map(light);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  return [...document.querySelectorAll('h1, h2, h3, p, b, li, th, td, button, span, summary, dd')]
    .filter((node) => node.checkVisibility() && !node.closest('.reopen') && written(node))
    .filter((node) => ratio(node) < 4.5).map((node) => [ratio(node), node.innerText]);
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "timeline.html"
    original = timeline(24, path=f"{NASTY}.mp4", lines=["It is a <b>wonderful</b> day.", NASTY])
    write_report(original, path, pictures(24))
    return path


def test_it_draws_zooms_and_tells(open_page: Opened, report: Path) -> None:
    page = open_page(report)
    assert page.evaluate(LABELS) == ["Face 1", "Face 2", "Voice"]
    for i in range(3):
        assert page.evaluate(f"({INK})('.row:nth-child({i + 1}) canvas') > 5000")
    where = page.locator(".where")
    assert "whole length" in where.inner_text()
    page.get_by_role("button", name="Zoom in").click()
    assert "–" in where.inner_text()
    before = where.inner_text()
    assert page.get_by_role("button", name="Earlier").is_disabled()
    page.get_by_role("button", name="Later").click()
    assert where.inner_text() != before
    page.get_by_role("button", name="all", exact=True).click()
    assert "whole length" in where.inner_text()
    box = page.locator(".row canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 160, box["y"] + 10)  # at about 2 s: face, voice and words
    tip = page.locator(".tip").inner_text()
    for part in ("Face 1 at 0:0", "face", "voice", "words"):
        assert part in tip
    page.mouse.click(box["x"] + 160, box["y"] + 10)
    shown = page.locator(".side").inner_text()
    assert "disagreement" in shown
    assert "weight" in shown
    assert page.locator(".sentence.now .said").inner_text() == "It is a <b>wonderful</b> day."
    assert page.evaluate("window.pwned") is None


def test_it_says_what_the_summary_says(open_page: Opened, report: Path) -> None:
    told = to_mapping(summarise(timeline(24, lines=["It is a <b>wonderful</b> day.", NASTY])))
    shown = open_page(report).locator(".people").inner_text().replace("\u00a0%", " %")
    for person in told["people"]:
        assert f"{person['name']}: {person['says']}" in shown


def test_keys_words_and_people(open_page: Opened, report: Path) -> None:
    page = open_page(report)
    page.keyboard.press("End")
    assert float(page.evaluate(TIME)) == pytest.approx(24)
    page.keyboard.press("ArrowLeft")
    assert float(page.evaluate(TIME)) == pytest.approx(23.5, abs=0.02)
    page.locator(".sentence").first.click()
    assert 0.9 < float(page.evaluate(TIME)) < 1.2
    page.get_by_role("button", name="Voice").click()
    page.keyboard.press("Home")
    assert label(page) == "nothing here"
    page.get_by_role("button", name="Face 1").click()
    assert label(page) != "nothing here"
    page.locator("h1").click()
    page.keyboard.press(" ")  # time passes, with the pictures that there are
    until(page, f"{TIME} > 0.2")
    assert page.locator(".stage img").count() == 1


def test_a_medium_that_is_not_there_can_be_opened(
    open_page: Opened, report: Path, media: Path
) -> None:
    page = open_page(report)
    assert page.locator("video").count() == 0
    page.get_by_label("The analyzed file").set_input_files(media / "talking.mp4")
    until(page, "document.querySelector('video')?.readyState >= 2")
    assert page.locator(".reopen").count() == 0


def test_a_medium_beside_the_page_plays_in_step(
    open_page: Opened, media: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "my clip.mp4"
    clip.write_bytes((media / "talking.mp4").read_bytes())
    write_report(timeline(4, path=str(clip)), tmp_path / "out" / "timeline.html", shared=tmp_path)
    page = open_page(tmp_path / "out" / "timeline.html", also=(clip, tmp_path / "viewer.js"))
    until(page, "document.querySelector('video').readyState >= 2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    until(page, "Math.abs(document.querySelector('video').currentTime - 1) < 0.05")
    assert float(page.evaluate(TIME)) == pytest.approx(1, abs=0.05)


def test_a_crowd_is_shown_on_demand(open_page: Opened, tmp_path: Path) -> None:
    write_report(timeline(20, people=12, lines=()), tmp_path / "crowd.html")
    page = open_page(tmp_path / "crowd.html")
    assert page.locator(".row").count() == 8
    page.get_by_role("button", name="Show 4 more").click()
    assert page.locator(".row").count() == 12
    until(page, f"({INK})('.row:nth-child(12) canvas') > 5000")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(open_page: Opened, report: Path, scheme: str) -> None:
    page = open_page(report, width=360, color_scheme=scheme, has_touch=True, is_mobile=True)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back)[:3])) > 600) == (scheme == "light")
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate(CONTRAST) == []


def test_paper_is_light_and_cuts_no_person_in_two(open_page: Opened, report: Path) -> None:
    page = open_page(report, color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ways = page.evaluate(
        "[...document.querySelectorAll('.card, .row')].map((n) => getComputedStyle(n).breakInside)"
    )
    assert set(ways) == {"avoid"}
    assert page.locator(".printed").first.is_visible()
    assert not page.locator(".controls").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.printing") is None


def test_an_hour_opens_and_zooms_to_single_estimates(open_page: Opened, tmp_path: Path) -> None:
    write_report(timeline(3600, people=2), tmp_path / "hour.html", pictures(3600, 60))
    page = open_page(tmp_path / "hour.html")
    for _ in range(6):
        page.get_by_role("button", name="Zoom in").click()
    assert page.locator(".where").inner_text() == "0:00.0 – 0:56.3"
    until(page, f"({INK})('.row canvas') > 5000")
