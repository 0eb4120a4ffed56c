"""The detector's training: assignment, losses, the loop, the export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from emofuse.corpora.manifest import Split
from emofuse.errors import InputError, ModelError
from emofuse.face.detect import CompactConfig, CompactDetector
from emofuse.models.runtime import Session
from emofuse.training.core.loop import BEST, METRICS, LoopConfig, Optimizer
from emofuse.training.detector import (
    DetectorLossConfig,
    DetectorTraining,
    Faces,
    boxes,
    targets,
    trainer,
)
from emofuse.training.detector import data as data
from emofuse.training.detector import export as exporting
from emofuse.training.detector.data import SceneBatch
from emofuse.training.detector.net import DetectorNet, DetectorNetConfig
from emofuse.training.detector.photos import COLUMNS, split_of
from emofuse.training.detector.scenes import SceneConfig
from emofuse.training.detector.teacher import Teacher

pytestmark = pytest.mark.slow  # trains nets


SMALL = DetectorNetConfig(widths=(16, 16, 16, 16), blocks=(0, 1, 1, 1), features=16)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def batch_of(*faces: tuple[float, float, float, float], taught: bool = True) -> SceneBatch:
    """One scene of 128 × 128 with faces whose landmarks all lie at their centres."""
    rows = [[x, y, w, h, *[x + w / 2, y + h / 2] * 5] for x, y, w, h in faces]
    there = torch.ones((1, len(faces)), dtype=torch.bool)
    pixels = torch.zeros((1, 128, 128, 3), dtype=torch.uint8)
    return SceneBatch(pixels, torch.tensor([rows]), there, there & taught)


def maps_of(batch: SceneBatch, overlap: float = 1.0) -> list[torch.Tensor]:
    """What a net would answer whose every cell draws the first face, `overlap` as wide."""
    x, y, w, h = batch.faces[0, 0, :4].tolist()
    maps = []
    for stride in (8, 16, 32):
        n = 128 // stride
        grid = torch.zeros((1, 15, n, n))
        centres = (torch.arange(n) + 0.5) * stride
        grid[0, 3] = np.log(w * overlap / stride)
        grid[0, 4] = np.log(h / stride)
        for k in range(5, 15):
            towards = (x + w / 2 - centres)[None] if k % 2 else (y + h / 2 - centres)[:, None]
            grid[0, k] = towards / stride
        grid[0, 1] = ((x + w / 2 - centres) / stride)[None]
        grid[0, 2] = ((y + h / 2 - centres) / stride)[:, None]
        maps.append(grid)
    return maps


def test_cells_say_pixels() -> None:
    batch = batch_of((40, 30, 32, 48))
    cells = targets.decode(maps_of(batch))
    assert cells.boxes.shape == (1, 16 * 16 + 8 * 8 + 4 * 4, 4)
    for box in cells.boxes[0]:
        assert box.tolist() == pytest.approx([40, 30, 72, 78], abs=1e-3)
    assert cells.points[0, -1].flatten().tolist() == pytest.approx([56, 54] * 5, abs=1e-3)


def test_only_cells_on_the_face_answer_for_it() -> None:
    batch = batch_of((40, 30, 32, 48))
    cells = targets.decode(maps_of(batch))
    assigned = targets.assign(cells, batch, DetectorLossConfig(cells=9))
    mine = (assigned.target[0] > 0).nonzero().flatten()
    assert 1 <= len(mine) <= 9
    centres = cells.centres[mine]
    assert ((centres > torch.tensor([40.0, 30.0])) & (centres < torch.tensor([72.0, 78.0]))).all()
    assert assigned.target.max().item() == pytest.approx(1.0, abs=1e-3)


def test_the_target_is_the_overlap() -> None:
    batch = batch_of((40, 30, 32, 48))
    cells = targets.decode(maps_of(batch, overlap=0.5))
    assigned = targets.assign(cells, batch, DetectorLossConfig())
    assert assigned.target.max().item() == pytest.approx(0.5, abs=0.01)


def test_large_faces_are_left_to_coarse_grids_and_small_ones_to_fine_grids() -> None:
    config = DetectorLossConfig()
    for face, wanted in (
        ((8.0, 4.0, 110.0, 120.0), {16.0, 32.0}),
        ((50.0, 50.0, 10.0, 12.0), {8.0}),
    ):
        batch = batch_of(face)
        cells = targets.decode(maps_of(batch))
        assigned = targets.assign(cells, batch, config)
        assert set(cells.strides[assigned.target[0] > 0].tolist()) <= wanted


def test_a_face_that_nothing_overlaps_yet_still_gets_a_cell() -> None:
    batch = batch_of((40, 30, 32, 48))
    far = maps_of(batch_of((-900, -900, 8, 8)))
    assigned = targets.assign(targets.decode(far), batch, DetectorLossConfig())
    assert assigned.target.max() == 0  # no overlap is promised …
    parts = targets.losses(far, batch, DetectorLossConfig())
    assert all(torch.isfinite(v) for v in parts.values())


def test_unsure_faces_are_neither_taught_nor_denied() -> None:
    batch = batch_of((40, 30, 32, 48), taught=False)
    maps = maps_of(batch)
    assigned = targets.assign(targets.decode(maps), batch, DetectorLossConfig())
    assert assigned.target.max() == 0
    on_it = assigned.counts[0, : 16 * 16].reshape(16, 16)
    assert not on_it[6, 6]  # its middle
    assert on_it[0, 0]


def test_right_answers_cost_less() -> None:
    batch, config = batch_of((40, 30, 32, 48)), DetectorLossConfig()
    right, narrow = maps_of(batch), maps_of(batch, overlap=0.6)
    best, worse = (targets.losses(m, batch, config) for m in (right, narrow))
    assert best["box"].item() == pytest.approx(0, abs=1e-3)
    assert best["landmarks"].item() == pytest.approx(0, abs=1e-4)
    assert worse["box"] > best["box"] + 0.1


def test_overlaps() -> None:
    a = torch.tensor([0.0, 0.0, 10.0, 10.0])
    b, far = torch.tensor([5.0, 0.0, 15.0, 10.0]), torch.tensor([30.0, 0.0, 40.0, 10.0])
    assert boxes.iou(a, b).item() == pytest.approx(1 / 3)
    assert boxes.giou(a, a).item() == pytest.approx(1)
    assert boxes.giou(a, far).item() == pytest.approx(-0.5)


@pytest.fixture(scope="module")
def portrait(media: Path) -> np.ndarray:
    return cv2.imread(str(media / "portrait.jpg"))


@pytest.fixture
def config(tmp_path: Path, portrait: np.ndarray) -> DetectorTraining:
    """Three photos of the same portrait to learn from, one to measure on."""
    row = [45, 40, 110, 140, 75, 95, 125, 95, 100, 125, 80, 150, 120, 150, 0.9]
    names = [f"{i}.png" for i in range(40)]
    learn = [n for n in names if split_of(n) is Split.TRAIN][:3]
    held_out = [n for n in names if split_of(n) is Split.VALIDATION][:1]
    lines = [",".join(COLUMNS)]
    for name in (*learn, *held_out):
        picture = cv2.rotate(portrait, cv2.ROTATE_180) if name in held_out else portrait
        cv2.imwrite(str(tmp_path / name), picture)
        lines.append(",".join(map(str, [name, 200, 200, *row])))
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    faces = (Faces(tmp_path / "faces.csv", tmp_path),)
    run = tmp_path / "run"
    return DetectorTraining(
        faces=faces, run=run, out=tmp_path / "model", steps_per_epoch=2, batch=2,
        loop=LoopConfig(2, 3e-3, optimizer=Optimizer.ADAMW, bf16=False),
        scenes=SceneConfig(side=64), net=SMALL,
    )  # fmt: skip


def test_an_interrupted_training_ends_as_an_uninterrupted_one(config: DetectorTraining) -> None:
    whole = trainer.train_net(config)
    broken = replace(config, run=config.run / "again")

    def stop(metrics: Mapping[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train_net(broken, stop)
    resumed = trainer.train_net(broken)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    lines = (broken.run / METRICS).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert {"score", "box", "landmarks", "loss"} <= set(json.loads(lines[0]))


def test_it_learns_one_scene(config: DetectorTraining) -> None:
    """A few dozen steps on the same scene bring the losses down."""
    batch = data.Scenes(data.training_photos(config.faces), config)[0]
    net = DetectorNet(SMALL)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    costs = []
    for _ in range(40):
        parts = targets.losses(net(batch.pixels), batch, config.loss)
        loss = sum(parts.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        costs.append(float(loss.detach()))
    assert costs[-1] < 0.6 * costs[0]


def test_what_is_missing_is_told(config: DetectorTraining) -> None:
    with pytest.raises(InputError, match="no photos"):
        data.training_photos(())
    other = replace(config, net=replace(SMALL, features=32))
    trainer.train_net(config)
    with pytest.raises(InputError, match="other settings"):
        trainer.train_net(other)


def test_a_trained_net_becomes_a_detector(config: DetectorTraining, tmp_path: Path) -> None:
    """The graph answers as the net does, at any size, and the card can be read."""
    net = DetectorNet(SMALL).eval()
    for module in net.modules():  # norms that do something, or folding them would prove little
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    card = exporting.export(net, "tiny-detector", tmp_path / "m", [], CompactConfig(side=128))
    assert card.id == "tiny-detector"
    path = tmp_path / "m" / "tiny-detector.onnx"
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 160, 3), dtype=np.uint8)
    session = Session(path)
    with torch.inference_mode():
        wanted = net(torch.from_numpy(picture))
    for got, want in zip(session.run({session.inputs[0]: picture}), wanted, strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=0.05)  # kernels are rounded
    with np.load(tmp_path / "m" / "tiny-detector.golden.npz") as data:
        assert data["logits"].shape == (3, 45)
    assert CompactDetector(path, CompactConfig(min_score=0.9)).detect(picture[0]) == []


def brightness_as_yunet(path: Path) -> Path:
    """A graph of YuNet's shape whose score is how bright a cell is, its box the cell itself."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, outputs, values = [], [], {"full": np.float32(255), "nothing": np.float32(0)}
    nodes.append(helper.make_node("ReduceMean", ["picture"], ["grey"], axes=[1], keepdims=1))
    nodes.append(helper.make_node("Div", ["grey", "full"], ["light"]))
    for stride in (8, 16, 32):
        n = (640 // stride) ** 2
        size = {"kernel_shape": [stride] * 2, "strides": [stride] * 2}
        nodes.append(helper.make_node("AveragePool", ["light"], [f"pool_{stride}"], **size))
        for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            name = f"{kind}_{stride}"
            values[f"shape_{name}"] = np.array([1, n, 1])
            cells = f"cells_{name}" if width > 1 else name
            nodes.append(helper.make_node("Reshape", [f"pool_{stride}", f"shape_{name}"], [cells]))
            if width > 1:
                values[f"wide_{name}"] = np.zeros((1, 1, width), np.float32)
                nodes.append(helper.make_node("Mul", [cells, f"wide_{name}"], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n, width]))
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 640, 640])
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in values.items()]
    graph = helper.make_graph(nodes, "yunet", [picture], outputs, constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        path,
    )
    return path


