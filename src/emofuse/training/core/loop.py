"""The training loop of every net: recognisers, fusers, the face detector.

A run lives in a folder and survives being killed: it is saved after every epoch
in one atomic step, and `fit` on the same folder goes on from there. Each epoch
draws its randomness from (seed, epoch) alone, so an interrupted run ends with
the very weights of an uninterrupted one (on one device and number of threads).

The folder holds ``state.safetensors`` (to go on from), ``best.safetensors`` (the
averaged weights of the best epoch) and ``metrics.jsonl`` (one line an epoch).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

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
from torch import Tensor, nn

from ...errors import InputError
from .checkpoint import disk_errors, load_weights, read_tensors, save_tensors, save_text
from .console import stderr
from .run_files import METRICS
from .schedules import Schedule, cosine, epochs_since_best, one_cycle, plateau, schedule, steps_down

__all__ = [
    "BEST",
    "METRICS",
    "STATE",
    "Batch",
    "LoopConfig",
    "Optimizer",
    "Schedule",
    "Task",
    "fit",
    "load_weights",
    "one_cycle",
    "schedule",
    "soft_cross_entropy",
]

STATE, BEST = "state.safetensors", "best.safetensors"


class Optimizer(str, Enum):
    """How weights follow gradients."""

    SGD = "sgd"
    ADAMW = "adamw"


class Keep(str, Enum):
    """Which epoch's weights a run is for."""

    BEST = "best"
    """The one with the largest selecting figure on validation."""

    LAST = "last"
    """The last one: where validation is so small that its best epoch is chance."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How a net is trained.

    Args:
        epochs: passes over the training data; the most of them, with `patience`.
        lr: peak learning rate.
        schedule: how the learning rate runs.
        cycles: how often the one-cycle or cosine schedule runs within the epochs,
            each time with half the peak of the time before (after Loshchilov & Hutter
            2017).
        every: epochs from one reduction of the step schedule to the next; of the
            plateau schedule, epochs without anything better before a reduction.
        factor: what both multiply the learning rate by.
        warmup: share of a one-cycle's steps in which the learning rate rises.
        lr_scale: share of the learning rate for parameters by the beginning of their
            names, e.g. ``{features: 0.1}`` for a pretrained trunk; the longest
            beginning counts; 0 keeps them as they are.
        weight_decay: on weight matrices and kernels (not on biases and norms).
        optimizer: SGD (Nesterov momentum) or AdamW.
        momentum: of SGD; AdamW keeps its usual betas.
        ema: decay per step of the averaged weights, which are the ones that are
            validated and kept; 0 keeps the last weights.
        patience: stop after so many epochs without a better figure; 0 never stops.
        keep: the best epoch, or the last.
        seed: of everything random.
        threads: CPU threads of torch.
        bf16: compute in bfloat16 where torch thinks it safe.
        grad_clip: largest norm of the gradient; 0 does not clip.
        device: torch device, e.g. ``"cpu"`` or ``"cuda"``; ``"auto"`` takes a GPU if
            there is one.

    Raises:
        ValueError: if a value makes no sense.
    """

    epochs: int = 22
    lr: float = 0.1
    schedule: Schedule = Schedule.ONE_CYCLE
    cycles: int = 1
    every: int = 10
    factor: float = 0.1
    warmup: float = 0.1
    lr_scale: Mapping[str, float] = field(default_factory=dict)
    weight_decay: float = 5e-4
    optimizer: Optimizer = Optimizer.SGD
    momentum: float = 0.9
    ema: float = 0.998
    patience: int = 0
    keep: Keep = Keep.BEST
    seed: int = 1
    threads: int = 1
    bf16: bool = True
    grad_clip: float = 5.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimizer", Optimizer(self.optimizer))
        object.__setattr__(self, "schedule", Schedule(self.schedule))
        object.__setattr__(self, "keep", Keep(self.keep))
        object.__setattr__(self, "lr_scale", dict(self.lr_scale))
        if min(self.epochs, self.cycles, self.threads, self.every) < 1 or not self.lr > 0:
            raise ValueError(f"need epochs, cycles, every, threads >= 1 and lr > 0, got {self}")
        if not (0 < self.warmup < 1 and 0 <= self.ema < 1 and 0 <= self.momentum < 1):
            raise ValueError(f"need warmup in (0, 1), ema and momentum in [0, 1), got {self}")
        if (
            not 0 < self.factor < 1
            or self.patience < 0
            or min(self.lr_scale.values(), default=0) < 0
        ):
            raise ValueError(f"need factor in (0, 1), patience and lr_scale >= 0, got {self}")

    @property
    def torch_device(self) -> str:
        """The torch device that is meant."""
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"


