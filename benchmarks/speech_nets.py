"""Which speech net learns most from little, and what does it cost?

    python -m benchmarks.speech_nets --data ROOT --epochs 10
    python -m benchmarks.speech_nets --data ROOT --epochs 10 --nets mel-cnn yamnet

Every net but wav2vec2 learns RAVDESS' eight emotions alike: folds 0, 1 and 2, the
epoch chosen on fold 4, tested once on fold 3 (no actor is in two folds); one seed,
AdamW on a one-cycle schedule, bf16, mixup, label smoothing, and no augmentation of the
sound, so that features need to be computed only once. The budgets are small: the
figures compare the nets where data and time are scarce, and are no measure of what
each could reach. YAMNet comes frozen with what it learnt from AudioSet, so its
embeddings are computed only once as well.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common import data_root, write_result
from emofuse.core.estimates import Modality
from emofuse.corpora.recipes import ravdess
from emofuse.evaluation.metrics import classification as metrics
from emofuse.evaluation.predict.segmentation import voiced_range
from emofuse.models.runtime import Session
from emofuse.sources.audio import read_audio
from emofuse.speech.recognise import Preparation, prepare
from emofuse.training.core.export import write_onnx
from emofuse.training.core.nets import kind, names

CHOOSE_ON, TEST_ON = 4, 3
BATCH, PEAK_RATE, SMOOTHING, MIXUP = 32, 1.5e-3, 0.1, 0.3


def clips(data: Path) -> tuple[list[NDArray[np.float32]], Tensor, NDArray[np.int64]]:
    """The voiced part of each clip (at most 3 s), its emotion and its fold."""
    manifest = ravdess.load(data)
    preparation, sounds = Preparation(), []
    for entry in manifest:
        assert entry.path is not None
        sound = read_audio(entry.path, preparation.rate)
        start, end = voiced_range(sound, preparation.rate)
        start += max(0, end - start - preparation.samples) // 2
        sounds.append(sound[start : min(end, start + preparation.samples)])
    emotions = [manifest.taxonomy.labels.index(next(iter(e.labels))) for e in manifest]
    return sounds, torch.tensor(emotions), np.array([e.fold for e in manifest])


def cpu_ms(call: Callable[[], Any], times: int) -> float:
    """Median milliseconds of processor time: other programs on the machine do not count."""
    taken = []
    for _ in range(times + 2):
        start = time.process_time()
        call()
        taken.append(1000 * (time.process_time() - start))
    return float(np.median(taken[2:]))


def train(
    net: nn.Module, rows: Tensor, emotions: Tensor, folds: NDArray[np.int64], epochs: int
) -> dict[str, Any]:
    """Train a net; figures of the epoch that was best on the fold to choose on."""
    learn = torch.from_numpy(np.flatnonzero(~np.isin(folds, (CHOOSE_ON, TEST_ON))))
    steps = len(learn) // BATCH
    taught = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(taught, PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, epochs * steps)
    rng = np.random.default_rng(0)
    best: dict[str, Any] = {"uar_chosen_on": -1.0}
    weights: dict[str, Tensor] = {}
    for epoch in range(epochs):
        net.train()
        for chosen in learn[rng.permutation(len(learn))][: steps * BATCH].split(BATCH):
            share, partner = float(rng.beta(MIXUP, MIXUP)), chosen[rng.permutation(BATCH)]
            mixed = share * rows[chosen] + (1 - share) * rows[partner]
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(mixed)
            logits = logits.float()
            loss = share * _loss(logits, emotions[chosen])
            loss = loss + (1 - share) * _loss(logits, emotions[partner])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(taught, 5.0)
            optimiser.step()
            schedule.step()
        uar = _uar(net, rows, emotions, folds == CHOOSE_ON)
        if uar >= best["uar_chosen_on"]:
            best = {"uar_chosen_on": round(uar, 4), "epoch": epoch + 1}
            weights = {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(weights)
    return {"uar_test": round(_uar(net, rows, emotions, folds == TEST_ON), 4), **best}


def _loss(logits: Tensor, emotions: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, emotions, label_smoothing=SMOOTHING)


def _uar(net: nn.Module, rows: Tensor, emotions: Tensor, which: NDArray[np.bool_]) -> float:
    net.eval()
    with torch.inference_mode():
        answers = torch.cat([net(part) for part in rows[which].split(64)]).argmax(dim=1)
    return float(metrics.uar(emotions[which].numpy(), answers.numpy(), 8))


def measure(
    name: str,
    sounds: list[NDArray[np.float32]],
    emotions: Tensor,
    folds: NDArray[np.int64],
    epochs: int,
    sizes: dict[str, Any],
) -> dict[str, Any]:
    """Train one net, export it, and say what it answers and costs."""
    architecture = kind(Modality.SPEECH, name)
    preparation = Preparation(**architecture.preparation)
    torch.manual_seed(0)
    net = architecture.build(architecture.config(labels=8, **sizes))
    rows = torch.from_numpy(np.stack([prepare(sound, preparation) for sound in sounds]))
    window = np.resize(max(sounds, key=len), preparation.samples)
    figures: dict[str, Any] = {
        "net": name,
        "parameters": sum(p.numel() for p in net.parameters()),
        "trained_parameters": sum(p.numel() for p in net.parameters() if p.requires_grad),
        "ms_features": round(cpu_ms(lambda: prepare(window, preparation), 20), 2),
    }
    start = time.process_time()
    if name == "yamnet":
        net.eval()
        with torch.inference_mode():
            rows = torch.cat([net.embed(part) for part in rows.split(32)])
        rows = rows.clone()  # out of inference mode
        figures |= train(net.classify, rows, emotions, folds, epochs)
    else:
        figures |= train(net, rows, emotions, folds, epochs)
    figures["training_cpu_s"] = round(time.process_time() - start)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        write_onnx(net, (torch.randn(2, *preparation.shape),), path)
        session, one = Session(path, gpu=False), prepare(window, preparation)[None]
        figures["ms_net"] = round(cpu_ms(lambda: session.logits(one), 30), 2)
        figures["onnx_mb"] = round(path.stat().st_size / 1e6, 2)
    return figures


def main() -> None:
    """Measure, print a table and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=data_root(), help="folder of ravdess.csv")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--yamnet", type=Path, default=None, help="path of yamnet.tflite")
    every = [name for name in names(Modality.SPEECH) if name != "wav2vec2"]
    parser.add_argument("--nets", nargs="+", choices=every, default=every)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = clips(arguments.data)
    rows = []
    for name in arguments.nets:
        sizes = {"weights": arguments.yamnet} if name == "yamnet" else {}
        rows.append(measure(name, *found, arguments.epochs, sizes))
        print(rows[-1], flush=True)
    columns = ("net", "parameters", "ms_features", "ms_net", "uar_test", "uar_chosen_on", "epoch")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(row[c]) for c in columns) + " |")
    protocol = (
        "RAVDESS speech, 8 emotions: folds 0, 1, 2 to learn, 4 to choose the epoch, 3 to test; "
        f"{arguments.epochs} epochs, one seed, no augmentation but mixup; processor time of one "
        "thread for a window of 3 s. A small budget: it ranks nets where data and time are scarce"
    )
    write_result("speech-nets", {"protocol": protocol, "nets": rows})


if __name__ == "__main__":
    main()
