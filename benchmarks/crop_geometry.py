"""Measures where FER2013's crops have eyes, nose and mouth, and how Haar boxes relate to them.

    EMOFUSE_DATA=… python -m benchmarks.crop_geometry [--faces 3000]

It needs FER2013 (``fer2013/train``), natural photos with YuNet's landmarks
(``images``, ``face-photos.csv``) and YuNet's weights (``models/``) under the data
folder, unpacked; ``--corpora`` names another folder for the first two.

1. YuNet finds the five points on FER2013's training faces, enlarged four times.
   It is out of its element on such crops: they are blurred and show no
   surroundings. How far that pulls its answers is measured on natural photos,
   whose landmarks are known: they are cut with the candidate geometry, shrunk to
   FER2013's size and put to YuNet in the same way. The template is what was found
   on FER2013 less that bias, made symmetric.
2. Haar looks at the same photos. From each find whose face has known landmarks
   follows which square, relative to the Haar box, is the template's crop.
3. Check: Haar on FER2013's faces themselves must find that relation, too.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.face.crop import CROP_SIDE, FER2013, CropGeometry, crop_face, crop_matrix
from emofuse.face.detect import Detection, HaarConfig, HaarDetector, YunetDetector, iou

ENLARGE = 4
POINTS = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
MIRROR = [1, 0, 2, 4, 3]
"""Which point each one becomes in a mirror."""


def main() -> None:
    """Measure and write ``benchmarks/results/crop_geometry.json``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", type=int, default=3000, help="of each corpus")
    parser.add_argument("--corpora", type=Path, help="folder with fer2013/ and images/")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("no data folder: set EMOFUSE_DATA")
    corpora = arguments.corpora or root
    yunet = YunetDetector(root / "models" / "face_detection_yunet_2023mar.onnx", min_score=0.6)

    crops = read_fer2013(corpora, arguments.faces)
    photos = read_photos(corpora, arguments.faces)
    seen = [points for crop in crops if (points := points_of(yunet, crop)) is not None]
    found = np.median(seen, axis=0)
    geometry, bias = FER2013, np.zeros((5, 2))
    for _ in range(2):  # the bias hardly depends on the candidate
        template = symmetric(found - bias)
        geometry = replace(geometry, landmarks=tuple(map(tuple, template)))
        bias = bias_of(yunet, photos, geometry)

    relation = box_relation(photos, geometry)
    check = [r for crop in crops[:1000] if (r := fer2013_relation(crop)) is not None]
    write_result(
        "crop_geometry",
        {
            "fer2013_faces": len(crops),
            "fer2013_found": len(seen),
            "points_found": table(found),
            "points_spread": table(np.std(seen, axis=0)),
            "yunet_bias_on_crops": table(bias),
            "template": table(symmetric(found - bias)),
            "photos_with_haar_box": len(relation),
            "haar_to_crop_median": dict(
                zip(("scale", "right", "down"), median(relation), strict=True)
            ),
            "haar_to_crop_spread": dict(
                zip(("scale", "right", "down"), spread(relation), strict=True)
            ),
            "fer2013_with_haar_box": len(check),
            "fer2013_haar_to_crop_median": named(median(check)),
        },
    )


def read_fer2013(corpora: Path, count: int) -> list[NDArray[np.uint8]]:
    """Return random training faces as RGB."""
    paths = sorted((corpora / "fer2013" / "train").glob("*/*.jpg"))
    random.Random(0).shuffle(paths)
    return [cv2.imread(str(p))[..., ::-1].copy() for p in paths[:count]]


def read_photos(corpora: Path, count: int) -> list[tuple[NDArray[np.uint8], list[Detection]]]:
    """Return random photos as RGB, each with its faces."""
    faces = defaultdict(list)
    with (corpora / "face-photos.csv").open(newline="") as f:
        for row in csv.DictReader(f):
            if row["x"] and float(row["score"]) >= 0.8:
                box = tuple(float(row[k]) for k in "xywh")
                points = [[float(row[f"{p}_{axis}"]) for axis in "xy"] for p in POINTS]
                faces[row["image"]].append(
                    Detection(box, float(row["score"]), np.array(points, np.float32))
                )
    names = sorted(faces)
    random.Random(0).shuffle(names)
    read = ((cv2.imread(str(corpora / "images" / n)), faces[n]) for n in names[:count])
    return [(image[..., ::-1].copy(), found) for image, found in read]


