"""A whole training on made clips: it learns them, goes on, and its model runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from emofuse.cli.main import main
from emofuse.config.loader import Flag, read
from emofuse.corpora import recipes
from emofuse.errors import InputError
from emofuse.face.detectors import make_detector
from emofuse.group.streams import Clip, Stream, read_clip
from emofuse.models.golden import read_golden, replay
from emofuse.models.registry import load
from emofuse.models.store import Store
from emofuse.training.group import GroupTraining
from emofuse.training.group.data import GroupData
from emofuse.training.group.made import (
    SceneConfig,
    drawn_voices,
    faces_of_media,
    scenes,
    write_groupemow,
    write_vgaf,
)

CONFIGS = Path(__file__).parents[3] / "configs"
MOODS = {"positive", "neutral", "negative"}


@pytest.fixture(scope="module")
def faces(media):
    paths = [media / n for n in ("portrait.jpg", "talking.mp4", "two_people.mp4")]
    return faces_of_media(paths, make_detector("compact", Store()))


@pytest.fixture(scope="module")
def clips(faces, tmp_path_factory):
    """Six clips, the last without sound; what is validated on is what is learned."""
    config = SceneConfig(people=(2, 3), seconds=1.0)
    made = list(scenes(6, faces, drawn_voices(), config=config))
    made[5] = next(scenes(1, faces, {}, seed=9, config=config))
    return write_vgaf(tmp_path_factory.mktemp("vgaf"), {"Train": made, "Val": made})


def settings(data: Path, run: Path, **more: object) -> GroupTraining:
    stages = {
        stage: Flag("", {"batch": 3, "net": net, "loop": loop})
        for stage in ("visual", "audio", "flow", "faces")
        for net in [{"blocks": [1, 1, 1, 1], "base": 8, "attention": stage == "visual"}]
        for loop in [{"epochs": 5, "lr": 0.02, "schedule": "step", "ema": 0, "bf16": False}]
    }
    flags = {
        "data": Flag("", str(data)),
        "run": Flag("", str(run)),
        "selection": Flag("", "even"),
        "preparation": Flag(
            "", {"keyframes": 4, "faces": 4, "flow_frames": 5, "resize": 36, "side": 32}
        ),
        "fusion.batch": Flag("", 3),
        "fusion.loop.epochs": Flag("", 10),
        **stages,
        **{key: Flag("", value) for key, value in more.items()},
    }
    return read(GroupTraining, CONFIGS / "group-small.yaml", flags)


def write(config_of, tmp_path: Path) -> Path:
    from emofuse.config.loader import to_mapping

    path = tmp_path / "group.yaml"
    path.write_text(yaml.safe_dump(to_mapping(config_of)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_training_learns_made_clips_and_its_model_runs(clips, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    file = write(settings(clips, run), tmp_path)
    assert main(["train", "group", "--config", str(file)]) == 0
    card_path = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert card_path == run / "model" / "group-small.toml"

    monkeypatch.setenv("EMOFUSE_MODELS", str(card_path.parent))
    store = Store()
    card = store.card("group-small")
    figures = {m.name: m.value for m in card.metrics}
    assert figures["accuracy"] == 1.0
    assert set(card.taxonomy.labels) == MOODS

    model = load("group-small", store)
    replay(model, read_golden(card_path.with_name("group-small.golden.npz")))
    detector = make_detector("compact", store)
    asked = []
    for k in range(1, 7):
        clip = read_clip(clips / "Train" / f"{k}.mp4", model.preparation, detector)
        asked.append(model.prepare(clip))
    answers = [p.probabilities.label for p in model.infer(asked)]
    assert answers == ["positive", "neutral", "negative", "positive", "neutral", "positive"]
    assert model.preparation.here(asked)[:, 1].tolist() == [True] * 5 + [False]

    # A stream alone is answered, a missing one is not run, and nothing at all is told.
    alone = model.stream_logits(asked)
    assert np.isnan(alone[Stream.AUDIO][5]).all()
    assert not np.isnan(alone[Stream.VISUAL]).any()
    photo = read_clip(clips / "Train" / "1.mp4", model.preparation, detector)
    photo = Clip(visual=photo.visual, faces=photo.faces)
    assert model.infer([model.prepare(photo)])[0].probabilities.label in MOODS
    with pytest.raises(InputError, match="nothing is there"):
        model.infer([model.prepare(Clip())])


def test_photos_train_two_streams_and_know_their_boxes(faces, tmp_path):
    made = list(scenes(3, faces, {}, config=SceneConfig(people=(1, 3))))
    root = write_groupemow(tmp_path / "photos", {"train": made, "val": made})
    manifest = recipes.recipe("groupemow").load(root)
    boxes = {e.id: e.boxes for e in manifest}
    assert len(boxes["train/Positive/1.jpg"]) == len(made[0].boxes)
    corpora = [{"name": "groupemow"}]
    data = GroupData(settings(root, tmp_path / "run", corpora=corpora))
    assert data.preparation.streams == (Stream.VISUAL, Stream.FACES)
    assert data.train[0].here.tolist() == [[True, False, False, True]] * 3


def test_clips_are_prepared_once(clips, tmp_path):
    config = settings(clips, tmp_path / "run")
    first = [p.samples.media for p in GroupData(config).train]
    times = [path.stat().st_mtime_ns for part in first for path in part]
    again = [p.samples.media for p in GroupData(config).train]
    assert again == first
    assert [path.stat().st_mtime_ns for part in again for path in part] == times
    first[0][0].write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"is damaged .*: remove it"):
        GroupData(config).train  # noqa: B018


def test_batches_that_do_not_fit_are_told(clips, tmp_path, capsys):
    config = settings(clips, tmp_path / "run", visual={"batch": 64})
    assert main(["train", "group", "--config", str(write(config, tmp_path))]) == 2
    assert "visual.batch: a batch needs 64 samples" in capsys.readouterr().err


def test_flags_of_the_loop_count_for_every_stage(clips, tmp_path, capsys):
    file = write(settings(clips, tmp_path / "run"), tmp_path)
    assert main(["train", "group", "--config", str(file), "--epochs", "0"]) == 2
    assert main(["train", "group", "--config", str(file), "--net", "resnet50"]) == 2
    assert "--net has no use in `emofuse train group`" in capsys.readouterr().err
