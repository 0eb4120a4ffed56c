"""Every speech net that starts from nothing: it learns voices, ships, and refuses nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.speech.voices import assert_ships, learn

from emofuse.core.estimates import Modality
from emofuse.speech.recognise import Preparation
from emofuse.training.core.nets import kind, names
from emofuse.training.speech.nets.mel_cnn import SpeechNet

pytestmark = pytest.mark.slow  # trains nets


TINY: dict[str, dict[str, Any]] = {
    "mel-cnn": {"widths": (16, 16, 16, 24), "embedding": 32},
    "mfcc-bilstm": {"hidden": 24, "depth": 1},
    "mfcc-cnn": {"widths": (32, 32, 48)},
    "cnn-lstm": {"widths": (16, 16, 16, 24), "hidden": 32},
    "cnn-attention": {"width": 32, "blocks": 2},
}
PUBLISHED = {
    "mel-cnn": 848_808,
    "mfcc-bilstm": 330_905,
    "mfcc-cnn": 482_776,
    "cnn-lstm": 448_584,
    "cnn-attention": 618_564,
}


def test_every_kind_is_found_by_its_name() -> None:
    found = names(Modality.SPEECH)
    assert set(TINY) | {"yamnet", "wav2vec2", "whisper"} == set(found)
    for name in found:
        assert kind(Modality.SPEECH, name).name == name
        assert kind(Modality.SPEECH, name).title


@pytest.mark.parametrize("name", TINY)
def test_a_net_as_configured_by_default_fits_its_preparation(name: str) -> None:
    architecture = kind(Modality.SPEECH, name)
    net = architecture.build(architecture.config(labels=8)).eval()
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED[name]
    preparation = Preparation(**architecture.preparation)
    with torch.inference_mode():
        assert net(torch.randn(2, *preparation.shape)).shape == (2, 8)


@pytest.mark.parametrize("name", TINY)
def test_a_net_learns_voices_and_ships(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = kind(Modality.SPEECH, name)
    # A long LSTM takes seconds to export.
    preparation = Preparation(**architecture.preparation, seconds=0.3 if "lstm" in name else 0.6)
    net = architecture.build(architecture.config(labels=4, dropout=0.1, **TINY[name]))
    learn(net, preparation)
    assert_ships(net, preparation, tmp_path)


@pytest.mark.parametrize("name", TINY)
def test_a_net_trains_in_half_precision(name: str) -> None:
    """Under autocast every net gives finite logits and slopes."""
    architecture = kind(Modality.SPEECH, name)
    net = architecture.build(architecture.config(labels=4, **TINY[name]))
    shape = Preparation(**architecture.preparation, seconds=0.6).shape
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.randn(4, *shape))
    logits.float().logsumexp(dim=1).sum().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", TINY)
def test_pictures_of_other_features_are_refused(name: str) -> None:
    architecture = kind(Modality.SPEECH, name)
    net = architecture.build(architecture.config(labels=4))
    with pytest.raises(ValueError, match=r"of \d+ rows, got the shape \(2, 13, 50\)"):
        net(torch.randn(2, 13, 50))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mel-cnn", {"widths": (16, 16)}),
        ("mel-cnn", {"dropout": 1.0}),
        ("mfcc-bilstm", {"hidden": 0}),
        ("mfcc-cnn", {"size": 4}),
        ("cnn-lstm", {"mels": 40}),
        ("cnn-attention", {"width": 30}),
        ("yamnet", {"rate": 8000}),
        ("yamnet", {"samples": 8000}),
        ("wav2vec2", {"encoder": ""}),
        ("wav2vec2", {"encoder": "somewhere", "freeze": "all"}),
    ],
)
def test_sizes_that_make_no_sense_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|need|name an|not a valid|made for"):
        kind(Modality.SPEECH, name).config(labels=4, **wrong)


def test_the_first_net_keeps_the_names_of_its_parameters() -> None:
    """Weights trained with the first version still load."""
    names_then = {
        "trunk.0.0.weight",
        "trunk.2.body.0.1.running_var",
        "fold.1.bias",
        "pool.attend.2.weight",
        "classify.0.weight",
        "classify.2.bias",
    }
    net = SpeechNet(7, 64, (32, 48, 80, 128), 192, 0.3)
    assert names_then <= set(net.state_dict())
    assert len(net.state_dict()) == 77
