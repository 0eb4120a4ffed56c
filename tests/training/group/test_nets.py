"""The nets of the streams are those that were published, and start from published weights."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emofuse.errors import InputError
from emofuse.training.group.nets import FusionHead, ResNetConfig, StreamNet, build
from emofuse.training.group.nets.attention import DualAttention

SMALL = {"blocks": (1, 1, 1, 1), "base": 4}
RESNET50, RESNET101 = (3, 4, 6, 3), (3, 4, 23, 3)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("blocks", "published"), [(RESNET50, 25_557_032), (RESNET101, 44_549_160)])
def test_pictures_have_torchvisions_parameters(blocks, published):
    with torch.device("meta"):
        net = StreamNet(ResNetConfig(blocks), (3, 224, 224), labels=1000)
    assert parameters(net) == published


@pytest.mark.parametrize(("blocks", "millions"), [(RESNET50, 46.20), (RESNET101, 85.25)])
def test_clips_have_the_parameters_of_hara_et_al(blocks, millions):
    with torch.device("meta"):
        net = StreamNet(ResNetConfig(blocks), (3, 16, 112, 112), labels=400)
    assert (parameters(net) - parameters(net.fc)) / 1e6 == pytest.approx(millions, abs=0.005)


def test_clip_of_16_frames_becomes_maps_of_7_by_7():
    with torch.device("meta"):
        net = StreamNet(ResNetConfig(RESNET101, attention=True), (3, 16, 224, 224), 3)
        features = net.embed(torch.zeros(1, 3, 16, 224, 224))
    assert net.attention.channel.weight.shape[1] == 49
    assert features.shape == (1, 2048)


def published(shape: tuple[int, ...], prefix: str = "") -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    state = StreamNet(ResNetConfig(**SMALL), shape, labels=7).state_dict()
    return {prefix + k: v.clone() for k, v in state.items()}


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_published_weights_load_as_they_are_saved(tmp_path):
    """3D-ResNets-PyTorch saves a training's state, its names prefixed by DataParallel."""
    path = tmp_path / "r3d.pth"
    weights = published((3, 16, 32, 32), "module.")
    torch.save({"epoch": 200, "arch": "resnet", "state_dict": weights}, path)
    config = ResNetConfig(**SMALL, attention=True, pretrained=path, sha256=digest(path))
    net = build(config, (3, 8, 32, 32), labels=3)
    assert torch.equal(net.layer4[0].conv2.weight, weights["module.layer4.0.conv2.weight"])
    assert net.fc.weight.shape == (3, 128)


def test_flow_starts_from_the_mean_over_colors(tmp_path):
    path = tmp_path / "r3d.safetensors"
    weights = published((3, 8, 32, 32))
    save_file(weights, path)
    config = ResNetConfig(**SMALL, pretrained=path, sha256=digest(path))
    net = build(config, (2, 7, 32, 32), labels=3)
    assert torch.allclose(net.conv1.weight[:, 1], weights["conv1.weight"].mean(dim=1))


def test_weights_need_a_pin():
    with pytest.raises(ValueError, match="needs its sha256"):
        ResNetConfig(pretrained="r3d.pth", sha256="cd907fc2")


def test_other_files_are_refused_in_words(tmp_path):
    path = tmp_path / "r3d.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"have the sha256 .*, expected 0000"):
        build(ResNetConfig(**SMALL, pretrained=path, sha256="0" * 64), (3, 32, 32), 3)
    with pytest.raises(InputError, match="does not hold weights that can be read safely"):
        build(ResNetConfig(**SMALL, pretrained=path, sha256=digest(path)), (3, 32, 32), 3)
    torch.save(published((3, 32, 32)), path)
    with pytest.raises(InputError, match="does not fit StreamNet"):
        build(ResNetConfig(**SMALL, pretrained=path, sha256=digest(path)), (3, 8, 32, 32), 3)
    missing = tmp_path / "missing.pth"
    with pytest.raises(InputError, match="there are no pretrained weights"):
        build(ResNetConfig(**SMALL, pretrained=missing, sha256="0" * 64), (3, 32, 32), 3)


def test_attention_begins_as_a_mean_and_can_look_at_one_place():
    attention = DualAttention(channels=6, places=9)
    maps = torch.randn(2, 6, 9)
    assert torch.allclose(attention(maps), maps.mean(dim=2), atol=1e-6)
    with torch.no_grad():
        attention.spatial.weight[0, 0, 0] = 50.0
    maps[:, 0] = 0
    maps[:, 0, 4] = 1
    places, channels = attention.weights(maps)
    assert places[0, 0].argmax() == 4
    assert float(places.detach().mean()) == pytest.approx(1)
    assert float(channels.detach().mean()) == pytest.approx(1)


def test_missing_stream_has_no_say():
    head = FusionHead((3, 2), labels=3).eval()
    features = torch.tensor([[1.0, 2.0, 3.0, 7.0, 9.0], [1.0, 2.0, 3.0, -5.0, 0.0]])
    here = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    logits = head(features, here)
    assert torch.allclose(logits[0], logits[1])


def test_dropping_streams_keeps_one():
    torch.manual_seed(0)
    head = FusionHead((2, 2), labels=3, drop=0.9)
    with torch.no_grad():  # the layer tells only which streams are here
        head.fc.weight.zero_()
        head.fc.bias.zero_()
        head.fc.weight[0, 4:] = torch.tensor([1.0, 10.0])
    seen = head(torch.randn(500, 4), torch.ones(500, 2))[:, 0].round().int()
    assert set(np.unique(seen.detach())) == {1, 10, 11}
    only = torch.tensor([[0.0, 1.0]]).expand(50, 2)
    assert set(np.unique(head(torch.randn(50, 4), only)[:, 0].round().int().detach())) == {10}
