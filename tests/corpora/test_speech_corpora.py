"""The recipes of CREMA-D and RAVDESS, on tables made here and on the real ones."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL
from emofuse.corpora.labels import load_map, soft_target
from emofuse.corpora.manifest import Manifest, Split
from emofuse.corpora.recipes import crema_d, ravdess
from emofuse.errors import InputError

CREMA_D = """\
clip,speaker,sex,sentence,emotion,split,voice_vote,conflicting_duplicate
1001_DFA_ANG_XX,1001,Male,DFA,ANG,train,A,0
1001_IEO_SAD_HI,1001,Male,IEO,SAD,train,N:S,0
1002_TSI_HAP_XX,1002,Female,TSI,HAP,validation,H,1
1003_WSI_FEA_XX,1003,Female,WSI,FEA,test,D:F:N,0
"""
RAVDESS = """\
clip,speaker,sex,statement,emotion,fold
03-01-01-01-01-01-01,1,Male,01,neutral,4
03-01-02-01-02-01-08,8,Female,02,calm,3
03-01-08-02-01-01-24,24,Female,01,surprised,3
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "crema-d.csv").write_text(CREMA_D, encoding="utf-8")
    (tmp_path / "ravdess.csv").write_text(RAVDESS, encoding="utf-8")
    return tmp_path


def test_crema_d(root: Path) -> None:
    first, *_, last = crema_d.load(root)
    assert first.labels == {"ANG": 1.0}
    assert first.split is Split.TRAIN
    assert first.speaker == "1001"
    assert first.text == "Don't forget a jacket."
    assert first.path == root / "crema-d" / "AudioWAV" / "1001_DFA_ANG_XX.opus"
    assert last.split is Split.TEST
    assert len(crema_d.load(root).without(crema_d.CONFLICTING)) == 3


def test_crema_d_votes_on_the_voice(root: Path) -> None:
    voted = crema_d.load(root, crema_d.Labelling.VOICE)
    assert [dict(e.labels) for e in voted] == [
        {"ANG": 1.0},
        {"NEU": 1.0, "SAD": 1.0},
        {"HAP": 1.0},
        {"DIS": 1.0, "FEA": 1.0, "NEU": 1.0},
    ]
    assert [e.id for e in voted] == [e.id for e in crema_d.load(root)]
    both = soft_target(voted.entries[1].labels, load_map("crema_d"))
    assert both[CANONICAL.index("neutral")] == both[CANONICAL.index("sad")] == 0.5


def test_ravdess(root: Path) -> None:
    first, calm, _ = ravdess.load(root, suffix=".wav")
    assert first.path == root / "ravdess" / "Actor_01" / "03-01-01-01-01-01-01.wav"
    assert first.fold == 4
    assert first.split is Split.TRAIN
    assert calm.split is Split.TEST
    target = soft_target(calm.labels, load_map("ravdess"))
    assert target[CANONICAL.index("neutral")] == 1


def test_what_a_corpus_lacks_is_unknown() -> None:
    assert _unknown("crema_d") == ["surprise", "contempt"]
    assert _unknown("ravdess") == ["contempt"]


def _unknown(name: str) -> list[str]:
    return [CANONICAL.labels[i] for i in np.flatnonzero(~load_map(name).covered)]


@pytest.mark.parametrize("recipe", [crema_d, ravdess])
def test_no_corpus_is_an_error_that_says_so(recipe: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the table"):
        recipe.load(tmp_path)  # type: ignore[attr-defined]


@pytest.mark.parametrize("recipe", [crema_d, ravdess])
def test_another_table_is_an_error(recipe: object, tmp_path: Path) -> None:
    for name in ("crema-d.csv", "ravdess.csv"):
        (tmp_path / name).write_text("clip,what\nx,y\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not the table"):
        recipe.load(tmp_path)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("recipe", "size", "speakers"),
    [
        (crema_d, (4573, 1476, 1392), (56, 18, 17)),
        (ravdess, (1140, 0, 300), (19, 0, 5)),
    ],
)
def test_the_real_tables(
    recipe: object, size: tuple[int, ...], speakers: tuple[int, ...], shared: Path
) -> None:
    """No speaker crosses a split, and the sizes are those of the protocol."""
    manifest: Manifest = recipe.load(shared)  # type: ignore[attr-defined]
    of = {split: manifest.of(split) for split in Split}
    assert tuple(len(of[s]) for s in Split) == size
    where: dict[str | None, set[Split]] = defaultdict(set)
    for entry in manifest:
        where[entry.speaker].add(entry.split)
    assert all(len(splits) == 1 for splits in where.values())
    assert tuple(len({e.speaker for e in of[s]}) for s in Split) == speakers
