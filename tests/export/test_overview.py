from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.export.synthetic import timeline
from tests.export.test_html import NASTY, References

from emofuse.errors import InputError
from emofuse.export.overview import Row, overview_page, row_of, write_overview
from emofuse.export.palette import colours_of
from emofuse.export.summary import summarise


def rows() -> list[Row]:
    return [
        row_of(summarise(timeline(24)), "a #1 & b/timeline.html"),
        Row("<b>.txt", error=f"not media: {NASTY}"),
    ]


def test_results_and_errors_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    write_overview(rows(), path)
    page = path.read_text(encoding="utf-8")
    references = References(page)
    assert references.found == ["a%20%231%20%26%20b/timeline.html"]
    assert "img" not in references.tags
    assert "2 files, 0:24, 1 failed" in page
    assert "Face 1" in page
    assert "&lt;b&gt;.txt" in page
    assert "Expressions, not feelings" in page
    with pytest.raises(InputError, match="exists already"):
        write_overview(rows(), path)


def test_a_row_survives_a_journal() -> None:
    for row in rows():
        assert Row(**asdict(row)) == row
        assert overview_page([Row(**asdict(row))]) == overview_page([row])


def test_half_a_second_does_not_look_like_a_result() -> None:
    person = {
        "name": "Voice",
        "shares": {"fear": 1.0},
        "uncertain": 0.0,
        "present": 0.5,
        "coverage": 0.01,
        "confidence": 0.9,
        "quality": 1.0,
    }
    page = overview_page([Row("a.mp4", "video", 50.0, [person])])
    assert "too little to judge" in page
    assert 'class="extent" style="width:2.0%"' in page
    page = overview_page([Row("a.mp4", "video", 50.0, [person | {"present": 40, "coverage": 0.8}])])
    assert "too little to judge" not in page
    assert 'class="extent" style="width:80.0%"' in page


def test_certainty_is_weighted_by_time() -> None:
    person = {"name": "x", "shares": {}, "coverage": 1.0, "quality": 1.0}
    long = person | {"present": 30.0, "confidence": 0.8, "uncertain": 0.0}
    brief = person | {"present": 10.0, "confidence": 0.4, "uncertain": 1.0}
    row = Row("a.mp4", "video", 40.0, [long, brief])
    assert row.confidence == pytest.approx(0.7)
    assert row.uncertain == pytest.approx(0.25)
    assert Row("a.mp4").confidence is None


def test_moods_have_colours_of_their_own() -> None:
    assert colours_of(["negative"])["negative"] == colours_of(["positive", "negative"])["negative"]


def test_groups_have_columns_and_pictures() -> None:
    mood = {"label": "positive", "confidence": 0.8, "faces": 12.0, "read": 0.75, "dispersion": 0.31}
    group = Row("party.jpg", "image", 0.1, group=mood, picture="data:image/jpeg;base64,AAAA")
    page = overview_page([group, Row("broken.jpg", error="no picture")])
    for part in (">dispersion<", "<b>positive</b>", "80%", "75%", "0.31", 'src="data:image/jpeg'):
        assert part in page
    assert page.count("<td") == 2 * page.count('aria-sort="none"')
    assert 'data-label="positive"' in page
    assert ">dispersion<" not in overview_page([Row("a.mp4", "video", 50.0)])


def person(present: float, **more: object) -> dict[str, object]:
    told = {"name": "Voice", "shares": {"fear": 1.0}, "uncertain": 0.0, "coverage": 0.01}
    return {**told, "present": present, "confidence": 0.9, "quality": 1.0, **more}


def test_half_a_second_leads_nothing() -> None:
    brief = Row("a.mp4", "video", 50.0, [person(0.5)])
    page = overview_page([brief])
    assert 'data-label=""' in page
    assert "90%" not in page
    assert '<option value="brief">too little to judge (1)</option>' in page
    long = person(40.0, coverage=0.8, shares={"happy": 1.0})
    page = overview_page([Row("a.mp4", "video", 50.0, [person(0.5), long])])
    assert 'data-label="happy"' in page
    assert "too little to judge (1)" not in page


def test_faces_missed_and_everything_that_was_written(tmp_path: Path) -> None:
    made = timeline(24, people=1)
    summary = summarise(made)
    seen = sum(e.span.duration for e in made.modality("face"))
    assert summary.faceless == pytest.approx(1 - seen / 24)
    files = {"html": "a/timeline.html", "csv": "a/timeline.csv", "slots": "a/slots.csv"}
    page = overview_page([row_of(summary, "a/timeline.html", None, files)], ["summary.csv"])
    found = References(page).found
    assert found == ["summary.csv", "a/timeline.html", "a/timeline.csv", "a/slots.csv"]
    assert f">{summary.faceless:.0%}</td>" in page


def test_nobody_is_missed_where_nobody_is_looked_for() -> None:
    made = timeline(8)
    heard = {m: i for m, i in made.provenance.models.items() if m != "face"}
    sound = replace(made, provenance=replace(made.provenance, models=heard))
    assert summarise(sound).faceless is None
