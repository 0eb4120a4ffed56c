"""How fast is each embedded model on one thread, and how large is it?

    OMP_NUM_THREADS=1 python -m benchmarks.models [MODEL …]

A sample is a face crop, a window as long as the model's own (voice), a sentence
(words) or a picture of 320 × 240 pixels (detectors, whose whole call is timed).
`prepare` and `infer` are timed apart, and `infer` includes everything between a
prepared sample and its scores. Times are given twice: ``wall`` is what passed,
``core`` what the kernel counts for this process, which hardly depends on what else
the machine does. Throughput is that of batches of 32, by core time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, write_result
from emofuse.core.estimates import Modality
from emofuse.face.crop import crop_face
from emofuse.face.detect import CompactDetector, HaarDetector
from emofuse.models.card import Card
from emofuse.models.recogniser import OnnxRecogniser
from emofuse.models.registry import RECOGNISERS, load
from emofuse.models.store import ModelLocation, Store
from emofuse.sources.audio import read_audio

MEDIA = ROOT / "tests" / "media"
TARGETS_MS = {Modality.FACE: 3.0, Modality.SPEECH: 5.0, Modality.TEXT: 5.0}
"""Longest `infer` of one sample that is wanted; 2 ms for a detector."""
DETECTOR_MS = 2.0
WARM, RUNS, BATCH, BATCHES = 20, 300, 32, 8

SENTENCES = (
    "Ok.",
    "I don't know, maybe tomorrow.",
    "I am so happy to see you, this is wonderful!",
    "He never came back, and I cried all night.",
    "How dare you talk to me like that? Get out of here, now!",
    "There is somebody in the house, please hurry.",
    "That is disgusting, I feel sick just from looking at it.",
    "The train leaves at half past ten from platform four.",
    "We had planned the whole trip for months, and then, two days before we wanted to leave, "
    "the company went bankrupt and nobody answered the phone.",
    "Wait, what? I had no idea that you two were married!",
    "She said that she would think about it and call us back by the end of the week.",
    "Thank you all so much for coming tonight, it really means a lot to me and my family.",
)


def main() -> None:
    """Measure, write ``benchmarks/results/models.json`` and show a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="ids; default: embedded recognisers, detectors"
    )
    wanted = parser.parse_args().models
    store = Store()
    cards = [store.card(name) for name in wanted] or [
        card
        for card in store.cards()
        if store.location(card) is ModelLocation.EMBEDDED
        and card.modality is not Modality.FUSED
        and (card.recogniser in RECOGNISERS or card.recogniser == "detector")
    ]
    cv2.setNumThreads(1)
    rows = {card.id: measure(card, store) for card in cards}
    write_result("models", {"threads": 1, "runs": RUNS, "batch": BATCH, "models": rows})
    show(rows)


def measure(card: Card, store: Store) -> dict[str, Any]:
    """Measure one model."""
    files = store.files(card)
    about = {
        "modality": card.modality.value,
        "bytes": card.bytes,
        "parameters": parameters(files["weights"]),
    }
    if card.recogniser == "detector":
        detector, picture = CompactDetector(files["weights"]), frame()
        times = timed(detector.detect, [picture])
        return {**about, "infer": times, **judged(times, DETECTOR_MS)}
    recogniser = load(card.id, store)
    assert isinstance(recogniser, OnnxRecogniser)
    samples = samples_for(card)
    rows = [recogniser.prepare(sample) for sample in samples]
    batches = [[rows[(k + i) % len(rows)] for i in range(BATCH)] for k in range(BATCHES)]
    times = timed(recogniser.infer, [[row] for row in rows])
    per_batch = timed(recogniser.infer, batches, runs=3 * BATCHES, warm=2)
    return {
        **about,
        "prepare": timed(recogniser.prepare, samples),
        "infer": times,
        "per_second_at_32": round(1000 * BATCH / per_batch["core_p50_ms"]),
        **judged(times, TARGETS_MS[card.modality]),
    }


def judged(times: dict[str, float], target: float) -> dict[str, Any]:
    """Compare with the target, by core time."""
    return {"target_ms": target, "met": times["core_p50_ms"] <= target}


def timed(
    call: Callable[[Any], object], inputs: Sequence[Any], runs: int = RUNS, warm: int = WARM
) -> dict[str, float]:
    """Call by turns on the inputs: median and 95th percentile in milliseconds."""
    wall, core = [], []
    for i in range(warm + runs):
        item = inputs[i % len(inputs)]
        w, c = time.perf_counter_ns(), time.process_time_ns()
        call(item)
        core.append(time.process_time_ns() - c)
        wall.append(time.perf_counter_ns() - w)
    return {
        f"{name}_p{q}_ms": round(float(np.percentile(taken[warm:], q)) / 1e6, 3)
        for name, taken in (("wall", wall), ("core", core))
        for q in (50, 95)
    }


def samples_for(card: Card) -> list[Any]:
    """Return raw samples of a modality: crops, windows, or sentences."""
    if card.modality is Modality.FACE:
        portrait = np.ascontiguousarray(cv2.imread(str(MEDIA / "portrait.jpg"))[..., ::-1])
        crop = crop_face(portrait, HaarDetector().detect(portrait)[0])
        return [crop, np.ascontiguousarray(crop[:, ::-1])]
    if card.modality is Modality.SPEECH:
        assert card.window is not None
        rate = int(card.preparation["rate"])
        sound = read_audio(MEDIA / "speech.ogg", rate)
        length = round(rate * card.window.window_ns / 1e9)
        sound = np.tile(sound, -(-3 * length // len(sound)))
        return [sound[k : k + length] for k in range(0, 2 * length, length // 3)]
    return list(SENTENCES)


def frame() -> np.ndarray:
    """Return a picture with one face, 240 × 320."""
    clip = cv2.VideoCapture(str(MEDIA / "talking.mp4"))
    read, picture = clip.read()
    assert read
    return np.ascontiguousarray(cv2.resize(picture, (320, 240))[..., ::-1])


def parameters(graph: Path) -> int | None:
    """Return how many numbers a graph holds, or None where onnx is not installed."""
    try:
        import onnx
    except ImportError:
        return None
    weights = onnx.load(graph).graph.initializer
    return int(sum(np.prod(w.dims) for w in weights if len(w.dims) > 0))


def show(rows: dict[str, dict[str, Any]]) -> None:
    """Print a table for people."""
    table = Table(title="one thread, core milliseconds: median (95th percentile)")
    for column in ("model", "numbers", "size", "prepare", "infer", "target", "a second, by 32"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['parameters'] or 0:,}",
            f"{row['bytes'] / 1e6:.2f} MB",
            span(row.get("prepare")),
            span(row["infer"]),
            f"{row['target_ms']:g} {'met' if row['met'] else 'MISSED'}",
            str(row.get("per_second_at_32", "–")),
        )
    Console(width=110).print(table)


def span(times: dict[str, float] | None) -> str:
    """Write a median and a percentile."""
    return f"{times['core_p50_ms']:.2f} ({times['core_p95_ms']:.2f})" if times else "–"


if __name__ == "__main__":
    main()