@pytest.fixture(scope="module")
def yunet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightness_as_yunet(tmp_path_factory.mktemp("yunet") / "yunet.onnx")


def test_the_teacher_answers_for_each_cell_of_each_scene(yunet: Path) -> None:
    scenes = [np.zeros((160, 160, 3), np.uint8) for _ in range(18)]  # more than a canvas holds
    scenes[7][3 * 8 : 4 * 8, 5 * 8 : 6 * 8] = 255
    scenes[17][64:96, 96:128] = 255
    word = Teacher(yunet).answer(scenes)
    assert word.shape == (18, 20 * 20 + 10 * 10 + 5 * 5, 15)
    bright = np.argwhere(word[..., 0] > 0.99).tolist()
    finest = [[17, row * 20 + column] for row in range(8, 12) for column in range(12, 16)]
    middle = [[17, 400 + row * 10 + column] for row in (4, 5) for column in (6, 7)]
    assert bright == [[7, 3 * 20 + 5], *finest, *middle, [17, 500 + 2 * 5 + 3]]
    # its cells count from their corners: a box of one stride around (40, 24)
    assert word[7, 65, 1:5].tolist() == pytest.approx([36, 20, 44, 28])
    assert word[7, 65, 5:].tolist() == pytest.approx([40, 24] * 5)
    with pytest.raises(ValueError, match="multiple of a scene's side"):
        Teacher(yunet).answer([np.zeros((96, 96, 3), np.uint8)])


