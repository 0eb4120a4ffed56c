from __future__ import annotations

import builtins
import csv
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.corpora.manifest import Entry, Manifest, Split, read, save
from emofuse.errors import InputError, MissingExtra

MOODS = Taxonomy("moods", ("good", "bad"))


def one(**facts: Any) -> Manifest:
    return Manifest("c", MOODS, (Entry("1", **facts),))


# In memory


def test_parts_keep_the_order() -> None:
    entries = (
        Entry("1", labels={"good": 1}),
        Entry("2", split=Split.TEST, flags=frozenset({"blank"})),
        Entry("3", split=Split.TEST),
    )
    manifest = Manifest("c", MOODS, entries)
    assert [e.id for e in manifest.of(Split.TEST)] == ["2", "3"]
    assert [e.id for e in manifest.without("blank", "other")] == ["1", "3"]
    assert len(manifest.where(lambda e: "good" in e.labels)) == 1
    assert manifest.of(Split.TRAIN).taxonomy is MOODS


def test_equal_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="unique"):
        Manifest("c", MOODS, (Entry("1"), Entry("1")))


def test_foreign_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'1' has labels \['ugly'\]"):
        one(labels={"ugly": 1})


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"labels": {"good": 0}}, "> 0"),
        ({"labels": {"good": math.nan}}, "> 0"),
        ({"labels": {"good": math.inf}}, "> 0"),
        ({"scales": {"valence": math.nan}}, "finite"),
        ({"start": 2.0, "end": 2.0}, "no span"),
        ({"start": -0.1}, "no span"),
        ({"end": 0.0}, "no span"),
        ({"fold": -1}, "count from 0"),
        ({"flags": frozenset({"two words"})}, "single words"),
        ({"flags": frozenset({""})}, "single words"),
    ],
)
def test_what_cannot_be_is_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one(**facts)


def test_an_entry_needs_an_id() -> None:
    with pytest.raises(ValueError, match="needs an id"):
        Entry("")


def test_nothing_is_unknown() -> None:
    (entry,) = one(speaker="", sex="", text="", race="")
    assert (entry.speaker, entry.sex, entry.text, entry.race) == (None,) * 4


# On disk

words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12
)
names = st.text("abcDEF-_0189äß", min_size=1, max_size=8)
positive = st.floats(1e-300, 1e300)
some = st.none() | words


