"""Spoilings follow from the seed and the sample, and leave the original as it was."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emofuse.core.estimates import Modality
from emofuse.corpora.manifest import Entry
from emofuse.evaluation.predict.inference import whole
from emofuse.evaluation.protocol import robustness as r

RATE = 16_000


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Two seconds of a buzz that comes and goes, from 150 Hz to 6 kHz."""
    t = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 40))
    return (0.1 * tone * (np.sin(2 * np.pi * 1.5 * t) > 0)).astype(np.float32)


@pytest.fixture(scope="module")
def face(media: Path) -> np.ndarray:
    with Image.open(media / "portrait.jpg") as image:
        return np.asarray(image.convert("RGB").resize((64, 64)))


@pytest.mark.parametrize("modality", [Modality.FACE, Modality.SPEECH, Modality.TEXT])
def test_spoiling_follows_from_seed_and_sample_and_leaves_the_original(
    modality: Modality, voice: np.ndarray, face: np.ndarray
) -> None:
    medium = {Modality.FACE: face, Modality.SPEECH: voice, Modality.TEXT: "what a day " * 30}[
        modality
    ]
    before = medium if isinstance(medium, str) else medium.copy()
    names = set()
    for spoiling in r.corruptions(modality):
        if "codec" in spoiling.kind:
            continue
        view = spoiling.view(whole, seed=1)
        once, again, other = (view(medium, Entry(i))[0][0] for i in ("a", "a", "b"))
        np.testing.assert_array_equal(once, again)
        assert np.array_equal(medium, before)
        assert not np.array_equal(once, medium), spoiling.name
        if "noise" in spoiling.kind:
            assert not np.array_equal(once, other)
        names.add(spoiling.name)
    assert len(names) >= 5
