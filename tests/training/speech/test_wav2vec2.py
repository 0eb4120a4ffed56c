"""Pretrained encoders of waveforms: tiny ones with random weights, saved here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.training.speech.voices import assert_ships, learn

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.speech.recognise import Preparation
from emofuse.training.core.nets import kind

pytestmark = pytest.mark.slow  # trains nets


TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (32, 32, 32),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.1,
}
KIND = kind(Modality.SPEECH, "wav2vec2")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a wav2vec 2.0 and of a HuBERT, and of a text model that is neither."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("encoders")
    t = transformers
    text = t.BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    made = {
        "wav2vec2": t.Wav2Vec2Model(t.Wav2Vec2Config(**TINY)),
        "hubert": t.HubertModel(t.HubertConfig(**TINY)),
        "bert": t.BertModel(text),
    }
    for name, model in made.items():
        model.save_pretrained(root / name)
    return {name: root / name for name in made}


def build(encoder: Path, **more: Any) -> Any:
    torch.manual_seed(1)
    return KIND.build(KIND.config(labels=4, encoder=str(encoder), dropout=0.1, **more))


def test_an_encoder_learns_voices_and_ships(encoders: dict[str, Path], tmp_path: Path) -> None:
    torch.set_num_threads(1)
    preparation = Preparation(**KIND.preparation, seconds=0.3)
    net = build(encoders["hubert"], pooling="attentive", blend=True)
    learn(net, preparation, steps=30)
    assert_ships(net, preparation, tmp_path)


@pytest.mark.parametrize("pooling", ["mean", "attentive"])
@pytest.mark.parametrize("blend", [False, True])
def test_any_pooling_gives_an_embedding(
    pooling: str, blend: bool, encoders: dict[str, Path]
) -> None:
    net = build(encoders["wav2vec2"], pooling=pooling, blend=blend).eval()
    with torch.inference_mode():
        x = torch.randn(3, 4_000)
        assert net.embed(x).shape == (3, net.width)
        torch.testing.assert_close(net(x[:1]), net(x)[:1])
        assert net(torch.randn(3, 4_000)).shape == (3, 4)


def test_the_encoder_has_the_weights_of_its_folder(encoders: dict[str, Path]) -> None:
    reference = transformers.HubertModel.from_pretrained(encoders["hubert"]).eval()
    net = build(encoders["hubert"]).eval()
    x = torch.randn(2, 4_000)
    with torch.inference_mode():
        expected = reference(x).last_hidden_state.mean(dim=1)
        torch.testing.assert_close(net.embed(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("freeze", "stem", "body"),
    [("nothing", True, True), ("features", False, True), ("encoder", False, False)],
)
def test_what_is_frozen_gets_no_slope(
    freeze: str, stem: bool, body: bool, encoders: dict[str, Path]
) -> None:
    net = build(encoders["wav2vec2"], freeze=freeze)
    net(torch.randn(4, 4_000)).square().sum().backward()

    def sloped(module: Any) -> bool:
        return any(p.grad is not None for p in module.parameters())

    assert sloped(net.encoder.feature_extractor) is stem
    assert sloped(net.encoder.encoder) is body
    assert sloped(net.classify)


def test_training_draws_from_torch_alone(encoders: dict[str, Path]) -> None:
    """No layers are skipped and no masks are drawn: with the same seed, the same logits."""
    net = build(encoders["wav2vec2"]).train()
    x = torch.randn(3, 4_000)
    logits = []
    for _ in range(2):
        torch.manual_seed(5)
        logits.append(net(x))
    torch.testing.assert_close(*logits)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("nowhere", r"no encoder at 'nowhere'.*id@revision"),
        ("some/model", r"no encoder at 'some/model'.*commit"),
        ("some/model@", "no encoder at"),
    ],
)
def test_an_encoder_that_is_not_pinned_is_refused(encoder: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Path(encoder))


def test_other_models_and_empty_folders_are_refused(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"is a 'bert', expected one of waveforms"):
        build(encoders["bert"])
    with pytest.raises(InputError, match="cannot load the encoder"):
        build(tmp_path)


def test_pickled_weights_are_refused(encoders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    config = encoders["wav2vec2"] / "config.json"
    (folder / "config.json").write_bytes(config.read_bytes())
    model = transformers.Wav2Vec2Model.from_pretrained(encoders["wav2vec2"])
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        build(folder)
