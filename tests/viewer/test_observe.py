"""A face, a voice and words are put together on the page, and weighed anew without an upload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.viewer.conftest import PATIENCE, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOVE = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"


def test_sliders_fuse_again_without_an_upload(visit: Callable[..., Page], media: Path) -> None:
    page = visit("#/observe")
    page.get_by_label("Face: a picture").set_input_files(media / "portrait.jpg")
    page.get_by_label("Words").fill("I am so happy to see you, this is wonderful!")
    page.get_by_role("button", name="Observe").click()
    verdict = page.locator(".verdict-label")
    page.wait_for_selector(".weights", timeout=PATIENCE)
    before = verdict.inner_text()
    assert before != "happy", "the portrait is no smile, and faces count most"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#weight-face").evaluate(MOVE, 0)
    until(page, "document.querySelector('.verdict-label').textContent === 'happy'")
    assert page.locator(".weight output").all_inner_texts()[0].startswith("0")
    page.get_by_role("button", name="Reset").click()
    until(page, f"document.querySelector('.verdict-label').textContent === '{before}'")
    assert asked
    assert all(url.endswith("/v1/fuse") for url in asked)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_cannot_be_is_said(visit: Callable[..., Page]) -> None:
    page = visit("#/observe")
    page.get_by_role("button", name="Observe").click()
    until(page, "document.querySelector('.error').textContent.includes('nothing to')")
