"""Whisper's first layers in torch are Whisper's first layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.speech.voices import assert_ships, learn

from emofuse.config.loader import construct
from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.speech.recognise import Preparation
from emofuse.training.core.nets import kind
from emofuse.training.core.quantize import quantize
from emofuse.training.speech.nets.whisper import _statistics

pytestmark = pytest.mark.slow  # trains nets


SIZES = {"width": 64, "heads": 2, "layers": 2, "positions": 150, "hidden": 32, "dropout": 0.0}


def build(**more: Any) -> Any:
    torch.manual_seed(1)
    found = kind(Modality.SPEECH, "whisper")
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


def test_merging_halves_the_tokens() -> None:
    pictures = torch.randn(2, 80, 298)
    with torch.inference_mode():
        whole, half = (build(merge=m)._tokens(pictures) for m in (1, 2))
        assert whole.shape == (2, 149, 64)
        torch.testing.assert_close(half, (whole[:, 0:148:2] + whole[:, 1:148:2]) / 2)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_ear_stays_as_it_is(frozen: bool) -> None:
    net = build(frozen=frozen).train()
    net(torch.randn(4, 80, 100)).square().sum().backward()
    ear = [p for n, p in net.named_parameters() if n.startswith(("conv", "embed", "layers"))]
    assert all((p.grad is None) == frozen for p in ear)
    assert net.classify[1].weight.grad is not None
    assert net.frozen_encoder == frozen


def test_a_mix_begins_as_the_mean_of_the_layers() -> None:
    net = build()
    states = [torch.randn(2, 5, 64) for _ in range(3)]
    for scale in net.scales:
        scale.running_var.fill_(4.0)
    expected = sum(states) / (3 * 4.0**0.5)
    torch.testing.assert_close(net._mixed(states), expected, rtol=1e-4, atol=1e-5)


def test_pauses_do_not_count() -> None:
    net = build(merge=1)
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
    "more", [{}, {"frozen": True, "hidden": 0}, {"frozen": True, "hidden": 32}], ids=str
)
def test_it_learns_and_ships(tmp_path: Path, more: dict[str, Any]) -> None:
    net = build(**more)
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
