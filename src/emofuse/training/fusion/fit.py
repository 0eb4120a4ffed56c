"""Trains a net that fuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...config.loader import to_mapping
from ...core.labels import CANONICAL
from ...errors import InputError
from ...fusion.learned import Layout
from ..core.checkpoint import load_weights
from ..core.loop import Batch, Task, fit, soft_cross_entropy
from ..core.run_folder import RunFolder
from .config import FusionTraining
from .data import FusionData
from .moments import Floats, Moments, masked, only, subsets
from .nets import NETS, FusionNet, Sizes

_INPUTS = ("evidence", "embeddings", "quality", "mask")
_IDENTITY = ("id", "data", "run", "predictions_cache", "notes", "loop")


def fit_net(config: FusionTraining, data: FusionData) -> tuple[FusionNet, int]:
    """Train a net, or go on where an interrupted training stopped.

    Of all epochs the one that is best over all subsets of the modalities is kept.

    Args:
        config: the settings.
        data: pairs to learn from, and pairs that choose the epoch.

    Returns:
        The net in evaluation mode, and how many slots it looks at.
    """
    task, net = _task(config, data)
    with RunFolder(config, {}) as folder:
        load_weights(net, fit(task, config.loop, config.run, folder.log))
    return net, net.slots


def _task(config: FusionTraining, data: FusionData) -> tuple[Task, FusionNet]:
    torch.manual_seed(config.loop.seed)
    net = _initialized(config, data)
    some_pairs = data.choose.where(np.arange(0, len(data.choose), 3))
    checks = {s: only(some_pairs, data.layout, s) for s in subsets(data.layout.modalities)}
    if empty := [" + ".join(m.value for m in s) for s, pairs in checks.items() if not len(pairs)]:
        raise InputError(
            f"of the pairs that choose the epoch, none has {', '.join(empty)}: expected "
            "predictions of more samples, or of samples with a voice and a face that can be read"
        )

    def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
        varied = _varied(config, data.learn, data.layout, rng)
        indices = sequences(varied, net.slots, rng)
        order = rng.permutation(len(varied))
        for first in range(0, len(order), config.batch):
            rows = order[first : first + config.batch]
            target = torch.eye(len(CANONICAL))[torch.from_numpy(varied.actual[rows])]
            asked = torch.from_numpy(varied.asked[rows] > 0)
            yield Batch(tuple(tensors(varied, indices[rows]).values()), target, asked)

    def validate(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, FusionNet)
        losses = [_log_loss(net, check, config.loop.seed) for check in checks.values()]
        mean = float(np.mean(losses))
        return {"log_likelihood": -mean, "log_loss": mean, "log_loss_complete": losses[0]}

    task = Task(
        net,
        batches,
        -(-len(data.learn) // config.batch),
        validate,
        "log_likelihood",
        loss=lambda out, b: {"loss": soft_cross_entropy(out[0], b.target, b.mask)},
        about={k: v for k, v in to_mapping(config).items() if k not in _IDENTITY},
    )
    return task, net


def _initialized(config: FusionTraining, data: FusionData) -> FusionNet:
    """Make a net that knows the spread of its embeddings and how frequent labels are."""
    learn, layout = data.learn, data.layout
    net = NETS[config.strategy](Sizes(layout.widths, len(CANONICAL), config.width, config.dropout))
    seen = np.repeat(learn.inputs["mask"], layout.widths, axis=1)
    if not any(layout.widths):
        seen = np.zeros_like(learn.inputs["embeddings"])
    counts = np.bincount(learn.actual, minlength=len(CANONICAL)).astype(np.float32)
    net.initialize_from_data(*map(torch.from_numpy, (learn.inputs["embeddings"], seen, counts)))
    return net


def _varied(
    config: FusionTraining, moments: Moments, layout: Layout, rng: np.random.Generator
) -> Moments:
    """Drop modalities, and corrupt some: what a stranger said, with a poor quality."""
    n, m = moments.inputs["mask"].shape
    inputs = {name: x.copy() for name, x in moments.inputs.items()}
    ends = np.cumsum((0, *layout.widths))
    for i in range(m):
        rows = np.flatnonzero((rng.random(n) < config.corrupt) & (inputs["mask"][:, i] > 0))
        others = rng.permutation(rows)
        part = slice(ends[i], ends[i + 1])
        inputs["evidence"][rows, i] = moments.inputs["evidence"][others, i]
        inputs["embeddings"][rows, part] = moments.inputs["embeddings"][others, part]
        inputs["quality"][rows, i] = rng.uniform(0, 0.3, len(rows))
    choices = np.array([[x in s for x in layout.modalities] for s in subsets(layout.modalities)])
    keep = choices[rng.integers(len(choices), size=n)] | (rng.random(n) >= config.drop)[:, None]  # type: ignore[index]
    here = moments.inputs["mask"] > 0
    nothing = ~(keep & here).any(axis=1)
    keep[nothing] = True
    return masked(replace(moments, inputs=inputs), layout, keep.astype(np.float32))


def sequences(moments: Moments, slots: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Make each pair the end of a short film: numbers of pairs, (pairs, slots).

    The films are made up: a slot before is the same pair or another one of the same
    label, and in every second film the label before some moment is another one.
    """
    n = len(moments)
    out = np.tile(np.arange(n)[:, None], (1, slots))
    if slots == 1:
        return out
    of_label = [np.flatnonzero(moments.actual == c) for c in range(len(CANONICAL))]
    change = np.where(rng.random(n) < 0.5, rng.integers(1, slots, n), 0)
    before = moments.actual[rng.permutation(n)]
    for i in range(n):
        for t in range(slots - 1):
            label = before[i] if t < change[i] else moments.actual[i]
            if label != moments.actual[out[i, t]] or rng.random() < 0.3:
                out[i, t] = rng.choice(of_label[label])
    return out


def tensors(moments: Moments, indices: NDArray[np.int64]) -> dict[str, Tensor]:
    """Return a net's inputs for films of pairs: first axes (films, slots)."""
    return {name: torch.from_numpy(moments.inputs[name][indices]) for name in _INPUTS}


def only_asked(logits: Floats, moments: Moments) -> Floats:
    """Rule out labels that a pair's corpora do not know: (pairs, labels)."""
    masked: Floats = np.where(moments.asked > 0, logits, -1e4).astype(np.float32)
    return masked


def answer(net: FusionNet, moments: Moments, indices: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return logits (films, labels) and shares (films, modalities)."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(**tensors(moments, indices[i : i + 1024])) for i in range(0, len(indices), 1024)
        ]
    logits, shares = (torch.cat(x).numpy() for x in zip(*parts, strict=True))
    return logits, shares


def _log_loss(net: FusionNet, moments: Moments, seed: int) -> float:
    indices = sequences(moments, net.slots, np.random.default_rng(seed))
    logits, _ = answer(net, moments, indices)
    asked, actual = torch.from_numpy(moments.asked > 0), torch.from_numpy(moments.actual)
    target = torch.eye(len(CANONICAL))[actual]
    return float(soft_cross_entropy(torch.from_numpy(logits), target, asked))