def test_a_teacher_must_be_yunet(media: Path, tmp_path: Path) -> None:
    net = DetectorNet(SMALL).eval()
    exporting.write_onnx(net, tmp_path / "own.onnx")
    with pytest.raises(ModelError, match="not YuNet"):
        Teacher(tmp_path / "own.onnx")


def word_on(batch: SceneBatch, cell: int, score: float) -> torch.Tensor:
    """A teacher's word: nothing anywhere, but the first face in one cell."""
    word = torch.zeros((1, 16 * 16 + 8 * 8 + 4 * 4, 15))
    x, y, w, h = batch.faces[0, 0, :4].tolist()
    word[0, cell] = torch.tensor([score, x, y, x + w, y + h, *batch.faces[0, 0, 4:].tolist()])
    return word


def test_the_teachers_word_goes_before_the_table() -> None:
    seen, missed = (40.0, 30.0, 32.0, 48.0), (90.0, 80.0, 30.0, 40.0)
    batch = batch_of(seen, missed)
    cell = 6 * 16 + 7
    batch = replace(batch, word=word_on(batch, cell, 0.9))
    cells = targets.decode(maps_of(batch_of(missed)))
    taught = targets.lesson(cells, batch, DetectorLossConfig())
    assert taught.score[0, cell].item() == pytest.approx(0.9)
    assert taught.answers[0, cell, :4].tolist() == pytest.approx([40, 30, 72, 78])
    # only cells on the face that the teacher missed were given to the table's faces
    others = (taught.score[0] > 0).nonzero().flatten().tolist()
    others.remove(cell)
    assert others
    centres = cells.centres[others]
    assert ((centres > torch.tensor([90.0, 80.0])) & (centres < torch.tensor([120.0, 120.0]))).all()
    assert taught.answers[0, others[0], :4].tolist() == pytest.approx([90, 80, 120, 120])


