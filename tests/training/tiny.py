"""A task that a tiny net learns in a second; run as a program, it trains and saves there.

    python tiny.py FOLDER PAUSE OPTIMISER SCHEDULE

`PAUSE` seconds pass before every step, so that somebody can kill it half-way.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from emofuse.training.core.loop import Batch, LoopConfig, Optimizer, Schedule, Task, fit

STEPS = 8


class TinyNet(nn.Module):
    """Everything a real net has: weights, a norm with running figures, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def classes(points: np.ndarray) -> np.ndarray:
    """Left, lower right, upper right."""
    return np.where(points[:, 0] < 0, 0, np.where(points[:, 1] < 0, 1, 2))


def make_task(pause: float = 0.0) -> Task:
    torch.manual_seed(0)
    held_out = np.random.default_rng(99).uniform(-1, 1, (300, 2)).astype(np.float32)

    def batches(epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        for _ in range(STEPS):
            time.sleep(pause)
            points = rng.uniform(-1, 1, (64, 2)).astype(np.float32)
            target = np.eye(3, dtype=np.float32)[classes(points)]
            yield Batch((torch.from_numpy(points),), torch.from_numpy(target))

    def validate(net: nn.Module) -> dict[str, float]:
        answers = net(torch.from_numpy(held_out)).argmax(dim=1).numpy()
        return {"accuracy": float((answers == classes(held_out)).mean())}

    return Task(TinyNet(), batches, STEPS, validate, select="accuracy")


def config(
    optimizer: Optimizer = Optimizer.SGD,
    epochs: int = 6,
    schedule: Schedule = Schedule.ONE_CYCLE,
) -> LoopConfig:
    return LoopConfig(
        epochs=epochs,
        lr=0.2 if optimizer is Optimizer.SGD else 0.02,
        schedule=schedule,
        every=1,
        factor=0.5,
        optimizer=optimizer,
        ema=0.9,
        bf16=False,
    )


if __name__ == "__main__":
    fit(
        make_task(float(sys.argv[2])),
        config(Optimizer(sys.argv[3]), schedule=Schedule(sys.argv[4])),
        Path(sys.argv[1]),
    )
