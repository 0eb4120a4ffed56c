"""What each cell of the net's grids is to answer.

Cells that answer for a face of the table are chosen anew in each step by how well they
do (task-aligned assignment: Feng et al., "TOOD", ICCV 2021), and a cell's score is
taught to be the overlap that its box reaches. Where a teacher is asked, its word on
every cell goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from .boxes import giou, iou
from .config import DetectorLossConfig
from .data import SceneBatch
from .net import STRIDES

_SURE = 0.3  # of the teacher's cells with a lower score, boxes are guesses


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


@dataclass(frozen=True, slots=True, eq=False)
class CellTargets:
    """What each cell is to answer.

    Args:
        score: (batch, N); 0: no face.
        answers: boxes (left, top, right, bottom) and landmarks in pixels, (batch, N,
            14); they count where there is a `score`.
        drawn: how much boxes and landmarks weigh, (batch, N).
        counts: False where a cell learns nothing, (batch, N).
    """

    score: Tensor
    answers: Tensor
    drawn: Tensor
    counts: Tensor


@torch.no_grad()
def lesson(cells: Cells, batch: SceneBatch, config: DetectorLossConfig) -> CellTargets:
    """Say what each cell is to answer.

    The teacher's word holds; faces of the table that it missed in the scene, and all
    of them without a teacher, are given to the fittest cells.
    """
    if batch.word is None:
        assigned = assign(cells, batch, config)
        return CellTargets(
            assigned.target, _answers(batch, assigned), assigned.target, assigned.counts
        )
    word = batch.word
    missed = ~_recognised(word, batch.faces)
    left = replace(batch, there=batch.there & missed, taught=batch.taught & missed)
    assigned = assign(cells, left, config)
    sure = word[..., 0] * (word[..., 0] > _SURE)
    own = assigned.target >= word[..., 0]
    answers = torch.where(own[..., None], _answers(batch, assigned), word[..., 1:])
    score = torch.maximum(assigned.target, word[..., 0])
    return CellTargets(score, answers, torch.maximum(assigned.target, sure), assigned.counts)


def losses(
    maps: Sequence[Tensor], batch: SceneBatch, config: DetectorLossConfig
) -> dict[str, Tensor]:
    """Return the losses of the score, the boxes and the landmarks, already weighted."""
    cells = decode(maps)
    taught = lesson(cells, batch, config)
    total = taught.drawn.sum().clamp_min(1.0)
    error = functional.binary_cross_entropy_with_logits(
        cells.logits, taught.score, reduction="none"
    )
    rows, columns = (taught.drawn > 0).nonzero(as_tuple=True)
    weight = taught.drawn[rows, columns]
    wanted, points = taught.answers[rows, columns].split((4, 10), dim=-1)
    box = 1 - giou(cells.boxes[rows, columns], wanted)
    size = (wanted[:, 2:] - wanted[:, :2]).prod(dim=-1).clamp_min(1.0).sqrt()
    off = (cells.points[rows, columns] - points.unflatten(-1, (5, 2))) / size[:, None, None]
    apart = functional.smooth_l1_loss(off, torch.zeros_like(off), beta=0.03, reduction="none")
    return {
        "score": config.score * (error * taught.counts).sum() / total,
        "box": config.box * (box * weight).sum() / total,
        "landmarks": config.landmarks * (apart.mean(dim=(1, 2)) * weight).sum() / total,
    }


def _recognised(word: Tensor, faces: Tensor) -> Tensor:
    """Whether the teacher sees each face, (batch, faces)."""
    boxes = torch.cat([faces[..., :2], faces[..., :2] + faces[..., 2:4]], dim=-1)
    overlap = iou(boxes[:, :, None], word[:, None, :, 1:5]) * (word[:, None, :, 0] > 0.5)
    return overlap.amax(dim=-1) > 0.5


def _answers(batch: SceneBatch, assigned: Assignment) -> Tensor:
    """Return box and landmarks of the face that each cell answers for, (batch, N, 14)."""
    index = assigned.face[..., None].expand(-1, -1, batch.faces.shape[-1])
    faces = batch.faces.gather(1, index)
    return torch.cat([faces[..., :2], faces[..., :2] + faces[..., 2:4], faces[..., 4:]], dim=-1)


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
