"""What is found in a corpus, what is refused, and what is left after dropping it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from tests.corpora import made

from emofuse.core.labels import Taxonomy
from emofuse.corpora.files import examine
from emofuse.corpora.manifest import Entry, Manifest, Split
from emofuse.corpora.recipes import recipe
from emofuse.corpora.validate import Finding, Problem, Report, check
from emofuse.errors import InputError

MOODS = Taxonomy("moods", ("good", "bad"))


def corpus(*entries: Entry) -> Manifest:
    held_back = Entry("held back", split=Split.TEST, labels={"good": 1, "bad": 1})
    return Manifest("mine", MOODS, (*entries, held_back))


def only(report: Report) -> Finding:
    (finding,) = report.findings
    return finding


def good(name: str, path: Path | None, split: Split = Split.TRAIN, **facts: object) -> Entry:
    return Entry(name, path, {"good": 1}, split=split, **facts)  # type: ignore[arg-type]


def bad(name: str, path: Path, split: Split = Split.TRAIN) -> Entry:
    return Entry(name, path, {"bad": 1}, split=split)


def test_a_sound_corpus_passes(tmp_path: Path) -> None:
    a, b = made.sound(tmp_path / "a.wav"), made.picture(tmp_path / "b.png")
    report = check(corpus(good("a", a), bad("b", b)))
    assert report.findings == report.notes == ()
    report.refuse()
    assert report.without([]) == report.manifest


def test_missing_media(tmp_path: Path) -> None:
    a = made.sound(tmp_path / "a.wav")
    report = check(corpus(good("a", a), good("b", tmp_path / "b.wav")))
    finding = only(report)
    assert (finding.problem, finding.count, finding.drop) == (Problem.MISSING, 1, {"b"})
    assert str(tmp_path / "b.wav") in str(finding)
    assert [e.id for e in report.without([Problem.MISSING])] == ["a", "held back"]


@pytest.mark.parametrize("name", ["a.wav", "a.mp4", "a.jpg", "a.opus"])
def test_empty_and_broken_media(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / name).touch()
    made.text(tmp_path / "broken" / name, "this is something else\n" * 20)
    entries = [good("e", tmp_path / "empty" / name), good("b", tmp_path / "broken" / name)]
    finding = only(check(corpus(*entries)))
    assert (finding.problem, finding.drop) == (Problem.UNREADABLE, {"e", "b"})
    assert f"{name}: it is empty" in str(finding)


def test_a_picture_that_breaks_off(tmp_path: Path) -> None:
    whole = made.picture(tmp_path / "whole.jpg", 200).read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    entries = [good(name, tmp_path / f"{name}.jpg") for name in ("whole", "half")]
    finding = only(check(corpus(*entries)))
    assert (finding.problem, finding.drop) == (Problem.UNREADABLE, {"half"})


def test_a_recording_without_a_single_packet(tmp_path: Path) -> None:
    whole = made.sound(tmp_path / "whole.wav").read_bytes()
    (tmp_path / "header.wav").write_bytes(whole[:44])
    finding = only(check(corpus(good("header", tmp_path / "header.wav"))))
    assert finding.problem is Problem.UNREADABLE


def test_duplicates_leave_the_copy_that_is_held_back(tmp_path: Path) -> None:
    a = made.sound(tmp_path / "a.wav")
    copies = [Path(shutil.copy(a, tmp_path / f"{name}.wav")) for name in "bc"]
    entries = [good("a", a), good("b", copies[0], Split.TEST), good("c", copies[1])]
    report = check(corpus(*entries))
    finding = only(report)
    assert (finding.problem, finding.count, finding.drop) == (Problem.DUPLICATES, 2, {"a", "c"})
    assert "1 of 1 contents cross splits" in finding.detail
    assert [e.id for e in report.without([Problem.DUPLICATES])] == ["b", "held back"]


def test_of_conflicting_copies_none_is_left(tmp_path: Path) -> None:
    a = made.picture(tmp_path / "a.png")
    b = Path(shutil.copy(a, tmp_path / "b.png"))
    report = check(corpus(good("a", a), bad("b", b)))
    finding = only(report)
    assert (finding.problem, finding.drop) == (Problem.CONFLICTS, {"a", "b"})
    assert [e.id for e in report.without([Problem.CONFLICTS])] == ["held back"]


def test_votes_conflict_only_if_their_majorities_do(tmp_path: Path) -> None:
    a = made.picture(tmp_path / "a.png")
    b = Path(shutil.copy(a, tmp_path / "b.png"))
    voted = [Entry("a", a, {"good": 7, "bad": 3}), Entry("b", b, {"good": 5})]
    assert only(check(corpus(*voted))).problem is Problem.DUPLICATES


def test_other_stretches_of_one_recording_are_no_duplicates(tmp_path: Path) -> None:
    a = made.sound(tmp_path / "a.wav", 1.0)
    stretches = [good("1", a, start=0.0, end=0.5), bad("2", a)]
    assert check(corpus(*stretches)).findings == ()
    again = [good("1", a, end=0.5), good("2", a, end=0.5)]
    assert only(check(corpus(*again))).problem is Problem.DUPLICATES


def test_texts_that_repeat_are_noted_and_not_refused() -> None:
    said = [good("1", None, text="thanks"), good("2", None, Split.TEST, text="thanks")]
    report = check(corpus(*said))
    assert report.findings == ()
    assert report.notes == ("1 texts repeat another; 1 of them occur in more than one split",)


def test_speakers_in_two_splits() -> None:
    entries = [
        good("1", None, speaker="Anna"),
        good("2", None, Split.TEST, speaker="Anna"),
        good("3", None, speaker="Ben"),
    ]
    finding = only(check(corpus(*entries)))
    assert (finding.problem, finding.count, finding.examples) == (Problem.SPEAKERS, 1, ("Anna",))
    assert finding.detail == "of 2 speakers"


def test_speakers_in_two_folds() -> None:
    entries = [good("1", None, speaker="Anna", fold=0), good("2", None, speaker="Anna", fold=1)]
    finding = only(check(Manifest("mine", MOODS, tuple(entries))))
    assert finding.problem is Problem.SPEAKERS


@pytest.mark.parametrize(
    ("entries", "empty"),
    [
        ([good("1", None)], None),
        ([good("1", None, fold=0)], ("validation and test",)),
        ([good("1", None, Split.TEST)], ("train",)),
        ([good("1", None, fold=0), good("2", None, fold=3)], ("fold 1", "fold 2")),
        ([good("1", None, fold=0), good("2", None, fold=1)], None),
        ([good("1", None), good("2", None, Split.VALIDATION)], None),
    ],
)
def test_splits_that_hold_nothing(entries: list[Entry], empty: tuple[str, ...] | None) -> None:
    report = check(Manifest("mine", MOODS, tuple(entries)))
    assert (only(report).examples if report.findings else None) == empty


def test_what_nobody_labelled_is_noted() -> None:
    report = check(corpus(Entry("1"), Entry("2", split=Split.TEST)))
    assert report.notes[0] == "2 samples have no label: nobody gave them one"
    unused = check(Manifest("mine", MOODS, (good("1", None), good("2", None, Split.TEST))))
    assert unused.notes == ("no sample is labelled bad",)


def test_what_nobody_split_is_noted() -> None:
    report = check(Manifest("mine", MOODS, (good("1", None), good("2", None))))
    assert not report.findings
    assert any("neither splits nor folds" in note for note in report.notes)


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(InputError, match="the corpus mine is empty"):
        check(Manifest("mine", MOODS, ()))


def test_the_refusal_names_everything_and_the_ways_out(tmp_path: Path) -> None:
    entries = [
        good("1", tmp_path / "none.wav", speaker="Anna"),
        good("2", None, Split.TEST, speaker="Anna"),
    ]
    report = check(corpus(*entries))
    with pytest.raises(InputError) as refused:
        report.refuse()
    first, *rest = str(refused.value).splitlines()
    assert "--drop missing, or accept them with --allow missing,speakers" in first
    assert [line.split(":")[0] for line in rest] == ["missing", "speakers"]
    with pytest.raises(InputError, match="--allow speakers"):
        report.refuse([Problem.MISSING])
    report.refuse([Problem.MISSING, Problem.SPEAKERS])


def test_speakers_cannot_be_dropped() -> None:
    with pytest.raises(InputError, match="--drop cannot mend speakers"):
        check(corpus(good("1", None))).without([Problem.SPEAKERS])


def test_dropping_everything_is_an_error(tmp_path: Path) -> None:
    lost = [good("1", tmp_path / "1.wav"), good("2", tmp_path / "2.wav", Split.TEST)]
    with pytest.raises(InputError, match="nothing of mine is left"):
        check(Manifest("mine", MOODS, tuple(lost))).without([Problem.MISSING])


# The media themselves


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "opus", "ogg", "m4a"])
def test_sounds_have_a_length(tmp_path: Path, ending: str) -> None:
    path = made.sound(tmp_path / f"a.{ending}", 1.0)
    facts = examine([path])[path]
    assert facts.fault == ""
    assert facts.seconds == pytest.approx(1.0, abs=0.1)
    assert facts.bytes == path.stat().st_size


@pytest.mark.parametrize("ending", ["mp4", "flv", "avi", "mkv"])
def test_films_have_a_length(tmp_path: Path, ending: str) -> None:
    path = made.film(tmp_path / f"a.{ending}", frames=10, rate=10)
    facts = examine([path])[path]
    assert facts.fault == ""
    assert facts.seconds == pytest.approx(1.0, abs=0.15)


def test_progress_counts_each_file_once(tmp_path: Path) -> None:
    a, b = made.picture(tmp_path / "a.png"), tmp_path / "none.png"
    seen: list[tuple[int, int]] = []
    facts = examine([a, b, a], lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert facts[a].seconds is None
    assert facts[b].missing


# The real corpora, where they are


def test_the_known_copies_of_the_real_corpora_are_found(shared: Path, tmp_path: Path) -> None:
    """RAVDESS repeats one clip of actor 7; CREMA-D has three contents under two labels."""
    wanted = {
        "ravdess.tar": lambda name: "/Actor_07/" in name,
        "crema-d.tar": lambda name: Path(name).name.startswith(("1006_TIE", "1013_WSI")),
    }
    for archive, is_wanted in wanted.items():
        with tarfile.open(shared / archive) as tar:
            for member in tar:
                if member.isfile() and is_wanted(f"/{member.name}"):
                    path = tmp_path / Path(archive).stem / Path(member.name).name
                    path.parent.mkdir(exist_ok=True)
                    source = tar.extractfile(member)
                    assert source is not None
                    path.write_bytes(source.read())
    spoken = check(recipe("ravdess").load(tmp_path / "ravdess"))
    same = next(f for f in spoken.findings if f.problem is Problem.DUPLICATES)
    assert same.examples == ("03-01-03-01-02-01-07 = 03-01-03-01-02-02-07",)
    acted = check(recipe("crema-d").load(tmp_path / "crema-d"))
    conflicts = next(f for f in acted.findings if f.problem is Problem.CONFLICTS)
    assert conflicts.drop == {e.id for e in acted.manifest if "conflicting_duplicate" in e.flags}
    assert len(conflicts.drop) == 4
