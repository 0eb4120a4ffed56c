"""`emofuse corpus` end to end, on tiny copies of corpora that are made here."""

from __future__ import annotations

import builtins
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.corpora import made

from emofuse.corpora import recipes
from emofuse.corpora.manifest import read


@pytest.fixture
def crema_d(tmp_path: Path) -> Path:
    """Three clips of three actors, one per split."""
    for clip in ("1001_DFA_ANG_XX", "1049_IEO_HAP_XX", "1048_IEO_SAD_HI"):
        made.sound(tmp_path / "crema" / "AudioWAV" / f"{clip}.wav")
    made.table(
        tmp_path / "crema" / "VideoDemographics.csv",
        "ActorID Age Sex Race",
        (1001, 51, "Male", "Caucasian"),
        (1048, 38, "Male", "Caucasian"),
    )
    return tmp_path / "crema"


def test_list_names_every_corpus(run: Any) -> None:
    done = run("corpus", "list")
    assert done.code == 0
    assert all(name in done.out for name in recipes.names())
    cards = json.loads(run("corpus", "list", "--json").out)
    assert [card["name"] for card in cards] == list(recipes.names())
    assert all(card["licence"] and card["layout"] for card in cards)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_list_fits_the_screen(run: Any, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, run("corpus", "list").out.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 80, 200])
