"""How boxes overlap; boxes are tensors (…, 4): left, top, right, bottom."""

from __future__ import annotations

import torch
from torch import Tensor


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
