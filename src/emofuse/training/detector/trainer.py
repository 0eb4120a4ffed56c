"""The way from settings to a face detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from ...config.loader import to_mapping
from ...corpora.manifest import Split
from ..core.checkpoint import disk_errors, load_weights, start_from
from ..core.console import log
from ..core.loop import EpochCallback, Task, fit
from ..core.run_folder import RunFolder
from .config import DetectorTraining
from .data import SceneBatch, Scenes, training_photos
from .export import export
from .net import DetectorNet
from .photos import read_photos, split_of
from .scenes import use_one_thread
from .targets import losses


def train(config: DetectorTraining) -> Path:
    """Train the detector, or go on where an interrupted training stopped; then export it.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if photos are missing, there are none, or the loss is not finite.
    """
    net = train_net(config)
    split = Split.VALIDATION
    photos = [
        photo
        for source in config.faces
        for photo in read_photos(source.table, source.folder, lambda n: split_of(n) is split)
    ]
    card = export(net, config.id, config.model, photos, split)
    return config.model / f"{card.id}.toml"


def train_net(config: DetectorTraining, watch: EpochCallback | None = None) -> DetectorNet:
    """Train the net and return it with its averaged weights. See `train`."""
    use_one_thread()  # before the first fork: OpenCV's threads do not survive one
    task = make_task(config)
    with disk_errors(f"what is in {config.run}"):
        config.run.mkdir(parents=True, exist_ok=True)
    with RunFolder(config, {}) as folder:

        def look(metrics: Mapping[str, float]) -> None:
            folder.log(metrics)
            if watch is not None:
                watch(metrics)

        best = fit(task, config.loop, config.run, look)
    net = _fresh(config)
    load_weights(net, best)
    return net


def make_task(config: DetectorTraining) -> Task:
    """Put together what `fit` needs."""
    photos = training_photos(config.faces)
    torch.manual_seed(config.loop.seed)
    net = _fresh(config)
    if config.init is not None:
        log(f"init: {start_from(net, config.init)}")
    batches: Iterator[SceneBatch] | None = None

    def epoch_batches(epoch: int, _: np.random.Generator) -> Iterator[SceneBatch]:
        nonlocal batches
        if batches is None:  # one loader for all epochs: its workers begin once
            batches = iter(_loader(Scenes(photos, config), epoch * config.steps_per_epoch, config))
        for _step in range(config.steps_per_epoch):
            yield next(batches)

    about = to_mapping(config)
    left_out = ("id", "run", "out", "workers", "loop")
    return Task(
        net,
        epoch_batches,
        config.steps_per_epoch,
        loss=lambda maps, batch: losses(maps, batch, config.loss),
        about={key: value for key, value in about.items() if key not in left_out},
    )


def _loader(scenes: Scenes, first: int, config: DetectorTraining) -> DataLoader[SceneBatch]:
    return DataLoader(
        scenes,
        batch_size=None,
        sampler=range(first, len(scenes)),
        num_workers=config.workers,
        prefetch_factor=4,
    )


def _fresh(config: DetectorTraining) -> DetectorNet:
    net = DetectorNet(config.net)
    return net.to(memory_format=torch.channels_last) if config.loop.bf16 else net  # type: ignore[call-overload]