def test_figures_fit_the_screen(
    run: Any, crema_d: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = run("corpus", "show", "crema-d", "--root", crema_d).out
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out  # nothing is cut off within a word
    assert ("Some columns have no room here" in out) == (width < 80)


def test_show_without_a_folder_tells_what_is_known(run: Any) -> None:
    done = run("corpus", "show", "emodb")
    assert done.code == 0
    assert "http://emodb.bilderbar.info/" in done.out
    assert "– (boredom is neither" in done.out
    card = json.loads(run("corpus", "show", "emodb", "--json").out)
    assert card["labellings"] == {"acted": "emodb"}


def test_prepare_writes_a_manifest_that_is_whole(run: Any, crema_d: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "crema.csv"
    done = run("corpus", "prepare", "crema-d", "--root", crema_d, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert "No problems were found." in done.out
    assert "3 samples; 3 speakers" in done.out
    assert read(out) == recipes.recipe("crema-d").load(crema_d)


def test_prepare_as_parquet(run: Any, crema_d: Path, tmp_path: Path) -> None:
    out = tmp_path / "crema.parquet"
    assert run("corpus", "prepare", "CREMA_D", "--root", crema_d, "--out", out).code == 0
    assert len(read(out)) == 3


def test_prepare_writes_into_the_working_folder_by_itself(
    run: Any, crema_d: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("corpus", "prepare", "crema-d", "--root", crema_d).code == 0
    assert len(read(tmp_path / "crema-d.csv")) == 3


def test_prepare_refuses_and_writes_nothing_unless_told_otherwise(
    run: Any, crema_d: Path, tmp_path: Path
) -> None:
    wav = crema_d / "AudioWAV"
    shutil.copy(wav / "1001_DFA_ANG_XX.wav", wav / "1001_DFA_DIS_XX.wav")
    (wav / "1002_DFA_DIS_XX.wav").touch()
    out = tmp_path / "m.csv"
    command = ("corpus", "prepare", "crema-d", "--root", crema_d, "--out", out)
    refused = run(*command)
    message = refused.failed_cleanly()
    assert "leave the samples out with --drop unreadable,conflicts" in message
    assert "accept them with --allow unreadable,conflicts" in message
    assert "conflicts: refused" in refused.out
    assert "1001_DFA_ANG_XX = 1001_DFA_DIS_XX" in refused.out
    assert not out.exists()
    done = run(*command, "--drop", "conflicts", "--allow", "unreadable")
    assert done.code == 0
    assert "conflicts: dropped" in done.out
    assert "unreadable: allowed" in done.out
    assert "3 samples; 3 speakers; 0.5 seconds; 2 dropped" in done.out
    assert [e.id for e in read(out)] == ["1002_DFA_DIS_XX", "1048_IEO_SAD_HI", "1049_IEO_HAP_XX"]


def test_an_existing_manifest_is_kept(run: Any, crema_d: Path, tmp_path: Path) -> None:
    out = made.text(tmp_path / "m.csv", "precious")
    command = ("corpus", "prepare", "crema-d", "--root", crema_d, "--out", out)
    assert "exists already" in run(*command).failed_cleanly()
    assert out.read_text() == "precious"
    assert run(*command, "--overwrite").code == 0
    assert len(read(out)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "--root", "."), "no corpus 'nothing'; there are affectnet"),
        (("tess",), "name the folder of tess with --root: expected sound files such as OAF"),
        (("tess", "--root", "."), "no tess in"),
        (("tess", "--root", "nowhere"), "there is no file or folder 'nowhere'"),
        (("kdef", "--root", ".", "--download"), "kdef is not downloaded: its makers give it out"),
        (("ravdess", "--root", ".", "--download"), "EMOFUSE_OFFLINE"),
        (("tess", "--root", ".", "--out", "m.xlsx"), "ends in .csv or .parquet"),
        (("tess", "--root", ".", "--allow", "all"), "--allow: got 'all', expected some of missing"),
        (("tess", "--root", ".", "--drop", "all"), "--drop: got 'all'"),
        (("tess", "--root", ".", "--set", "x"), "--set: expected NAME=VALUE, got 'x'"),
        (("tess", "--root", ".", "--set", "x=1"), "tess has no option 'x'"),
        (("tess", "--root", ".", "--labelling", "x"), "tess has no labelling 'x'; it has acted"),
        (("tess", "--root", ".", "--medium", "x"), "tess has no medium 'x'; it has audio"),
    ],
)
def test_what_prepare_cannot_do_is_said(
    run: Any,
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in run("corpus", "prepare", *arguments).failed_cleanly()
    assert not list(tmp_path.iterdir())


def test_ones_own_labels_need_a_place(run: Any, tmp_path: Path) -> None:
    made.sound(tmp_path / "mine" / "train" / "joy" / "a.wav")
    made.sound(tmp_path / "mine" / "test" / "boredom" / "b.wav")
    root, out = tmp_path / "mine", tmp_path / "m.csv"
    command = ("corpus", "prepare", "folder", "--root", root, "--out", out)
    assert "no place among the canonical labels for 'boredom'" in run(*command).failed_cleanly()
    labels = made.text(tmp_path / "map.toml", '[drop]\nboredom = "nobody models it"\n')
    done = run(*command, "--map", labels)
    assert done.code == 0
    assert "without a canonical label: boredom" in done.out


def test_show_counts_labels_lengths_and_speakers(run: Any, crema_d: Path) -> None:
    done = run("corpus", "show", "crema-d", "--root", crema_d)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["crema-d", "3", "samples,", "3", "speakers,", "0.8", "seconds"] in lines
    assert ["HAP", "happy", "0", "1", "0", "1", "33.3%"] in lines
    assert ["all", "samples", "1", "1", "1", "3"] in lines
    assert ["1001", "Male", "51", "Caucasian", "train", "1", "1"] in lines


def test_show_reads_a_manifest(run: Any, crema_d: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.csv"
    run("corpus", "prepare", "crema-d", "--root", crema_d, "--out", out)
    (crema_d / "AudioWAV" / "1001_DFA_ANG_XX.wav").unlink()
    figures = json.loads(run("corpus", "show", out, "--json").out)
    assert (figures["samples"], figures["splits"]["test"]) == (3, 1)
    assert figures["labels"]["SAD"]["canonical"] == {"sad": 1.0}
    assert figures["seconds"] == pytest.approx(0.5, abs=0.05)
    assert figures["problems"]["missing"]["count"] == 1
    assert [s["age"] for s in figures["speakers"]] == [51, 38, None]


def test_many_speakers_are_summed_up_by_group(run: Any, tmp_path: Path) -> None:
    splits = ("train", "test")
    rows = [(f"text {i}", "joy", f"p{i}", "fm"[i % 2], 20 + i, splits[i % 2]) for i in range(40)]
    made.table(tmp_path / "t.csv", "text label speaker sex age split", *rows)
    lines = [x.split() for x in run("corpus", "show", "csv", "--root", tmp_path).out.splitlines()]
    assert ["sex:", "f", "20", "0", "20", "20"] in lines
    assert ["age:", "20", "to", "29", "5", "5", "10", "10"] in lines
    assert ["all", "20", "20", "40", "40"] in lines


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_show_draws_a_picture(run: Any, crema_d: Path, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "pictures" / f"crema.{ending}"
    done = run("corpus", "show", "crema-d", "--root", crema_d, "--picture", picture)
    assert done.code == 0
    assert f"Picture: {picture}" in done.out
    if ending == "png":
        with Image.open(picture) as image:
            assert image.width > 3 * image.height  # three panels: labels, lengths, speakers
            assert len(image.convert("RGB").resize((400, 100)).getcolors(1 << 16) or ()) > 20
    assert picture.stat().st_size > 5000
    again = run("corpus", "show", "crema-d", "--root", crema_d, "--picture", picture)
    assert "exists already" in again.failed_cleanly()


def test_pictures_that_cannot_be_drawn(run: Any, crema_d: Path, tmp_path: Path) -> None:
    command = ("corpus", "show", "crema-d", "--root", crema_d, "--picture")
    assert "a picture ends in .png" in run(*command, tmp_path / "a.gif").failed_cleanly()
    (tmp_path / "file").touch()
    assert "cannot write" in run(*command, tmp_path / "file" / "a.png").failed_cleanly()
    unrooted = run("corpus", "show", "crema-d", "--picture", tmp_path / "a.png")
    assert "with --root to draw it" in unrooted.failed_cleanly()


def test_a_picture_without_matplotlib_names_the_extra(
    run: Any, crema_d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def without_matplotlib(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return usual(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    done = run("corpus", "show", "crema-d", "--root", crema_d, "--picture", tmp_path / "a.png")
    assert "emofuse[figure]" in done.failed_cleanly()
    assert done.out == ""


def test_a_manifest_that_is_none(run: Any, tmp_path: Path) -> None:
    assert "cannot read the manifest" in run("corpus", "show", tmp_path / "m.csv").failed_cleanly()
    path = made.table(tmp_path / "t.csv", "a b", (1, 2))
    assert "is no manifest" in run("corpus", "show", path).failed_cleanly()


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'cv2', 'av', 'pandas', 'matplotlib', 'numpy', 'pyarrow'}"
    code = (
        "import sys\nfrom emofuse.cli.main import main\n"
        f"main(['corpus', '--help'])\nprint('loaded:', {heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: set()"
