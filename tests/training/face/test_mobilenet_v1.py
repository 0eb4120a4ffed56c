"""The MobileNet of faces: its published files, and how it pads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.exporting import ship

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.face.recognise import FacePreparation, FaceRecogniser
from emofuse.training.core.nets import kind
from emofuse.training.face.nets.mobilenet_v1 import MobileNetV1, _convolutions, _names


def build(path: Path | None = None, blocks: int = 11) -> MobileNetV1:
    found = kind(Modality.FACE, "mobilenet-v1")
    torch.manual_seed(0)
    config = found.config(labels=4, enlarge=64, blocks=blocks, pretrained=path)
    net: MobileNetV1 = found.build(config).eval()
    return net


def published(folder: Path, half: bool) -> Path:
    """A TensorFlow.js graph model of the published names and sizes, in float16 or float32."""
    rng = np.random.default_rng(3)
    weights, data = [], b""

    def add(name: str, values: np.ndarray) -> None:
        nonlocal data
        stored = values.astype("<f2" if half else "<f4")
        entry = {"name": name, "shape": list(values.shape), "dtype": "float32"}
        if half:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        weights.append(entry)
        data += stored.tobytes()

    add("age_pred/kernel", rng.normal(size=(6, 5)))  # what is not asked for
    for name, (convolution, _) in zip(_names(), _convolutions(build(blocks=13)), strict=True):
        outputs, inputs, *size = convolution.weight.shape
        if "_dw_" in name:
            add(f"{name}/depthwise_kernel", rng.normal(0, 0.3, (*size, outputs, 1)))
            add(f"{name}_bn/batchnorm_1/mul", rng.uniform(0.5, 2, outputs))
        else:
            colours = 3 if name == "conv1" else inputs
            kernel = rng.normal(0, (2 / colours / np.prod(size)) ** 0.5, (*size, colours, outputs))
            add(f"{name}/convolution/merged_input", kernel / (100 if name == "conv1" else 1))
        add(f"{name}_bn/batchnorm_1/sub", rng.normal(0, 0.1, (1, outputs, 1, 1)))
    (folder / "faceres.bin").write_bytes(data)
    manifest = [{"paths": ["faceres.bin"], "weights": weights}]
    path = folder / "faceres.json"
    path.write_text(json.dumps({"format": "graph-model", "weightsManifest": manifest}))
    return path


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "float16"])
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("faceres"), request.param)


def test_kernels_are_those_of_the_file(weights: Path) -> None:
    net = build(weights)
    rng = np.random.default_rng(3)
    rng.normal(size=(6, 5))
    first = rng.normal(0, (2 / 27) ** 0.5, (3, 3, 3, 32)) / 100
    expected = first.sum(axis=2).transpose(2, 0, 1)[:, None] * 56  # over the colours
    kernel = net.layers[0].convolution.weight.detach().numpy()
    np.testing.assert_allclose(kernel, expected, rtol=3e-3, atol=1e-4)


@pytest.mark.parametrize("side", [32, 33])
def test_a_stride_of_two_pads_as_tensorflow_does(side: int) -> None:
    """Half the side, rounded up; the first output sees the first pixels where it is even."""
    strided = build().layers[3]  # filters per channel, stride 2
    channels = strided.convolution.in_channels
    picture = torch.zeros(1, channels, side, side)
    picture[:, :, 0, 0] = 1.0
    with torch.inference_mode():
        strided.convolution.weight.fill_(1.0)
        maps = strided._filter(strided._pad(picture))
    assert maps.shape[2:] == ((side + 1) // 2,) * 2
    assert float(maps[0, 0, 0, 0]) == 1.0
    assert float(maps[0, 0].sum()) == 1.0


def test_settling_changes_the_norms_and_not_the_answer(weights: Path) -> None:
    net = build(weights)
    faces = torch.randn(16, 1, 48, 48)
    with torch.inference_mode():
        before = net.embed(faces)
        net.initialize_from_data(faces)
        torch.testing.assert_close(net.embed(faces), before, rtol=1e-3, atol=1e-4)
        assert float(before.std()) > 0.01
        torch.testing.assert_close(net.train().embed(faces), before, rtol=0.1, atol=0.1)


def test_bfloat16_learns_from_strided_filters(weights: Path) -> None:
    net = build(weights).train()
    with torch.autocast("cpu", torch.bfloat16):
        net(torch.randn(4, 1, 48, 48)).float().square().mean().backward()
    gradient = net.layers[3].convolution.weight.grad
    assert gradient is not None
    assert gradient.dtype == torch.float32
    assert float(gradient.abs().max()) > 0


def test_the_exported_net_answers_alike(weights: Path, tmp_path: Path) -> None:
    net = build(weights)
    crop = np.random.default_rng(1).integers(0, 256, (60, 60, 3), np.uint8)
    faces = (torch.randn(2, 1, 48, 48),)
    recogniser = ship(net, faces, tmp_path, "face", FaceRecogniser, FacePreparation())
    row = recogniser.prepare(crop)
    with torch.inference_mode():
        expected = net(torch.from_numpy(row[None])).numpy()
    np.testing.assert_allclose(recogniser.logits([row]), expected, atol=1e-4)


def test_other_files_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json does not hold the MobileNet of faces"):
        build(tmp_path / "none.json")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"weightsManifest": []}))
    with pytest.raises(InputError, match=r"other\.json does not hold"):
        build(other)
    cut = tmp_path / weights.name
    cut.write_text(weights.read_text())
    (tmp_path / "faceres.bin").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match=r"faceres\.json does not hold"):
        build(cut)
