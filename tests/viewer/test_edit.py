"""Putting right by hand on a page: by keys alone, saved, read back, and as Python does it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.export.synthetic import pictures, timeline
from tests.viewer.conftest import TIME, Opened, label, until

from emofuse.annotations import Annotations, apply, read_annotations
from emofuse.annotations.edits import (
    Confirm,
    Exclude,
    Mark,
    Merge,
    Name,
    Note,
    SetLabel,
    Split,
    Undo,
)
from emofuse.cli.main import main
from emofuse.core.estimates import LabelSource
from emofuse.export import html
from emofuse.export.html import write_report
from emofuse.export.json import write_json
from emofuse.export.summary import summarise, to_mapping
from emofuse.export.viewdata import view_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOUND = timeline(24)
ROWS = "[...document.querySelectorAll('.row h3')].map((node) => node.innerText)"
NASTY = "<img src=x onerror='window.pwned = 1'>=1+1"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    write_json(FOUND, tmp_path / "out/timeline.json")
    write_report(FOUND, tmp_path / "out/timeline.html", pictures(24))
    return tmp_path / "out"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def told(page: Page) -> str:
    return page.locator(".told").inner_text()


def editing(page: Page) -> Page:
    """Open the panel by keyboard."""
    page.locator(".editor > summary").focus()
    press(page, "Enter")
    page.locator(".slot-none, h1").first.click()
    return page


def test_it_is_done_by_keys_and_read_back(open_page: Opened, result: Path, tmp_path: Path) -> None:
    page = editing(open_page(result / "timeline.html"))
    press(page, "Home", "i", *["ArrowRight"] * 8, "o", "8")  # 0 to 4 s: contempt
    assert "Face 1 is contempt, 0:00.0 – 0:04.0" in told(page)
    press(page, "Home")
    assert label(page) == "contempt"
    assert page.locator(".verdict-sure").inner_text() == "by hand"
    press(page, "r")
    page.keyboard.type(NASTY)
    press(page, "Enter")
    assert page.evaluate(ROWS)[0] == NASTY
    press(page, *["ArrowRight"] * 16, "c", "b", "s")  # at 8 s: right as it is, a mark, a split
    assert "somebody else from 0:08.0 on" in told(page)
    assert page.evaluate(ROWS) == [NASTY, "Face 2", "Voice", "Face 3"]
    press(page, "z")
    assert page.evaluate(ROWS) == [NASTY, "Face 2", "Voice"]
    press(page, "Control+y")
    assert page.evaluate(ROWS) == [NASTY, "Face 2", "Voice", "Face 3"]
    assert "You and the machine agree on" in page.locator(".editor").inner_text()
    press(page, "n")
    page.keyboard.type("looks away")
    press(page, "Enter", "b")
    assert "mark at" in told(page)
    assert "note: looks away" in page.locator("[aria-label='Marks and notes']").inner_text()
    page.reload()  # nothing is lost
    assert page.evaluate(ROWS) == [NASTY, "Face 2", "Voice", "Face 3"]
    page.locator(".editor > summary").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save the edits").click()
    assert saving.value.suggested_filename == "Interview _1_.annotations.json"
    saving.value.save_as(tmp_path / "saved.json")
    assert page.evaluate("window.pwned") is None
    assert main(["annotate", str(result), "--apply", str(tmp_path / "saved.json")]) == 0
    edited = apply(FOUND, read_annotations(result / "annotations.json"))
    names = [p.name or str(p.subject) for p in summarise(edited).shown]
    assert names == [NASTY, "face-2", "face-3", "speaker-1"]
    assert [e.label for e in edited.fused if str(e.subject) == "face-1"][:8] == ["contempt"] * 8


def test_what_cannot_be_done_is_said(open_page: Opened, result: Path) -> None:
    page = editing(open_page(result / "timeline.html", width=390))
    press(page, "j")
    page.get_by_label("is the same as").select_option("face-2")
    press(page, "Enter")
    page.get_by_role("button", name="OK").click()
    assert "so they are two people" in told(page)
    press(page, "Home", "s")
    assert "nothing to split" in told(page)
    assert page.evaluate(ROWS) == ["Face 1", "Face 2", "Voice"]
    assert page.get_by_role("button", name="Undo (z)").is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_stretch_is_drawn_and_left_out(open_page: Opened, result: Path) -> None:
    page = editing(open_page(result / "timeline.html"))
    page.locator(".row canvas").first.scroll_into_view_if_needed()
    box = page.locator(".row canvas").first.bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 60, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 10, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert re.match(r"0:00\.\d – 0:0[4-7]", page.locator(".stretch").inner_text())
    press(page, "x")
    page.get_by_role("button", name="OK").click()
    press(page, "Home")
    assert label(page) == "nothing here"
    assert float(page.evaluate(TIME)) == 0


EDITS = [
    Name(subject="face-1", name="Anna"),
    SetLabel(subject="face-1", start=1, end=6.2, label="contempt"),
    Confirm(subject="face-2", start=8, end=15),
    Split(subject="face-1", at=5.1, into="face-3"),
    Split(subject="face-2", at=14, into="face-4"),
    Merge(subject="face-3", into="face-4"),
    Merge(subject="face-4", into="face-1"),
    Merge(subject="speaker-1", into="face-2"),
    Exclude(start=9.9, end=11.3),
    Exclude(start=0, end=1, subject="face-1"),
    Mark(at=3, text="here"),
    Note(start=2, end=4, text="hm", subject="face-9"),
    Name(subject="face-9", name="nobody"),
]


def run(page: Page, module: str, call: str, given: Any) -> Any:
    """Call a function of the viewer in a browser."""
    modules: dict[str, str] = {}
    html._collect(module, modules)
    return page.evaluate(f"(given) => {{ {''.join(modules.values())}; return {call}; }}", given)


def test_the_browser_does_what_python_does(browser: Browser) -> None:
    page = browser.new_page()
    for edits in (EDITS, [*EDITS, Undo(of=EDITS[3].id)], [*EDITS, Undo(of=EDITS[8].id)], EDITS[8:]):
        kept = Annotations.of(FOUND).with_edits(edits)
        there = run(
            page,
            "edits.js",
            "applyEdits(given.estimates, given.edits, ['face', 'speech', 'text'])",
            {"estimates": _plain(), "edits": [e.model_dump(mode="json") for e in kept.edits]},
        )
        here = apply(FOUND, kept)
        anew = {  # browsers do not fuse
            (e.span.start, str(e.subject))
            for e in here
            if e.source is LabelSource.HAND and not e.set_by_hand
        }
        rows = [
            (e["start"], e["subject"], e["modality"], e["label"], bool(e.get("hand")))
            for e in there["estimates"]
        ]
        wanted = [
            (e.span.start, str(e.subject), e.modality.value, e.label, e.set_by_hand) for e in here
        ]
        for some in (rows, wanted):
            some[:] = [r if r[:2] not in anew else (*r[:3], "", r[4]) for r in some]
        assert sorted(rows) == sorted(wanted)
        assert there["names"] == {str(s): name for s, name in here.names.items()}
        assert [(r["kind"], r["start"], r["text"]) for r in there["remarks"]] == [
            (r.kind.value, r.span.start, r.text) for r in here.remarks
        ]
        assert len(there["skipped"]) == sum(n.code == "edit-left-out" for n in here.notes)
    page.close()


def _plain() -> list[dict[str, Any]]:
    return [
        {
            "start": e.span.start,
            "end": e.span.end,
            "subject": str(e.subject),
            "modality": e.modality.value,
            "label": e.label,
            "quality": e.quality,
            "probabilities": dict(e.probabilities.items()),
        }
        for e in FOUND
    ]


def test_the_browser_says_what_python_says(browser: Browser) -> None:
    page = browser.new_page()
    for person in to_mapping(summarise(FOUND))["people"]:
        cells = [
            {
                "start": e.span.start,
                "end": e.span.end,
                "label": e.label,
                "confidence": e.confidence,
                "quality": e.quality,
                "uncertain": None,
            }
            for e in FOUND.fused
            if str(e.subject) == person["subject"]
        ]
        said = run(page, "brief.js", "brief(given, 24)", cells)
        assert said["says"] == person["says"]
        assert said["shares"] == pytest.approx(person["shares"], abs=1e-4)
    page.close()


def test_thousands_of_people_are_shown(open_page: Opened, tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.export.synthetic import face

    crowd = replace(
        FOUND,
        estimates=tuple(replace(FOUND.fused[0], subject=face(n)) for n in range(1, 3001)),
    )
    write_report(crowd, tmp_path / "crowd.html")
    page = editing(open_page(tmp_path / "crowd.html"))
    assert page.locator(".tabs button").count() == 12
    page.get_by_label("More people").select_option(label="Face 2000")
    press(page, "r")
    page.keyboard.type("Zoe")
    press(page, "Enter")
    assert "Face 2000 is called “Zoe”" in told(page)


def test_data_that_was_edited_already_is_only_shown() -> None:
    kept = Annotations.of(FOUND).with_edits(EDITS[:2])
    assert view_data(FOUND)["editable"]
    data = view_data(apply(FOUND, kept))
    assert not data["editable"]
    assert json.dumps(data["names"]) == '{"face-1": "Anna"}'


def test_two_editors_of_a_served_result_lose_nothing(
    analyzed: Callable[..., Page], visit: Callable[..., Page]
) -> None:
    first = analyzed(words="What a wonderful day. I am so sad now.")
    second = visit(first.url.partition("/#")[2].join(["#", ""]))
    second.locator(".result").wait_for()
    for page in (first, second):
        page.locator(".editor > summary").click()
        page.locator("h1").click()
    with first.expect_response(lambda response: response.request.method == "POST"):
        press(first, "8")
    press(second, "r")
    second.keyboard.type("Eve")
    press(second, "Enter")
    until(second, "document.querySelector('.told').textContent.startsWith('Somebody else')")
    assert "1 edit of theirs came before yours" in told(second)
    assert "2 edits" in second.locator(".editor > summary").inner_text()
    assert label(second) == "contempt"
    second.context.set_offline(True)
    press(second, "b")
    until(second, "document.querySelector('.told').textContent.startsWith('Not kept yet')")
    second.context.set_offline(False)
    second.reload()  # what the server did not get waits in the browser, and is brought to it
    second.locator(".editor > summary").click()
    second.get_by_text("All edits").click()
    until(second, "document.querySelectorAll('.edits li').length === 3")
    until(
        second,
        "JSON.parse(localStorage.getItem(Object.keys(localStorage)"
        ".find((key) => key.startsWith('waiting/')))).length === 0",
    )


def test_contradictions_are_marked_and_listed(open_page: Opened, tmp_path: Path) -> None:
    from dataclasses import replace

    def torn(e):
        if e.fusion is None or len(e.fusion.probabilities) < 2:
            return e
        return replace(e, fusion=replace(e.fusion, disagreement=0.8))

    write_report(replace(FOUND, estimates=tuple(map(torn, FOUND))), tmp_path / "torn.html")
    page = open_page(tmp_path / "torn.html")
    assert "contradiction" in page.locator(".legend").inner_text()
    listed = page.locator("details", has_text="contradictory stretches")
    listed.locator("summary").click()
    assert re.search(r"Face 1: face \w+, voice \w+", listed.inner_text())
