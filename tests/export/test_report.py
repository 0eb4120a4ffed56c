"""The report: all of a timeline in words and strips, harmless and without scripts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.export.synthetic import timeline
from tests.export.test_html import NASTY, References

from emofuse.core.media import Diagnostic, MediaKind
from emofuse.core.time import Span
from emofuse.core.timeline import Remark, RemarkKind
from emofuse.errors import InputError
from emofuse.export.report import report_page
from emofuse.export.summary import describe, people_by_name, summarise


def test_everybody_everything_said_and_what_made_it() -> None:
    made = timeline(24, lines=("Good morning.",), notes=(Diagnostic("x", "It breaks off.", 5),))
    page = report_page(made)
    for person in people_by_name(summarise(made)):
        assert f"<h2>{person.name}</h2>" in page
        assert describe(person) in page
    assert page.count("<svg") == len(summarise(made).people)
    assert page.count("Good morning.") >= 1
    for told in ("It breaks off.", "face-v4", "Expressions, not feelings", "size: A4"):
        assert told in page


def test_what_was_put_down_by_hand_is_in_it() -> None:
    note = Remark(RemarkKind.NOTE, Span.of_seconds(1, 2), text="the door")
    page = report_page(replace(timeline(6), remarks=(note,)))
    assert "the door" in page


def test_names_and_words_run_nothing() -> None:
    page = report_page(timeline(12, path=f"dir/{NASTY}.mp4", lines=[NASTY]))
    references = References(page)
    assert not {"script", "img"} & set(references.tags)
    assert references.found == []


def test_pictures_and_nobody(tmp_path: Path) -> None:
    made = timeline(2, people=1, lines=())
    still = replace(made, media=replace(made.media, kind=MediaKind.IMAGE), duration_ns=0)
    assert "<h2>Face 1</h2>" in report_page(still)
    assert "<svg" not in report_page(still)
    empty = replace(made, estimates=())
    assert "No face, voice or words were found" in report_page(empty)
    empty.save(tmp_path / "report.html")
    with pytest.raises(InputError, match="exists already"):
        empty.save(tmp_path / "report.html")
    assert "emofuse · report" in (tmp_path / "report.html").read_text(encoding="utf-8")
