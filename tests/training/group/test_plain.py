"""The plain models of groups: faces, sound, and the weighted mean of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.cli.main import main
from emofuse.config.loader import Flag, read
from emofuse.face.detectors import make_detector
from emofuse.group.hybrid import HybridRecogniser
from emofuse.group.streams import Clip, Stream, read_clip
from emofuse.models.golden import read_golden, replay
from emofuse.models.registry import load
from emofuse.models.store import Store
from emofuse.training.face.task import FaceTrainer, FaceTraining
from emofuse.training.group.made import (
    SceneConfig,
    drawn_voices,
    faces_of_media,
    scenes,
    write_groupemow,
    write_vgaf,
)

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(scope="module")
def faces(media):
    paths = [media / n for n in ("portrait.jpg", "talking.mp4", "two_people.mp4")]
    return faces_of_media(paths, make_detector("compact", Store()))


@pytest.fixture(scope="module")
def photos(faces, tmp_path_factory):
    made = list(scenes(6, faces, {}, config=SceneConfig(people=(2, 4))))
    return write_groupemow(tmp_path_factory.mktemp("photos"), {"train": made, "val": made})


def trainer(root: Path, run: Path, **flags: object) -> FaceTrainer:
    given = {"data": root, "run": run, "batch": 4, **flags}
    as_text = {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}
    file = CONFIGS / "face-groupemow.yaml"
    return FaceTrainer(read(FaceTraining, file, {k: Flag("", v) for k, v in as_text.items()}))


def test_scenes_are_learned_face_by_face(photos, tmp_path):
    faces = trainer(photos, tmp_path)
    (learn,) = faces.train_samples
    boxes = [len(e.boxes) for e in learn.entries]
    assert [len(bag) for bag in learn.media] == boxes
    batch = next(iter(faces.batches([learn])(0, np.random.default_rng(0))))
    assert batch.inputs[0].shape == (4, 3, 96, 96)
    rows, owner = faces.validation_rows[0]
    assert len(rows) == sum(boxes)  # a picture's answer is the mean of its faces'
    assert np.bincount(owner).tolist() == boxes


def test_unmarked_faces_are_searched_for(photos, tmp_path):
    (photos / "faces.csv").rename(photos / "faces.txt")
    try:
        (learn,) = trainer(photos, tmp_path).train_samples
    finally:
        (photos / "faces.txt").rename(photos / "faces.csv")
    assert all(isinstance(bag, tuple) and len(bag) >= 1 for bag in learn.media)


def test_whole_pictures_can_be_learned(photos, tmp_path):
    (learn,) = trainer(photos, tmp_path, faces="crop").train_samples
    assert np.shape(learn.media) == (6, 96, 96, 3)


@pytest.mark.slow
def test_hybrid_mixes_faces_and_sound(faces, photos, tmp_path, capsys, monkeypatch):
    config = SceneConfig(people=(1, 2), seconds=1.0)
    made = list(scenes(6, faces, drawn_voices(), config=config))
    made[5] = next(scenes(1, faces, {}, seed=9, config=config))  # without sound
    clips = write_vgaf(tmp_path / "vgaf", {"Train": made, "Val": made})
    common = ["--epochs", "1", "--set", "batch=2"]

    def run(*words: object) -> Path:
        assert main(["train", *map(str, words)]) == 0
        return Path(capsys.readouterr().out.strip().splitlines()[-1])

    face = run(
        "face", "--config", CONFIGS / "face-groupemow.yaml", "--data", photos, "--net", "cnn4",
        "--set", "preparation={side: 32}", "--out", tmp_path / "face", *common,
    )  # fmt: skip
    heard = write_vgaf(tmp_path / "heard", {"Train": made[:5], "Val": made[:5]})
    voice = run(
        "speech", "--config", CONFIGS / "speech-vgaf.yaml", "--data", heard,
        "--out", tmp_path / "voice", *common,
    )  # fmt: skip
    card = run(
        "group", "--config", CONFIGS / "group-hybrid.yaml", "--data", clips,
        "--set", f"parts.face={face}", "--set", f"parts.speech={voice}",
        "--out", tmp_path / "hybrid",
    )  # fmt: skip

    monkeypatch.setenv("EMOFUSE_MODELS", str(card.parent))
    model = load("group-hybrid", Store())
    assert isinstance(model, HybridRecogniser)
    assert model.history == 5
    replay(model, read_golden(card.with_name("group-hybrid.golden.npz")))
    clip = read_clip(
        clips / "Train" / "1.mp4", model.preparation, make_detector("compact", Store())
    )
    row = model.prepare(clip)
    parts = {s: np.exp(x[0]) for s, x in model.stream_logits([row]).items()}
    mixed = 0.6 * parts[Stream.FACES] + 0.4 * parts[Stream.AUDIO]
    np.testing.assert_allclose(np.exp(model.logits([row])[0]), mixed, atol=1e-5)
    silent = model.prepare(Clip(faces=clip.faces))
    np.testing.assert_allclose(np.exp(model.logits([silent])[0]), parts[Stream.FACES], atol=1e-5)
