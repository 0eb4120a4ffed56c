"""One suite over all recipes, on tiny copies of the corpora in each documented layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.corpora import made
from tests.corpora.made import LAYOUTS, Layout

from emofuse.corpora import labels, recipes
from emofuse.corpora.manifest import Manifest, read, save
from emofuse.corpora.recipe import Download, Medium, Recipe
from emofuse.corpora.validate import check
from emofuse.errors import InputError

EVERY_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS, ids=str)
EVERY_RECIPE = pytest.mark.parametrize("name", recipes.names())
OWN = ("folder", "csv")
"""Recipes for data that only its owner knows."""


def load(layout: Layout, root: Path) -> Manifest:
    options = dict(layout.options)
    if "images" in options:
        options["images"] = str(root / options["images"])
    recipe = recipes.recipe(layout.recipe)
    return recipe.load(root, layout.labelling, layout.medium, **options)


@pytest.fixture
def loaded(layout: Layout, tmp_path: Path) -> Manifest:
    root = tmp_path / "corpus"
    root.mkdir()
    layout.build(root)
    return load(layout, root)


# Every layout


@EVERY_LAYOUT
def test_what_is_there_is_read(layout: Layout, loaded: Manifest) -> None:
    found = {e.id: (dict(e.labels), e.split.value, e.speaker) for e in loaded}
    wanted = {
        name: ({said: 1.0} if isinstance(said, str) else said, split, speaker)
        for name, (said, split, speaker) in layout.expected.items()
    }
    assert found == wanted


@EVERY_LAYOUT
def test_every_medium_can_be_opened_and_nothing_crosses(layout: Layout, loaded: Manifest) -> None:
    assert {finding.problem.value for finding in check(loaded).findings} == layout.problems


@EVERY_LAYOUT
def test_every_label_goes_somewhere_or_says_why_not(layout: Layout, loaded: Manifest) -> None:
    to = labels.map_of(loaded.taxonomy)
    assert set(to.weights) | set(to.dropped) == set(loaded.taxonomy.labels)
    for entry in loaded:
        kept = set(entry.labels) - set(to.dropped)
        assert labels.soft_target(entry.labels, to).sum() == pytest.approx(1.0 if kept else 0.0)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@EVERY_LAYOUT
def test_manifests_survive_the_disk(
    layout: Layout, loaded: Manifest, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"manifest{ending}"
    save(loaded, path)
    assert read(path) == loaded


@pytest.mark.parametrize("layout", [x for x in LAYOUTS if x.nestable], ids=str)
def test_a_corpus_may_lie_deeper(layout: Layout, tmp_path: Path) -> None:
    root = tmp_path / "data" / "copy of 2021"
    root.mkdir(parents=True)
    layout.build(root)
    (tmp_path / "data" / "__MACOSX").mkdir()
    (tmp_path / "data" / "__MACOSX" / "._dia0_utt0.mp4").touch()
    found = load(layout, tmp_path)
    assert [e.id for e in found] == [e.id for e in load(layout, root)]
    assert all(e.path is None or e.path.is_file() for e in found)


# Every recipe


@EVERY_RECIPE
def test_a_recipe_says_what_one_must_know(name: str) -> None:
    recipe = recipes.recipe(name)
    assert recipe.name == name
    assert len(recipe.title) > 20
    assert recipe.licence
    assert recipe.layout
    if name not in OWN:
        assert len(recipe.citation) > 60
        assert recipe.home.startswith(("https://", "http://"))
        assert recipe.labellings
    for taxonomy in recipe.labellings.values():
        assert labels.load_map(taxonomy).source == labels.taxonomy(taxonomy)


@EVERY_RECIPE
def test_every_recipe_is_tried_on_a_made_tree(name: str) -> None:
    assert any(layout.recipe == name for layout in LAYOUTS)


@EVERY_RECIPE
def test_another_folder_is_refused_with_the_layout_that_is_expected(
    name: str, tmp_path: Path
) -> None:
    recipe = recipes.recipe(name)
    with pytest.raises(InputError, match="there is no"):
        recipe.load(tmp_path / "nowhere")
    made.text(tmp_path / "holiday" / "notes.txt", "nothing of interest")
    with pytest.raises(InputError, match="expected") as refused:
        recipe.load(tmp_path)
    assert str(tmp_path) in str(refused.value)
    if name not in OWN:
        assert recipe.layout in str(refused.value)
        assert ("--download" in str(refused.value)) == bool(recipe.downloads)


@EVERY_RECIPE
def test_a_file_in_place_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    path = made.text(tmp_path / "corpus.zip", "not unpacked")
    with pytest.raises(InputError):
        recipes.recipe(name).load(path)


@EVERY_RECIPE
def test_what_a_recipe_does_not_know_is_refused(name: str, tmp_path: Path) -> None:
    recipe = recipes.recipe(name)
    with pytest.raises(InputError, match=rf"{name} has no labelling 'mine'"):
        recipe.load(tmp_path, "mine")
    with pytest.raises(InputError, match="has no medium 'smell'"):
        recipe.load(tmp_path, medium="smell")
    with pytest.raises(InputError, match="has no option 'speed'"):
        recipe.load(tmp_path, speed="9")


def test_names_are_found_however_they_are_written() -> None:
    assert recipes.recipe("CREMA_D") is recipes.recipe("crema-d")
    assert recipes.recipe("ck+") is recipes.recipe("ck-plus")
    assert recipes.recipe("RAFDB").name == "raf-db"
    with pytest.raises(InputError, match=r"no corpus 'iemocap'; there are affectnet, .*vgaf"):
        recipes.recipe("iemocap")


def test_recipes_load_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from emofuse.corpora import recipes; "
        "[recipes.recipe(n) for n in recipes.names()]; "
        "print({'torch', 'cv2', 'av', 'pandas', 'matplotlib', 'pyarrow', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_checksums_are_given_in_full() -> None:
    with pytest.raises(ValueError, match="in full"):
        Download("https://example.org/a.zip", "md5:123", "a.zip")
    with pytest.raises(ValueError, match="in full"):
        Download("https://example.org/a.zip", "0" * 32, "a.zip")


def test_an_incomplete_recipe_is_refused() -> None:
    tess = recipes.recipe("tess")
    with pytest.raises(ValueError, match="needs a licence"):
        replace(tess, licence="")


def test_the_manual_names_every_corpus_with_its_home() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
    for recipe in map(recipes.recipe, recipes.names()):
        assert f"`{recipe.name}`" in manual
        assert recipe.home in manual
        assert recipe.licence in manual


# Single facts


def test_ravdess_knows_its_actors(tmp_path: Path) -> None:
    made.ravdess(tmp_path)
    man, woman = sorted(recipes.recipe("ravdess").load(tmp_path), key=lambda e: e.speaker or "")
    assert (man.sex, man.fold, man.text) == ("Male", 4, "Kids are talking by the door.")
    assert (woman.sex, woman.fold, woman.text) == ("Female", 3, "Dogs are sitting by the door.")


@pytest.mark.parametrize(
    ("stem", "message"),
    [("03-01-09-01-01-01-01", "no label '09'"), ("03-01-05-01-01-01-25", "24 actors")],
)
def test_ravdess_refuses_names_that_cannot_be(tmp_path: Path, stem: str, message: str) -> None:
    made.text(tmp_path / f"{stem}.wav", "x")
    with pytest.raises(InputError, match=message):
        recipes.recipe("ravdess").load(tmp_path)


def test_ravdess_without_the_medium_that_is_asked_for(tmp_path: Path) -> None:
    made.sound(tmp_path / "03-01-05-01-01-01-01.wav")
    recipe = recipes.recipe("ravdess")
    assert len(recipe.load(tmp_path, medium=Medium.AUDIO)) == 1
    with pytest.raises(InputError, match="no ravdess in"):
        recipe.load(tmp_path, medium=Medium.VIDEO)


def test_crema_d_knows_its_actors_and_prefers_wav(tmp_path: Path) -> None:
    made.crema_d(tmp_path)
    first, second = recipes.recipe("crema-d").load(tmp_path)
    assert first.path == tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav"
    assert (first.age, first.sex, first.race) == (51, "Male", "Caucasian")
    assert (second.text, second.age) == ("It's eleven o'clock.", 38)


def test_crema_d_without_votes_says_where_they_would_be(tmp_path: Path) -> None:
    made.crema_d(tmp_path)
    with pytest.raises(InputError, match=r"no votes on CREMA-D .*tabulatedVotes\.csv"):
        recipes.recipe("crema-d").load(tmp_path, "face")


def test_clips_that_were_left_with_git_lfs_are_reported(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 73\n"
    made.text(tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav", pointer)
    made.sound(tmp_path / "AudioWAV" / "1048_IEO_SAD_HI.wav")
    (finding,) = check(recipes.recipe("crema-d").load(tmp_path)).findings
    assert finding.problem.value == "unreadable"
    assert finding.drop == {"1001_DFA_ANG_XX"}


def test_meld_misses_a_clip_that_is_not_there(tmp_path: Path) -> None:
    made.meld(tmp_path)
    (tmp_path / "train" / "train_splits" / "dia0_utt1.mp4").unlink()
    (finding,) = check(recipes.recipe("meld").load(tmp_path)).findings
    assert (finding.problem.value, finding.drop) == ("missing", {"train_dia0_utt1"})
    assert "train_splits/dia0_utt1.mp4" in finding.examples[0]


def test_meld_can_be_read_as_words_though_there_are_films(tmp_path: Path) -> None:
    made.meld(tmp_path)
    assert all(e.path is None for e in recipes.recipe("meld").load(tmp_path, medium="text"))


def test_meld_is_read_from_plain_tables_too(tmp_path: Path) -> None:
    text = 'dialogue,utterance,speaker,emotion,sentiment,text\n3,1,Joey,anger,negative,"No, no."\n'
    (tmp_path / "meld-dev.csv").write_text(text)
    (entry,) = recipes.recipe("meld").load(tmp_path)
    assert (entry.id, entry.text, entry.speaker) == ("validation_dia3_utt1", "No, no.", "Joey")
    assert dict(entry.labels) == {"anger": 1.0}


def test_meld_that_is_no_utf8_is_read_as_it_was_written(tmp_path: Path) -> None:
    made.meld_words(tmp_path)
    row = "1,That\x92s it,Joey,joy,positive,0,0\n".encode("latin-1")
    header = made.MELD_COLUMNS.replace(" ", ",").encode()
    (tmp_path / "train_sent_emo.csv").write_bytes(header + b"\n" + row)
    first, *_ = recipes.recipe("meld").load(tmp_path)
    assert first.text == "That’s it"


def test_affectnet_keeps_valence_and_arousal_where_it_has_them(tmp_path: Path) -> None:
    made.affectnet_tables(tmp_path)
    rated, unrated = recipes.recipe("affectnet").load(tmp_path)
    assert dict(rated.scales) == {"valence": 0.78, "arousal": -0.06}
    assert dict(unrated.scales) == {}


def test_affectnet_of_arrays_keeps_them_too(tmp_path: Path) -> None:
    made.affectnet_arrays(tmp_path)
    first, _ = recipes.recipe("affectnet").load(tmp_path)
    assert dict(first.scales) == {"valence": -0.5, "arousal": 0.25}


def test_affectnet_never_unpickles(tmp_path: Path) -> None:
    import numpy as np

    made.affectnet_arrays(tmp_path)
    path = tmp_path / "train_set" / "annotations" / "7_exp.npy"
    np.save(path, np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot read the annotation"):
        recipes.recipe("affectnet").load(tmp_path)


def test_raf_db_knows_the_people(tmp_path: Path) -> None:
    made.raf_db(tmp_path)
    first, second = recipes.recipe("raf-db").load(tmp_path)
    assert (first.sex, first.race) == ("female", "Caucasian")
    assert (second.sex, second.race) == (None, None)
    assert first.path is not None
    assert first.path.name == "train_00001_aligned.jpg"


def test_vgaf_refuses_codes_that_it_cannot_have(tmp_path: Path) -> None:
    made.vgaf(tmp_path)
    recipe = recipes.recipe("vgaf")
    with pytest.raises(InputError, match="an order of positive, neutral, negative"):
        recipe.load(tmp_path, codes="good,bad")
    made.text(tmp_path / "Val_labels.txt", "1_1 4\n")
    with pytest.raises(InputError, match=r"Val_labels\.txt, line 1: VGAF has no label '4'"):
        recipe.load(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"1_1 1\n1_2\n", r"line 2: expected NAME LABEL, got '1_2'"),
        (b"1_1 1\n1_1 3\n", "line 2: 1_1 has another label further up"),
        (b"Vid_name Label\n", "names no clip"),
        (b"1_1 \x00\x01\x02 1\n", "line 1: this is no text"),
        (b"\x8d\x81 1", "cannot read"),
    ],
)
def test_vgaf_refuses_a_damaged_table(tmp_path: Path, table: bytes, message: str) -> None:
    made.vgaf(tmp_path)
    (tmp_path / "Train_labels.txt").write_bytes(table)
    with pytest.raises(InputError, match=message):
        recipes.recipe("vgaf").load(tmp_path)


def test_groupemow_reads_where_the_faces_are(tmp_path: Path) -> None:
    made.groupemow(tmp_path)
    header = "image,left,top,width,height\n"
    rows = "train/Positive/1.jpg,1,2,10,12\nTRAIN/positive/1.JPG,20.5,2,9,11\n"
    made.text(tmp_path / "faces.csv", header + rows)
    recipe = recipes.recipe("groupemow")
    boxes = {e.id: e.boxes for e in recipe.load(tmp_path)}
    assert boxes["train/Positive/1.jpg"] == ((1, 2, 10, 12), (20.5, 2, 9, 11))
    assert boxes["val/Neutral/1.jpg"] == ()
    made.text(tmp_path / "faces.csv", header + rows + "val/Neutral/1.jpg,1,2,0,12\n")
    with pytest.raises(InputError, match=r"faces\.csv, line 4: expected the left, top, width"):
        recipe.load(tmp_path)
    made.text(tmp_path / "faces.csv", "image;left\n")
    with pytest.raises(InputError, match="it lacks the columns"):
        recipe.load(tmp_path)
    with pytest.raises(InputError, match=r"there is no boxes\.csv"):
        recipe.load(tmp_path, faces="boxes.csv")


def test_fer2013_pixels_need_a_folder_and_are_written_once(tmp_path: Path) -> None:
    from emofuse.corpora.recipes import fer2013

    made.fer2013_pixels(tmp_path)
    recipe = recipes.recipe("fer2013")
    with pytest.raises(InputError, match="--set images=DIR"):
        recipe.load(tmp_path)
    images = tmp_path / "images"
    manifest = recipe.load(tmp_path, images=str(images))
    assert fer2013.read_images(manifest).shape == (3, 48, 48)
    before = {path: path.stat().st_mtime_ns for path in images.iterdir()}
    assert recipe.load(tmp_path, images=str(images)) == manifest
    assert {path: path.stat().st_mtime_ns for path in images.iterdir()} == before
    assert sorted(p.name for p in images.iterdir()) == [f"fer000000{i}.png" for i in range(3)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("7", "1 2", "Training"), "no label '7'"),
        (("1", "1 2", "Training"), "expected 2304 pixels"),
        (("1", "0 " * 2304, "Elsewhere"), "Usage is one of"),
    ],
)
def test_a_broken_table_of_pixels_is_named(
    tmp_path: Path, row: tuple[str, ...], message: str
) -> None:
    made.table(tmp_path / "fer2013.csv", "emotion pixels Usage", row)
    with pytest.raises(InputError, match=message):
        recipes.recipe("fer2013").load(tmp_path, images=str(tmp_path / "images"))


def test_votes_without_their_table(tmp_path: Path) -> None:
    made.fer2013_folders(tmp_path)
    with pytest.raises(InputError, match=r"no votes of FER\+"):
        recipes.recipe("fer2013").load(tmp_path, "ferplus")


def test_a_folder_of_several_kinds_wants_a_choice(tmp_path: Path) -> None:
    made.sound(tmp_path / "joy" / "a.wav")
    made.picture(tmp_path / "joy" / "a.png")
    recipe = recipes.recipe("folder")
    with pytest.raises(InputError, match=r"several kinds \(image, audio\)"):
        recipe.load(tmp_path)
    assert [e.id for e in recipe.load(tmp_path, medium="image")] == ["joy/a.png"]


def test_ones_own_table_says_what_it_lacks(tmp_path: Path) -> None:
    recipe = recipes.recipe("csv")
    path = made.table(tmp_path / "my.csv", "file what", ("a.png", "joy"))
    with pytest.raises(InputError, match="neither a column 'path' nor 'text'"):
        recipe.load(tmp_path)
    with pytest.raises(InputError, match=r"no column 'label'.*it has file, what"):
        recipe.load(path, path="file")
    with pytest.raises(InputError, match="no column 'kind'"):
        recipe.load(path, path="file", label="kind")
    made.table(tmp_path / "other.csv", "x", ("1",))
    with pytest.raises(InputError, match=r"found my\.csv, other\.csv"):
        recipe.load(tmp_path, path="file", label="what")
    assert len(recipe.load(tmp_path, table="my.csv", path="file", label="what")) == 1


def test_ones_own_table_with_a_wrong_cell_names_the_line(tmp_path: Path) -> None:
    path = made.table(tmp_path / "my.csv", "text label split", ("a", "x", "train"), ("b", "x", "?"))
    with pytest.raises(InputError, match=r"my\.csv, line 3: '\?' is not a valid Split"):
        recipes.recipe("csv").load(path)


def test_stretches_of_one_recording_are_samples_of_their_own(tmp_path: Path) -> None:
    made.sound(tmp_path / "talk.wav", 2.0)
    rows = [("talk.wav", 0, 0.8, "joy", "train"), ("talk.wav", 0.8, 2.0, "sad", "test")]
    made.table(tmp_path / "my.csv", "path start end label split", *rows)
    manifest = recipes.recipe("csv").load(tmp_path)
    assert [(e.start, e.end) for e in manifest] == [(0.0, 0.8), (0.8, 2.0)]
    assert not check(manifest).findings


# The real corpora, where they are


def test_the_real_tables(shared: Path) -> None:
    sizes = {"crema-d": 7441, "ravdess": 1440}
    for name, size in sizes.items():
        manifest = recipes.recipe(name).load(shared)
        assert len(manifest) == size
    assert all(e.labels for e in recipes.recipe("crema-d").load(shared, "multimodal"))


def test_our_constants_are_those_of_the_real_tables(shared: Path) -> None:
    """Read from names, the corpora have the same splits and folds as in the tables."""
    from emofuse.corpora.recipes import crema_d, ravdess

    for entry in ravdess.load(shared):
        assert int(entry.speaker or 0) in ravdess.FOLDS[entry.fold or 0]
    for entry in crema_d.load(shared):
        split = crema_d.SPLIT_OF.get(entry.speaker or "", crema_d.Split.TRAIN)
        assert entry.split is split


def test_grouping_goemotions_here_is_the_makers_grouping(shared: Path, tmp_path: Path) -> None:
    """The published files, grouped, give what the folder ekman/ holds."""
    for grain in ("original", "ekman"):
        folder = shared / "goemotions" / grain
        (tmp_path / grain / grain).mkdir(parents=True)
        for name in ("dev.tsv", "test.tsv", "labels.txt"):
            (tmp_path / grain / grain / name).symlink_to(folder / name)
        (tmp_path / grain / grain / "train.tsv").touch()
    recipe = recipes.recipe("goemotions")
    ours = recipe.load(tmp_path / "original", "ekman")
    theirs = recipe.load(tmp_path / "ekman", "ekman")
    assert len(ours) == 5426 + 5427
    assert [(e.id, dict(e.labels)) for e in ours] == [(e.id, dict(e.labels)) for e in theirs]


def test_the_pinned_checksums_are_those_of_the_real_files(shared: Path) -> None:
    import hashlib

    recipe: Recipe = recipes.recipe("goemotions")
    for download in recipe.downloads:
        content = (shared / "goemotions" / "original" / download.path).read_bytes()
        assert download.checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"
