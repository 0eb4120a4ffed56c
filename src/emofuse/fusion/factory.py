"""From a configuration to a fuser: a plain pool, or one that a card describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.estimates import Modality
from ..core.labels import CANONICAL
from ..core.protocols import Fuser
from ..errors import InputError, ModelError
from ..models.card import Card, Fusion
from ..models.store import Store
from .config import FUSERS, FuserRequest, FusionConfig


def make_fuser(
    config: FusionConfig,
    priors: Mapping[str, Sequence[float]] | None = None,
    *,
    models: Mapping[Modality, Card] | None = None,
    store: Store | None = None,
) -> Fuser:
    """Build the fuser that a configuration names.

    Args:
        config: strategy, weights, trained fuser.
        priors: model id → that model's mean probability of each of its labels
            (`Card.prior`); uniform where absent. By default those of `models`.
        models: cards of the recognisers whose estimates will be fused. A trained fuser
            refuses any but those it was trained with.
        store: where the cards of trained fusers are; default: `Store()`.

    Raises:
        InputError: if the trained fuser is one of another strategy.
        ModelError: if there is no such fuser, or it was trained with other recognisers.
    """
    if priors is None:
        priors = {c.id: _prior(c) for c in (models or {}).values() if c.prior is not None}
    if config.card is not None:
        return _trained(config, config.card, priors, models, store or Store())
    return FUSERS.load(config.strategy).make(FuserRequest(config, priors))


def _prior(card: Card) -> Sequence[float]:
    """A model's prior over the labels that its estimates have."""
    assert card.prior is not None
    if card.label_map is None:
        return card.prior
    folded, _ = card.label_map.fold(np.array(card.prior))
    return tuple(folded.tolist())


def _trained(
    config: FusionConfig,
    card_id: str,
    priors: Mapping[str, Sequence[float]],
    models: Mapping[Modality, Card] | None,
    store: Store,
) -> Fuser:
    card = _card(store, config, card_id)
    fusion = card.fusion
    if fusion is None:
        raise ModelError(
            f"model {card.id!r} is for {card.modality.value}, not a fuser: fusion.model needs what "
            "`emofuse train fusion` makes"
        )
    if fusion.strategy != config.strategy:
        raise InputError(
            f"the fuser {card.id!r} was trained for the strategy {fusion.strategy!r}, but "
            f"fusion.strategy is {config.strategy!r}: give both the same"
        )
    if card.taxonomy.labels != CANONICAL.labels:
        raise ModelError(
            f"the fuser {card.id!r} answers over {', '.join(card.taxonomy.labels)}, fused results "
            f"are over {', '.join(CANONICAL.labels)}: train it again"
        )
    for modality, model in (models or {}).items():
        check_part(card.id, fusion, modality, model)
    files = store.files(card) if config.learned else {}
    return FUSERS.load(config.strategy).make(FuserRequest(config, priors, card, files))


def check_part(fuser: str, fusion: Fusion, modality: Modality, model: Card) -> None:
    """Check that a fuser was trained with a recogniser.

    Raises:
        ModelError: if it was not; the message names both sides.
    """
    part = fusion.parts.get(modality)
    if part is None:
        known = " and ".join(m.value for m in fusion.parts)
        raise ModelError(
            f"the fuser {fuser!r} was trained for {known}, but {model.id!r} is for "
            f"{modality.value}: leave {modality.value} out of `modalities`, or choose another fuser"
        )
    sha256 = model.files["weights"].sha256 if "weights" in model.files else ""
    if (part.id, part.sha256) != (model.id, sha256):
        raise ModelError(
            f"the fuser {fuser!r} was trained with {part.id!r} ({part.sha256[:12]}…), but "
            f"{model.id!r} ({sha256[:12]}…) is loaded for {modality.value}: load that model, or "
            "train the fuser again with `emofuse train fusion`"
        )


def _card(store: Store, config: FusionConfig, card_id: str) -> Card:
    untrained = [name for name, kind in FUSERS.load_all().items() if not kind.learned]
    known = [c.id for c in store.cards() if c.fusion is not None]
    if config.model is None and card_id not in known:
        raise ModelError(
            f"the strategy {config.strategy!r} needs a trained fuser and there is no "
            f"{card_id!r}: train one with `emofuse train fusion --strategy "
            f"{config.strategy}` and name its card under fusion.model (there are "
            f"{', '.join(known) or 'none'}), or choose {', '.join(untrained)}"
        )
    if config.model is not None and card_id not in {c.id for c in store.cards()}:
        raise ModelError(
            f"no fuser {card_id!r}; there are {', '.join(known) or 'none'}. Cards in further "
            "folders are found through EMOFUSE_MODELS"
        )
    return store.card(card_id)
