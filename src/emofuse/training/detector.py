"""Trains the embedded face detector on photos whose faces another detector found.

The teacher's finds are the truth: nobody drew these boxes. Scenes are made of the
photos while training (`emofuse.face.scenes`); which cells of the net's grids
answer for a face is decided anew in each step by how well they do (task-aligned
assignment: Feng et al., "TOOD", ICCV 2021), and a cell's score is taught to be the
overlap that its box reaches.

    emofuse train detector --config configs/detector.yaml
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError
from ..face.photos import Part, Photo, part_of, read_photos, twins
from ..face.scenes import SceneConfig, make_scene, use_one_thread
from .detector_export import ship
from .nets.detector import STRIDES, DetectorNet, DetectorNetConfig

STATE, METRICS = "state.safetensors", "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Faces:
    """Where photos and their faces are.

    Args:
        table: CSV, see `emofuse.face.photos`.
        folder: holds the pictures.
        times: how often each photo counts.
    """

    table: Path
    folder: Path
    times: int = 1


@dataclass(frozen=True, slots=True)
class DetectorLossConfig:
    """How cells are assigned to faces, and what weighs how much.

    Args:
        cells: most cells that answer for one face.
        score_power, overlap_power: a cell's fitness is score^a · IoU^b.
        score, box, landmarks: weights of the three losses.
    """

    cells: int = 9
    score_power: float = 0.5
    overlap_power: float = 4.0
    score: float = 1.0
    box: float = 2.5
    landmarks: float = 2.5


@dataclass(frozen=True, slots=True)
class DetectorTraining:
    """Everything a training of the face detector depends on.

    Args:
        id: of the model that is made.
        faces: the photos.
        run: folder of the training, to go on from when it was interrupted.
        out: where the finished model is put.
        steps: of the whole training.
        batch: scenes per step.
        lr: peak learning rate of AdamW under a one-cycle schedule.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: on kernels.
        ema: decay per step of the averaged weights, which are those that are kept.
        save_every: steps between saves.
        seed: of everything random.
        threads: CPU threads of torch.
        workers: processes that make scenes.
        bf16: compute in bfloat16 where torch thinks it safe.
        scenes: how scenes vary.
        net: shape of the net.
        loss: weights of the losses.

    Raises:
        ValueError: if a number is out of range.
    """

    id: str = "face-detector-v1"
    faces: tuple[Faces, ...] = ()
    run: Path = Path("runs/detector")
    out: Path = Path("runs/detector/model")
    steps: int = 10_000
    batch: int = 32
    lr: float = 3e-3
    warmup: float = 0.08
    weight_decay: float = 0.02
    ema: float = 0.999
    save_every: int = 250
    seed: int = 1
    threads: int = 1
    workers: int = 1
    bf16: bool = True
    scenes: SceneConfig = field(default_factory=SceneConfig)
    net: DetectorNetConfig = field(default_factory=DetectorNetConfig)
    loss: DetectorLossConfig = field(default_factory=DetectorLossConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.save_every, self.threads, self.workers) < 1:
            raise ValueError(f"steps, batch, save_every, threads, workers must be >= 1: {self}")
        if not (self.lr > 0 and 0 < self.warmup < 1 and 0 <= self.ema < 1):
            raise ValueError(f"need lr > 0, warmup in (0, 1), ema in [0, 1), got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class SceneBatch:
    """Scenes and their faces, padded to the same number of faces.

    Args:
        pixels: uint8 (batch, side, side, 3).
        faces: float32 (batch, faces, 14): left, top, width, height, landmarks.
        there: bool (batch, faces), False for padding.
        taught: bool (batch, faces), False for faces that neither are taught nor
            count as background.
    """

    pixels: Tensor
    faces: Tensor
    there: Tensor
    taught: Tensor


class Scenes(Dataset[SceneBatch]):
    """Batches of scenes by number; a number and the seed decide everything in it."""

    def __init__(self, photos: Sequence[Photo], config: DetectorTraining) -> None:
        self.photos, self.config = photos, config

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> SceneBatch:
        """Make the batch of a step."""
        rng = np.random.default_rng((self.config.seed, step))
        scenes = [
            make_scene(self.photos, self.config.scenes, rng) for _ in range(self.config.batch)
        ]
        most = max(1, *(len(s.faces) for s in scenes))
        faces = np.zeros((len(scenes), most, 14), np.float32)
        there = np.zeros((len(scenes), most), bool)
        taught = np.zeros_like(there)
        for i, scene in enumerate(scenes):
            n = len(scene.faces)
            faces[i, :n], there[i, :n], taught[i, :n] = scene.faces, True, scene.taught
        pixels = torch.from_numpy(np.stack([s.pixels for s in scenes]))
        return SceneBatch(pixels, *map(torch.from_numpy, (faces, there, taught)))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What the cells of all grids answer, in pixels; N cells, finest grid first.

    Args:
        logits: of the score, (batch, N).
        boxes: left, top, right, bottom, (batch, N, 4).
        points: landmarks, (batch, N, 5, 2).
        centres: of the cells themselves, (N, 2).
        strides: of the cells, (N,).
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor
    centres: Tensor
    strides: Tensor


def decode(maps: Sequence[Tensor]) -> Cells:
    """Read the net's answers, each (batch, 15, h, w) at its stride."""
    parts, centres, strides = [], [], []
    for stride, grid in zip(STRIDES, maps, strict=True):
        height, width = grid.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centres.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((height * width,), float(stride)))
        parts.append(grid.float().flatten(2).transpose(1, 2))
    answers, origin, scale = torch.cat(parts, dim=1), torch.cat(centres), torch.cat(strides)
    middle = origin + answers[..., 1:3] * scale[:, None]
    half = answers[..., 3:5].clamp(-4, 5).exp() * scale[:, None] / 2
    points = origin[:, None] + answers[..., 5:].unflatten(-1, (5, 2)) * scale[:, None, None]
    boxes = torch.cat([middle - half, middle + half], dim=-1)
    return Cells(answers[..., 0], boxes, points, origin, scale)


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Which cell answers for which face.

    Args:
        target: of the score, (batch, N); 0: no face.
        face: index of the face that a cell answers for, (batch, N).
        counts: False where a cell learns nothing, (batch, N).
    """

    target: Tensor
    face: Tensor
    counts: Tensor


@torch.no_grad()
def assign(cells: Cells, batch: SceneBatch, config: DetectorLossConfig) -> Assignment:
    """Choose the fittest cells for each face.

    A cell may answer for a face if its centre lies in the face's box (or within
    three quarters of a stride of its centre) and the box suits its grid. Its target
    is its fitness relative to the face's fittest cell, times the best overlap.
    """
    boxes = torch.cat([batch.faces[..., :2], batch.faces[..., :2] + batch.faces[..., 2:4]], dim=-1)
    inside = _within(cells, boxes)  # (batch, faces, N)
    may = inside & _suits(batch.faces, cells.strides) & batch.taught[..., None]
    overlap = iou(boxes[:, :, None], cells.boxes[:, None]) * may
    score = cells.logits.sigmoid()[:, None]
    nearness = 1e-9 / (1 + _apart(cells, batch.faces))  # decides while nothing overlaps
    fitness = (score**config.score_power * overlap**config.overlap_power + nearness) * may
    best, index = fitness.topk(min(config.cells, fitness.shape[-1]), dim=-1)
    chosen = torch.zeros_like(may).scatter(-1, index, best > 0)
    face = torch.where(chosen, overlap + 1e-6, 0).argmax(dim=1)  # of several, the best covered
    mine = functional.one_hot(face, boxes.shape[1]).transpose(1, 2).bool() & chosen
    fitness = fitness * mine
    relative = fitness / fitness.amax(dim=-1, keepdim=True).clamp_min(1e-12)
    target = (relative * (overlap * mine).amax(dim=-1, keepdim=True)).amax(dim=1)
    unsure = (inside & (batch.there & ~batch.taught)[..., None]).any(dim=1)
    return Assignment(target, face, mine.any(dim=1) | ~unsure)


def losses(
    maps: Sequence[Tensor], batch: SceneBatch, config: DetectorLossConfig
) -> dict[str, Tensor]:
    """Return the losses of the score, the boxes and the landmarks, already weighted."""
    cells = decode(maps)
    assigned = assign(cells, batch, config)
    total = assigned.target.sum().clamp_min(1.0)
    error = functional.binary_cross_entropy_with_logits(
        cells.logits, assigned.target, reduction="none"
    )
    rows, columns = (assigned.target > 0).nonzero(as_tuple=True)
    weight = assigned.target[rows, columns]
    faces = batch.faces[rows, assigned.face[rows, columns]]
    wanted = torch.cat([faces[:, :2], faces[:, :2] + faces[:, 2:4]], dim=-1)
    box = 1 - giou(cells.boxes[rows, columns], wanted)
    size = faces[:, 2:4].prod(dim=-1).clamp_min(1.0).sqrt()
    off = (cells.points[rows, columns] - faces[:, 4:].unflatten(-1, (5, 2))) / size[:, None, None]
    points = functional.smooth_l1_loss(off, torch.zeros_like(off), beta=0.03, reduction="none")
    return {
        "score": config.score * (error * assigned.counts).sum() / total,
        "box": config.box * (box * weight).sum() / total,
        "landmarks": config.landmarks * (points.mean(dim=(1, 2)) * weight).sum() / total,
    }


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Return intersection over union of boxes (…, 4): left, top, right, bottom."""
    common, union = _common_and_union(a, b)
    return common / union


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Return generalised IoU (Rezatofighi et al. 2019), in (-1, 1]."""
    common, union = _common_and_union(a, b)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    return common / union - (hull - union) / hull.clamp_min(1e-6)


def _common_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    common = (high - low).clamp_min(0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return common, (areas - common).clamp_min(1e-6)


def _within(cells: Cells, boxes: Tensor) -> Tensor:
    """Whether cells' centres lie in boxes (batch, faces, 4): (batch, faces, N)."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2
    reach = torch.maximum(half[:, :, None], 0.75 * cells.strides[:, None])
    return ((cells.centres - middle[:, :, None]).abs() < reach).all(dim=-1)


