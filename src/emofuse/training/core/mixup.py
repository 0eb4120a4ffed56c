"""Blends of training samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .loop import Batch


def mixup(batch: Batch, alpha: float, rng: np.random.Generator) -> Batch:
    """Blend each sample with another one of the batch (Zhang et al. 2018).

    The blend's share is drawn from Beta(alpha, alpha), once per sample; a label is
    known in the blend if either sample knows it. `alpha` = 0 changes nothing.
    """
    if not alpha:
        return batch
    n = len(batch.target)
    share = torch.from_numpy(rng.beta(alpha, alpha, n).astype(np.float32))
    other = torch.from_numpy(rng.permutation(n))

    def blend(x: Tensor) -> Tensor:
        weight = share.view(-1, *[1] * (x.ndim - 1))
        return x * weight + x[other] * (1 - weight)

    mask = None if batch.mask is None else batch.mask | batch.mask[other]
    return replace(
        batch, inputs=tuple(blend(x) for x in batch.inputs), target=blend(batch.target), mask=mask
    )
