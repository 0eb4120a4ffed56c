"""The training loop that every trainer of emofuse shares.

A run lives in a folder and survives being killed: it is saved after every epoch
in one atomic step, and `fit` on the same folder goes on from there. Each epoch
draws its randomness from (seed, epoch) alone, so an interrupted run ends with
the very weights of an uninterrupted one. Weights are safetensors, everything
else is JSON; nothing is pickled.

The folder holds ``state.safetensors`` (to go on from), ``best.safetensors`` (the
averaged weights of the best epoch) and ``metrics.jsonl`` (one line an epoch).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import InputError

STATE, BEST, METRICS = "state.safetensors", "best.safetensors", "metrics.jsonl"


class Optimiser(str, Enum):
    """How weights follow gradients."""

    SGD = "sgd"
    ADAMW = "adamw"


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How a net is trained.

    Args:
        epochs: passes over the training data.
        lr: peak learning rate of the one-cycle schedule.
        cycles: how often the schedule runs within the epochs, each time with half
            the peak of the time before (after Loshchilov & Hutter 2017).
        weight_decay: on weight matrices and kernels (not on biases and norms).
        optimiser: SGD (Nesterov momentum) or AdamW.
        momentum: of SGD; AdamW keeps its usual betas.
        warmup: share of a cycle's steps in which the learning rate rises.
        ema: decay per step of the averaged weights, which are the ones that are
            validated and kept; 0 keeps the last weights.
        seed: of everything random.
        threads: CPU threads of torch.
        bf16: compute in bfloat16 where torch thinks it safe.
        grad_clip: largest norm of the gradient; 0 does not clip.
        device: torch device, e.g. ``"cpu"`` or ``"cuda"``.
    """

    epochs: int = 22
    lr: float = 0.1
    cycles: int = 1
    weight_decay: float = 5e-4
    optimiser: Optimiser = Optimiser.SGD
    momentum: float = 0.9
    warmup: float = 0.1
    ema: float = 0.998
    seed: int = 1
    threads: int = 1
    bf16: bool = True
    grad_clip: float = 5.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimiser", Optimiser(self.optimiser))
        if min(self.epochs, self.cycles, self.threads) < 1 or not self.lr > 0:
            raise ValueError(f"need epochs, cycles, threads >= 1 and lr > 0, got {self}")
        if not (0 < self.warmup < 1 and 0 <= self.ema < 1 and 0 <= self.momentum < 1):
            raise ValueError(f"need warmup in (0, 1), ema and momentum in [0, 1), got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step learns from.

    Args:
        inputs: the net's inputs, batch first.
        target: probabilities of the labels, float (batch, labels).
        mask: bool (batch, labels), False where a sample's corpus cannot say
            anything about a label; None if every label is known everywhere.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    mask: Tensor | None = None

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(tuple(x.to(device) for x in self.inputs), self.target.to(device), mask)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is trained on what.

    Args:
        net: maps the inputs of a batch to logits (batch, labels).
        batches: yields the batches of an epoch (from 0); all randomness comes from
            the generator that it is given.
        steps_per_epoch: how many batches it yields.
        validate: measures a net in evaluation mode; its figures are logged.
        select: the figure whose largest value marks the best epoch.
    """

    net: nn.Module
    batches: Callable[[int, np.random.Generator], Iterator[Batch]]
    steps_per_epoch: int
    validate: Callable[[nn.Module], dict[str, float]]
    select: str


def fit(task: Task, config: LoopConfig, run: Path) -> Path:
    """Train, or go on training, in the folder `run`.

    Returns:
        The path of the best epoch's averaged weights (``best.safetensors``).

    Raises:
        InputError: if the folder holds a run of another configuration or net.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    trainer = _Trainer(task, config, run)
    trainer.resume()
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task(
            "", total=config.epochs * task.steps_per_epoch, epoch="", figures=""
        )
        for epoch in range(trainer.epoch, config.epochs):
            progress.update(bar, epoch=f"{epoch + 1}/{config.epochs}", completed=trainer.step)
            figures = trainer.run_epoch(epoch, lambda: progress.advance(bar))
            progress.update(bar, figures=f"{task.select} {figures[task.select]:.4f}")
    return run / BEST


def load_weights(net: nn.Module, path: Path) -> nn.Module:
    """Load a weights file of `fit` into a net, set it to evaluation mode and return it.

    Raises:
        InputError: if the file is of another net.
    """
    try:
        net.load_state_dict(load_file(path))
    except RuntimeError as e:
        raise InputError(f"{path} does not fit {type(net).__name__}: {e}") from e
    return net.eval()


def soft_cross_entropy(logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean cross-entropy against target distributions, over the known labels only.

    Args:
        logits: (batch, labels).
        target: probabilities, (batch, labels), 0 where unknown.
        mask: bool (batch, labels), False = unknown, which is not the same as absent.
    """
    logits = logits.float()
    if mask is not None:
        logits = logits.masked_fill(~mask, -1e4)
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


def schedule(step: int, total: int, warmup: float, cycles: int = 1) -> float:
    """Return the share of the peak learning rate at a step: cycles of equal length, halving."""
    length = max(1, total // cycles)
    cycle = min(step // length, cycles - 1)
    return 0.5**cycle * one_cycle(step - cycle * length, length, warmup)


def one_cycle(step: int, total: int, warmup: float) -> float:
    """Return the share of the peak learning rate at a step: cosine up, cosine down to 0."""
    rise = max(1.0, warmup * total)
    if step < rise:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2
    return (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise))) / 2


class _Trainer:
    """The state of a run: weights, their average, the optimiser, and what was measured."""

    def __init__(self, task: Task, config: LoopConfig, run: Path) -> None:
        self.task, self.config, self.run = task, config, run
        self.net = task.net.to(config.device)
        self.averaged = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimiser = _optimiser(self.net, config)
        self.epoch = self.step = 0
        self.history: list[dict[str, float]] = []

    def run_epoch(self, epoch: int, tick: Callable[[], object]) -> dict[str, float]:
        started = time.monotonic()
        # The nets' own randomness (dropout) is torch's; tied to the epoch as well.
        torch.manual_seed(self.config.seed * 100_003 + epoch)
        losses = []
        self.net.train()
        for batch in self.task.batches(epoch, np.random.default_rng((self.config.seed, epoch))):
            losses.append(self._learn(batch.to(self.config.device)))
            tick()
        self.epoch = epoch + 1
        figures = {
            "epoch": self.epoch,
            "loss": float(torch.stack(losses).mean()),
            **self._validate(),
            "seconds": round(time.monotonic() - started, 1),
        }
        self.history.append(figures)
        self._save()
        return figures

    def _learn(self, batch: Batch) -> Tensor:
        config = self.config
        total = config.epochs * self.task.steps_per_epoch
        for group in self.optimiser.param_groups:
            group["lr"] = config.lr * schedule(self.step, total, config.warmup, config.cycles)
        with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bf16):
            logits = self.net(*batch.inputs)
        loss = soft_cross_entropy(logits, batch.target, batch.mask)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if config.grad_clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), config.grad_clip)
        self.optimiser.step()
        self.step += 1
        self._average()
        return loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        # Early weights are soon forgotten: the decay grows to its final value.
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step)) if self.config.ema else 0.0
        for name, value in self.net.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value, 1 - decay)
            else:
                self.averaged[name].copy_(value)

    def _validate(self) -> dict[str, float]:
        current = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.averaged)
        self.net.eval()
        with torch.inference_mode():
            figures = dict(self.task.validate(self.net))
        self.net.load_state_dict(current)
        return figures

    def _save(self) -> None:
        """Save the epoch; killed anywhere in here, a run just repeats the epoch."""
        figures = [f[self.task.select] for f in self.history]
        if max(figures) > max(figures[:-1], default=-math.inf):
            _save_atomically(self.averaged, self.run / BEST)
        lines = "".join(json.dumps(f) + "\n" for f in self.history)
        _write_atomically(lines, self.run / METRICS)
        state = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.averaged.items()}
        for i, slots in self.optimiser.state_dict()["state"].items():
            tensors = {k: v for k, v in slots.items() if isinstance(v, Tensor)}
            state |= {f"optimiser.{i}.{k}": v for k, v in tensors.items()}
        about = {
            "epoch": self.epoch,
            "step": self.step,
            "config": _identity(self.config),
            "history": self.history,
        }
        _save_atomically(state, self.run / STATE, {"about": json.dumps(about)})

    def resume(self) -> None:
        path = self.run / STATE
        if not path.exists():
            return
        with safe_open(path, "pt", device=self.config.device) as f:
            about = json.loads(f.metadata()["about"])
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - not a dict
        if about["config"] != _identity(self.config):
            raise InputError(
                f"{self.run} holds a run with other settings: it has {about['config']}, asked was "
                f"{_identity(self.config)}; choose another folder or remove this one"
            )
        try:
            self.net.load_state_dict(_under("net.", tensors))
        except RuntimeError as e:
            raise InputError(
                f"{self.run} holds a run of another net ({e}); choose another folder"
            ) from e
        self.averaged = {k: v.clone() for k, v in _under("average.", tensors).items()}
        slots: dict[int, dict[str, Any]] = {}
        for name, value in _under("optimiser.", tensors).items():
            index, slot = name.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value.clone()
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": slots, "param_groups": groups})
        self.epoch, self.step, self.history = about["epoch"], about["step"], about["history"]


def _optimiser(net: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    trained = [p for p in net.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if config.optimiser is Optimiser.SGD:
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, config.lr)


def _identity(config: LoopConfig) -> dict[str, Any]:
    """What must be equal for a run to be the same run: all but where it is computed."""
    fields = asdict(config)
    return {k: v for k, v in fields.items() if k not in ("threads", "device")}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _save_atomically(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    part = path.with_name(path.name + ".part")
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, part, metadata)
    part.replace(path)


def _write_atomically(text: str, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
