"""Voices for the nets' tests, and a net's way to the recogniser."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from emofuse.sources.audio import read_audio
from emofuse.speech.recognise import Preparation, SpeechRecogniser, prepare
from emofuse.training.core.export import export as export_net

MEDIA = Path(__file__).parents[2] / "media"
RATE = 16_000


def voices(seconds: float) -> list[np.ndarray]:
    """Return two pieces of synthesised speech, a tone of gliding pitch and a whisper."""
    spoken = read_audio(MEDIA / "speech.ogg", RATE)
    n = round(seconds * RATE)
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * np.cumsum(np.linspace(120, 300, n)) / RATE
    glide = sum(np.sin(k * phase) / k for k in range(1, 12))
    whisper = rng.normal(0, 0.1, n) * np.hanning(n)
    made = [(0.1 * glide + rng.normal(0, 0.01, n)), whisper]
    return [
        spoken[RATE : RATE + n],
        spoken[4 * RATE : 4 * RATE + n],
        *(x.astype("f4") for x in made),
    ]


def learn(net: nn.Module, preparation: Preparation, steps: int = 40, lr: float = 3e-3) -> None:
    """Teach a net to tell four voices apart; fail if it does not learn to."""
    rows = torch.from_numpy(
        np.stack([prepare(x, preparation) for x in voices(preparation.seconds)])
    )
    wanted = torch.arange(4)
    taught = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(taught, lr)
    net.train()
    for _ in range(steps):
        loss = nn.functional.cross_entropy(net(rows), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.inference_mode():
        assert net(rows).argmax(dim=1).tolist() == [0, 1, 2, 3]
        embedding = net.embed(rows)
        assert embedding.shape == (4, net.width)
        torch.testing.assert_close(net.classify(embedding), net(rows))


def export(net: nn.Module, preparation: Preparation, folder: Path) -> SpeechRecogniser:
    """Export a net of four labels and load it as any card's model is loaded."""
    fields = {
        "id": "made-by-a-test",
        "modality": "speech",
        "recogniser": "speech",
        "summary": "made by a test",
        "labels": ["a", "b", "c", "d"],
        "preparation": asdict(preparation),
    }
    card = export_net(net, (torch.randn(2, *preparation.shape),), fields, folder)
    assert card.embedding == net.width
    return SpeechRecogniser(card, {role: folder / f.name for role, f in card.files.items()})


def assert_ships(net: nn.Module, preparation: Preparation, folder: Path) -> None:
    """Check that the recogniser of the exported net says what the net says, in any batch."""
    recogniser = export(net, preparation, folder)
    assert recogniser.preparation == preparation
    rows = [recogniser.prepare(x) for x in voices(preparation.seconds)]
    with torch.inference_mode():
        expected = net(torch.from_numpy(np.stack(rows))).numpy()
    np.testing.assert_allclose(recogniser.logits(rows), expected, atol=1e-4)
    np.testing.assert_allclose(recogniser.logits(rows[:1]), expected[:1], atol=1e-4)
    np.testing.assert_allclose(recogniser.logits(rows[:3]), expected[:3], atol=1e-4)
    said = [answer.probabilities.label for answer in recogniser.infer(rows)]
    assert said == ["abcd"[i] for i in expected.argmax(axis=1)]
