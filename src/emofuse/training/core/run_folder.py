"""What a run's folder holds besides its weights: configuration, origin, TensorBoard logs.

====================  ==========================================================
``config.yaml``       the configuration, to be read and used again
``about.json``        git commit, versions, device, hours
``metrics.jsonl``     the figures of each epoch
``tensorboard/``      the same for TensorBoard
``curves.png``        the same as a picture
``confusion.json``    what the best weights take for what, on validation
``confusion.png``     the same as a picture
``state.safetensors`` what the run goes on from
``best.safetensors``  the averaged weights of the best epoch
``model/``            the finished model: card, graph, golden pair
====================  ==========================================================
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import yaml

from ...config.loader import to_mapping
from .checkpoint import disk_errors, save_text

CONFIG, ABOUT, BOARD = "config.yaml", "about.json", "tensorboard"

_PACKAGES = ("emofuse", "torch", "numpy", "onnx", "onnxruntime", "transformers")


class RunFolder:
    """Keeps a run's folder while it is trained.

    Args:
        config: of the training; `config.run` is the folder.
        identity: what makes it this run.

    Raises:
        InputError: if it cannot be written.
    """

    def __init__(self, config: Any, identity: Mapping[str, Any]) -> None:
        self._folder: Path = config.run
        self._config = config
        self._identity = identity
        self._seconds = 0.0
        self._board: Any = None
        self._logged = 0

    def __enter__(self) -> RunFolder:
        with disk_errors(f"what is in {self._folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / "state.safetensors").exists():
                text = yaml.safe_dump(to_mapping(self._config), sort_keys=False, allow_unicode=True)
                save_text(text, self._folder / CONFIG)
            self._save_about()
        return self

    def log(self, figures: Mapping[str, float]) -> None:
        """Log an epoch. Those before an interruption come again, and are logged once."""
        epoch = int(figures["epoch"])
        self._seconds += figures.get("seconds", 0.0)
        with disk_errors(f"the run in {self._folder} up to epoch {epoch}"):
            board = self._writer(epoch)
            if board is not None:
                for name, value in figures.items():
                    if name not in ("epoch", "seconds"):
                        board.add_scalar(name, value, epoch)
                board.flush()
            self._save_about()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._board:
            self._board.close()

    def _writer(self, epoch: int) -> Any:
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                warnings.warn("no TensorBoard logs: tensorboard is not installed", stacklevel=3)
                self._board = False
                return None
            folder = self._folder / BOARD
            # Everything is logged anew by each start: one file holds the whole run.
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            self._board = SummaryWriter(str(folder))
        return self._board or None

    def _save_about(self) -> None:
        place = self._config.loop.torch_device
        device = torch.cuda.get_device_name() if place.startswith("cuda") else platform.machine()
        about = {
            "id": self._config.id,
            "command": " ".join(["emofuse", *sys.argv[1:]]),
            "commit": _commit(),
            "versions": _versions(),
            "device": f"{place}: {device}",
            "threads": self._config.loop.threads,
            "hours": round(self._seconds / 3600, 3),
            "learned": self._identity.get("learned"),
        }
        save_text(json.dumps(about, indent=2) + "\n", self._folder / ABOUT)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of emofuse's own checkout, with a + if something differs from it."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        changed = bool(commit) and bool(git("status", "--porcelain", "--", str(here.parent)))
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit + "+" * changed if commit else None
