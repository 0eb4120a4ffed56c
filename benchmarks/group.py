"""Four streams of a group model: do they learn, and what do they cost?

    python -m benchmarks.group learn [--data DIR] [--strangers] [--out DIR]
    python -m benchmarks.group cost

``learn`` composes scenes whose mood is known (`emofuse.training.group.made`) and trains
``configs/group-small.yaml`` on them. *Overfit*: 32 clips are learned and asked again; every
stream, and the whole, should know them all. *Strangers* (``--strangers``): 96 clips are learned,
and 48 others with faces and voices that were not learned are asked. DIR holds ``fer2013/`` and
``ravdess/``; without it the few faces of the repository's own media stand for moods, and voices
are drawn: overfitting is all that can be asked of them. These are made scenes: nothing here says
how well a model would read real groups.

``cost`` measures one training step and one inference of each stream, for both configurations, in a
process each: two threads, float32, random weights. Seconds are those that the kernel counts for
the process, of both cores together: a busy machine changes little, and one waits half as long on
two idle cores. Steps are of one clip: times and memory of a
batch are at most so many times as much (a batch of 16 of the full visual stream fits no ordinary
machine without a GPU).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.common import RESULTS, ROOT, write_result
from emofuse.config.loader import Flag, read
from emofuse.face.detectors import make_detector
from emofuse.group.streams import Stream
from emofuse.models.card import read_card
from emofuse.models.store import Store
from emofuse.training.core.loop import METRICS, soft_cross_entropy
from emofuse.training.group import GroupTraining, train
from emofuse.training.group.made import (
    Scene,
    drawn_voices,
    faces_of_fer2013,
    faces_of_media,
    scenes,
    voices_of_ravdess,
    write_vgaf,
)
from emofuse.training.group.nets import build

CONFIGS = ("group-small", "group-vgaf")
SEED = 1
MEDIA = ROOT / "tests" / "media"


def main() -> None:
    """Run one part and put its figures beside those of the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("learn", "cost", "step"))
    parser.add_argument("--data", type=Path, help="folder with fer2013/ and ravdess/")
    parser.add_argument("--strangers", action="store_true", help="ask about other faces, too")
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == "step":
        print(json.dumps(measure_step(*options.of)))
        return
    found = (
        cost() if options.what == "cost" else learn(options.data, options.strangers, options.out)
    )
    path = RESULTS / "group.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {k: known[k] for k in ("learn", "cost") if k in known}
    write_result("group", kept | {options.what: found})


def learn(data: Path | None, strangers: bool, out: Path | None) -> dict[str, Any]:
    """Train the small configuration on made clips; return what it knows of them."""
    with TemporaryDirectory() as scratch:
        root = out or Path(scratch)
        overfit = list(scenes(32, *_parts(data, "train"), seed=SEED))
        figures = {"overfit": _train(root / "overfit", overfit, overfit)}
        if data is not None and strangers:
            learned = list(scenes(96, *_parts(data, "train"), seed=SEED + 1))
            asked = list(scenes(48, *_parts(data, "validation"), seed=SEED + 2))
            figures["strangers"] = _train(root / "strangers", learned, asked)
    source = "FER2013, RAVDESS" if data else "the repository's media, drawn voices"
    return {"scenes of": source, "configuration": "group-small", "seeds": 1, **figures}


def _parts(data: Path | None, split: str) -> tuple[Any, Any]:
    """Return faces and voices by mood; of those that validate, other people's."""
    if data is None:
        names = ("portrait.jpg", "talking.mp4", "two_people.mp4")
        detector = make_detector("compact", Store())
        return faces_of_media([MEDIA / n for n in names], detector), drawn_voices()
    learned = split == "train"
    folders = sorted((data / "ravdess").glob("Actor_*"))
    voices = voices_of_ravdess(data / "ravdess")
    if folders:
        some = folders[:16] if learned else folders[16:]
        each = [voices_of_ravdess(folder, 3) for folder in some]
        voices = {mood: [x for v in each for x in v[mood]] for mood in voices}
    return faces_of_fer2013(data / "fer2013" / split), voices


def _train(folder: Path, learned: Sequence[Scene], asked: Sequence[Scene]) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    write_vgaf(folder / "vgaf", {"Train": learned, "Val": asked})
    flags = {"data": Flag("", str(folder / "vgaf")), "run": Flag("", str(folder / "run"))}
    started = time.monotonic()
    card = read_card(train(read(GroupTraining, ROOT / "configs" / "group-small.yaml", flags)))
    figures = {m.name: m.value for m in card.metrics}
    streams = {s.value: _best(folder / "run" / s.value) for s in Stream}
    return {
        "clips learned": len(learned),
        "clips asked": len(asked),
        "accuracy": {**streams, "whole": figures["accuracy"]},
        "accuracy without": {s.value: figures.get(f"accuracy_without_{s.value}") for s in Stream},
        "ece": figures["ece"],
        "seconds": round(time.monotonic() - started),
    }


def _best(run: Path) -> float:
    lines = (run / METRICS).read_text(encoding="utf-8").splitlines()
    return round(max(json.loads(line)["accuracy"] for line in lines), 4)


def cost() -> dict[str, Any]:
    """Measure each stream of both configurations in a process of its own."""
    out: dict[str, Any] = {}
    for config in CONFIGS:
        rows: dict[str, Mapping[str, float]] = {}
        for stream in Stream:
            command = [sys.executable, "-m", "benchmarks.group", "step", "--of", config]
            done = subprocess.run(
                [*command, stream.value], capture_output=True, text=True, check=True
            )
            rows[stream.value] = json.loads(done.stdout.splitlines()[-1])
            print(config, stream.value, rows[stream.value], flush=True)
        out[config] = rows
    return {"threads": 2, "clips a step": 1, **out}


def measure_step(name: str, stream_name: str) -> dict[str, float]:
    """Train one step and predict once, of one clip; return parameters, seconds and memory."""
    config, stream = read(GroupTraining, ROOT / "configs" / f"{name}.yaml"), Stream(stream_name)
    torch.set_num_threads(2)
    before = _peak()
    net = build(config.streams[stream].net, config.preparation.input_shape(stream), 3)
    x = torch.randn(1, *config.preparation.input_shape(stream))
    target = torch.tensor([[1.0, 0.0, 0.0]])
    net.eval()
    with torch.inference_mode():
        asked = _seconds(lambda: net(x))
    answering = _peak()
    # A norm needs more than one value a channel, which the last maps of one picture may not have.
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        soft_cross_entropy(net(x), target).backward()
        optimizer.step()

    taught = _seconds(step)
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "inference CPU s": round(asked, 4),
        "training step CPU s": round(taught, 4),
        "inference MB": answering - before,
        "training MB": _peak() - before,
    }


def _seconds(run: Any) -> float:
    """Return the CPU seconds of a run; of quick ones the median of five, after a first."""
    found = []
    while not found or (found[0] < 5 and len(found) < 6):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return median(found[1:] or found)


def _peak() -> int:
    """Largest resident size so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