def test_where_the_table_is_unsure_the_teacher_may_be_sure() -> None:
    batch = batch_of((40, 30, 32, 48), taught=False)
    cells = targets.decode(maps_of(batch))
    cell = 6 * 16 + 7
    told = replace(batch, word=word_on(batch, cell, 0.8))
    assert targets.lesson(cells, told, DetectorLossConfig()).counts.all()
    silent = replace(batch, word=word_on(batch, cell, 0.2))
    taught = targets.lesson(cells, silent, DetectorLossConfig())
    assert not taught.counts[0, cell]
    assert taught.drawn[0, cell] == 0  # a box said with so little conviction is not copied


def test_a_teacher_is_asked_in_training(config: DetectorTraining, yunet: Path) -> None:
    taught = replace(config, teacher=yunet)
    batch = data.Scenes(data.training_photos(config.faces), taught)[0]
    assert batch.word is not None
    assert batch.word.shape == (2, 8 * 8 + 4 * 4 + 2 * 2, 15)
    parts = targets.losses(DetectorNet(SMALL)(batch.pixels), batch, taught.loss)
    assert all(torch.isfinite(v) for v in parts.values())
    trainer.train_net(replace(taught, workers=1))


def test_it_starts_from_another_runs_weights(config: DetectorTraining, tmp_path: Path) -> None:
    first = trainer.train_net(config)
    again = replace(config, init=config.run / BEST, run=tmp_path / "next")
    second = trainer.train_net(replace(again, loop=replace(config.loop, lr=1e-12)))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
