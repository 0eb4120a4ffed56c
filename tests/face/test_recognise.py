import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL
from emofuse.corpora.manifest import Split
from emofuse.errors import InputError
from emofuse.evaluation.face import figures, logits_of, read_samples
from emofuse.face.recognise import FacePreparation
from emofuse.models.golden import golden_path, read_golden, replay
from emofuse.models.recogniser import OnnxRecogniser
from emofuse.models.registry import load

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (6, 48, 48), np.uint8)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def test_batches_are_prepared_exactly_as_single_crops() -> None:
    """What a trainer does with many faces is what `prepare` does with one."""
    prepare = FacePreparation()
    single = np.stack([prepare(rgb(face)) for face in GREY])
    np.testing.assert_array_equal(single, prepare.normalise(GREY))
    assert single.shape == (6, 1, 48, 48)
    assert single.dtype == np.float32


def test_prepared_faces_are_standardised() -> None:
    rows = FacePreparation().normalise(GREY)
    np.testing.assert_allclose(rows.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=(1, 2, 3)), 1, atol=1e-5)


def test_exposure_drops_out() -> None:
    prepare = FacePreparation()
    dark = (40 + GREY.astype(float) * 0.4).astype(np.uint8)
    assert np.abs(prepare.normalise(dark) - prepare.normalise(GREY)).max() < 0.05


def test_a_flat_crop_stays_flat() -> None:
    assert np.abs(FacePreparation()(np.full((90, 90, 3), 130, np.uint8))).max() < 1e-6
    speckle = np.full((48, 48, 3), 130, np.uint8)
    speckle[::2] += 1
    assert np.abs(FacePreparation()(speckle)).max() < 0.1


@pytest.mark.parametrize("side", [20, 48, 49, 112, 400])
def test_any_size_gives_one_size(side: int) -> None:
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    crop = rgb(np.tile(ramp, (side, 1)))
    row = FacePreparation(side=48)(crop)
    assert row.shape == (1, 48, 48)
    reference = FacePreparation()(rgb(np.tile(np.linspace(0, 255, 48).astype(np.uint8), (48, 1))))
    assert np.abs(row - reference).max() < 0.06


@pytest.mark.parametrize(
    "crop", [np.zeros((48, 48), np.uint8), np.zeros((48, 48, 3)), np.zeros((0, 48, 3), np.uint8)]
)
def test_anything_but_an_rgb_crop_is_refused(crop: np.ndarray) -> None:
    with pytest.raises(InputError, match="a face crop must be RGB uint8"):
        FacePreparation()(crop)


def test_the_embedded_model_answers_as_when_it_was_exported() -> None:
    recogniser = load("face-compact-v1")
    assert recogniser.taxonomy == CANONICAL
    assert replay(recogniser, read_golden(golden_path(recogniser.card))) < 2e-2


def test_the_embedded_model_reads_real_faces(shared: Path, tmp_path: Path) -> None:
    """On 210 held-out faces, 30 a class, it is right in most cases; guessing gives 1 in 7."""
    root = few_real_faces(shared, tmp_path, each=30)
    samples = read_samples(root, Split.VALIDATION)
    found = figures(logits_of(load_face(), samples), samples)
    assert len(samples.faces) == 210
    assert found["accuracy"] > 0.5
    assert found["ferplus_accuracy"] > 0.6


def load_face() -> OnnxRecogniser:
    recogniser = load("face-compact-v1")
    assert isinstance(recogniser, OnnxRecogniser)
    return recogniser


def few_real_faces(shared: Path, root: Path, each: int) -> Path:
    """Lay out the first validation faces of every class as the recipe expects them."""
    with (shared / "fer2013_labels.csv").open(newline="") as f:
        reader = csv.DictReader(f)
        rows = [r for r in reader if r["split"] == "validation" and r["blank"] == "0"]
    labels = sorted({r["label"] for r in rows})
    chosen = [r for label in labels for r in [x for x in rows if x["label"] == label][:each]]
    with (root / "fer2013_labels.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, chosen[0])
        writer.writeheader()
        writer.writerows(chosen)
    wanted = {f"fer2013/{r['path']}" for r in chosen}
    with tarfile.open(shared / "fer2013.tar") as tar:
        tar.extractall(root, [m for m in tar if m.name in wanted], filter="data")
    return root
