"""Training fusers, from cached predictions to a folder that the store loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.training import fused

from emofuse.core.estimates import Modality
from emofuse.core.protocols import Slot
from emofuse.errors import InputError, ModelError
from emofuse.evaluation.predict.cached import MOMENT, load
from emofuse.fusion.config import FusionConfig, Strategy
from emofuse.fusion.factory import make_fuser
from emofuse.models.card import read_card
from emofuse.models.golden import read_golden, replay
from emofuse.training.fusion import FusionTraining, train

pytestmark = pytest.mark.slow  # trains nets


@pytest.mark.parametrize("strategy", [*Strategy], ids=lambda s: s.value)
def test_any_strategy_is_trained_and_loaded_again(strategy: Strategy) -> None:
    path = fused.trained(strategy)
    card = read_card(path)
    assert card.fusion is not None
    assert card.fusion.strategy == strategy.value
    names = {m: part.id for m, part in card.fusion.parts.items()}
    assert names == {m: fused.name(m) for m in fused.PARTS}
    accuracy = {m.split.split(": ")[1]: m.value for m in card.metrics if m.name == "accuracy"}
    assert len(accuracy) == 7
    best = max(accuracy[m.value] for m in fused.PARTS)
    assert accuracy["face + speech + text"] > best + 0.03, "three agree on what one misses"
    fused.store(strategy).verify(card)
    fuser = fused.fuser(strategy)
    if strategy.learned:
        assert card.bytes < 200_000
        golden = read_golden(path.with_name(f"{card.id}.golden.npz"))
        assert replay(fuser, golden) < 1e-4
        assert len(set(golden.logits.argmax(axis=1))) > 1


@pytest.mark.parametrize("strategy", [Strategy.ATTENTION, Strategy.LOGPOOL], ids=lambda s: s.value)
def test_in_use_it_is_as_good_as_its_card_says(strategy: Strategy) -> None:
    fuser = fused.fuser(strategy)
    face = load(next((fused.home() / "predictions").glob("fer2013*")))
    right = []
    for row in range(len(face)):
        e = face.estimate(row)
        assert e is not None
        said = fuser.fuse(Slot(e.subject, MOMENT, {Modality.FACE: e}))
        assert said is not None
        right.append(said.label == face.labels[row])
    metrics = read_card(fused.trained(strategy)).metrics
    (alone,) = (m.value for m in metrics if (m.name, m.split) == ("accuracy", "validation: face"))
    assert np.mean(right) == pytest.approx(alone, abs=0.1)


def test_the_same_seed_gives_the_same_fuser(tmp_path: Path) -> None:
    first = fused.trained(Strategy.FEATURE)
    again = train(fused.config(Strategy.FEATURE, tmp_path), store=fused.store())
    assert first.with_suffix(".onnx").read_bytes() == again.with_suffix(".onnx").read_bytes()


def test_a_fuser_refuses_other_recognisers_than_its_own() -> None:
    models = {m: fused.store().card(fused.name(m)) for m in fused.PARTS}
    wanted = FusionConfig(Strategy.LOGPOOL, model="fusion-logpool-v1")
    store = fused.store(Strategy.LOGPOOL)
    make_fuser(wanted, models=models, store=store)
    speech = models[Modality.SPEECH]
    weights = replace(speech.files["weights"], sha256="cd" * 32)
    models[Modality.SPEECH] = replace(speech, files={"weights": weights})
    with pytest.raises(ModelError, match=r"trained with 'speech-made' \(.*\(cdcdcdcdcdcd"):
        make_fuser(wanted, models=models, store=store)


def test_a_fuser_of_another_strategy_is_refused() -> None:
    store = fused.store(Strategy.LOGPOOL)
    with pytest.raises(InputError, match=r"'logpool'.*'weighted'"):
        make_fuser(FusionConfig(Strategy.WEIGHTED, model="fusion-logpool-v1"), store=store)
    with pytest.raises(ModelError, match=r"no fuser 'x'; there are .*fusion-logpool-v1"):
        make_fuser(FusionConfig(model="x"), store=store)
    with pytest.raises(ModelError, match="not a fuser"):
        make_fuser(FusionConfig(model="face-made"), store=store)


def test_a_net_that_nobody_trained_is_asked_for_in_vain() -> None:
    with pytest.raises(ModelError, match=r"no fuser 'mine'; there are"):
        make_fuser(FusionConfig(Strategy.HYBRID, model="mine"), store=fused.store())


def test_without_predictions_it_says_how_to_make_them(tmp_path: Path) -> None:
    wanted = replace(fused.config(Strategy.LOGPOOL, tmp_path), predictions_cache=tmp_path / "none")
    with pytest.raises(InputError, match=r"no validation predictions of 'face-made'.*--data"):
        train(wanted, store=fused.store())


@pytest.mark.parametrize(
    "wrong",
    [{"modalities": (Modality.FACE,)}, {"batch": 0}, {"drop": 1.0}, {"held_out": 0.0}],
    ids=str,
)
def test_senseless_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        FusionTraining(**wrong)