def _suits(faces: Tensor, strides: Tensor) -> Tensor:
    """Whether faces' sizes suit the cells' grids: (batch, faces, N)."""
    size = faces[..., 2:4].prod(dim=-1).sqrt()[..., None] / strides
    finest, coarsest = strides == STRIDES[0], strides == STRIDES[-1]
    return ((size > 1.0) | finest) & ((size < 7.0) | coarsest)


def _apart(cells: Cells, faces: Tensor) -> Tensor:
    """Distance of cells from faces' centres in strides: (batch, faces, N)."""
    middle = faces[..., :2] + faces[..., 2:4] / 2
    return (cells.centres - middle[:, :, None]).norm(dim=-1) / cells.strides


def train(config: DetectorTraining) -> Path:
    """Train the detector, or go on where an interrupted training stopped; then ship it.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if photos are missing, there are none, or the loss is not finite.
    """
    net = learn(config)
    photos = [
        photo
        for source in config.faces
        for photo in read_photos(source.table, source.folder, lambda n: part_of(n) is Part.JUDGE)
    ]
    card = ship(net, config.id, config.out, photos)
    return config.out / f"{card.id}.toml"


def learn(config: DetectorTraining) -> DetectorNet:
    """Train the net and return it with its averaged weights. See `train`."""
    torch.set_num_threads(config.threads)
    use_one_thread()  # before the first fork: OpenCV's threads do not survive one
    torch.manual_seed(config.seed)
    photos = learning_photos(config.faces)  # before anything is begun
    config.run.mkdir(parents=True, exist_ok=True)
    net, average = (_fresh(config) for _ in range(2))
    average.load_state_dict(net.state_dict())
    optimiser = _optimiser(net, config)
    done = _resume(config.run / STATE, net, average, optimiser)
    if done >= config.steps:
        return average
    scenes = Scenes(photos, config)
    loader = DataLoader(
        scenes,
        batch_size=None,
        sampler=range(done, config.steps),
        num_workers=config.workers,
        prefetch_factor=4,
    )
    sums: dict[str, float] = {}
    start = time.monotonic()
    for step, batch in enumerate(loader, start=done):
        for name, value in _step(net, optimiser, batch, step, config).items():
            sums[name] = sums.get(name, 0.0) + value / config.save_every
        _follow(average, net, min(config.ema, (1 + step) / (10 + step)))
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            _save(config.run / STATE, net, average, optimiser, step + 1)
            seconds = time.monotonic() - start
            line = {"step": step + 1, **{k: round(v, 4) for k, v in sums.items()}}
            line |= {"seconds": round(seconds, 1)}
            with (config.run / METRICS).open("a") as f:
                f.write(json.dumps(line) + "\n")
            sys.stderr.write(json.dumps(line) + "\n")
            sums, start = {}, time.monotonic()
    return average


