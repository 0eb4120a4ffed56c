"""How many faces do the detectors find, how many of their finds are wrong, how long do they take?

    EMOFUSE_DATA=… python -m benchmarks.face_detection [--corpora FOLDER] [--weights FILE] [--haar]

The reference is YuNet's own word: on photos the boxes of ``face-photos.csv`` (made on
larger versions of the pictures), on clips its finds in the sampled pictures. Photos
are those that no training saw (`emofuse.training.detector.photos.split_of`). What counts is told
in `emofuse.training.detector.detection_metrics`: references with a score of at least 0.7, one to
one at IoU 0.5; sizes are those in the picture as stored or sampled. Times are processor time
of whole calls of `detect` on one thread, in pictures of a talking head.

Tracks: what an analysis follows, against YuNet's finds linked by overlap. A person whom YuNet
shows for a second (score 0.7) is missed if no track covers half of the sightings; a track
is a phantom if YuNet (score 0.6) sees a face in less than a quarter of its pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.core.details import FaceDetails
from emofuse.core.estimates import Subject
from emofuse.core.media import Frame, Sample
from emofuse.corpora.manifest import Split
from emofuse.face.detect import (
    Box,
    CompactConfig,
    CompactDetector,
    Detection,
    HaarConfig,
    HaarDetector,
    YunetDetector,
    iou,
)
from emofuse.face.track import FaceTracker
from emofuse.models.store import WEIGHTS
from emofuse.sources.file import open_source
from emofuse.training.detector.detection_metrics import MetricState, compare, from_rows
from emofuse.training.detector.photos import read_photos, split_of

Picture = NDArray[np.uint8]
Find = Callable[[Picture], list[Detection]]

SIZES = {"from 40": (40.0, np.inf), "40 to 80": (40.0, 80.0), "20 to 40": (20.0, 40.0)}
"""Pixels, geometric mean of a face's width and height."""

TALKING = "ravdess_01-01-01-01-01-01-01.mp4"
"""The clip whose pictures times are taken on."""


def main() -> None:
    """Measure and write ``benchmarks/results/face_detection.json``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpora", type=Path, help="folder with images/ and face-photos.csv")
    parser.add_argument("--weights", type=Path, default=WEIGHTS / "face-detector-v2.onnx")
    parser.add_argument("--haar", action="store_true", help="compare variants of Haar, too")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("no data folder: set EMOFUSE_DATA")
    cv2.setNumThreads(1)
    weights = root / "models" / "face_detection_yunet_2023mar.onnx"
    yunet = YunetDetector(weights, min_score=0.5)
    corpora = arguments.corpora or root
    photos = read_photos(
        corpora / "face-photos.csv", corpora / "images", lambda n: split_of(n) is Split.TEST
    )
    sets = {"photos": ([p.pixels for p in photos], [from_rows(p.faces) for p in photos])}
    for path in sorted((root / "clips").iterdir()):
        pictures = read_clip(path)
        sets[path.name] = (pictures, [yunet.detect(p) for p in pictures])
    rows: dict[str, Any] = {}
    finds = options(YunetDetector(weights), arguments.weights)
    for option, find in (finds | (variants() if arguments.haar else {})).items():
        rows[option] = compare_all(find, sets) | {"speed": speed(find, sets[TALKING][0])}
        print(option, rows[option]["photos"]["from 40"], rows[option]["clips"]["from 40"])
    tracks = {
        path.name: compare_tracks(path, YunetDetector(weights, min_score=0.6), arguments.weights)
        for path in sorted((root / "clips").iterdir())
    }
    total = {
        key: sum(found[key] for found in tracks.values()) for key in next(iter(tracks.values()))
    }
    print("tracks", total)
    write_result("face_detection", {"options": rows, "tracks": {"all clips": total, **tracks}})


def compare_tracks(path: Path, yunet: YunetDetector, weights: Path) -> dict[str, int]:
    """Count the persons that YuNet shows in a clip, those missed, and the phantom tracks."""
    with closing(open_source(path)) as source:
        frames = [item for item in source.packets() if isinstance(item, Frame)]
    references = [yunet.detect(frame.image) for frame in frames]
    persons = [p for p in linked(references) if len(p) >= 6 and last(p) - first(p) >= 7]
    followed = follow(frames, weights)
    missed = sum(
        np.mean([overlaps(box, [t.get(n) for t in followed], 0.3) for n, box in p.items()]) < 0.5
        for p in persons
    )
    phantoms = sum(
        np.mean([overlaps(box, [d.box for d in references[n]], 0.2) for n, box in t.items()]) < 0.25
        for t in followed
    )
    return {"persons": len(persons), "missed": int(missed), "phantoms": int(phantoms)}


Boxes = dict[int, Box]
"""Number of a sampled picture → where a face is in it."""


def follow(frames: Sequence[Frame], weights: Path) -> list[Boxes]:
    """Return the tracks of an analysis, with the embedded detector."""
    tracker, tracks = FaceTracker(CompactDetector(weights)), dict[Subject, Boxes]()
    number = {frame.at.start_ns: n for n, frame in enumerate(frames)}
    for item in [out for frame in frames for out in tracker.feed(frame)] + list(tracker.flush()):
        if isinstance(item, Sample) and isinstance(item.details, FaceDetails):
            n = number[item.span.start_ns]
            height, width = frames[n].image.shape[:2]
            x, y, w, h = item.details.box or (0.0, 0.0, 0.0, 0.0)
            tracks.setdefault(item.subject, {})[n] = (x * width, y * height, w * width, h * height)
    return [track for track in tracks.values() if len(track) > 1]


def linked(references: Sequence[Sequence[Detection]], least: float = 0.7) -> list[Boxes]:
    """Link finds of successive pictures by overlap; half a second may be missing."""
    tracks: list[Boxes] = []
    for n, found in enumerate(references):
        free = [d.box for d in found if d.score >= least]
        for track in tracks:
            best = max(free, key=lambda box: iou(box, track[last(track)]), default=None)
            if best is not None and n - last(track) < 5 and iou(best, track[last(track)]) > 0.3:
                track[n] = best
                free.remove(best)
        tracks += [{n: box} for box in free]
    return tracks


def first(track: Boxes) -> int:
    """Return the number of a track's first picture."""
    return next(iter(track))


