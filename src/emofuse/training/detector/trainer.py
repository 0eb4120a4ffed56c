"""The loop: steps over made scenes, saved often, and the model at the end."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ...errors import InputError
from ...io.atomic import atomic_path
from .config import DetectorTraining
from .data import SceneBatch, Scenes, learning_photos
from .export import ship
from .net import DetectorNet
from .photos import Part, part_of, read_photos
from .scenes import use_one_thread
from .targets import losses

STATE, METRICS = "state.safetensors", "metrics.jsonl"


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
        for photo in read_photos(source.table, source.folder, lambda n: part_of(n) is Part.TEST)
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
    if config.init is not None:
        _begin_with(config.init, net)
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
    with atomic_path(path) as part:
        save_file(tensors, part, {"step": str(step)})


def _begin_with(path: Path, net: nn.Module) -> None:
    """Load the averaged weights of another run."""
    try:
        tensors = load_file(path)
        prefix = "average."
        net.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
    except (OSError, RuntimeError) as e:
        raise InputError(f"cannot begin with {path}: it is not a run of this net: {e}") from e


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