def points_of(yunet: YunetDetector, crop: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the surest face's five points on a crop, in fractions of it."""
    side = crop.shape[0] * ENLARGE
    found = yunet.detect(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC))
    return found[0].landmarks / side if found else None


def bias_of(
    yunet: YunetDetector,
    photos: list[tuple[NDArray[np.uint8], list[Detection]]],
    geometry: CropGeometry,
) -> NDArray[np.float64]:
    """Return how far YuNet's points on crops lie from where they are, in fractions."""
    errors = []
    for image, faces in photos:
        for face in faces:
            if min(face.box[2:]) < CROP_SIDE or not frontal(face):
                continue
            grey = cv2.cvtColor(crop_face(image, face, geometry), cv2.COLOR_RGB2GRAY)
            measured = points_of(yunet, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))
            if measured is not None:
                m = crop_matrix(face, geometry)
                errors.append(measured - (face.landmarks @ m[:, :2].T + m[:, 2]))
    return np.median(errors, axis=0)


def frontal(face: Detection) -> bool:
    """Whether the nose is about midway between the eyes, which are about level."""
    right, left, nose = face.landmarks[:3].astype(float)
    apart = np.hypot(*(left - right))
    return (
        abs((nose - (right + left) / 2)[0]) < 0.15 * apart and abs((left - right)[1]) < 0.2 * apart
    )


def box_relation(
    photos: list[tuple[NDArray[np.uint8], list[Detection]]], geometry: CropGeometry
) -> list[tuple[float, float, float]]:
    """Return, for each face that Haar finds, its crop's (scale, right, down) from the box."""
    haar, relation = HaarDetector(HaarConfig(min_score=0.5)), []
    for image, faces in photos:
        for found in haar.detect(image):
            face = max(faces, key=lambda f: iou(f.box, found.box))
            if iou(face.box, found.box) > 0.4:
                m = crop_matrix(face, geometry)
                centre = np.linalg.solve(m[:, :2], np.array([0.5, 0.5]) - m[:, 2])
                side = 1 / np.hypot(m[0, 0], m[1, 0])
                relation.append(relative(found, centre, side))
    return relation


def fer2013_relation(crop: NDArray[np.uint8]) -> tuple[float, float, float] | None:
    """Return the crop's own (scale, right, down) from the Haar box in it, if one is found."""
    side, margin = crop.shape[0] * ENLARGE, crop.shape[0] * ENLARGE // 2
    large = cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, *(margin,) * 4, cv2.BORDER_REPLICATE)
    found = HaarDetector(HaarConfig(min_score=0.5)).detect(framed)
    return relative(found[0], np.full(2, margin + side / 2), side) if found else None


def relative(
    found: Detection, centre: NDArray[np.float64], side: float
) -> tuple[float, float, float]:
    """Express a square in the box's terms."""
    x, y, w, h = found.box
    return side / w, (centre[0] - x - w / 2) / w, (centre[1] - y - h / 2) / w


def symmetric(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average with the mirror image."""
    mirrored = points[MIRROR] * (-1, 1) + (1, 0)
    return (points + mirrored) / 2


def table(points: NDArray[np.float64]) -> dict[str, list[float]]:
    """Name the points."""
    return {p: [round(float(v), 4) for v in xy] for p, xy in zip(POINTS, points, strict=True)}


def named(values: list[float]) -> dict[str, float]:
    """Name the columns of a relation."""
    return dict(zip(("scale", "right", "down"), values, strict=True))


def median(rows: list[tuple[float, float, float]]) -> list[float]:
    """Return the median of each column."""
    return [round(float(v), 4) for v in np.median(rows, axis=0)]


def spread(rows: list[tuple[float, float, float]]) -> list[float]:
    """Return the spread of each column: half the distance between the 16th and 84th percentile."""
    low, high = np.percentile(rows, (16, 84), axis=0)
    return [round(float(v), 4) for v in (high - low) / 2]


if __name__ == "__main__":
    main()
