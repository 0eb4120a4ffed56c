"""Teach YAMNet's dense head, and ask it about corpora that it never met.

    python -m benchmarks.yamnet_head --data ROOT --yamnet yamnet.tflite [--head OUT.safetensors]

ROOT holds ``crema-d/``, ``ravdess/`` and ``cross_corpus/`` with EmoDB, nEMO and TESS. YAMNet
stays as it is. The head (1024 → 64 → 7) learns the acted emotions of CREMA-D's training
speakers and of RAVDESS' actors but those of fold 3, on the middle 3 s of each clip's voiced
part; the epoch is chosen on CREMA-D's validation speakers. One seed; AdamW, one cycle, mixup,
label smoothing. The other corpora are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common import write_result
from emofuse.core.labels import CANONICAL
from emofuse.corpora.labels import canonical_map, soft_targets
from emofuse.corpora.manifest import Entry, Manifest, Split
from emofuse.corpora.recipes import crema_d, emodb, nemo, ravdess, tess
from emofuse.errors import InputError
from emofuse.evaluation.metrics.calibration import ece
from emofuse.evaluation.metrics.classification import uar
from emofuse.evaluation.predict.segmentation import voiced_range
from emofuse.models.runtime import Session
from emofuse.sources.audio import read_audio
from emofuse.speech.recognise import Features, Preparation, prepare
from emofuse.training.core.export import write_onnx
from emofuse.training.speech.nets.yamnet import (
    Yamnet,
    YamnetClassifier,
    YamnetConfig,
    read_yamnet,
)
from emofuse.training.speech.yamnet_graph import save_head

PREPARATION = Preparation(features=Features.WAVEFORM, seconds=3.0)
LABELS = 7
EPOCHS, BATCH, PEAK_RATE, SMOOTHING, MIXUP = 60, 128, 2e-3, 0.1, 0.3

Set = tuple[Tensor, Tensor]


def main() -> None:
    """Teach, choose, test; write ``results/yamnet_head.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--yamnet", type=Path, required=True)
    parser.add_argument("--head", type=Path, help="where to write the head's weights")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    config = YamnetConfig(labels=LABELS, hidden=64, dropout=0.5)
    net = YamnetClassifier(config, Yamnet(read_yamnet(arguments.yamnet)))
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(net, (torch.zeros(2, PREPARATION.samples),), Path(folder, "yamnet.onnx"))
        session = Session(Path(folder, "yamnet.onnx"), gpu=False)
        sets = {name: embedded(m, session) for name, m in manifests(arguments.data).items()}
    learn = tuple(torch.cat(parts) for parts in zip(sets["crema-d"], sets["ravdess"], strict=True))
    teach(net.classify, (learn[0], learn[1]), sets["chosen on"])
    if arguments.head:
        save_head(net, arguments.head)
    figures = {n: figures_of(net.classify, s) for n, s in sets.items() if n.startswith("test")}
    write_result("yamnet_head", {"learned from": len(learn[0]), **figures})


def manifests(data: Path) -> dict[str, Manifest]:
    """Return what is learned from, chosen on and tested on."""
    acted, actors = crema_d.RECIPE.load(data / "crema-d"), ravdess.load(data)
    strangers = {r.name: r.load(data / "cross_corpus" / r.name)
                 for r in (emodb.RECIPE, nemo.RECIPE, tess.RECIPE)}  # fmt: skip
    return {
        "crema-d": acted.of(Split.TRAIN),
        "ravdess": actors.where(lambda e: e.fold != 3),
        "chosen on": acted.of(Split.VALIDATION),
        "test: crema-d": acted.of(Split.TEST),
        "test: ravdess fold 3": actors.where(lambda e: e.fold == 3),
        **{f"test: {name}, never met": m for name, m in strangers.items()},
    }


def embedded(manifest: Manifest, session: Session) -> Set:
    """Return embeddings and labels of the clips whose label is one of the seven."""
    targets = soft_targets(manifest, canonical_map(manifest.taxonomy))
    rows, labels = [], []
    for entry, target in zip(manifest, targets, strict=True):
        if target[:LABELS].max() < 0.5:
            continue
        try:
            sound = prepare(middle(entry), PREPARATION)
        except InputError:
            continue
        rows.append(session.run({session.inputs[0]: sound[None]})[1][0])
        labels.append(int(target.argmax()))
    return torch.from_numpy(np.stack(rows)), torch.tensor(labels)


def middle(entry: Entry) -> NDArray[np.float32]:
    """Return the middle of what is voiced in a clip."""
    assert entry.path is not None
    sound = read_audio(entry.path, PREPARATION.rate)
    start, end = voiced_range(sound, PREPARATION.rate)
    start += max(0, end - start - PREPARATION.samples) // 2
    return sound[start : min(end, start + PREPARATION.samples)]


def teach(head: nn.Module, learn: Set, choose: Set) -> None:
    """Teach the head; leave it as it was after the epoch that was best on `choose`."""
    rows, labels = learn
    steps = len(rows) // BATCH
    optimizer = torch.optim.AdamW(head.parameters(), PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, EPOCHS * steps)
    rng, best, kept = np.random.default_rng(0), -1.0, {}
    for _ in range(EPOCHS):
        head.train()
        order = torch.from_numpy(rng.permutation(len(rows)))[: steps * BATCH]
        for some in order.view(steps, BATCH):
            share, partner = float(rng.beta(MIXUP, MIXUP)), some[rng.permutation(BATCH)]
            logits = head(share * rows[some] + (1 - share) * rows[partner])
            loss = share * _loss(logits, labels[some]) + (1 - share) * _loss(
                logits, labels[partner]
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        if (reached := figures_of(head, choose)["uar"]) > best:
            best, kept = reached, {k: v.clone() for k, v in head.state_dict().items()}
    head.load_state_dict(kept)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, labels, label_smoothing=SMOOTHING)


def figures_of(head: nn.Module, test: Set) -> dict[str, Any]:
    """Return figures of the best of the labels that a set has."""
    rows, labels = test
    known = sorted(set(labels.tolist()))
    with torch.inference_mode():
        probabilities = head.eval()(rows)[:, known].softmax(dim=1).numpy()
    actual = np.searchsorted(known, labels.numpy())
    found = probabilities.argmax(axis=1)
    return {
        "clips": len(rows),
        "labels": ", ".join(CANONICAL.labels[k] for k in known),
        "uar": round(float(uar(actual, found, len(known))), 4),
        "ece": round(float(ece(actual, probabilities)), 4),
    }


if __name__ == "__main__":
    main()
