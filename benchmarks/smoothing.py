"""Which smoothing is right most often, and how late does it show a change of emotion?

    python -m benchmarks.smoothing [--posteriors CSV] [--crema FOLDER] [--save]

No corpus at hand has natural sequences, so they are made of real readings, speaker by
speaker: emotions follow each other in random order (never twice the same), each for
one to three clips. Three kinds, because what smoothing gains hangs on how alike the
errors of neighbouring slots are, and nobody knows that of natural films:

- ``held``: RAVDESS' posteriors (Luna-Jiménez et al. 2021; geometric mean of their face
  and voice models), a clip's reading held for its 3.5 s: errors wholly alike in a clip.
- ``fresh``: the same, but every slot takes the reading of a random clip of the same
  actor and emotion: errors wholly independent. The truth lies between these two.
- ``voice``: what the embedded speech model says of CREMA-D's validation speakers hop by
  hop, as in use (needs the extracted folder).

Delay is the time from a change to the first slot that shows the new emotion, plus what
the method waits; ``missed`` is the share of changes never shown before the next one;
``changes`` the number shown for each one made; ``ece`` over 15 bins.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common import data_root, write_result
from emofuse.core.labels import CANONICAL
from emofuse.core.time import NS
from emofuse.engine.smooth import (
    SmoothConfig,
    SmoothMethod,
    learn_dwell,
    make_smoother,
    smooth_rows,
)

SLOT = 0.5
CLIP_SLOTS = 7  # RAVDESS' clips are 3.7 s long
ROUNDS = 1  # sequences made of each speaker

METHODS: dict[str, SmoothConfig] = {
    "none": SmoothConfig(SmoothMethod.NONE),
    **{f"mean {s:g}": SmoothConfig(SmoothMethod.MEAN, seconds=s) for s in (1.0, 2.0, 3.0)},
    **{
        f"exponential {s:g}": SmoothConfig(SmoothMethod.EXPONENTIAL, seconds=s)
        for s in (0.5, 1.0, 2.0)
    },
    **{
        f"hmm lag {lag:g} ind {apart:g}": SmoothConfig(SmoothMethod.HMM, lag=lag, independent=apart)
        for lag, apart in ((0.0, 2.0), (0.5, 2.0), (1.0, 1.0), (1.0, 2.0), (1.0, 4.0), (2.0, 2.0))
    },
}

Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clip:
    """The readings of one clip, one row of canonical probabilities a slot, and its label."""

    speaker: str
    label: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class Made:
    """What was read in each slot of a made sequence, and what was true."""

    rows: Rows
    truth: NDArray[np.int64]


def main() -> None:
    """Make the sequences, smooth them by every method, print and save."""
    data = data_root()
    parser = argparse.ArgumentParser(description=__doc__)
    default = data / "fusion" / "ravdess_posteriors.csv" if data else None
    parser.add_argument("--posteriors", type=Path, default=default, required=default is None)
    parser.add_argument("--crema", type=Path, help="CREMA-D, as `emofuse corpus` reads it")
    parser.add_argument("--speakers", type=int, default=24, help="most of each corpus")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()

    clips = ravdess(args.posteriors, args.speakers)
    kinds = {
        "held": lambda: sequences(clips, fresh=False),
        "fresh": lambda: sequences(clips, fresh=True),
    }
    if args.crema:
        kinds["voice"] = lambda: sequences(list(crema(args.crema, args.speakers)), fresh=False)
    figures: dict[str, Any] = {"slot_s": SLOT, "speakers": args.speakers, "kinds": {}}
    for kind, make in kinds.items():
        made = make()
        labels = [[CANONICAL.labels[i] for i in s.truth] for s in made]
        dwell, _ = learn_dwell(labels, SLOT)
        slots = sum(len(s.truth) for s in made)
        figures["kinds"][kind] = {
            "slots": slots,
            "learned_dwell_s": round(dwell, 2),
            "methods": {name: judge(config, made) for name, config in METHODS.items()},
        }
        show(kind, figures["kinds"][kind])
    if args.save:
        write_result("smoothing", figures)


def ravdess(path: Path, most: int) -> list[Clip]:
    """Read the posteriors: geometric mean of face and voice; calm counts as neutral."""
    order = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    ours = ("neutral", "neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
    clips = []
    with path.open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            face = np.array([float(row[f"faceLSTM_{e}"]) for e in order])
            voice = np.array([float(row[f"voiceW2V_{e}"]) for e in order])
            p = np.sqrt(np.maximum(face, 1e-4) * np.maximum(voice, 1e-4))
            reading = np.zeros(len(CANONICAL))
            np.add.at(reading, [CANONICAL.index(o) for o in ours], p / p.sum())
            label = ours[order.index(row["emotion"])]
            clips.append(Clip(row["actor"], label, np.tile(reading, (CLIP_SLOTS, 1))))
    return [clip for clip in clips if int(clip.speaker) <= most]


def crema(folder: Path, most: int) -> Iterator[Clip]:
    """Read CREMA-D's first validation speakers with the embedded speech model, as in use."""
    from emofuse.analyzer import Analyzer, AnalyzerConfig
    from emofuse.core.estimates import Modality

    labels = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "SAD": "sad"}
    labels["NEU"] = "neutral"
    off = SmoothConfig(SmoothMethod.NONE)
    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.SPEECH,), smoothing=off))
    table = next(
        p for p in (folder.with_suffix(".csv"), folder / f"{folder.name}.csv") if p.exists()
    )
    with table.open(newline="", encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f) if r["split"] == "validation"]
    speakers = sorted({r["speaker"] for r in rows})[:most]
    for row in rows:
        if row["speaker"] not in speakers or row["conflicting_duplicate"] == "1":
            continue
        path = next(folder.rglob(f"{row['clip']}.*"))
        fused = analyzer.analyze(path).of(Modality.FUSED)
        if fused:
            read = np.stack([e.probabilities.values for e in fused]).astype(np.float64)
            yield Clip(row["speaker"], labels[row["emotion"]], read)


