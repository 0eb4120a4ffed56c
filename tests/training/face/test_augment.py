from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from emofuse.training.core.loop import Batch
from emofuse.training.core.mixup import mixup
from emofuse.training.face.augment import FaceAugmentation

NOTHING = FaceAugmentation(**{f.name: 0.0 for f in fields(FaceAugmentation)})


def faces(n: int = 32) -> np.ndarray:
    y, x = np.mgrid[:48, :48]
    smooth = 120 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7 + x / 20)
    return np.repeat(smooth.astype(np.uint8)[None], n, axis=0)


def test_without_changes_a_face_is_itself_or_its_mirror_image() -> None:
    original = faces()
    changed = NOTHING(original, np.random.default_rng(1))
    mirrored = (changed == original[:, :, ::-1]).all(axis=(1, 2))
    assert ((changed == original).all(axis=(1, 2)) | mirrored).all()
    assert 4 < mirrored.sum() < 28


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("name", [f.name for f in fields(FaceAugmentation)])
def test_each_change_changes_and_keeps_shape_and_type(name: str, colours: bool) -> None:
    amount = {"rotation": 15.0, "scale": 0.2, "shift": 0.2}.get(name, 1.0)
    original = faces()
    if colours:
        original = np.stack([original, original // 2, 255 - original], axis=3)
    kept = original.copy()
    changed = replace(NOTHING, **{name: amount})(original, np.random.default_rng(1))
    assert changed.shape == original.shape
    assert changed.dtype == np.uint8
    np.testing.assert_array_equal(original, kept)  # the data set itself is not touched
    rest = tuple(range(1, original.ndim))
    same = (changed == original).all(axis=rest)
    same |= (changed == original[:, :, ::-1]).all(axis=rest)
    assert same.mean() < 0.1


def test_colours_move_together() -> None:
    grey = faces()
    still = replace(FaceAugmentation(), jpeg=0.0, noise=0.0)
    changed = still(np.repeat(grey[..., None], 3, axis=3), np.random.default_rng(4))
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])
    np.testing.assert_array_equal(changed[..., 0], still(grey, np.random.default_rng(4)))


def test_the_generator_decides_everything() -> None:
    augment = FaceAugmentation()
    first, second, third = (augment(faces(), np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_a_shift_moves_the_picture() -> None:
    dot = np.zeros((40, 48, 48), np.uint8)
    dot[:, 22:26, 22:26] = 255
    moved = replace(NOTHING, shift=0.1)(dot, np.random.default_rng(3)).astype(float)
    weight = moved.sum(axis=(1, 2))
    x = (moved * np.arange(48)).sum(axis=(1, 2)) / weight
    assert 1 < np.abs(x - 23.5).max() <= 0.1 * 48 + 0.01


def test_mixup_blends_inputs_targets_and_knowledge() -> None:
    target = torch.eye(4)
    batch = Batch((target * 10,), target, torch.eye(4, dtype=torch.bool))
    mixed = mixup(batch, 1.0, np.random.default_rng(2))
    assert mixed.mask is not None
    torch.testing.assert_close(mixed.target.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(mixed.inputs[0], mixed.target * 10)  # one share for both
    assert mixed.mask[mixed.target > 0].all()
    assert mixup(batch, 0.0, np.random.default_rng(2)) is batch
