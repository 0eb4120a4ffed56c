"""axe finds nothing serious on any page, in light and dark; everything is reached by keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.export.synthetic import pictures, timeline
from tests.viewer.conftest import Opened

from emofuse.export.html import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Page


def serious(page: Page) -> list[str]:
    """What axe calls serious or critical, a line each."""
    api = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    page.evaluate(
        "for (const part of [...document.querySelectorAll('details')].slice(0, 8)) part.open = true"
    )
    found = api.Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']} {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def sound(page: Page) -> bool:
    """Check a page in light and dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == [], scheme
    return True


def test_a_timeline_page(open_page: Opened, tmp_path: Path) -> None:
    write_report(timeline(24), tmp_path / "timeline.html", pictures(24))
    page = open_page(tmp_path / "timeline.html")
    page.locator(".editor > summary").click()
    page.keyboard.press("b")
    page.keyboard.press("r")
    assert sound(page)


@pytest.mark.parametrize(
    ("view", "there"), [("#/live", ".hello"), ("#/models", ".model"), ("#/observe", "form")]
)
def test_the_views(visit: Callable[..., Page], view: str, there: str) -> None:
    page = visit(view)
    page.locator(there).first.wait_for()
    assert sound(page)


def test_jobs_their_results_and_overview(analyzed: Callable[..., Page]) -> None:
    page = analyzed(words="What a wonderful day. I am so sad now.")
    assert sound(page)
    page.goto(page.url.replace("#/job/", "#/jobs/"))
    page.locator(".overview .said .shares").first.wait_for()
    assert sound(page)
    page.goto(page.url.partition("#")[0])
    page.locator(".jobs li").first.wait_for()
    assert sound(page)
