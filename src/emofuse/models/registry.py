"""From a model's id to a recogniser that runs.

Recognisers are found by entry point, in the group ``emofuse.recognisers``; the
built-in ones are registered like everybody else's. A third party's package says

    [project.entry-points."emofuse.recognisers"]
    my-kind = "my_package.recognise:MyRecogniser"

and a card with ``recogniser = "my-kind"`` then loads ``MyRecogniser(card, files,
threads)``, where `files` maps roles to paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..core.estimates import Modality
from ..core.protocols import Recogniser
from ..core.registry import Registry
from ..errors import ModelError
from .card import Card
from .store import Store

GROUP = "emofuse.recognisers"
"""The entry-point group."""

Factory = Callable[[Card, Mapping[str, Path], int], Recogniser]
"""What an entry point names: card, files by role, threads → recogniser."""

RECOGNISERS = Registry[Factory](GROUP, "recogniser")
"""Those of emofuse, and those of other packages."""


def load(model_id: str, store: Store | None = None, threads: int = 1) -> Recogniser:
    """Load a model that is ready to `prepare` and `infer`.

    Args:
        model_id: id of a card, e.g. one that `emofuse models` lists.
        store: where cards and files are; default: `Store()`.
        threads: threads of one inference (≥ 1).

    Raises:
        ModelError: if the card, a file or the recogniser is missing or damaged.
    """
    store = store or Store()
    card = store.card(model_id)
    make = factory(card)  # before the files: a download for nothing would be a pity
    return make(card, store.files(card), threads)


def factory(card: Card) -> Factory:
    """Return what makes the recogniser that a card names.

    Raises:
        ModelError: if no installed package registers it, or it cannot be imported.
    """
    if card.recogniser not in RECOGNISERS:
        raise ModelError(
            f"model {card.id!r} needs the recogniser {card.recogniser!r}, which no installed "
            f"package provides; there are {', '.join(sorted(RECOGNISERS)) or 'none'}"
        )
    return RECOGNISERS.load(card.recogniser)


def emotion_models(store: Store, modality: Modality) -> Iterator[Card]:
    """Yield the cards of the models that tell a modality's emotions."""
    for card in store.cards():
        if card.modality is modality and card.recogniser in RECOGNISERS and not card.dimensional:
            yield card
