"""The site builds strictly, and holds what the program says of itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.docs.blocks import ROOT

import emofuse
from emofuse.cli.main import command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(out)]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_the_reference_is_the_programs_own(site: Path) -> None:
    commands = (site / "reference" / "cli.html").read_text("utf-8")
    assert all(f"emofuse {name}<" in commands for name in command().commands)
    names = (site / "reference" / "python.html").read_text("utf-8")
    assert all(name in names for name in emofuse.__all__ if not name.startswith("__"))
    rest = (site / "reference" / "rest.html").read_text("utf-8")
    assert "POST /v1/jobs" in rest
    assert 'id="timeline"' in rest
    assert '"Timeline"' in (site / "reference" / "openapi.json").read_text("utf-8")
    assert "face-v4" in (site / "reference" / "cards.html").read_text("utf-8")


def test_notebooks_were_run_and_their_plots_are_shown(site: Path) -> None:
    expected = {
        "explore-a-timeline": ("person-1", "contradiction", 2),
        "train-and-compare": ("train_accuracy", "net.widths=[4, 4, 8, 8]", 2),
        "fuse-and-calibrate": ("320 clips of 10 actors", "logpool, fitted", 1),
    }
    sources = {path.stem: path for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")}
    assert set(sources) == set(expected)
    for name, (*words, plots) in expected.items():
        held = json.loads(sources[name].read_text("utf-8"))
        assert not any(cell.get("outputs") for cell in held["cells"]), "kept without outputs"
        text = (site / "notebooks" / f"{name}.html").read_text("utf-8")
        assert all(word in text for word in words), name
        pictures = re.findall(r'<img[^>]+src="([^"]+\.png)"', text)
        assert len(pictures) >= plots
        assert all((site / "notebooks" / picture).stat().st_size > 2000 for picture in pictures)


def test_the_gallery_holds_pages_and_what_they_play(site: Path) -> None:
    for name in ("demo", "two_people"):
        page = site / "gallery" / "results" / name / "timeline.html"
        played = re.findall(r'"source":"([^"]+)"', page.read_text("utf-8"))
        assert [(page.parent / path).resolve().name for path in played] == [f"{name}.mp4"]
        assert all((page.parent / path).is_file() for path in played)
        assert f"gallery/results/{name}/timeline.html" in (site / "gallery.html").read_text("utf-8")


def test_nothing_is_fetched_from_elsewhere_and_every_link_leads_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        fetched = r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="https?://'
        assert not re.findall(fetched, text), page.name
        for target in re.findall(r'href="([^"#?]+)', text):
            if not re.match(r"[a-z]+:", target) and page.name != "404.html":
                assert (page.parent / unquote(target)).exists(), f"{page.name}: {target}"


def test_the_search_works_where_pages_are_opened_as_files(site: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no browser: install Debian's chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(90_000)
        page.goto((site / "tutorials" / "train.html").as_uri())
        page.click(".md-search__input")
        page.keyboard.type("calibrate")
        first = page.locator(".md-search-result__item a").first
        first.wait_for(state="attached")
        assert str(site) in str(first.get_attribute("href"))
        browser.close()
