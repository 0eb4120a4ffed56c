"""Evaluation protocols: which samples are used, and which model is evaluated on them.

=================  =====================================================================
``split``          one held-out split; the default
``fold:K``         fold K of the corpus' cross-validation
``folds``          every fold, by the model not trained on it: mean ± deviation
``cross-corpus``   a whole corpus of which the model has seen nothing
=================  =====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ...corpora.manifest import Manifest, Split
from ...errors import InputError
from ...models.card import Card
from . import leaks

UNUSABLE = frozenset({"conflicting_duplicate"})
"""Flags of samples that belong to no set."""

UNCLEAN = frozenset({"blank", "duplicate_of_train"})
"""Flags of samples without which metrics are given as well."""


class Kind(str, Enum):
    """The kinds of protocol."""

    SPLIT = "split"
    FOLD = "fold"
    FOLDS = "folds"
    CROSS_CORPUS = "cross-corpus"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol.

    Args:
        kind: which samples, of which models.
        split: of `Kind.SPLIT`: the split; of `Kind.CROSS_CORPUS`: only this one, or
            None for all.
        fold: of `Kind.FOLD`.

    Raises:
        ValueError: if the kind needs what is missing.
    """

    kind: Kind = Kind.SPLIT
    split: Split | None = Split.TEST
    fold: int | None = None

    def __post_init__(self) -> None:
        if self.kind is Kind.SPLIT and self.split is None:
            raise ValueError("the protocol 'split' needs a split")
        if (self.kind is Kind.FOLD) != (self.fold is not None):
            raise ValueError("the protocol 'fold', and no other, needs the number of a fold")

    @classmethod
    def parse(cls, text: str, split: str | None = None) -> Protocol:
        """Read a protocol as a user writes it, e.g. ``"fold:3"``, and a split.

        Raises:
            InputError: if there is no such protocol or split.
        """
        name, _, number = text.strip().lower().partition(":")
        try:
            kind = Kind(name)
            fold = int(number) if number else None
            chosen = None if split in (None, "all") else Split(split)
            if kind is Kind.SPLIT and split is None:
                chosen = Split.TEST
            return cls(kind, chosen, fold)
        except ValueError:
            splits = ", ".join(s.value for s in Split)
            raise InputError(
                f"no protocol {text!r} with the split {split!r}; there are split (of "
                f"{splits}), fold:K, folds and cross-corpus"
            ) from None

    @property
    def name(self) -> str:
        """What metrics are labelled with: ``"test"``, ``"fold 3"``."""
        if self.kind is Kind.SPLIT and self.split is not None:
            return self.split.value
        if self.kind is Kind.FOLD:
            return f"fold {self.fold}"
        if self.kind is Kind.FOLDS:
            return "all folds"
        return "cross-corpus" + (f", {self.split.value}" if self.split else "")

    @property
    def flags(self) -> list[str]:
        """The flags of `emofuse evaluate` that select it."""
        if self.kind is Kind.SPLIT:
            return ["--split", self.split.value] if self.split else []
        kind = f"fold:{self.fold}" if self.kind is Kind.FOLD else self.kind.value
        chosen = ["--split", self.split.value] if self.split else []
        return ["--protocol", kind, *(chosen if self.kind is Kind.CROSS_CORPUS else [])]

    def select(self, manifest: Manifest, card: Card) -> Manifest:
        """Return the samples that a model is evaluated on.

        Args:
            manifest: the whole corpus.
            card: of the model; of `Kind.FOLDS` it says which fold is held out.

        Raises:
            InputError: if there are none.
        """
        if self.kind is Kind.FOLD:
            return _fold(manifest, self.fold)
        if self.kind is Kind.FOLDS:
            return _fold(manifest, held_out_fold(manifest, card))
        if self.split is None:
            return _filled(manifest, "the corpus is empty")
        splits = sorted({e.split.value for e in manifest})
        return _filled(
            manifest.of(self.split),
            f"{manifest.corpus} has no split {self.split.value!r} here, only {', '.join(splits)}: "
            "choose one with --split, or the protocol fold:K or folds if it has folds",
        )


def folds_of(manifest: Manifest) -> tuple[int, ...]:
    """Return the folds of a corpus, in order; none if it has no folds."""
    return tuple(sorted({e.fold for e in manifest if e.fold is not None}))


def held_out_fold(manifest: Manifest, card: Card, home: Path | None = None) -> int:
    """Return which fold a model was not trained on, by its card, else by its folder's name.

    Args:
        manifest: the corpus.
        card: of the model; its `data` may name the folds it was trained on.
        home: folder of the card: ``…/fold-3/model`` says 3.

    Raises:
        InputError: if neither tells.
    """
    folds = folds_of(manifest)
    seen: set[int] = set()
    for data in leaks.of_corpus(card, manifest.corpus):
        seen |= set(data.folds)
        seen |= {int(c.split()[1]) for c in data.chosen if re.fullmatch(r"fold \d+", c)}
    left = [fold for fold in folds if fold not in seen]
    if seen and len(left) == 1:
        return left[0]
    named = [n for part in reversed(home.parts if home else ()) for n in _numbers(part)]
    if named and named[0] in folds:
        return named[0]
    raise InputError(
        f"model {card.id!r} does not say which fold of {manifest.corpus} is held out "
        f"({', '.join(map(str, folds)) or 'the corpus has no folds'}): give the folds that it "
        "was trained on in its card's [[data]] (corpus, folds), or put it in a folder named fold-K"
    )


def check(protocol: Protocol, manifest: Manifest, asked: Manifest, card: Card) -> tuple[str, ...]:
    """Refuse an evaluation that leaks training data.

    Args:
        protocol: which samples are used.
        manifest: the whole corpus.
        asked: the samples that the model is evaluated on.
        card: of the model.

    Returns:
        Reservations that do not rule it out, as sentences for the report.

    Raises:
        LeakError: if speakers cross the splits or folds, or the model was trained on
            the samples or their speakers; the message names them.
    """
    if protocol.kind in (Kind.FOLD, Kind.FOLDS):
        leaks.refuse_crossing(manifest, "fold")
    elif protocol.kind is Kind.SPLIT:
        leaks.refuse_crossing(manifest, "split")
    if protocol.kind is Kind.CROSS_CORPUS:
        leaks.refuse_seen(card, manifest.corpus)
    return leaks.refuse_learnt(card, manifest, asked)


def _numbers(part: str) -> Sequence[int]:
    return [int(n) for n in re.findall(r"fold[-_ ]?(\d+)", part.lower())]


def _fold(manifest: Manifest, fold: int | None) -> Manifest:
    folds = folds_of(manifest)
    if not folds:
        raise InputError(f"{manifest.corpus} has no folds: choose a split with --split")
    known = ", ".join(map(str, folds))
    return _filled(
        manifest.where(lambda e: e.fold == fold),
        f"{manifest.corpus} has no fold {fold}, only {known}",
    )


def _filled(manifest: Manifest, otherwise: str) -> Manifest:
    if not len(manifest):
        raise InputError(otherwise)
    return manifest