def learning_photos(sources: Sequence[Faces]) -> list[Photo]:
    """Read the photos to learn from: none that judges or looks like one, none without a face.

    A photo in which the teacher found no face may show one that it missed.

    Raises:
        InputError: if there are none.
    """
    found: list[Photo] = []
    for source in sources:
        photos = read_photos(source.table, source.folder)
        learn = [p for p in photos if part_of(p.name) is Part.LEARN and len(p.faces)]
        alike = twins(learn, [p for p in photos if part_of(p.name) is not Part.LEARN])
        found += [p for p in learn if p.name not in alike] * source.times
    if not found:
        raise InputError("there are no photos with faces to learn from; name some under 'faces'")
    return found


def learning_rate(step: int, config: DetectorTraining) -> float:
    """Return the rate of a step: a linear rise, then half a cosine down to a hundredth."""
    rise = config.warmup * config.steps
    if step < rise:
        return config.lr * (step + 1) / rise
    way = (step - rise) / max(1.0, config.steps - rise)
    return config.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * way)) / 2)


def _step(
    net: DetectorNet,
    optimiser: torch.optim.Optimizer,
    batch: SceneBatch,
    step: int,
    config: DetectorTraining,
) -> dict[str, float]:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(step, config)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        maps = net(batch.pixels)
    parts = losses(maps, batch, config.loss)
    loss = torch.stack(list(parts.values())).sum()
    if not torch.isfinite(loss):
        raise InputError(
            f"the loss is {float(loss)} at step {step}: lower lr (now {config.lr}); "
            f"{config.run} still holds the last good weights"
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    optimiser.step()
    return {name: float(value.detach()) for name, value in parts.items()}


def _fresh(config: DetectorTraining) -> DetectorNet:
    net = DetectorNet(config.net)
    return net.to(memory_format=torch.channels_last) if config.bf16 else net


def _optimiser(net: nn.Module, config: DetectorTraining) -> torch.optim.Optimizer:
    kernels = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr)


@torch.no_grad()
def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move averaged weights towards the net's; counters and statistics as well."""
    for mean, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def _save(
    path: Path, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, step: int
) -> None:
    """Write everything in one atomic step."""
    tensors = {f"net.{k}": v.contiguous() for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v.contiguous() for k, v in average.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{k}": v.contiguous() for k, v in state.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, {"step": str(step)})
    part.replace(path)


def _resume(
    path: Path, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    """Load what `_save` wrote, if anything; return the number of steps done."""
    if not path.exists():
        return 0
    tensors = load_file(path)

    def part(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        net.load_state_dict(part("net."))
        average.load_state_dict(part("average."))
    except RuntimeError as e:
        raise InputError(f"{path} belongs to another net; choose another run folder: {e}") from e
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimiser.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    with safe_open(path, "pt") as f:
        return int(f.metadata()["step"])
