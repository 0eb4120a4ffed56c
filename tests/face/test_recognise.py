import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL
from emofuse.corpora import recipes
from emofuse.errors import InputError, ModelError
from emofuse.evaluation.model.evaluate import evaluate
from emofuse.evaluation.model.plan import Plan
from emofuse.evaluation.protocol.protocols import Protocol
from emofuse.face.recognise import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Colour,
    FacePreparation,
    Standard,
)
from emofuse.models.card import card_from_mapping
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


@pytest.mark.parametrize("colour", Colour)
@pytest.mark.parametrize("standard", Standard)
@pytest.mark.parametrize("side", [48, 64])
def test_batches_in_any_preparation_are_prepared_as_single_crops(
    colour: Colour, standard: Standard, side: int
) -> None:
    prepare = FacePreparation(side, colour=colour, standard=standard)
    crops = RNG.integers(0, 256, (3, 50, 50, 3), np.uint8)
    for faces, single in ((GREY, [rgb(face) for face in GREY]), (crops, crops)):
        rows = prepare.normalise(faces)
        np.testing.assert_array_equal(rows, np.stack([prepare(crop) for crop in single]))
        assert rows.shape == (len(faces), *prepare.shape)
        assert rows.shape[1] == colour.channels
        assert rows.dtype == np.float32
        assert rows.flags["C_CONTIGUOUS"]


def test_colours_keep_their_balance_and_their_order() -> None:
    crop = np.zeros((48, 48, 3), np.uint8)
    crop[..., 0], crop[..., 1], crop[..., 2] = 200, 120, 40
    row = FacePreparation(colour=Colour.RGB)(crop)
    assert row[0].mean() > row[1].mean() > row[2].mean()
    assert row.mean() == pytest.approx(0, abs=1e-5)
    assert row.std() == pytest.approx(1, abs=1e-4)


def test_imagenets_standard_is_its_mean_and_deviation() -> None:
    prepare = FacePreparation(colour=Colour.RGB, standard=Standard.IMAGENET)
    crop = RNG.integers(0, 256, (48, 48, 3), np.uint8)
    expected = (crop / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
    np.testing.assert_allclose(prepare(crop), expected.transpose(2, 0, 1), atol=1e-5)
    grey = FacePreparation(standard=Standard.IMAGENET)(rgb(GREY[0]))
    assert np.abs(grey - prepare(rgb(GREY[0])).mean(axis=0)).max() < 0.1


def test_a_grey_face_is_grey_in_colour_too() -> None:
    row = FacePreparation(colour=Colour.RGB)(rgb(GREY[0]))
    np.testing.assert_allclose(row, np.repeat(FacePreparation()(rgb(GREY[0])), 3, 0), atol=1e-5)


@pytest.mark.parametrize("values", [{"side": 4}, {"floor": 0}, {"colour": "hsv"}, {"standard": 1}])
def test_preparations_that_make_no_sense_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match=r"need side|not a valid"):
        FacePreparation(**values)


def card(**preparation: object) -> dict:
    return {
        "id": "test",
        "modality": "face",
        "recogniser": "face",
        "summary": "made by a test",
        "labels": ["a", "b"],
        "files": {},
        "preparation": preparation,
    }


def test_the_preparation_stands_in_the_card() -> None:
    old = card(side=48, floor=8.0, colour="grey", normalisation="a remark", crop="fer2013")
    assert FacePreparation.of_card(card_from_mapping(old)) == FacePreparation()
    new = card(side=96, floor=8.0, colour="rgb", standard="imagenet", crop="none")
    assert FacePreparation.of_card(card_from_mapping(new)) == FacePreparation(
        96, 8.0, Colour.RGB, Standard.IMAGENET
    )


def test_a_card_without_a_usable_preparation_is_named() -> None:
    for broken, match in (
        (card(floor=8.0), r"'test'.*needs 'side'"),
        (card(side=48, floor=8.0, colour="cmyk"), r"'test'.*'cmyk'"),
    ):
        with pytest.raises(ModelError, match=match):
            FacePreparation.of_card(card_from_mapping(broken))


@pytest.mark.parametrize(
    "crop", [np.zeros((48, 48), np.uint8), np.zeros((48, 48, 3)), np.zeros((0, 48, 3), np.uint8)]
)
def test_anything_but_an_rgb_crop_is_refused(crop: np.ndarray) -> None:
    with pytest.raises(InputError, match="a face crop must be RGB uint8"):
        FacePreparation()(crop)


def test_the_embedded_model_answers_as_when_it_was_exported() -> None:
    recogniser = load("face-v4")
    assert recogniser.taxonomy == CANONICAL
    assert replay(recogniser, read_golden(golden_path(recogniser.card))) < 2e-2


def test_the_embedded_model_reads_real_faces(shared: Path, tmp_path: Path) -> None:
    """On 210 held-out faces, 30 a class, it is right in most cases; guessing gives 1 in 7."""
    root = few_real_faces(shared, tmp_path, each=30)
    plan = Plan(Protocol.parse("split", "validation"), refit=False, n_resamples=1)
    for labelling, least in ((None, 0.5), ("ferplus", 0.6)):
        part = evaluate([load_face()], recipes.recipe("fer2013").load(root, labelling), plan).parts[
            0
        ]
        assert part.samples == 210 if labelling is None else part.samples <= 210
        assert part.metrics["accuracy"].value > least


def load_face() -> OnnxRecogniser:
    recogniser = load("face-v4")
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
