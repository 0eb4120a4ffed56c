"""Teaches a net that fuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.labels import CANONICAL
from ...fusion.learned import Layout
from .config import FusionTraining, Tell
from .data import Material
from .moments import Floats, Moments, masked, only, subsets
from .nets import NETS, FusionNet, Sizes

_INPUTS = ("evidence", "embeddings", "quality", "mask")


def fit_net(config: FusionTraining, material: Material, tell: Tell) -> tuple[FusionNet, int]:
    """Teach a net; of all epochs the one that is best over all subsets is kept.

    Args:
        config: the settings.
        material: pairs to learn from, and pairs that choose the epoch.
        tell: is given a line an epoch.

    Returns:
        The net, ready to answer, and how many slots it looks at.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    net = _settled(config, material)
    slots = int(getattr(net, "slots", 1))
    descent = _Descent(net, config, config.epochs * -(-len(material.learn) // config.batch))
    some_pairs = material.choose.where(np.arange(0, len(material.choose), 3))
    checks = [only(some_pairs, material.layout, s) for s in subsets(material.layout.modalities)]
    best, kept = float("inf"), net.state_dict()
    for epoch in range(config.epochs):
        varied = _varied(config, material.learn, material.layout, rng)
        _teach(net, descent, varied, sequences(varied, slots, rng), config.batch, rng)
        losses = [_log_loss(net, check, slots, config.seed) for check in checks]
        mean = float(np.mean(losses))
        tell(
            f"epoch {epoch + 1}/{config.epochs}: log loss {mean:.4f} over all subsets, "
            f"{losses[0]:.4f} of all modalities"
        )
        if mean < best:
            best, kept = mean, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    return net.eval(), slots


def _settled(config: FusionTraining, material: Material) -> FusionNet:
    """Make a net that knows the spread of its embeddings and how frequent labels are."""
    learn, layout = material.learn, material.layout
    net = NETS[config.strategy](Sizes(layout.widths, len(CANONICAL), config.width, config.dropout))
    seen = np.repeat(learn.inputs["mask"], layout.widths, axis=1)
    if not any(layout.widths):
        seen = np.zeros_like(learn.inputs["embeddings"])
    counts = np.bincount(learn.actual, minlength=len(CANONICAL)).astype(np.float32)
    net.calibrate_batchnorm(*map(torch.from_numpy, (learn.inputs["embeddings"], seen, counts)))
    return net


class _Descent:
    """AdamW with clipped gradients; its rate rises and falls once."""

    def __init__(self, net: FusionNet, config: FusionTraining, steps: int) -> None:
        self._net = net
        self._optimiser = torch.optim.AdamW(
            net.parameters(), config.lr, weight_decay=config.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, config.lr, steps, pct_start=0.2
        )

    def step(self, loss: Tensor) -> None:
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimiser.step()
        self._schedule.step()


def _teach(
    net: FusionNet,
    descent: _Descent,
    moments: Moments,
    spots: NDArray[np.int64],
    batch: int,
    rng: np.random.Generator,
) -> None:
    """Go through the pairs once, in any order."""
    net.train()
    order = rng.permutation(len(moments))
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        logits, _ = net(**tensors(moments, spots[rows]))
        descent.step(_loss(logits, moments, rows))


def _varied(
    config: FusionTraining, moments: Moments, layout: Layout, rng: np.random.Generator
) -> Moments:
    """Drop modalities, and spoil some: what a stranger said, with a poor quality."""
    n, m = moments.inputs["mask"].shape
    inputs = {name: x.copy() for name, x in moments.inputs.items()}
    ends = np.cumsum((0, *layout.widths))
    for i in range(m):
        rows = np.flatnonzero((rng.random(n) < config.spoil) & (inputs["mask"][:, i] > 0))
        others = rng.permutation(rows)
        part = slice(ends[i], ends[i + 1])
        inputs["evidence"][rows, i] = moments.inputs["evidence"][others, i]
        inputs["embeddings"][rows, part] = moments.inputs["embeddings"][others, part]
        inputs["quality"][rows, i] = rng.uniform(0, 0.3, len(rows))
    choices = np.array([[x in s for x in layout.modalities] for s in subsets(layout.modalities)])
    keep = choices[rng.integers(len(choices), size=n)] | (rng.random(n) >= config.drop)[:, None]
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


def tensors(moments: Moments, spots: NDArray[np.int64]) -> dict[str, Tensor]:
    """Return a net's inputs for films of pairs: first axes (films, slots)."""
    return {name: torch.from_numpy(moments.inputs[name][spots]) for name in _INPUTS}


def only_asked(logits: Floats, moments: Moments) -> Floats:
    """Rule out labels that a pair's corpora do not know: (pairs, labels)."""
    masked: Floats = np.where(moments.asked > 0, logits, -1e4).astype(np.float32)
    return masked


def _loss(logits: Tensor, moments: Moments, rows: NDArray[np.int64]) -> Tensor:
    asked = torch.from_numpy(moments.asked[rows])
    target = torch.from_numpy(moments.actual[rows])
    return torch.nn.functional.cross_entropy(logits.masked_fill(asked == 0, -1e4), target)


def answer(net: FusionNet, moments: Moments, spots: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return logits (films, labels) and shares (films, modalities)."""
    net.eval()
    with torch.inference_mode():
        parts = [net(**tensors(moments, spots[i : i + 1024])) for i in range(0, len(spots), 1024)]
    logits, shares = (torch.cat(x).numpy() for x in zip(*parts, strict=True))
    return logits, shares


def _log_loss(net: FusionNet, moments: Moments, slots: int, seed: int) -> float:
    spots = sequences(moments, slots, np.random.default_rng(seed))
    logits, _ = answer(net, moments, spots)
    rows = np.arange(len(moments))
    return float(_loss(torch.from_numpy(logits), moments, rows))
