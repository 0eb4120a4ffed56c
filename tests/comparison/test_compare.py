"""Groups compared: what is measured, how sure it is, and when there are too few people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.export.synthetic import timeline
from tests.export.test_html import NASTY, References

from emofuse.cli.main import main
from emofuse.comparison import compare, read_groups
from emofuse.comparison.groups import Recording
from emofuse.comparison.measures import MEASURES, Alignment, course, measure
from emofuse.comparison.report import comparison_page, write_comparison
from emofuse.comparison.statistics import Comparison, effect_size
from emofuse.core.estimates import Modality, Probabilities
from emofuse.core.labels import CANONICAL
from emofuse.core.timeline import Timeline
from emofuse.errors import InputError
from emofuse.export.json import write_json

START = Alignment(None, 0.0, 8.0, 1.0)


def happier(made: Timeline, by: float) -> Timeline:
    """Shift a part of every fused probability to happy."""
    top = np.eye(8)[CANONICAL.index("happy")]
    return replace(
        made,
        estimates=tuple(
            replace(
                e,
                probabilities=Probabilities(
                    CANONICAL, (1 - by) * e.probabilities.values + by * top
                ),
            )
            if e.modality is Modality.FUSED
            else e
            for e in made
        ),
    )


def recordings(counts: dict[str, int], by: float = 0.3, **more: str) -> list[Recording]:
    found = []
    for number, (group, count) in enumerate(counts.items()):
        for i in range(count):
            made = happier(timeline(8, people=1, seed=10 * number + i), by * number)
            name = f"{group}-{i}"
            found.append(Recording(Path(name), group, more.get("participant") or name, "", made))
    return found


def of(found: Comparison, name: str):
    return next(d for d in found.differences if d.measure == name)


def test_a_recording_is_measured_by_time() -> None:
    made = timeline(8, people=1, lines=())
    measured = measure(Recording(Path("a"), "g", "a", "face-1", made))
    values = dict(zip(MEASURES, measured.values, strict=True))
    row = made.summary().set_index("person").loc["face-1"]
    assert values["share happy"] == pytest.approx(row.share_happy)
    assert values["mean sad"] == pytest.approx(row.mean_sad, abs=1e-6)
    assert values["transitions per minute"] == pytest.approx(row.transitions_per_minute)
    assert measured.seconds == pytest.approx(row.present)
    assert np.isnan(values["valence"])
    with pytest.raises(InputError, match="no person 'Anna'"):
        measure(Recording(Path("a"), "g", "a", "Anna", made))


def test_differences_have_intervals_and_effect_sizes() -> None:
    found = compare(recordings({"a": 8, "b": 7}), START)
    happy = of(found, "mean happy")
    a, b = (g.values[:, MEASURES.index("mean happy")] for g in found.groups)
    assert happy.difference == pytest.approx(b.mean() - a.mean())
    expected = stats.bootstrap(
        (b, a), lambda y, x, axis: y.mean(axis) - x.mean(axis), method="percentile", rng=1
    ).confidence_interval
    np.testing.assert_allclose(happy.interval, expected, atol=0.02)
    pooled = np.sqrt((7 * a.var(ddof=1) + 6 * b.var(ddof=1)) / 13)
    assert happy.effect == pytest.approx((b.mean() - a.mean()) / pooled * (1 - 3 / 51))
    assert happy.clear
    assert not happy.paired
    assert any("a has 8 participants: with fewer than 10" in w for w in found.warnings)


def test_alike_groups_do_not_differ_clearly() -> None:
    found = compare(recordings({"a": 12, "b": 12}, by=0.0), START)
    assert sum(d.clear for d in found.differences) <= 4
    assert of(found, "mean happy").interval is not None


def test_nothing_varies() -> None:
    same = np.ones((1, 6))
    assert np.isnan(effect_size(same, 2 * same, False)).all()


@pytest.mark.parametrize(
    ("count", "told"), [(1, "says nothing of anybody else"), (3, "too few for intervals")]
)
def test_too_few_people_get_no_interval(count: int, told: str) -> None:
    found = compare(recordings({"a": count, "b": 8}), START)
    assert {d.interval for d in found.differences} == {None}
    assert any(told in w for w in found.warnings)
    assert told in comparison_page(found)


def test_recordings_of_one_participant_are_no_sample() -> None:
    found = compare(recordings({"a": 6, "b": 6}, participant="Eve"), START)
    assert [len(g.participants) for g in found.groups] == [1, 1]
    assert of(found, "share happy").interval is None


def test_the_same_participants_are_compared_with_themselves() -> None:
    both = [replace(r, participant=r.path.name[-1]) for r in recordings({"a": 6, "b": 6})]
    happy = of(compare(both, START), "mean happy")
    assert happy.paired
    change = [
        measure(b).values[MEASURES.index("mean happy")]
        - measure(a).values[MEASURES.index("mean happy")]
        for a, b in zip(both[:6], both[6:], strict=True)
    ]
    assert happy.difference == pytest.approx(np.mean(change))
    assert happy.effect == pytest.approx(np.mean(change) / np.std(change, ddof=1) * (1 - 3 / 19))


def test_moments_of_no_length_are_left_out() -> None:
    some = recordings({"a": 2, "b": 2})
    brief = replace(some[0], timeline=some[0].timeline.between(0, 1))
    found = compare([brief, *some[1:]], START)
    assert any("is left out: " in w for w in found.warnings)
    assert found.groups[0].recordings == 1


def test_courses_are_aligned_to_markers() -> None:
    made = timeline(12, people=1, lines=()).person("face-1")
    measured = measure(Recording(Path("a"), "g", "a", "", made))
    aligned = course(measured, Alignment({"a": (4.0,)}, 1.0, 2.0, 0.5))
    slots = {e.span.start: e.probabilities.values for e in made.fused}
    for k, start in enumerate(np.arange(3, 6, 0.5)):
        if start in slots:
            np.testing.assert_allclose(aligned[k], slots[start], atol=1e-6)
        else:
            assert np.isnan(aligned[k]).all()
    assert np.isnan(course(measured, Alignment({}, 1.0, 2.0, 0.5))).all()


def test_tables_and_page_hold_the_same(tmp_path: Path) -> None:
    found = compare(recordings({NASTY: 6, "=b": 5}), START)
    write_comparison(found, tmp_path)
    table = pd.read_csv(tmp_path / "differences.csv")
    assert table.difference.to_numpy() == pytest.approx(
        [d.difference for d in found.differences], abs=1e-6
    )
    assert set(table.group_b) == {"'=b"}
    assert len(pd.read_csv(tmp_path / "participants.csv")) == 11
    courses = pd.read_csv(tmp_path / "courses.csv")
    assert len(courses) == 16
    assert courses.participants.max() == 6
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert not {"script", "img"} & set(References(page).tags)
    assert "Expressions, not feelings" in page
    assert f"{of(found, 'share happy').difference:+.3f}" in page
    with pytest.raises(InputError, match="exists already"):
        write_comparison(found, tmp_path)


# ---------------------------------------------------------------- the command


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for i in range(4):
        made = timeline(6, people=1, seed=i, path=f"films/{i}.mp4")
        write_json(made, tmp_path / "results" / f"r{i}" / "timeline.json")
    return tmp_path / "results"


def test_a_table_says_who_belongs_where(results: Path, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("file;group;participant\n0.mp4;a;Ann\nr1;a;Ann\n2;b;Bob\nr3;b;\n")
    found = read_groups([results], table)
    assert [(r.group, r.path.parent.name) for r in found] == [
        *(("a", "r0"), ("a", "r1"), ("b", "r2"), ("b", "r3"))
    ]
    assert found[0].participant == found[1].participant == "Ann"
    markers = tmp_path / "markers.csv"
    markers.write_text("file,time\n0.mp4,2\n2.mp4,3\n")
    out = tmp_path / "out"
    args = ["compare", str(results), "--groups", str(table), "--markers", str(markers)]
    assert main([*args, "--out", str(out), "--after", "3", "-q"]) == 0
    assert pd.read_csv(out / "courses.csv").start.min() == -5


def test_files_and_folders_are_groups(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["compare", str(results / "r0"), str(results / "r1"), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "r0 has 1 participant" in told.err
    assert str(out / "comparison.html") in told.out


@pytest.mark.parametrize(
    ("table", "more", "told"),
    [
        ("file\n0.mp4\n", [], "expected a table with the columns file, group; got file"),
        ("file,group\n9.mp4,a\n", [], "line 2: no result of '9.mp4'"),
        ("file,group\n0.mp4,\n", [], "line 2: the group is missing"),
        ("file,group\n0.mp4,a\n", [], "at least two groups, got a"),
        ("file,group\n0.mp4,a\n1.mp4,b\n", ["--align", "marks"], "none of the results has a mark"),
        ("file,group\n0.mp4,a\n1.mp4,b\n", ["--align", "end"], "expected start or marks"),
    ],
)
def test_mistakes_are_told(
    table: str,
    more: list[str],
    told: str,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(table)
    args = ["compare", str(results), "--groups", str(path), "--out", str(tmp_path / "o"), *more]
    assert main(args) == 2
    assert told in capsys.readouterr().err
