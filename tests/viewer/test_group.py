"""A group's page in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.viewer.conftest import Opened

from emofuse.cli.main import main

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_switch_of_the_upload_asks_for_the_group(visit: Callable[..., Page], media: Path) -> None:
    page = visit()
    page.get_by_text("Options").click()
    page.get_by_label("the mood of the group, too").check()
    page.get_by_label("Files to analyze").set_input_files(media / "portrait.jpg")
    page.locator(".result").wait_for()
    assert page.get_by_role("button", name="Group", exact=True).is_visible()
    assert page.locator(".side").inner_text().count("positive") >= 1


def test_film_shows_lane_moments_and_what_they_are_not(
    open_page: Opened, media: Path, tmp_path: Path
) -> None:
    film = media / "comes_and_goes.mp4"
    assert main(["analyze", str(film), "--group", "--no-text", "--out", str(tmp_path), "-q"]) == 0
    page = open_page(tmp_path / "timeline.html", also=(film,))
    assert page.locator(".row h3").first.inner_text() == "Group"
    assert page.locator("canvas.track[aria-label='apart']").count() == 0  # there is one face
    side = page.locator(".side").inner_text()
    assert "positive" in side
    assert "happy" not in side
    moments = page.locator(".moments li")
    shown = page.evaluate("JSON.parse(document.getElementById('data').textContent).summary.group")
    assert moments.count() == len(shown["highlights"])
    assert moments.locator("img").count() == moments.count()
    assert "Expressions, not feelings" in page.locator("main").inner_text()
