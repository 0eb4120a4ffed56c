"""Voice features are those of librosa 0.11, which made data/librosa.npz of a chirp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.speech.external import ExternalPreparation


@pytest.fixture
def theirs(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "librosa.npz") as file:
        return dict(file)


def test_cepstra_and_their_deltas(theirs: dict[str, np.ndarray]) -> None:
    got = ExternalPreparation(coefficients=13, deltas=1)(theirs["x"])
    np.testing.assert_allclose(got[:13], theirs["mfcc"], atol=1e-3)
    np.testing.assert_allclose(got[13:], theirs["delta"], atol=1e-3)


def test_the_rest(theirs: dict[str, np.ndarray]) -> None:
    logmel = ExternalPreparation(features=("logmel",), mels=32, coefficients=13)(theirs["x"])
    np.testing.assert_allclose(logmel, theirs["logmel"], atol=1e-3)
    zcr, rms = ExternalPreparation(features=("zcr", "rms"))(theirs["x"])
    np.testing.assert_allclose(zcr, theirs["zcr"][0], atol=1e-6)
    np.testing.assert_allclose(rms, theirs["rms"][0], atol=1e-6)


def test_lengths_means_and_axes(theirs: dict[str, np.ndarray]) -> None:
    x = theirs["x"]
    mean = ExternalPreparation(coefficients=13, pooling="mean")(x)
    np.testing.assert_allclose(mean, theirs["mfcc"].mean(axis=1), atol=1e-3)
    picture = ExternalPreparation(coefficients=13, frames=60, time_first=True, channel="last")(x)
    assert picture.shape == (60, 13, 1)
    assert (picture[50:] == 0).all()  # one second has 44 frames
    wave = ExternalPreparation(features=("waveform",), rate=16_000, standard="clip")(x)
    assert (wave.mean(), wave.std()) == pytest.approx((0, 1), abs=1e-3)
