"""The page as such: themes, widths, keys, the view of the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.server.serving import Running

Visit = Callable[..., "Page"]

PAPER = "getComputedStyle(document.body).backgroundColor"
TOO_WIDE = "document.documentElement.scrollWidth - innerWidth"


def lightness(colour: str) -> float:
    r, g, b = (int(part) for part in colour.strip("rgb() ").split(","))
    return (r + g + b) / 765


def test_the_theme_is_the_systems_unless_switched(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    page.locator(".drop").wait_for()
    assert lightness(page.evaluate(PAPER)) < 0.2
    switch = page.locator("#theme")
    assert switch.get_attribute("aria-label") == "Theme: as the system"
    switch.click()
    assert switch.get_attribute("aria-label") == "Theme: light"
    assert lightness(page.evaluate(PAPER)) > 0.8
    page.reload()
    page.locator(".drop").wait_for()
    assert lightness(page.evaluate(PAPER)) > 0.8  # remembered
    switch.click()
    page.emulate_media(color_scheme="light")
    assert lightness(page.evaluate(PAPER)) < 0.2


@pytest.mark.parametrize("view", ["", "#/live", "#/models"])
def test_nothing_is_wider_than_a_phone(visit: Visit, view: str) -> None:
    page = visit(view, width=360)
    page.locator({"": ".drop", "#/live": ".hello", "#/models": ".model"}[view]).first.wait_for()
    assert page.evaluate(TOO_WIDE) <= 0


def test_a_result_fits_a_phone(analyzed: Visit) -> None:
    page = analyzed("two_people.mp4", width=360)
    assert page.evaluate(TOO_WIDE) <= 0
    second = page.get_by_role("button", name="Person 2")
    second.click()
    assert second.get_attribute("aria-pressed") == "true"
    # The player stays in sight while one scrolls to the timeline.
    page.locator(".timeline").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 200


def test_everything_can_be_reached_by_keys(visit: Visit) -> None:
    page = visit()
    page.locator(".drop").wait_for()
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
        ))  # fmt: skip
    assert reached[0] == "Skip to the content"
    for name in ("Analyze", "Live", "Models", "Theme: as the system", "Choose files"):
        assert name in reached
    assert "Words to analyze" in reached
    page.get_by_role("link", name="Models").focus()
    page.keyboard.press("Enter")
    page.locator(".model").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.get_by_role("link", name="Models").get_attribute("aria-current") == "page"


def test_every_control_has_a_name(visit: Visit) -> None:
    nameless = """[...document.querySelectorAll('button, input, select, textarea, a')]
      .filter((node) => !node.innerText.trim() && !node.ariaLabel && !node.labels?.length)
      .map((node) => node.outerHTML)"""
    for view, ready in (("", ".drop"), ("#/live", ".hello"), ("#/models", ".model")):
        page = visit(view)
        page.locator(ready).first.wait_for()
        assert page.evaluate(nameless) == []


def test_models_with_licences_and_limits(visit: Visit, server: Running) -> None:
    import httpx

    told = httpx.get(f"{server.url}/v1/models").json()
    page = visit("#/models")
    page.locator(".model").first.wait_for()
    shown = page.locator("main").inner_text()
    for model in told["models"]:
        assert model["id"] in shown
        if model["in_use"]:
            card = page.locator(".model", has_text=model["id"]).first
            assert model["licence"] in card.inner_text()
            folded = " ".join((card.text_content() or "").split())
            assert all(" ".join(note.split()) in folded for note in model["notes"])
    for sentence in told["limits"]:
        assert sentence in shown


def test_the_server_that_is_gone_is_told(visit: Visit) -> None:
    page = visit()
    page.locator(".drop").wait_for()
    page.context.set_offline(True)
    page.get_by_label("Words to analyze").fill("Hello there.")
    page.get_by_role("button", name="Analyze", exact=True).click()
    page.get_by_role("alert").filter(has_text="server").wait_for()
