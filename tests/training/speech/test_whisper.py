"""Whisper's first layers in torch are Whisper's first layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from tests.training.speech.voices import assert_ships, learn

from emofuse.config.loader import construct
from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.speech.recognise import Preparation
from emofuse.training.core.nets import kind
from emofuse.training.core.quantize import quantize
from emofuse.training.speech.nets.whisper import _statistics

SIZES = {"width": 64, "heads": 2, "layers": 2, "positions": 150, "dropout": 0.0}


def build(name: str = "whisper", **more: Any) -> Any:
    torch.manual_seed(1)
    found = kind(Modality.SPEECH, name)
    return found.build(found.config(labels=4, **{**SIZES, **more})).eval()


def preparation(**more: Any) -> Preparation:
    wanted = {**kind(Modality.SPEECH, "whisper").preparation, **more}
    made: Preparation = construct(Preparation, wanted, "preparation")
    return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small Whisper of random weights, and its folder."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(2)
    config = transformers.WhisperConfig(
        d_model=64,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=256,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        num_mel_bins=80,
        max_source_positions=150,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        max_target_positions=8,
    )
    model = transformers.WhisperModel(config).eval()
    folder = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(folder)
    return model, folder / "model.safetensors"


def test_tokens_are_those_of_whisper(reference: tuple[Any, Path]) -> None:
    model, path = reference
    net = build(merge=1, pretrained=path)
    pictures = torch.randn(2, 80, 300)
    with torch.inference_mode():
        hidden = model.encoder(pictures, output_hidden_states=True).hidden_states
        x = net._tokens(pictures)
        torch.testing.assert_close(x, hidden[0])
        for layer, expected in zip(net.layers, hidden[1:3], strict=True):
            x = layer(x)
            torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-4)


def quantised_graph(tensors: dict[str, np.ndarray], path: Path) -> None:
    """Write an encoder as published: int8 with scales, matrices transposed and nameless."""
    nodes, kept, before = [], {}, ""
    for name, value in tensors.items():
        module, kind_of = name.rsplit(".", 1)
        is_matrix = kind_of == "weight" and ("proj" in module or module.endswith(("fc1", "fc2")))
        if not (is_matrix or module.startswith("conv")):
            kept[f"inner.encoder.{name}"] = value
            continue
        whole, key = (value.T if is_matrix else value), f"w{len(nodes)}"
        scale = np.float32(np.abs(whole).max() / 127)
        kept |= {key: np.round(whole / scale).astype(np.int8), f"{key}_scale": scale}
        nodes.append(helper.make_node("DequantizeLinear", [key, f"{key}_scale"], [f"{key}_real"]))
        if is_matrix:
            nodes.append(helper.make_node("MatMul", ["x", f"{key}_real"], [f"{key}_out"]))
            if f"{module}.bias" in tensors:
                inputs = [f"inner.encoder.{module}.bias", f"{key}_out"]
                nodes.append(helper.make_node("Add", inputs, [f"{key}_sum"]))
        elif kind_of == "bias":
            inputs = ["x", f"{before}_real", f"{key}_real"]
            nodes.append(helper.make_node("Conv", inputs, [f"{key}_out"]))
        before = key
    initial = [numpy_helper.from_array(np.asarray(v), k) for k, v in kept.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "encoder", [], [], initial)), path)


def test_an_encoder_comes_back_from_a_graph(tmp_path: Path) -> None:
    net = build()
    own = {k: v for k, v in net.state_dict().items() if k.startswith(("conv", "layers", "embed"))}
    quantised_graph({k: v.numpy() for k, v in own.items()}, tmp_path / "encoder.onnx")
    again = build(pretrained=tmp_path / "encoder.onnx", dropout=0.1).state_dict()
    for name, value in own.items():
        step = float(value.abs().max()) / 127
        torch.testing.assert_close(again[name], value, rtol=0, atol=0.51 * step, msg=name)


def test_merging_halves_the_tokens() -> None:
    pictures = torch.randn(2, 80, 298)
    with torch.inference_mode():
        whole, half = (build(merge=m)._tokens(pictures) for m in (1, 2))
        assert whole.shape == (2, 149, 64)
        torch.testing.assert_close(half, (whole[:, 0:148:2] + whole[:, 1:148:2]) / 2)


def test_a_probe_leaves_the_ear_as_it_is() -> None:
    for name, learns in (("whisper", True), ("whisper-probe", False)):
        net = build(name).train()
        net(torch.randn(4, 80, 100)).square().sum().backward()
        ear = [p for n, p in net.named_parameters() if n.startswith(("conv", "embed", "layers"))]
        assert all((p.grad is not None) == learns for p in ear)
        assert net.classify[1].weight.grad is not None
        assert net.frozen_encoder != learns


def test_pauses_do_not_count() -> None:
    net = build("whisper-probe", merge=1)
    picture = torch.rand(1, 80, 100)
    picture[:, :, 50:] -= 1  # 40 dB softer
    weights = net._voiced(picture, 50)[0]
    assert weights.sum().item() == pytest.approx(1)
    assert weights[:25].min() > 10 * weights[25:].max()
    x = torch.randn(1, 50, 3)
    loud = torch.cat([torch.ones(25), torch.zeros(25)])[None] / 25
    mean, deviation = _statistics(x, loud)[0].split(3)
    torch.testing.assert_close(mean, x[0, :25].mean(dim=0))
    torch.testing.assert_close(deviation, x[0, :25].std(dim=0, correction=0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "more"),
    [("whisper", {}), ("whisper-probe", {"hidden": 0}), ("whisper-probe", {"hidden": 32})],
    ids=str,
)
def test_it_learns_and_ships(tmp_path: Path, name: str, more: dict[str, Any]) -> None:
    net = build(name, **more)
    wanted = preparation(seconds=1.0)
    learn(net, wanted)
    assert_ships(net, wanted, tmp_path)
    graph = next(tmp_path.rglob("*.onnx"))
    before = graph.stat().st_size
    quantize(graph)
    assert graph.stat().st_size < before / 2


def test_other_weights_are_refused(tmp_path: Path, reference: tuple[Any, Path]) -> None:
    with pytest.raises(InputError, match="does not hold a Whisper encoder"):
        build(pretrained=tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="does not hold a Whisper encoder"):
        build(width=32, pretrained=reference[1])
