"""dlib's net in torch: its file format, and norms that change nothing when they settle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.exporting import export

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.face.recognise import FacePreparation, FaceRecogniser
from emofuse.training.core.nets import kind
from emofuse.training.face.nets.identity import IdentityNet, _layers

pytestmark = pytest.mark.slow  # trains nets


def integer(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "little")


def tensor(values: np.ndarray) -> bytes:
    """One array as dlib writes it, with the name of its layer before it."""
    sizes = b"".join(map(integer, (values.size, 1, 1, 1)))
    return b"\x05con_4" + integer(2) + sizes + values.astype("<f4").tobytes()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published sizes, small numbers in it as there."""
    rng = np.random.default_rng(3)
    parts = []
    for i, (convolution, _) in enumerate(_layers(build())):
        colours = 3 if i == 0 else convolution.in_channels
        area = convolution.kernel_size[0] ** 2
        outputs = convolution.out_channels
        kernel = rng.normal(0, 0.01, outputs * colours * area)
        parts.append(tensor(np.concatenate([kernel, rng.normal(0, 0.01, outputs)])))
        parts.append(
            tensor(np.concatenate([rng.uniform(2, 8, outputs), rng.normal(0, 1, outputs)]))
        )
    path = tmp_path_factory.mktemp("dlib") / "resnet.dat"
    path.write_bytes(b"\x0ametric_net" + b"".join(parts))
    return path


def build(path: Path | None = None) -> IdentityNet:
    found = kind(Modality.FACE, "identity")
    torch.manual_seed(0)
    net: IdentityNet = found.build(found.config(labels=4, enlarge=63, pretrained=path)).eval()
    return net


def test_kernels_are_those_of_the_file(weights: Path) -> None:
    net = build(weights)
    first = np.random.default_rng(3).normal(0, 0.01, 32 * 3 * 49).reshape(32, 3, 7, 7)
    summed = first.sum(axis=1, keepdims=True) * 56 / 256  # over the colours
    np.testing.assert_allclose(net.stem.weight.detach().numpy(), summed, atol=1e-6)
    assert float(net.blocks[0].first_norm.weight.detach().min()) > 2


def test_settling_changes_the_norms_and_not_the_answer(weights: Path) -> None:
    net = build(weights)
    faces = torch.randn(16, 1, 48, 48)
    with torch.inference_mode():
        before = net.embed(faces)
    net.initialize_from_data(faces)
    with torch.inference_mode():
        torch.testing.assert_close(net.embed(faces), before, rtol=1e-3, atol=1e-4)
        # The norms already hold this batch's statistics, but for the sample's variance.
        torch.testing.assert_close(net.train().embed(faces), before, rtol=0.05, atol=0.05)
    spread = [
        float(c.weight.detach().std() * (c.weight[0].numel() / 2) ** 0.5) for c, _ in _layers(net)
    ]
    np.testing.assert_allclose(spread, 1, rtol=1e-3)


def test_the_exported_net_answers_alike(weights: Path, tmp_path: Path) -> None:
    net = build(weights)
    preparation = FacePreparation()
    crop = np.random.default_rng(1).integers(0, 256, (60, 60, 3), np.uint8)
    recogniser = export(
        net, (torch.randn(2, 1, 48, 48),), tmp_path, "face", FaceRecogniser, preparation
    )
    row = recogniser.prepare(crop)
    with torch.inference_mode():
        expected = net(torch.from_numpy(row[None])).numpy()
    np.testing.assert_allclose(recogniser.logits([row]), expected, atol=1e-4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.dat"
    path.write_bytes(b"\x0ametric_net" + tensor(np.ones(4736)))
    with pytest.raises(InputError, match=r"other\.dat is not dlib_face_recognition"):
        build(path)
    with pytest.raises(InputError, match="cannot read the weights"):
        build(tmp_path / "none.dat")
