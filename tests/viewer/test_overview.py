"""The list of a batch, and the other pages to read, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.comparison.test_compare import START, recordings
from tests.export.synthetic import timeline
from tests.export.test_overview import person

from emofuse.comparison import compare
from emofuse.comparison.report import comparison_page
from emofuse.export.overview import Row, overview_page, row_of
from emofuse.export.report import report_page
from emofuse.export.summary import summarise


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert not faults


def names(page: Page) -> list[str]:
    rows = page.locator("#files tbody tr:visible td:first-child")
    return [text.split("\n")[0] for text in rows.all_inner_texts()]


def test_files_are_picked_by_what_is_wrong_with_them(page: Page, tmp_path: Path) -> None:
    rows = [
        row_of(summarise(timeline(24, path="good.mp4")), "good/timeline.html"),
        Row("brief.mp4", "video", 50.0, [person(0.5)], faceless=0.99),
        Row("broken.mp4", error="it is damaged"),
    ]
    path = tmp_path / "index.html"
    path.write_text(overview_page(rows, ["timeline.csv"]), encoding="utf-8")
    page.goto(path.as_uri())
    assert len(names(page)) == 3
    for flag, found in (
        ("failed", "broken.mp4"),
        ("brief", "brief.mp4"),
        ("faceless", "brief.mp4"),
    ):
        page.select_option("#flag", flag)
        assert names(page) == [found]
        assert page.locator("#shown").inner_text() == "1 of 3"
    page.select_option("#flag", "")
    page.select_option("#label", "neutral")
    assert names(page) == ["good.mp4"]
    page.select_option("#label", "")
    page.get_by_role("button", name="no face").click()
    page.get_by_role("button", name="no face").click()
    assert names(page)[0] == "brief.mp4"


def test_pages_fit_a_phone_and_run_nothing(page: Page, tmp_path: Path) -> None:
    pages = {
        "report": report_page(timeline(24)),
        "comparison": comparison_page(compare(recordings({"a": 6, "b": 6}), START)),
    }
    for name, text in pages.items():
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.locator("svg[role=img]").count() > 1
