"""How often is the default group model right, and how far can its probabilities be trusted?

    EMOFUSE_DATA=… python -m benchmarks.group_mood [--count 300] [--sets fer2013-test,strangers]
    EMOFUSE_DATA=… python -m benchmarks.group_mood --keyframes    # on an idle machine

Photos of 1 to 60 people are composed of faces whose expression is known
(`emofuse.training.mood.composed`) and analyzed as `emofuse analyze --group` does it. A photo's
mood is what most of its people show; chance is one third, for strangers one half.

fer2013-validation  faces that the model was calibrated with
fer2013-test        faces that nothing was learned from or chosen with
strangers           posed faces of CK+ and KDEF, whose photos face-v4 was chosen with but did not
                    learn from; they have no neutral faces, so scenes are positive or negative. The
                    model may answer *neutral* all the same.

Two simple rules are measured beside the model: the mood of most readable faces, and the mean of
their probabilities, weighted by quality. Intervals are not given: photos share faces.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Estimate, Modality, SubjectKind
from emofuse.evaluation.metrics.calibration import ece
from emofuse.group.config import GroupConfig
from emofuse.group.keyframes import find_keyframes
from emofuse.group.mood import MOODS, readable
from emofuse.group.scores import fold, make_scorer
from emofuse.training.mood.aggregation import made_scenes
from emofuse.training.mood.composed import BUCKETS, Faces, PhotoSource, read_fer2013, read_table

SEED = 11
SETS = ("fer2013-validation", "fer2013-test", "strangers")


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPhoto:
    """What was said of one photo: bucket, truth, probabilities, and what simple rules say."""

    bucket: str
    truth: int
    p: NDArray[np.float32]
    uncertain: bool
    vote: int | None
    mean: int | None
    found: int
    people: int


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="photos of each set")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--keyframes", action="store_true", help="measure their cost instead")
    given = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("no data: set EMOFUSE_DATA to the folder of the corpora")
    if given.keyframes:
        write_result("keyframes", {"seconds a minute of video": _cost_of_keyframes(root)})
        return
    figures = {}
    for name in given.sets.split(","):
        figures[name] = measure(_faces(root, name), given.count)
        print(name, figures[name], flush=True)  # of a run that is stopped something is left
    write_result("group_mood", {"photos of each set": given.count, "seed": SEED, "sets": figures})


def measure(faces: Faces, count: int) -> dict[str, Any]:
    """Return the figures of one set, by the number of people and over all."""
    scored = list(score(faces, count))
    by_bucket = {b: [j for j in scored if j.bucket == b] for b in BUCKETS}
    return {name: _figures(some) for name, some in (*by_bucket.items(), ("all", scored))}


def score(faces: Faces, count: int) -> Iterator[ScoredPhoto]:
    """Compose photos and analyze them."""
    config = AnalyzerConfig(modalities=(Modality.FACE,), group=GroupConfig(enabled=True))
    analyzer = Analyzer(config)
    moods = [mood for mood in MOODS.labels if faces.get(mood)]
    for bucket, photo in made_scenes(faces, count, SEED, moods):
        timeline = analyzer.collect(PhotoSource(photo.image))
        told = next(e for e in timeline if e.subject.kind is SubjectKind.GROUP)
        seen = [e for e in timeline.of(Modality.FACE) if readable(e)]
        yield ScoredPhoto(
            bucket,
            MOODS.labels.index(photo.mood),
            told.probabilities.values,
            told.uncertain is not None,
            *_simple(seen),
            len(seen),
            len(photo.shows),
        )


def _simple(seen: Sequence[Estimate]) -> tuple[int | None, int | None]:
    """Return what most readable faces show, and the mood of their weighted mean."""
    if not seen:
        return None, None
    p = np.stack([fold(e.probabilities).values for e in seen])
    votes = np.bincount(p.argmax(axis=1), minlength=3)
    mean = np.array([e.quality for e in seen]) @ p
    return int(votes.argmax()), int(mean.argmax())


def _figures(judged: Sequence[ScoredPhoto]) -> dict[str, Any]:
    p = np.stack([j.p for j in judged])
    truth = np.array([j.truth for j in judged])
    right, sure = p.argmax(axis=1) == truth, np.array([not j.uncertain for j in judged])
    return {
        "photos": len(judged),
        "accuracy": round(float(right.mean()), 3),
        "calibration error": round(ece(truth, p), 3),
        "uncertain": round(float(1 - sure.mean()), 3),
        "accuracy unless uncertain": round(float(right[sure].mean()), 3) if sure.any() else None,
        "accuracy of the vote": round(float(np.mean([j.vote == j.truth for j in judged])), 3),
        "accuracy of the mean": round(float(np.mean([j.mean == j.truth for j in judged])), 3),
        "faces read": round(sum(j.found for j in judged) / sum(j.people for j in judged), 3),
    }


def _faces(root: Path, name: str) -> Faces:
    if name.startswith("fer2013-"):
        return read_fer2013(root, name.removeprefix("fer2013-"))
    if name != "strangers":
        raise SystemExit(f"no set {name!r}; there are {', '.join(SETS)}")
    ck, kdef = read_table(root, "ck48"), read_table(root, "kdef")
    return {mood: [*ck[mood], *kdef[mood]] for mood in ck}


def _cost_of_keyframes(root: Path) -> dict[str, float]:
    """Return seconds for a minute of video, of each clip of at least 720 lines."""
    scorer = make_scorer()
    out = {}
    for path in sorted((root / "clips").glob("*.mp4")):
        started = time.perf_counter()
        found = find_keyframes(path, scorer)
        spent = time.perf_counter() - started
        analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.FACE,)))
        source = analyzer.open(path)
        video, length = source.info.video, source.info.duration
        source.close()
        if video and length and min(video.width, video.height) >= 720 and found:
            out[f"{path.name}, {video.width} × {video.height}"] = round(60 * spent / length, 1)
    return out


if __name__ == "__main__":
    main()