class AnyBatch(Protocol):
    """What one step learns from."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The net's inputs, batch first."""

    def to(self, device: str) -> AnyBatch:
        """Return the batch on a device."""


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
        """See `AnyBatch`."""
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(tuple(x.to(device) for x in self.inputs), self.target.to(device), mask)


Loss = Callable[[Any, Any], Mapping[str, Tensor]]
"""Returns the parts of the loss, by name, of a net's output and a batch; they are added up."""

LAST_EPOCH = "epoch"
"""As `Task.select`: the last epoch counts as the best."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is trained on what.

    Args:
        net: takes the inputs of a batch.
        batches: yields the batches of an epoch (from 0); all randomness comes from
            the generator that it is given.
        steps_per_epoch: how many batches it yields.
        validate: measures a net in evaluation mode; its metrics are logged.
        select: the metric whose largest value marks the best epoch.
        weights: of the labels in the loss, float32 (labels,); None weighs all alike.
        loss: None: `soft_cross_entropy` of logits (batch, labels) and a `Batch`.
        about: plain types that say what is trained on what. A run goes on only where
            they are the same; they are kept in the header of the weights.
    """

    net: nn.Module
    batches: Callable[[int, np.random.Generator], Iterator[AnyBatch]]
    steps_per_epoch: int
    validate: Callable[[nn.Module], Mapping[str, float]] = lambda _: {}
    select: str = LAST_EPOCH
    weights: Tensor | None = None
    loss: Loss | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


EpochCallback = Callable[[Mapping[str, float]], object]
"""Is given the metrics of every epoch, those before an interruption included."""


def fit(task: Task, config: LoopConfig, run: Path, watch: EpochCallback | None = None) -> Path:
    """Train, or go on training, in the folder `run`.

    Args:
        task: what is trained on what.
        config: how.
        run: the run's folder.
        watch: called after each epoch, when that is saved. What it raises ends the
            training.

    Returns:
        The path of the kept epoch's averaged weights (``best.safetensors``).

    Raises:
        InputError: if the folder holds a run of another configuration or net, the
            loss is no number any more, or there is no room to save; what was saved
            before is then intact.
    """
    with disk_errors(f"what is in {run}"):
        run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    trainer = _Trainer(task, config, run)
    trainer.resume()
    for figures in trainer.history if watch else ():
        watch(figures)  # type: ignore[misc]
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = stderr()
    # Where the log is a file on the disk that is full, not even a line can be printed.
    with (
        disk_errors(f"every finished epoch in {run}"),
        Progress(*columns, console=console, transient=True) as progress,
    ):
        bar = progress.add_task("", total=config.epochs * task.steps_per_epoch, epoch="")
        for epoch in range(trainer.epoch, config.epochs):
            if trainer.exhausted:
                break
            progress.update(bar, epoch=f"{epoch + 1}/{config.epochs}", completed=trainer.step)
            figures = trainer.run_epoch(epoch, lambda: progress.advance(bar))
            console.print(trainer.line(), highlight=False, soft_wrap=True)
            if watch:
                watch(figures)
    return run / BEST