def sequences(clips: Sequence[Clip], *, fresh: bool) -> list[Made]:
    """Make every speaker's sequences; `fresh` draws each slot from another clip."""
    made = []
    for speaker in sorted({c.speaker for c in clips}, key=int):
        own: dict[str, list[Clip]] = {}
        for clip in clips:
            if clip.speaker == speaker:
                own.setdefault(clip.label, []).append(clip)
        rng = np.random.default_rng([17, int(speaker)])
        made += [_sequence(own, rng, fresh) for _ in range(ROUNDS)]
    return made


def _sequence(own: dict[str, list[Clip]], rng: np.random.Generator, fresh: bool) -> Made:
    """Use up one speaker's clips, one to three of an emotion at a time."""
    left = {label: list(rng.permutation(len(own[label]))) for label in sorted(own)}
    rows, truth, last = [], [], ""
    while choices := [label for label in left if left[label] and label != last]:
        last = str(rng.choice(choices))
        for _ in range(int(rng.integers(1, 4))):
            if not left[last]:
                break
            clip = own[last][left[last].pop()]
            if fresh:
                picks = rng.integers(len(own[last]), size=len(clip.rows))
                rows += [own[last][i].rows[0] for i in picks]
            else:
                rows += list(clip.rows)
            truth += [CANONICAL.index(last)] * len(clip.rows)
    return Made(np.array(rows), np.array(truth))


def judge(config: SmoothConfig, made: Sequence[Made]) -> dict[str, float]:
    """Smooth all sequences by one method and say how well and how late."""
    smoother = make_smoother(config, round(SLOT * NS))
    right, confidence, delays, missed, shown, changes = [], [], [], 0, 0, 0
    for s in made:
        p = smooth_rows(smoother, s.rows, round(SLOT * NS))
        label = p.argmax(axis=1)
        right.append(label == s.truth)
        confidence.append(p.max(axis=1))
        shown += int((np.diff(label) != 0).sum())
        at = np.flatnonzero(np.diff(s.truth)) + 1
        changes += len(at)
        for start, end in zip(at, [*at[1:], len(label)], strict=True):
            hits = np.flatnonzero(label[start:end] == s.truth[start])
            missed += not len(hits)
            delays += [hits[0] * SLOT + smoother.lag_ns / NS] if len(hits) else []
    hit, sure = np.concatenate(right), np.concatenate(confidence)
    return {
        "accuracy": round(float(hit.mean()), 4),
        "ece": round(ece(hit, sure), 4),
        "delay_mean_s": round(float(np.mean(delays)), 2),
        "delay_p90_s": round(float(np.quantile(delays, 0.9)), 2),
        "missed": round(missed / changes, 4),
        "changes": round(shown / changes, 2),
        "declared_latency_s": smoother.latency_ns / NS,
    }


def ece(hit: NDArray[np.bool_], sure: Rows, bins: int = 15) -> float:
    """Expected calibration error of the top label, over bins of equal width."""
    which = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        abs(float(hit[which == b].mean() - sure[which == b].mean())) * float((which == b).mean())
        for b in np.unique(which)
    ]
    return sum(gaps)


def show(kind: str, figures: dict[str, Any]) -> None:
    """IdentityEmbedding one kind's table."""
    title = f"{kind}: {figures['slots']} slots, dwell {figures['learned_dwell_s']} s"
    table = Table(title=title)
    for name in ("method", *next(iter(figures["methods"].values()))):
        table.add_column(name, justify="left" if name == "method" else "right")
    for name, row in figures["methods"].items():
        table.add_row(name, *(f"{v:g}" for v in row.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
