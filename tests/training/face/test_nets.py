"""Every face net: shapes, learning, export, and the same answers through the recogniser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tests.training.exporting import export, two_outputs

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.face.crop import crop_face
from emofuse.face.detect import HaarDetector
from emofuse.face.recognise import FacePreparation, FaceRecogniser
from emofuse.training.core.nets import kind, names
from emofuse.training.face.nets import mobilenet

pytestmark = pytest.mark.slow  # trains nets


TINY: dict[str, dict[str, Any]] = {
    "compact": {"stem": 16, "widths": (16, 32), "blocks": (1, 1)},
    "two-headed": {"stem": 16, "widths": (16, 32), "blocks": (1, 1)},
    "cnn4": {"widths": (16, 16, 32, 32), "dense": 32, "block_dropout": 0.0},
    "vgg16": {"widths": (16, 16, 16, 32, 32), "dense": (32,)},
    "resnet50": {"base": 16, "blocks": (1, 1, 1, 1)},
    "mobilenet-v2": {"scale": 0.5},
    "mobilenet-v3": {"scale": 0.5},
}
"""Each kind in a size that a test can train."""

PUBLISHED = {
    "vgg16": ({"dense": (4096, 4096), "grid": 7, "last_pool": True}, 138_365_992),
    "resnet50": ({"stem_stride": 2}, 25_557_032),
    "mobilenet-v2": ({"stem_stride": 2}, 3_504_872),
    "mobilenet-v3": ({"stem_stride": 2, "size": "large"}, 5_483_032),
}
"""Sizes of the published ImageNet nets, and how many parameters those have."""


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    """Four crops of three people, one of them mirrored too."""
    media = Path(__file__).parents[2] / "media"
    portrait = cv2.imread(str(media / "portrait.jpg"))
    clip = cv2.VideoCapture(str(media / "two_people.mp4"))
    read, pair = clip.read()
    assert read
    faces = [
        crop_face(rgb, found)
        for rgb in (np.ascontiguousarray(im[..., ::-1]) for im in (portrait, pair))
        for found in HaarDetector().detect(rgb)
    ]
    assert len(faces) == 3
    return [*faces, np.ascontiguousarray(faces[0][:, ::-1])]


def tiny(name: str, **more: Any) -> Any:
    torch.manual_seed(1)
    found = kind(Modality.FACE, name)
    return found.build(found.config(labels=4, dropout=0.0, **TINY[name], **more))


def test_the_table_has_the_nets_of_the_field() -> None:
    assert set(TINY) <= set(names(Modality.FACE))
    with pytest.raises(InputError, match=r"no net 'vgg99' for face; there are .*vgg16"):
        kind(Modality.FACE, "vgg99")


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("side", [48, 64, 96])
def test_any_side_gives_an_embedding_and_logits(name: str, side: int) -> None:
    net = tiny(name, channels=3).eval()
    with torch.inference_mode():
        faces = torch.randn(2, 3, side, side)
        embedding = net.embed(faces)
        assert embedding.shape == (2, net.width)
        assert net.classify(embedding).shape == (2, 4)
        torch.testing.assert_close(net(faces), net.classify(embedding))


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "mobilenet-v2", "mobilenet-v3"])
@pytest.mark.parametrize("side", [112, 224])
def test_large_faces_with_a_strided_stem(name: str, side: int) -> None:
    net = tiny(name, stem_stride=2).eval()
    with torch.inference_mode():
        assert net(torch.randn(1, 1, side, side)).shape == (1, 4)


@pytest.mark.parametrize("name", TINY)
def test_faces_of_another_colour_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"made for faces of 1 channel.*got 3"):
        tiny(name)(torch.randn(2, 3, 48, 48))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes_have_the_published_number_of_parameters(name: str) -> None:
    sizes, parameters = PUBLISHED[name]
    found = kind(Modality.FACE, name)
    with torch.device("meta"):  # no memory and no time for 138 million numbers
        net = found.build(found.config(labels=1000, channels=3, **sizes))
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the MobileNets a block of every sort: exporting takes a second for every ten layers."""
    monkeypatch.setattr(mobilenet.MobileNetV2, "STAGES", mobilenet.MobileNetV2.STAGES[:3])
    rows, dense = mobilenet._ROWS[mobilenet.Size.SMALL]
    monkeypatch.setitem(mobilenet._ROWS, mobilenet.Size.SMALL, (rows[:5], dense))


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name", TINY)
def test_a_net_learns_real_faces_and_ships(
    name: str, crops: list[np.ndarray], tmp_path: Path
) -> None:
    """It tells four faces apart, and its graph says what it says, through the recogniser."""
    found = kind(Modality.FACE, name)
    preparation = FacePreparation(**{**found.preparation, "side": 32})
    faces = torch.from_numpy(np.stack([preparation(crop) for crop in crops]))
    wanted = torch.arange(4)
    net = tiny(name)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        logits = net(faces)
        aims = wanted if logits.ndim == 2 else wanted.repeat(2, 1).T
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), aims.flatten())
        losses.append(loss.item())
        if losses[-1] < 0.1:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] > 1
    assert losses[-1] < 0.1
    calibrate_batchnorm(net, faces)
    recogniser = export(net, (faces,), tmp_path, "face", FaceRecogniser, preparation)
    rows = [recogniser.prepare(crop) for crop in crops]
    with torch.inference_mode():
        embedding = net.embed(faces)
        np.testing.assert_allclose(recogniser.logits(rows), net(faces).numpy(), atol=1e-3)
        for size in (1, 3):
            got = two_outputs(tmp_path, (np.stack(rows[:size]),))
            np.testing.assert_allclose(got["embedding"], embedding[:size].numpy(), atol=1e-3)
    best = [answer.probabilities.values.argmax() for answer in recogniser.infer(rows)]
    assert best == [0, 1, 2, 3]