def soft_cross_entropy(
    logits: Tensor, target: Tensor, mask: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy against target distributions, over the known labels only.

    Args:
        logits: (batch, labels), or (batch, heads, labels) of a net with several heads.
        target: probabilities, of the same shape, 0 where unknown.
        mask: bool, of the same shape, False = unknown, which is not the same as absent.
        weights: of the labels, (labels,); None weighs all alike.
    """
    logits = logits.float()
    if mask is not None:
        logits = logits.masked_fill(~mask, -1e4)
    if weights is not None:
        target = target * weights
    return -(target * logits.log_softmax(dim=-1)).sum(dim=-1).mean()


def agreement(logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of samples whose largest known logit is at the target's largest probability.

    Shapes as in `soft_cross_entropy`; targets of zeros alone do not count.
    """
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    told = target.sum(dim=-1) > 0
    same = (logits.argmax(dim=-1) == target.argmax(dim=-1)) & told
    return same.sum() / told.sum().clamp(min=1)


class _Trainer:
    """The state of a run: weights, their average, the optimizer, and what was measured."""

    def __init__(self, task: Task, config: LoopConfig, run: Path) -> None:
        self.task, self.config, self.run = task, config, run
        self.device = config.torch_device
        self.net = task.net.to(self.device)
        self.averaged = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.weights = None if task.weights is None else task.weights.to(self.device)
        self.optimizer = _optimizer(self.net, config)
        self.epoch = self.step = 0
        self.history: list[dict[str, float]] = []

    @property
    def figures(self) -> list[float]:
        """The selecting figure of each epoch; one that is no number counts as none."""
        values = [f[self.task.select] for f in self.history]
        return [-math.inf if math.isnan(v) else v for v in values]

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.config.patience <= epochs_since_best(self.figures)

    def run_epoch(self, epoch: int, tick: Callable[[], object]) -> dict[str, float]:
        started = time.monotonic()
        # The nets' own randomness (dropout) is torch's; tied to the epoch as well.
        torch.manual_seed(self.config.seed * 100_003 + epoch)
        losses: dict[str, list[Tensor]] = {}
        self.net.train()
        for batch in self.task.batches(epoch, np.random.default_rng((self.config.seed, epoch))):
            for name, value in self._learn(batch.to(self.device), epoch).items():
                losses.setdefault(name, []).append(value)
            tick()
        self.epoch = epoch + 1
        figures = {
            "epoch": self.epoch,
            **{name: float(torch.stack(values).mean()) for name, values in losses.items()},
            "lr": self.config.lr * self._share(self.step - 1, epoch),
            **self._validate(),
            "seconds": round(time.monotonic() - started, 1),
        }
        self.history.append(figures)
        kept = f"the run in {self.run} up to epoch {epoch}" if epoch else f"what {self.run} held"
        with disk_errors(kept):
            self._save()
        return figures

    def line(self) -> str:
        """The last epoch in words."""
        last, select = self.history[-1], self.task.select
        best = " (best so far)" if not epochs_since_best(self.figures) else ""
        selected = "" if select == LAST_EPOCH else f"{select} {last[select]:.4f}{best}, "
        line = (
            f"epoch {self.epoch}/{self.config.epochs}: loss {last['loss']:.4f}, {selected}"
            f"{last['seconds']:.0f} s"
        )
        if self.exhausted and self.epoch < self.config.epochs:
            line += f"; nothing better for {self.config.patience} epochs: stopped"
        return line

    def _share(self, step: int, epoch: int) -> float:
        """Share of the peak learning rate."""
        c, total = self.config, self.config.epochs * self.task.steps_per_epoch
        if c.schedule is Schedule.ONE_CYCLE:
            return schedule(step, total, c.warmup, c.cycles)
        if c.schedule is Schedule.COSINE:
            return cosine(step, total, c.cycles)
        if c.schedule is Schedule.STEP:
            return steps_down(epoch, c.every, c.factor)
        if c.schedule is Schedule.PLATEAU:
            return plateau(self.figures[:epoch], c.every, c.factor)
        return 1.0

    def _learn(self, batch: Any, epoch: int) -> dict[str, Tensor]:
        """Make one step; return the loss, its parts if it has several, and the accuracy."""
        config = self.config
        lr = config.lr * self._share(self.step, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=config.bf16):
            output = self.net(*batch.inputs)
        seen: dict[str, Tensor] = {}
        if self.task.loss is None:
            parts = {}
            seen["train_accuracy"] = agreement(output.detach(), batch.target, batch.mask)
            loss = soft_cross_entropy(output, batch.target, batch.mask, self.weights)
        else:
            parts = dict(self.task.loss(output, batch))
            loss = torch.stack(list(parts.values())).sum()
        self._check_number(loss, epoch, lr)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.grad_clip:
            norm = nn.utils.clip_grad_norm_(self.net.parameters(), config.grad_clip)
            self._check_number(norm, epoch, lr)
        self.optimizer.step()
        self.step += 1
        self._average()
        return {name: value.detach() for name, value in {"loss": loss, **parts, **seen}.items()}

    def _check_number(self, value: Tensor, epoch: int, lr: float) -> None:
        if torch.isfinite(value):
            return
        step = self.step - epoch * self.task.steps_per_epoch + 1
        kept = "no epoch was finished"
        if epoch:
            kept = f"what {self.run} holds up to epoch {epoch} is intact"
        raise InputError(
            f"the loss or its gradient is {float(value.detach()):g} in epoch {epoch + 1}, step "
            f"{step} of {self.task.steps_per_epoch}, at learning rate {lr:.3g}; "
            f"{kept}. Lower loop.lr, clip the gradient "
            "(loop.grad_clip) or try loop.bf16: false, in a new folder"
        )

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
        if self.config.keep is Keep.LAST or not epochs_since_best(self.figures):
            about = {**self.task.about, "epoch": self.epoch, "figures": self.history[-1]}
            save_tensors(self.averaged, self.run / BEST, about)
        lines = "".join(json.dumps(f) + "\n" for f in self.history)
        save_text(lines, self.run / METRICS)
        state = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.averaged.items()}
        for i, slots in self.optimizer.state_dict()["state"].items():
            tensors = {k: v for k, v in slots.items() if isinstance(v, Tensor)}
            state |= {f"optimizer.{i}.{k}": v for k, v in tensors.items()}
        about = {
            "epoch": self.epoch,
            "step": self.step,
            "config": _identity(self.config),
            "task": dict(self.task.about),
            "history": self.history,
        }
        save_tensors(state, self.run / STATE, about)

    def resume(self) -> None:
        path = self.run / STATE
        if not path.exists():
            return
        tensors, about = read_tensors(path, self.device)
        self._compare(about["config"], _identity(self.config))
        self._compare(about["task"], json.loads(json.dumps(dict(self.task.about))))
        try:
            self.net.load_state_dict(_under("net.", tensors))
        except RuntimeError as e:
            raise InputError(
                f"{self.run} holds a run of another net ({e}); choose another folder"
            ) from e
        self.averaged = {k: v.clone() for k, v in _under("average.", tensors).items()}
        slots: dict[int, dict[str, Any]] = {}
        for name, value in _under("optimizer.", tensors).items():
            index, slot = name.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self.epoch, self.step, self.history = about["epoch"], about["step"], about["history"]

    def _compare(self, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        keys = [k for k in {**there, **asked} if there.get(k) != asked.get(k)]
        if keys:
            differences = "; ".join(f"{k}: {there.get(k)} there, {asked.get(k)} now" for k in keys)
            raise InputError(
                f"{self.run} holds a run with other settings ({differences}); choose another "
                "folder (--out) or remove this one"
            )


def _optimizer(net: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """Group parameters by learning rate, and by whether they decay."""
    found: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    used = set()
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            prefix = max((p for p in config.lr_scale if name.startswith(p)), key=len, default=None)
            used.add(prefix)
            scale = 1.0 if prefix is None else float(config.lr_scale[prefix])
            found.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    if unknown := set(config.lr_scale) - used:
        tops = dict.fromkeys(name.split(".")[0] for name, _ in net.named_parameters())
        raise InputError(
            f"loop.lr_scale: no trained parameter begins with {', '.join(sorted(unknown))}; the "
            f"net's parts are {', '.join(tops)}"
        )
    groups: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": config.weight_decay * decays, "scale": scale}
        for (scale, decays), parameters in found.items()
        if parameters
    ]
    if config.optimizer is Optimizer.SGD:
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, config.lr)


def _identity(config: LoopConfig) -> dict[str, Any]:
    """What must be equal for a run to be the same run: all but where it is computed."""
    fields = asdict(config)
    return {k: v for k, v in fields.items() if k not in ("threads", "device")}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
