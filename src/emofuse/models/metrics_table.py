"""A card's figures as a table: a row for what was measured on, a column for each measure.

A card holds dozens of figures, one by one, each with its protocol; people compare rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .card import Metric

MEASURES = {
    "accuracy": "accuracy",
    "uar": "UAR",
    "macro_f1": "macro-F1",
    "f1": "F1",
    "recall": "recall",
    "precision": "precision",
    "average precision": "average precision",
    "ece": "ECE",
    "der": "DER",
}
"""Measures that are shown, in order, and what people call them."""

_OTHERS = ("ece_uncalibrated", "weighted_f1", "micro_f1", "log_loss", "nll", "brier")
_LONGEST_FIRST = sorted((*MEASURES, *_OTHERS), key=len, reverse=True)


@dataclass(slots=True)
class Row:
    """What was measured on one set of samples in one way.

    Args:
        corpus, split: what on.
        variant: which of several answers or labellings, e.g. ``"majority"``; often empty.
        protocol: how; of the row's first figure.
        values: by the keys of `MEASURES`.
    """

    corpus: str
    split: str
    variant: str
    protocol: str
    values: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the row is about, in words."""
        return ", ".join(filter(None, (f"{self.corpus} {self.split}", self.variant)))


def rows(metrics: Sequence[Metric]) -> list[Row]:
    """Arrange figures in rows: first those of test samples, else in the card's order.

    Figures whose measure is not in `MEASURES` are left to the card.
    """
    found: dict[tuple[str, ...], Row] = {}
    for m in metrics:
        measure, variant = _parted(m.name)
        if measure in MEASURES:
            where = (m.corpus, m.split, _spoken(variant, m.corpus))
            samples = m.protocol.partition(";")[0]  # figures of other samples are another row's
            row = found.setdefault((*where, samples), Row(*where, m.protocol))
            row.values.setdefault(measure, m.value)
    return sorted(found.values(), key=lambda row: row.split.startswith("validation"))


def measures(table: Sequence[Row]) -> list[str]:
    """Return the measures that occur in a table, in the order of `MEASURES`."""
    return [m for m in MEASURES if any(m in row.values for row in table)]


def _parted(name: str) -> tuple[str, str]:
    """Part ``"ferplus_majority_accuracy"`` or ``"f1_happy"`` into a measure and a variant."""
    for measure in _LONGEST_FIRST:
        if name == measure:
            return measure, ""
        for sign in ("_", ", "):
            if name.startswith(measure + sign):
                return measure, name.removeprefix(measure + sign)
            if name.endswith(sign + measure):
                return measure, name.removesuffix(sign + measure)
    return name, ""


def _spoken(variant: str, corpus: str) -> str:
    """Say a variant in words, without the corpus' own name."""
    words = variant.replace("_", " ")
    plain = corpus.lower().replace("+", "plus").replace("-", "")
    return words.removeprefix(plain).strip()
