"""How many faces do the detectors find, how many of their finds are wrong, how long do they take?

    EMOFUSE_DATA=… python -m benchmarks.face_detection [--photos 600] [--corpora FOLDER]

The reference is YuNet's own word: on photos the boxes of ``face-photos.csv`` (made on
larger versions of the pictures), on clips its finds in the sampled pictures. A
face counts for recall if its score is ≥ 0.8 and it is large enough for every
option: 40 pixels in photos (of at most 256), a fourteenth of the long side in
clips. A find is right if it overlaps any reference with an IoU ≥ 0.4. Times are
processor time on one core.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.media import Frame
from emofuse.face.detect import Box, Detection, HaarConfig, HaarDetector, YunetDetector, iou
from emofuse.sources.file import open_source

from .common import data_root, write_result

Picture = NDArray[np.uint8]
Find = Callable[[Picture], list[Detection]]
Faces = list[tuple[Box, float]]


def main() -> None:
    """Measure and write ``benchmarks/results/face_detection.json``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--corpora", type=Path, help="folder with images/ and face-photos.csv")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("no data folder: set EMOFUSE_DATA")
    cv2.setNumThreads(1)
    yunet = YunetDetector(root / "models" / "face_detection_yunet_2023mar.onnx")
    photos = read_photos(arguments.corpora or root, arguments.photos)
    clips = {p.name: read_clip(p) for p in sorted((root / "clips").iterdir())}
    references = {
        name: [[(d.box, d.score) for d in yunet.detect(p)] for p in pictures]
        for name, pictures in clips.items()
    }
    rows = {}
    for option, find in options(yunet).items():
        rows[option] = {"photos": score(find, *zip(*photos, strict=True), smallest=lambda _: 40.0)}
        for name, pictures in clips.items():
            row = score(find, pictures, references[name], smallest=lambda p: max(p.shape) / 14)
            rows[option][name] = row
        print(option, rows[option]["photos"], flush=True)
    write_result("face_detection", {"photos": len(photos), "options": rows})


def options(yunet: YunetDetector) -> dict[str, Find]:
    """Return what is compared: single cascades, pairs, the default's variants, YuNet."""
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
    found["yunet"] = yunet.detect
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


def score(
    find: Find,
    pictures: Sequence[Picture],
    references: Sequence[Faces],
    smallest: Callable[[Picture], float],
) -> dict[str, Any]:
    """Compare a detector's finds with the references."""
    finds = right = faces = hit = 0
    start = time.process_time()
    found = [find(picture) for picture in pictures]
    spent = time.process_time() - start
    for picture, seen, reference in zip(pictures, found, references, strict=True):
        finds += len(seen)
        right += sum(any(iou(d.box, box) >= 0.4 for box, _ in reference) for d in seen)
        wanted = [b for b, s in reference if s >= 0.8 and min(b[2:]) >= smallest(picture)]
        faces += len(wanted)
        hit += sum(any(iou(d.box, box) >= 0.4 for d in seen) for box in wanted)
    return {
        "precision": round(right / finds, 3) if finds else None,
        "recall": round(hit / faces, 3) if faces else None,
        "faces": faces,
        "false_per_100_pictures": round(100 * (finds - right) / len(pictures), 2),
        "ms_per_picture": round(1000 * spent / len(pictures), 2),
        "picture": "×".join(map(str, pictures[0].shape[1::-1])),
    }


def read_photos(corpora: Path, count: int) -> list[tuple[Picture, Faces]]:
    """Return random photos with their faces; some have none."""
    faces: dict[str, Faces] = defaultdict(list)
    with (corpora / "face-photos.csv").open(newline="") as f:
        for row in csv.DictReader(f):
            here = faces[row["image"]]
            if row["x"]:
                x, y, w, h = (float(row[k]) for k in "xywh")
                here.append(((x, y, w, h), float(row["score"])))
    names = sorted(faces)
    random.Random(1).shuffle(names)
    pictures = (cv2.imread(str(corpora / "images" / n))[..., ::-1] for n in names[:count])
    return [(np.ascontiguousarray(p), faces[n]) for p, n in zip(pictures, names, strict=False)]


def read_clip(path: Path) -> list[Picture]:
    """Return the pictures that an analysis looks at."""
    with closing(open_source(path)) as source:
        return [p.image for p in source.packets() if isinstance(p, Frame)]


if __name__ == "__main__":
    main()
