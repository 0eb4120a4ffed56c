"""Do the heavy nets learn on real data, and how far do they get in a few minutes?

    EMOFUSE_DATA=… python -m benchmarks.heavy_nets [--minutes 6] [--corpora FOLDER] [NET …]

VGG16 and ResNet-50 start from random weights on FER2013's faces of 48 pixels,
DistilBERT from random layers and MiniLM's word vectors (those of the embedded
text model, in the first half of each vector) on GoEmotions. One thread, bfloat16
where torch thinks it safe, AdamW, the learning rate up for a tenth of the time and
down for the rest. What is printed and kept is the curve on validation data.

Minutes are those of one core, as the kernel counts them for this process, less
those for measuring: a busy machine changes how long one waits (``waited``) and
nothing else. A few of them are no training: the figures say that the nets learn,
and how fast, not how good they are.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import RESULTS, data_root, write_result
from emofuse.core.estimates import Modality
from emofuse.core.labels import CANONICAL, LabelMap
from emofuse.corpora.labels import load_map, soft_targets, taxonomy
from emofuse.corpora.manifest import Split
from emofuse.corpora.recipes import fer2013, goemotions
from emofuse.evaluation.metrics import classification as metrics
from emofuse.evaluation.metrics.multilabel import best_thresholds, multilabel_f1
from emofuse.face.recognise import FacePreparation
from emofuse.models.store import Store
from emofuse.text.recognise import WordPieces, collate
from emofuse.training.core.loop import soft_cross_entropy
from emofuse.training.core.nets import kind
from emofuse.training.core.samples import shuffled
from emofuse.training.face.augment import FaceAugmentation

SEED = 1
STEM = 2
"""Stride of the first convolution, which makes a step four times cheaper."""
CURVE, LAST = 10, 3
"""Every how many validation samples are measured, along the way and at the end."""
WARMUP = 0.1


@dataclass(frozen=True)
class Job:
    """What is trained on what.

    `batches` yields inputs and targets for ever; `measure` gives figures on every
    so many samples of the validation data.
    """

    net: nn.Module
    rate: float
    batch: int
    batches: Callable[[np.random.Generator], Iterator[tuple[Tensor, Tensor]]]
    measure: Callable[[nn.Module, int], dict[str, float]]
    about: dict[str, Any]


def faces(name: str, corpora: Path, batch: int = 32, rate: float = 1e-3) -> Job:
    """FER2013 with half FER+'s votes; the chance is always saying *happy*, or guessing."""
    images, labels, votes = _faces(corpora, Split.TRAIN, fer2013.BLANK)
    voted = votes.any(axis=1, keepdims=True)
    target = np.where(voted, 0.5 * (labels + votes), labels)
    held_out = _faces(corpora, Split.VALIDATION, fer2013.BLANK, fer2013.DUPLICATE)
    known = load_map("fer2013").covered
    preparation, augment = FacePreparation(side=48), FaceAugmentation()
    prepared = torch.from_numpy(preparation.normalise(held_out[0]))

    def batches(rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for index in shuffled(len(target), batch, rng):
                rows = preparation.normalise(augment(images[index], rng))
                yield torch.from_numpy(rows), torch.from_numpy(target[index])

    def measure(net: nn.Module, every: int) -> dict[str, float]:
        logits = _answers(net, prepared[::every])
        actual, votes = held_out[1][::every].argmax(axis=1), held_out[2][::every]
        predicted = np.where(known, logits, -np.inf).argmax(axis=1)
        top = np.sort(votes, axis=1)
        clear = top[:, -1] > top[:, -2]
        found = {
            "accuracy": metrics.accuracy(actual, predicted),
            "uar": metrics.uar(actual, predicted, len(CANONICAL)),
            "ferplus_accuracy": metrics.accuracy(
                votes[clear].argmax(axis=1), logits[clear].argmax(axis=1)
            ),
        }
        return {name: round(value, 4) for name, value in found.items()}

    seven = held_out[1].mean(axis=0)
    found = kind(Modality.FACE, name)
    return Job(
        found.build(found.config(labels=len(CANONICAL), stem_stride=STEM)),
        rate,
        batch,
        batches,
        measure,
        {
            "data": "FER2013, 48 px, grey; validation = PublicTest without repetitions and blanks",
            "start": "random weights",
            "samples": len(target),
            "validation": len(held_out[0][::LAST]),
            "chance": {
                "accuracy": round(float(seven.max()), 4),
                "uar": round(1 / int(np.count_nonzero(seven)), 4),
            },
        },
    )


def _faces(corpora: Path, split: Split, *leave_out: str) -> tuple[np.ndarray, ...]:
    """Read a split: gray faces, and their labels and FER+ votes over the canonical labels."""
    labelled, voted = (
        load(corpora).of(split).without(*leave_out) for load in (fer2013.load, fer2013.load_votes)
    )
    return (
        fer2013.read_images(labelled),
        soft_targets(labelled, load_map("fer2013")),
        soft_targets(voted, load_map("ferplus")),
    )


def comments(name: str, corpora: Path, batch: int = 32, rate: float = 3e-4) -> Job:
    """GoEmotions' 28 labels; the chance is predicting every label for every comment."""
    manifest = goemotions.load(corpora / "goemotions", goemotions.Grain.FINE)
    learn, choose = manifest.of(Split.TRAIN), manifest.of(Split.VALIDATION)
    identity = LabelMap.identity(manifest.taxonomy)
    files = Store().files(Store().card("text-minilm-v2"))
    pieces = WordPieces(files["tokenizer"])
    rows, held_out = ([pieces(e.text or "") for e in m.entries] for m in (learn, choose))
    target, present = soft_targets(learn, identity), soft_targets(choose, identity) > 0
    found = kind(Modality.TEXT, name)
    net = found.build(found.config(labels=len(taxonomy("goemotions"))))
    vectors = word_vectors(files["weights"])
    with torch.no_grad():
        net.words.weight[:, : vectors.shape[1]] = vectors * (0.02 / vectors.std())

    def batches(rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for pool in shuffled(len(rows), 32 * batch, rng):
                # Alike lengths together: there is little padding to compute with.
                pool = sorted(pool, key=lambda i: len(rows[i]))
                for k in rng.permutation(32) * batch:
                    index = pool[k : k + batch]
                    ids = collate([rows[i] for i in index])
                    yield torch.from_numpy(ids), torch.from_numpy(target[index])

    def measure(net: nn.Module, every: int) -> dict[str, float]:
        part = range(0, len(held_out), every)
        order = sorted(part, key=lambda i: len(held_out[i]))
        parts = [order[i : i + 64] for i in range(0, len(order), 64)]
        logits = [_answers(net, torch.from_numpy(collate([held_out[i] for i in p]))) for p in parts]
        p = torch.from_numpy(np.concatenate(logits)).softmax(dim=1).numpy()
        there = present[order]
        f1 = multilabel_f1(there, p >= best_thresholds(there, p))
        hit = there[np.arange(len(there)), p.argmax(axis=1)].mean()
        return {"macro_f1": round(float(f1.mean()), 4), "top_is_right": round(float(hit), 4)}

    share = present.mean(axis=0)
    return Job(
        net,
        rate,
        batch,
        batches,
        measure,
        {
            "data": "GoEmotions, 28 labels; validation = dev, thresholds chosen on it",
            "start": "random layers, MiniLM's word vectors in half of each vector",
            "samples": len(rows),
            "validation": len(held_out[::LAST]),
            "chance": {
                "macro_f1": round(float((2 * share / (1 + share)).mean()), 4),
                "top_is_right": round(float(share.max()), 4),
            },
        },
    )


def word_vectors(graph: Path) -> Tensor:
    """Read the word vectors of the embedded text model: float32 (vocabulary, 384)."""
    import onnx
    from onnx import numpy_helper

    arrays = {t.name: t for t in onnx.load(graph).graph.initializer}
    name = max((n for n in arrays if n.endswith(".int8")), key=lambda n: math.prod(arrays[n].dims))
    scales = numpy_helper.to_array(arrays[name.replace(".int8", ".scales")])
    return torch.from_numpy(numpy_helper.to_array(arrays[name]) * scales)


JOBS: dict[str, Callable[[str, Path], Job]] = {
    "vgg16": faces,
    "resnet50": faces,
    "distilbert": comments,
}


def train(job: Job, minutes: float, every: int) -> dict[str, Any]:
    """Train for some minutes; return the curve and what was reached."""
    optimiser = torch.optim.AdamW(job.net.parameters(), job.rate, weight_decay=0.01)
    rng = np.random.default_rng(SEED)
    clock, began = Stopwatch(60 * minutes), time.monotonic()
    curve: list[dict[str, float]] = []
    losses: list[float] = []
    batches = job.batches(rng)
    while clock.share < 1:
        for group in optimiser.param_groups:
            group["lr"] = job.rate * rate(clock.share)
        inputs, target = next(batches)
        job.net.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = job.net(inputs)
        loss = soft_cross_entropy(logits, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(job.net.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        if len(losses) % every == 0 and clock.share < 1:
            with clock.held():
                curve.append(point(job, losses, every, clock, CURVE))
                print(json.dumps(curve[-1]), flush=True)
    waited = time.monotonic() - began
    return {
        **job.about,
        "parameters": sum(p.numel() for p in job.net.parameters()),
        "batch": job.batch,
        "minutes": round(clock.seconds / 60, 2),
        "waited": round(waited / 60, 1),
        "steps": len(losses),
        "epochs": round(len(losses) * job.batch / job.about["samples"], 2),
        "first_losses": round(float(np.mean(losses[:20])), 4),
        "last": point(job, losses, every, clock, LAST),
        "curve": curve,
    }


def point(job: Job, losses: list[float], every: int, clock: Stopwatch, part: int) -> Any:
    """Measure the net where it stands."""
    return {
        "step": len(losses),
        "minutes": round(clock.seconds / 60, 2),
        "loss": round(float(np.mean(losses[-every:])), 4),
        **job.measure(job.net.eval(), part),
    }


class Stopwatch:
    """Counts seconds of a core towards a goal, less those for which it is held."""

    def __init__(self, goal: float) -> None:
        self._goal, self._start, self._lost = goal, time.process_time(), 0.0

    @property
    def seconds(self) -> float:
        """Seconds that passed."""
        return time.process_time() - self._start - self._lost

    @property
    def share(self) -> float:
        """Share of the goal that is reached."""
        return self.seconds / self._goal

    def held(self) -> _Hold:
        """Stand still inside a ``with``."""
        return _Hold(self)

    def lose(self, seconds: float) -> None:
        """Forget some seconds."""
        self._lost += seconds


class _Hold:
    def __init__(self, clock: Stopwatch) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._since = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._clock.lose(time.process_time() - self._since)


def rate(share: float) -> float:
    """Share of the peak learning rate: up in a line, down in half a cosine."""
    if share < WARMUP:
        return 0.01 + 0.99 * share / WARMUP
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, (share - WARMUP) / (1 - WARMUP)))) / 2


def _answers(net: nn.Module, inputs: Tensor) -> np.ndarray:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return torch.cat([net(x).float() for x in inputs.split(64)]).numpy()


def main() -> None:
    """Train each net in turn; results of nets that are not asked for are kept."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(JOBS))
    parser.add_argument("--minutes", type=float, default=6.0, help="of a core, for each net")
    parser.add_argument("--every", type=int, default=50, help="steps between two measurements")
    parser.add_argument("--corpora", type=Path, help="unpacked corpora (default: the data folder)")
    arguments = parser.parse_args()
    corpora = arguments.corpora or data_root()
    if corpora is None:
        raise SystemExit("no data: set EMOFUSE_DATA or give --corpora")
    if unknown := set(arguments.nets) - set(JOBS):
        raise SystemExit(f"no heavy net {', '.join(unknown)}; there are {', '.join(JOBS)}")
    torch.set_num_threads(1)
    path = RESULTS / "heavy_nets.json"
    results = json.loads(path.read_text())["nets"] if path.exists() else {}
    for name in arguments.nets or JOBS:
        torch.manual_seed(SEED)
        print(name, flush=True)
        results[name] = train(JOBS[name](name, corpora), arguments.minutes, arguments.every)
        write_result("heavy_nets", {"threads": 1, "seed": SEED, "nets": results})


if __name__ == "__main__":
    main()
