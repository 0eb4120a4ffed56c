"""What does a face model say of natural colour photos and of film, which it never saw?

    EMOFUSE_DATA=… python -m benchmarks.faces_in_the_wild [--corpora FOLDER] [--sheet PNG] [ID …]

Nobody labelled these faces, so nothing here is an accuracy. Photos are the faces of at
least 40 pixels in the part of ``face-photos.csv`` that no detector learnt from; each is
predicted as it is, and under the corruptions of `emofuse.evaluation.protocol.robustness`.
Reported is how often the prediction stays the same, and how far the probabilities move (total
variation, 0 to 1). Clips of people who read sentences in a neutral voice, or act, or
pose, are analyzed as a user would; told are the shares of the answers and how often a
person's answer changes a minute.
`--sheet` n_resamples photos by what the model says of them, to be looked at and not to be
published: they show people who were never asked.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.corpora.manifest import Split
from emofuse.evaluation.protocol.robustness import corruptions, generator
from emofuse.face.crop import crop_face, crop_side
from emofuse.models.registry import load
from emofuse.training.detector.detection_metrics import from_rows
from emofuse.training.detector.photos import read_photos, split_of

Picture = NDArray[np.uint8]

MODELS = ("face-v4",)
SMALLEST, SIDE = 40.0, 96
"""Pixels: of a face's crop in the photo, and what it is cut to before it is corrupted."""

CLIPS = {
    "grid_bbaf2n.mpg": "reads a sentence, neutral",
    "grid_brbk7n.mpg": "reads a sentence, neutral",
    "grid_lbax4n.mpg": "reads a sentence, neutral",
    "grid_swiz3n.mpg": "reads a sentence, neutral",
    "ravdess_01-01-01-01-01-01-01.mp4": "acts neutral",
    "ravdess_01-01-06-01-01-02-09.mp4": "acts fearful",
    "pexels_expressive_face.mp4": "poses, many expressions",
}


def main() -> None:
    """Measure and write ``benchmarks/results/faces_in_the_wild.json``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="ID")
    parser.add_argument("--corpora", type=Path, help="folder with images/ and face-photos.csv")
    parser.add_argument("--faces", type=int, default=600)
    parser.add_argument("--sheet", type=Path, help="where to draw photos by the first model's word")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("no data folder: set EMOFUSE_DATA")
    crops = faces(arguments.corpora or root, arguments.faces)
    found: dict[str, Any] = {}
    for model in arguments.models:
        asked = Asked(model)
        found[model] = {"photos": asked.steadiness(crops), "clips": clips(root / "clips", model)}
        if arguments.sheet and model == arguments.models[0]:
            asked.draw(crops, arguments.sheet)
    write_result("faces_in_the_wild", {"faces": len(crops), "models": found})


def faces(corpora: Path, count: int) -> list[Picture]:
    """Cut the first face, large enough, out of each of some photos: (SIDE, SIDE, 3) RGB."""
    out = []
    table, folder = corpora / "face-photos.csv", corpora / "images"
    for photo in read_photos(table, folder, lambda name: split_of(name) is Split.TEST):
        large = [d for d in from_rows(photo.faces) if crop_side(d) >= SMALLEST]
        if large:
            out.append(crop_face(photo.pixels, large[0], side=SIDE))
        if len(out) == count:
            break
    return out


class Asked:
    """A face model that answers crops."""

    def __init__(self, model: str) -> None:
        self.model = load(model)
        self.labels = self.model.taxonomy.labels

    def probabilities(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        """Return calibrated probabilities, (n, labels)."""
        rows = [self.model.prepare(crop) for crop in crops]
        parts = [self.model.infer(rows[i : i + 64]) for i in range(0, len(rows), 64)]
        return np.stack([answer.probabilities.values for part in parts for answer in part])

    def steadiness(self, crops: Sequence[Picture]) -> dict[str, Any]:
        """Compare the answers to corrupted faces with those to the faces as they are."""
        before = self.probabilities(crops)
        said = before.argmax(axis=1)
        sure = before.max(axis=1) >= 0.5
        out: dict[str, Any] = {
            "answers": share(Counter(self.labels[i] for i in said)),
            "mean confidence": round(float(before.max(axis=1).mean()), 3),
            "corrupted": {},
        }
        for corruption in corruptions(Modality.FACE):
            random = [generator(0, corruption.name, str(i)) for i in range(len(crops))]
            after = self.probabilities(
                [corruption.change(crop.copy(), r) for crop, r in zip(crops, random, strict=True)]
            )
            same = after.argmax(axis=1) == said
            out["corrupted"][corruption.name] = {
                "same answer": round(float(same.mean()), 3),
                "same, of the sure": round(float(same[sure].mean()), 3),
                "moved": round(float(np.abs(after - before).sum(axis=1).mean() / 2), 3),
            }
        return out

    def draw(self, crops: Sequence[Picture], path: Path, columns: int = 16) -> None:
        """Draw a row of photos, drawn at random, for each answer."""
        from PIL import Image

        p = self.probabilities(crops)
        said = p.argmax(axis=1)
        sheet = np.full((SIDE * len(self.labels), SIDE * columns, 3), 255, np.uint8)
        for row in range(len(self.labels)):
            those = generator(1, self.labels[row]).permutation(np.flatnonzero(said == row))
            for column, i in enumerate(those[:columns]):
                place = (
                    slice(row * SIDE, (row + 1) * SIDE),
                    slice(column * SIDE, (column + 1) * SIDE),
                )
                sheet[place] = crops[i]
        Image.fromarray(sheet).save(path)
        print(f"{path}: rows are {', '.join(self.labels)}")


def clips(folder: Path, model: str) -> dict[str, Any]:
    """Analyze each clip by its faces alone."""
    config = AnalyzerConfig(modalities=(Modality.FACE,), models={Modality.FACE: model})
    analyzer, out = Analyzer(config), {}
    for name, what in CLIPS.items():
        found = analyzer.analyze(folder / name).fused
        changes = sum(a.label != b.label for a, b in pairwise(found) if a.subject == b.subject)
        minutes = sum(e.span.duration for e in found) / 60
        out[name] = {
            "what": what,
            "answers": share(Counter(e.label for e in found)),
            "uncertain": round(sum(e.uncertain is not None for e in found) / len(found), 3),
            "changes a minute": round(changes / minutes, 1),
        }
    return out


def share(counts: Counter[str]) -> dict[str, float]:
    """Turn counts into shares, the largest first."""
    total = max(1, sum(counts.values()))
    return {label: round(n / total, 3) for label, n in counts.most_common()}


if __name__ == "__main__":
    main()