def calibrate_batchnorm(net: Any, faces: Any) -> None:
    """Let the norms' running figures catch up with so short a training."""
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        net.train()(faces)
    net.eval()


def test_two_heads_become_one_answer() -> None:
    """By hand: the mixture of the first head and of the second, less its prior."""
    net = tiny("two-headed", primary=0.25, adjustment=0.5).eval()
    prior = np.array([[0.5, 0.25, 0.25, 0.0], [0.7, 0.1, 0.1, 0.1]], np.float32)
    net.set_priors(prior)
    with torch.inference_mode():
        faces = torch.randn(3, 1, 48, 48)
        answer = net(faces).exp().numpy()
        own, votes = (x.numpy() for x in net.heads(net.embed(faces)).unbind(1))
    first = np.exp(own[:, :3])
    first = np.c_[first / first.sum(axis=1, keepdims=True), np.zeros(3)]  # it never met the fourth
    second = np.exp(votes) / prior[1] ** 0.5
    second /= second.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer, 0.25 * first + 0.75 * second, atol=1e-6)
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-5)
    assert net.train()(torch.randn(3, 1, 48, 48)).shape == (3, 2, 4)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("two-headed", {"primary": 1.5}),
        ("cnn4", {"widths": (16, 16)}),
        ("cnn4", {"dropout": 1.0}),
        ("vgg16", {"stem_stride": 3}),
        ("vgg16", {"widths": (64,)}),
        ("resnet50", {"blocks": (1,)}),
        ("mobilenet-v2", {"scale": 0}),
        ("mobilenet-v3", {"size": "huge"}),
        ("mobilenet-v3", {"labels": 1}),
        ("compact", {"stem": 8}),
    ],
)
def test_sizes_that_make_no_sense_are_refused(name: str, sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"need|must|not a valid"):
        kind(Modality.FACE, name).config(**sizes)


def test_a_face_net_is_made_for_one_or_three_channels() -> None:
    config = kind(Modality.FACE, "cnn4").config()
    with pytest.raises(ValueError, match="1 channel"):
        kind(Modality.FACE, "cnn4").build(replace(config, channels=2))
