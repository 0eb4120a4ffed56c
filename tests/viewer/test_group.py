"""A group's page in a browser."""

from __future__ import annotations

from pathlib import Path

from tests.viewer.conftest import Opened

from emofuse.cli.main import main


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