def last(track: Boxes) -> int:
    """Return the number of a track's last picture."""
    return next(reversed(track))


def overlaps(box: Box, others: Sequence[Box | None], least: float) -> bool:
    """Whether one of the others overlaps with a box by more than an IoU."""
    return any(other is not None and iou(box, other) > least for other in others)


def options(yunet: YunetDetector, weights: Path) -> dict[str, Find]:
    """Return the detectors as they come, and the embedded one at other sizes of picture."""
    found: dict[str, Find] = {"haar": HaarDetector().detect, "yunet": yunet.detect}
    found["compact"] = CompactDetector(weights).detect
    for side in (320, 480):
        found[f"compact, {side} pixels"] = CompactDetector(weights, CompactConfig(side)).detect
    return found


def variants() -> dict[str, Find]:
    """Return single cascades, pairs, and the Haar detector's own variants."""
    found: dict[str, Find] = {
        f"haar: {name} alone, {votes} neighbours": single(name, votes)
        for name, votes in (("default", 6), ("alt", 6), ("alt2", 3), ("alt2", 6))
    }
    pairs = (("alt2", "alt2"), ("alt2", "alt"), ("default", "alt"))
    for coarse, fine in pairs:
        for min_score in (0.33, 0.5):
            config = HaarConfig(coarse=coarse, fine=fine, min_score=min_score)
            option = f"haar: {coarse}, confirmed by {fine}, score ≥ {min_score}"
            found[option] = HaarDetector(config).detect
    found["haar: as default, 480 pixels"] = HaarDetector(HaarConfig(side=480)).detect
    found["haar: as default, step 1.2"] = HaarDetector(HaarConfig(step=1.2)).detect
    return found


def single(name: str, neighbours: int) -> Find:
    """Return a plain search with one cascade, in steps of 1.2, at 400 pixels."""
    path = Path(cv2.data.haarcascades) / f"haarcascade_frontalface_{name}.xml"
    cascade = cv2.CascadeClassifier(str(path))

    def find(picture: Picture) -> list[Detection]:
        scale = min(1.0, 400 / max(picture.shape))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        boxes = cascade.detectMultiScale(grey, 1.2, neighbours, minSize=(24, 24))
        return [Detection(tuple(float(v) / scale for v in box), 1.0) for box in boxes]

    return find


def compare_all(
    find: Find, sets: dict[str, tuple[list[Picture], list[list[Detection]]]]
) -> dict[str, Any]:
    """Compare a detector with the references of every set, and of all clips together."""
    rows: dict[str, Any] = {}
    clips = dict.fromkeys(SIZES, MetricState())
    for name, (pictures, references) in sets.items():
        found = [find(p) for p in pictures]
        pairs = list(zip(found, references, strict=True))
        rows[name] = {"finds_per_picture": round(sum(map(len, found)) / len(found), 3)}
        for label, (smallest, largest) in SIZES.items():
            tally = sum((compare(f, r, smallest, largest) for f, r in pairs), MetricState())
            rows[name][label] = figures(tally)
            if name != "photos":
                clips[label] += tally
    return rows | {"clips": {label: figures(tally) for label, tally in clips.items()}}


def figures(tally: MetricState) -> dict[str, Any]:
    """Return what a tally says, rounded."""
    return {
        "faces": tally.faces,
        "recall": _rounded(tally.recall),
        "precision": _rounded(tally.precision),
        "wrong_per_100_pictures": round(100 * tally.wrong / tally.pictures, 2),
        "landmarks_off": _rounded(tally.offset / tally.hits if tally.hits else float("nan")),
    }


def speed(find: Find, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return milliseconds of a call at two sizes of picture: median and 95th percentile."""
    found = {}
    for width, height in ((320, 240), (640, 480)):
        small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]
        times = []
        for picture in (*small[:3], *small, *small):
            start = time.process_time()
            find(picture)
            times.append(1000 * (time.process_time() - start))
        p50, p95 = np.percentile(times[3:], [50, 95])
        found[f"{width}×{height}"] = {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2)}
    return found


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def read_clip(path: Path) -> list[Picture]:
    """Return the pictures that an analysis looks at."""
    with closing(open_source(path)) as source:
        return [p.image for p in source.packets() if isinstance(p, Frame)]


if __name__ == "__main__":
    main()
