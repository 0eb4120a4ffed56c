"""How far hand and machine agree: Cohen's kappa, with an interval over files and people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.timeline import Timeline

FEW_SLOTS, FEW_CLUSTERS = 50, 5
"""With fewer slots, or fewer people in files, figures say little."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One slot that a hand labelled.

    Args:
        cluster: the file and the person: slots of one person resemble each other.
        hand: the label by hand.
        machine: the machine's.
        sure: whether the machine relied on it (`Estimate.uncertain` is None).
    """

    cluster: tuple[str, str]
    hand: str
    machine: str
    sure: bool


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """Agreement on one label against all others; `kappa` as in `Agreement`."""

    label: str
    hand: int
    machine: int
    both: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far hand and machine agree on the slots that both labelled.

    Args:
        slots: that were compared.
        uncertain: labelled by hand, but left out: the machine did not want to say.
        same: on how many both say the same.
        kappa: Cohen's kappa, in [-1, 1]; None where both know one label only.
        interval: 95 % of the bootstrap over files and people; None with fewer than two.
        labels: agreement on each label.
        clusters: how many people in how many files were compared: (person, file) pairs.
        warnings: why the figures say little, in sentences.
    """

    slots: int
    uncertain: int
    same: int
    kappa: float | None
    interval: tuple[float, float] | None
    labels: tuple[LabelAgreement, ...]
    clusters: int
    warnings: tuple[str, ...]


def pairs_of(timeline: Timeline) -> Iterator[Pair]:
    """Yield the slots of an edited timeline that a hand labelled or confirmed."""
    file = timeline.media.path or timeline.media.name
    for e in timeline:
        if e.set_by_hand and e.machine is not None:
            found = e.machine
            yield Pair((file, str(e.subject)), e.label, found.label, found.uncertain is None)


def agreement(pairs: Iterable[Pair], resamples: int = 2000, seed: int = 0) -> Agreement:
    """Compare hand and machine.

    Args:
        pairs: slots (`pairs_of`) of any number of files.
        resamples: of the bootstrap; each draws as many people in files as there are.
        seed: of the draws.
    """
    given = list(pairs)
    sure = [p for p in given if p.sure]
    names = sorted({label for p in sure for label in (p.hand, p.machine)})
    tables = _tables(sure, names)
    total = tables.sum(axis=0)
    kappas = _kappa(total[None])
    interval = _interval(tables, resamples, seed) if len(tables) > 1 else None
    return Agreement(
        slots=len(sure),
        uncertain=len(given) - len(sure),
        same=int(np.trace(total)),
        kappa=_known(kappas[0]),
        interval=interval,
        labels=tuple(_on_label(total, i, label) for i, label in enumerate(names)),
        clusters=len(tables),
        warnings=tuple(_warnings(sure, len(tables))),
    )


def _tables(pairs: Sequence[Pair], names: Sequence[str]) -> NDArray[np.float64]:
    """Count hand × machine for each cluster: shape (clusters, labels, labels)."""
    clusters = {c: i for i, c in enumerate(dict.fromkeys(p.cluster for p in pairs))}
    index = {label: i for i, label in enumerate(names)}
    tables = np.zeros((len(clusters), len(names), len(names)))
    for p in pairs:
        tables[clusters[p.cluster], index[p.hand], index[p.machine]] += 1
    return tables


def _kappa(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa of tables (n, labels, labels); not a number where chance explains all."""
    count = tables.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.trace(tables, axis1=1, axis2=2) / count
        chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / count**2
        kappa: NDArray[np.float64] = np.where(
            chance < 1 - 1e-12, (observed - chance) / (1 - chance), np.nan
        )
    return kappa


def _known(kappa: float) -> float | None:
    return None if np.isnan(kappa) else float(kappa)


def _interval(tables: NDArray[np.float64], resamples: int, seed: int) -> tuple[float, float] | None:
    """Draw clusters with replacement; the 2.5th and 97.5th percentile of kappa."""
    rng, n = np.random.default_rng(seed), len(tables)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    kappas = _kappa(np.tensordot(draws, tables, axes=1))
    kappas = kappas[np.isfinite(kappas)]
    if not len(kappas):
        return None
    low, high = np.percentile(kappas, (2.5, 97.5))
    return float(low), float(high)


def _on_label(table: NDArray[np.float64], i: int, label: str) -> LabelAgreement:
    both, hand, machine = table[i, i], table[i].sum(), table[:, i].sum()
    rest = table.sum() - hand - machine + both
    two = np.array([[[both, hand - both], [machine - both, rest]]])
    return LabelAgreement(label, int(hand), int(machine), int(both), _known(_kappa(two)[0]))


def _warnings(pairs: Sequence[Pair], clusters: int) -> Iterator[str]:
    if not pairs:
        return
    if all(p.hand != p.machine for p in pairs):
        yield (
            "Only what was wrong was labelled, so this says nothing of how often the machine is "
            "right: confirm what is right, too (key c on the page)."
        )
    if len(pairs) < FEW_SLOTS:
        yield f"{len(pairs)} slots are few: with fewer than {FEW_SLOTS} kappa says little."
    if clusters < FEW_CLUSTERS:
        yield (
            f"{clusters} {'person' if clusters == 1 else 'people'} in all files "
            f"{'is' if clusters == 1 else 'are'} few: with fewer than {FEW_CLUSTERS} "
            + ("there is no interval." if clusters < 2 else "the interval is too narrow.")
        )
    if len({p.hand for p in pairs}) < 2:
        yield "The hand gave one label only, so chance cannot be told from agreement."
