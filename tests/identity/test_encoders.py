"""The nets that tell people apart answer as when they were made, however sound is cut."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.chunking import recut

from emofuse.core.identity import IdentityEmbedding, Portrait
from emofuse.core.media import Track
from emofuse.engine.pipeline import Chain, Select
from emofuse.identity.encoders import FaceEmbedder, VoiceEmbedder, face_encoder, voice_encoder
from emofuse.models.golden import golden_path, read_golden, replay
from emofuse.models.store import ModelLocation, Store
from emofuse.sources.file import open_source
from emofuse.speech.resample import Resample
from emofuse.speech.vad import VoiceActivityDetector

STORE = Store(folders=[])
ENCODERS = {"face-identity-v1": face_encoder, "voice-identity-v2": voice_encoder}


@pytest.fixture(scope="module", params=list(ENCODERS))
def encoder(request: pytest.FixtureRequest) -> Any:
    return ENCODERS[request.param](request.param, STORE)


def test_it_is_embedded_and_answers_its_golden_pair(encoder: Any) -> None:
    card = STORE.card(encoder.model_id)
    assert STORE.location(card) is ModelLocation.EMBEDDED
    assert any("biometric" in note for note in card.notes)
    golden = read_golden(golden_path(card))
    assert replay(encoder, golden) < 5e-3
    apart = np.linalg.norm(golden.logits[0] - golden.logits[1])
    assert apart > 0.2, "a pair with one answer only would prove little"


def test_a_face_is_nearer_to_itself_mirrored_than_to_another(encoder: Any) -> None:
    if encoder.model_id != "face-identity-v1":
        pytest.skip("a voice has no mirror image")
    face = read_golden(golden_path(STORE.card(encoder.model_id))).inputs[0]
    mirrored, noise = face[:, ::-1].copy(), np.random.default_rng(0).integers(0, 256, face.shape)
    one, same, other = encoder.logits([face, mirrored, noise.astype(np.uint8)])
    assert np.linalg.norm(one - same) < 0.45 < np.linalg.norm(one - other)


def voice_embeddings(packets: list) -> list[IdentityEmbedding]:
    embeddings = VoiceEmbedder(voice_encoder("voice-identity-v2", STORE))
    chain = Chain(Select(Track.AUDIO), Resample(), VoiceActivityDetector(), embeddings)
    items = [x for packet in packets for x in chain.feed(packet)] + list(chain.flush())
    return [x for x in items if isinstance(x, IdentityEmbedding)]


def test_however_sound_is_cut_voices_have_the_same_prints(media: Path) -> None:
    with closing(open_source(media / "talking.mp4")) as source:
        packets = list(source.packets())
    whole = voice_embeddings(packets)
    assert len(whole) >= 4
    for seed in range(2):
        pieces = voice_embeddings(recut(packets, np.random.default_rng(seed)))
        assert [p.span for p in pieces] == [p.span for p in whole]
        for one, other in zip(pieces, whole, strict=True):
            np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)


def test_what_is_no_portrait_passes() -> None:
    stage = FaceEmbedder(face_encoder("face-identity-v1", STORE))
    assert list(stage.feed("anything")) == ["anything"]
    assert not any(isinstance(x, Portrait) for x in stage.flush())
