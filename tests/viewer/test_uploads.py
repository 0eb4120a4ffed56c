"""Several uploads get an overview; a broken one is told by the user's name for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.viewer.conftest import INK, until

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_several_uploads_get_an_overview(
    visit: Callable[..., Page], media: Path, tmp_path: Path
) -> None:
    broken, unknown = tmp_path / "Interview 7.mp4", tmp_path / "noise.mp4"
    head = (media / "talking.mp4").read_bytes()[:40]
    broken.write_bytes(head + bytes(range(256)) * 40)
    unknown.write_bytes(bytes(range(255, 0, -1)) * 40)
    page = visit()
    names = page.get_by_label("Files to analyze")
    names.set_input_files([media / "speech.ogg", media / "talking.srt", broken, unknown])
    page.get_by_role("button", name="Analyze, 4 jobs").click()
    until(page, "document.querySelector('.overview [role=status]')?.textContent.startsWith('All')")
    told = page.locator(".overview").inner_text().replace("\u00a0", " ")
    assert "2 files could not be taken" in told
    assert "read in Interview 7.mp4" in told
    assert "the content of noise.mp4" in told
    assert "/input/" not in told
    assert page.locator(".overview .said .shares").count() == 2
    page.get_by_role("link", name="speech.ogg").click()
    page.locator(".result").wait_for()
    until(page, "document.querySelector('canvas[aria-label^=Spectrogram]') !== null")
    until(page, f"({INK})('canvas[aria-label^=Spectrogram]') > 5000")


def test_the_models_are_read_at_a_glance(visit: Callable[..., Page]) -> None:
    page = visit("#/models")
    model = page.locator(".model", has_text="face-v4").first
    model.wait_for()
    shown = model.inner_text().replace("\u00a0", " ")
    assert "62 to 86 % of each expression found" in shown
    assert "faces in pictures and videos" in shown
    assert "Distilled" not in shown  # how it was made is folded away
    model.get_by_text("How it was made").click()
    assert "Distilled" in model.inner_text()


def test_the_live_page_explains_itself(visit: Callable[..., Page]) -> None:
    page = visit("#/live")
    page.get_by_text("What this shows").click()
    assert "a slot of half a second" in page.locator(".explained").inner_text()


def test_options_weigh_an_upload(visit: Callable[..., Page], media: Path) -> None:
    page = visit()
    page.get_by_text("Options").click()
    page.get_by_label("Fusion").select_option("weighted")
    page.get_by_role("slider", name="face").fill("20")
    page.get_by_role("slider", name="voice").fill("60")
    page.get_by_role("slider", name="words").fill("0")
    assert page.locator(".options output").all_inner_texts() == ["25 %", "75 %", "0 %"]
    page.get_by_label("Slot length (seconds)").fill("2")
    page.get_by_label("Files to analyze").set_input_files(media / "portrait.jpg")
    page.locator(".result").wait_for()
    job = page.evaluate("fetch('/v1/jobs?limit=1').then((answer) => answer.json())")["jobs"][0]
    asked = {name: value for name, value in job["options"].items() if value is not None}
    assert asked == {
        "fusion": "weighted",
        "slot": 2.0,
        "weights": {"face": 0.2, "speech": 0.6, "text": 0.0},
    }


def test_the_api_is_shown_offline(visit: Callable[..., Page]) -> None:
    pytest.importorskip("fastapi_offline", reason="pip install 'emofuse[web]'")
    asked: list[str] = []
    page = visit()
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("link", name="API").click()
    page.get_by_text("/v1/options", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.get_by_text("Response body").wait_for()
    here = page.evaluate("location.origin")
    assert asked
    assert all(url.startswith((f"{here}/", "data:")) for url in asked)
