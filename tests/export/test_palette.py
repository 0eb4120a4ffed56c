from itertools import combinations

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL
from emofuse.export.palette import COLOURS, colours_of

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Ottosson 2020, https://bottosson.github.io/posts/oklab/
LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
def test_emotions_stay_apart_for_every_eye(sight):
    lab = {
        label: LAB @ np.cbrt(LMS @ np.clip(np.array(SIGHT[sight]) @ linear(colour), 0, 1))
        for label, colour in COLOURS.items()
    }
    distances = {(a, b): np.linalg.norm(lab[a] - lab[b]) for a, b in combinations(lab, 2)}
    closest = min(distances, key=distances.__getitem__)
    assert distances[closest] > 0.1, closest  # Okabe and Ito's eight, with grey: 0.02


def test_emotions_stand_out_from_either_page():
    assert min(contrast(c, "#ffffff") for c in COLOURS.values()) > 1.7
    assert min(contrast(c, "#1b1e22") for c in COLOURS.values()) > 2.2


def test_every_label_has_its_colour():
    assert tuple(COLOURS) == CANONICAL.labels
    mixed = colours_of(("calm", "happy", "awe"))
    assert mixed["happy"] == COLOURS["happy"]
    assert len(set(mixed.values())) == 3