@st.composite
def entries(draw: st.DrawFn, labels: tuple[str, ...], number: int) -> Entry:
    start = draw(st.none() | st.floats(0, 1e6))
    length = draw(st.none() | st.floats(1e-3, 1e6))
    end = None if length is None else (start or 0.0) + length
    parts = draw(st.none() | st.lists(names, min_size=1, max_size=3))
    return Entry(
        id=f"{number} {draw(words)}",
        path=None if parts is None else Path("/", *parts),
        labels=draw(st.dictionaries(st.sampled_from(labels), positive, max_size=3)),
        split=draw(st.sampled_from(Split)),
        fold=draw(st.none() | st.integers(0, 99)),
        speaker=draw(some),
        sex=draw(some),
        text=draw(some),
        flags=draw(st.frozensets(names, max_size=2)),
        start=start,
        end=None if end is None or end <= (start or 0.0) else end,
        age=draw(st.none() | st.integers(0, 120)),
        race=draw(some),
        scales=draw(st.dictionaries(words, st.floats(-9, 9), max_size=2)),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    labels = tuple(draw(st.lists(words, min_size=1, max_size=4, unique=True)))
    taxonomy = Taxonomy(draw(words), labels, draw(st.booleans()))
    count = draw(st.integers(1, 3))
    rows = tuple(draw(entries(labels, number)) for number in range(count))
    return Manifest(draw(words), taxonomy, rows)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(manifest=manifests())
def test_what_is_saved_is_read_back_exactly(ending: str, manifest: Manifest) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"m{ending}"
        save(manifest, path)
        assert read(path) == manifest


def test_both_formats_hold_the_same_table(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    manifest = one(path=Path("/a.wav"), labels={"bad": 2.5}, age=31, text="Hi, you", fold=3)
    for ending in ("csv", "parquet"):
        save(manifest, tmp_path / f"m.{ending}")
    with (tmp_path / "m.csv").open(newline="") as f:
        (row,) = csv.DictReader(f)
    (same,) = pyarrow.read_table(tmp_path / "m.parquet").to_pylist()
    assert list(row) == list(same)
    assert row["label:bad"] == "2.5"
    assert (same["label:bad"], same["label:good"], same["age"]) == (2.5, None, 31)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_boxes_are_read_back(tmp_path: Path, ending: str) -> None:
    boxes = ((1.0, 2.5, 30.0, 40.0), (-3.0, 0.0, 7.25, 8.0))
    entries = Entry("a", boxes=boxes), Entry("b")
    path = tmp_path / f"table{ending}"
    save(Manifest("mine", CANONICAL, entries), path)
    assert [e.boxes for e in read(path)] == [boxes, ()]
    with pytest.raises(ValueError, match="boxes need a width and a height"):
        Entry("a", boxes=((0, 0, 0, 5),))


def test_votes_are_written_as_the_counts_they_are(tmp_path: Path) -> None:
    save(one(labels={"good": 7.0}), tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().splitlines()[1].endswith(",7,")


def test_media_beside_the_table_move_with_it(tmp_path: Path) -> None:
    manifest = one(path=tmp_path / "old" / "media" / "a.wav")
    save(manifest, tmp_path / "old" / "m.csv")
    (tmp_path / "old").rename(tmp_path / "new")
    (entry,) = read(tmp_path / "new" / "m.csv")
    assert entry.path == tmp_path / "new" / "media" / "a.wav"


def test_relative_paths_are_those_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    save(one(path=Path("a.wav")), tmp_path / "elsewhere" / "m.csv")
    (entry,) = read(tmp_path / "elsewhere" / "m.csv")
    assert entry.path == tmp_path / "work" / "a.wav"


def test_a_name_that_is_no_utf8_survives_csv(tmp_path: Path) -> None:
    manifest = one(path=Path("/media/caf\udce9.wav"))
    save(manifest, tmp_path / "m.csv")
    assert read(tmp_path / "m.csv") == manifest


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        save(one(), path)
    assert path.read_text() == "precious"
    save(one(), path, overwrite=True)
    assert read(path) == one()


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        save(one(), tmp_path / "file" / "m.csv")
    unwritable = one(text="lone \ud800 surrogate")
    for ending in ("csv", "parquet"):
        with pytest.raises(InputError, match="cannot write"):
            save(unwritable, tmp_path / f"m.{ending}")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_empty_manifest_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no entry of c is left"):
        save(Manifest("c", MOODS, ()), tmp_path / "m.csv")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv or \.parquet, got 'm\.xlsx'"):
        save(one(), tmp_path / "m.xlsx")
    with pytest.raises(InputError, match="ends in"):
        read(tmp_path / "m")


HEADER = "corpus,taxonomy,multi_label,id,path,split,fold,speaker,sex,age,race,start,end,text,flags"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        (f"{HEADER},label:good\n", "has no rows"),
        ("a,b\n1,2\n", "is no manifest: column 'label:…'"),
        (f"{HEADER},label:good\nc,m,0,1,,train\n", "row 1 has 6 cells, expected 16"),
        (f"{HEADER},label:good\nc,m,0,1,,weekday,,,,,,,,,,1\n", "'weekday' is not a valid Split"),
        (f"{HEADER},label:good\nc,m,0,1,,train,,,,,,,,,,much\n", "could not convert"),
        (f"{HEADER},label:good\nc,m,0,1,,train,,,,,,,,,,-1\n", "weights must be > 0"),
        (f"{HEADER},label:good\nc,m,0,,,train,,,,,,,,,,1\n", "empty cell in column 'id'"),
        (
            f"{HEADER},label:good\nc,m,0,1,,train,,,,,,,,,,1\nd,m,0,2,,train,,,,,,,,,,1\n",
            "mixes c and d",
        ),
    ],
)
def test_a_table_that_is_no_manifest_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as refused:
        read(path)
    assert str(path) in str(refused.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the manifest"):
        read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot read the manifest"):
        read(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="not Parquet"):
        read(tmp_path / "bad.parquet")


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def without_pyarrow(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return usual(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(MissingExtra, match=r"emofuse\[parquet\]"):
        save(one(), tmp_path / "m.parquet")
    assert not list(tmp_path.iterdir())
