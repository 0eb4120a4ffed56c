"""From the samples of a corpus to media and targets, for any modality.

Each corpus keeps its own labels; here they become distributions over the labels
that are learned, and a mask of those that the corpus can say something about. What
a corpus does not know is left out of the loss, never taught as absent.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.labels import Taxonomy
from ...corpora.labels import soft_target
from ...corpora.manifest import Entry, Split
from ...errors import InputError
from .corpora import Corpus, restricted
from .targets import TargetConfig, Weighting, distilled
from .teacher import Posteriors, ask, kept, read_posteriors

Medium = TypeVar("Medium")
Floats = NDArray[np.float32]

UNREADABLE = 0.05
"""Largest fraction of unreadable media that may be skipped."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples(Generic[Medium]):
    """Samples of one corpus in memory.

    Args:
        corpus: its name.
        entries: what is known of each.
        media: the media in the same order; an array if they are pictures.
        label: their label as a distribution over what is learned, (n, labels); several
            labels have equal shares.
        secondary: the secondary labels, (n, labels), 0 where there is none.
        target: what is taught, (n, labels).
        known: which labels can be spoken of, bool (n, labels).
        covered: which labels the first labelling has, bool (labels,).
        sampling_weight: how often each is met in an epoch.
    """

    corpus: str
    entries: tuple[Entry, ...]
    media: Sequence[Medium]
    label: Floats
    secondary: Floats
    target: Floats
    known: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    sampling_weight: float = 1.0

    def __len__(self) -> int:
        return len(self.entries)


def read_samples(
    corpus: Corpus,
    split: Split,
    learned: Taxonomy,
    targets: TargetConfig,
    read_medium: Callable[[Entry], Medium],
    posteriors: Posteriors | None = None,
    skip_unreadable: bool = False,
) -> Samples[Medium]:
    """Read the media of a corpus' split and make their targets.

    Args:
        corpus: with at least one sample of the split.
        split: which samples.
        learned: the labels that are learned.
        targets: what is mixed.
        read_medium: reads one sample's medium; raises `InputError` if it cannot.
        posteriors: of a teacher.
        skip_unreadable: leave out media that cannot be read, up to `UNREADABLE` of them.

    Raises:
        InputError: if a medium cannot be read, or too many.
    """
    to = restricted(corpus.to, learned)
    labeled = [e for e in corpus.manifest.of(split) if soft_target(e.labels, to).any()]
    entries, media = _read_media(corpus, labeled, read_medium, skip_unreadable)
    label = _stack([soft_target(e.labels, to) for e in entries], learned)
    secondary, known = np.zeros_like(label), np.tile(to.covered, (len(entries), 1))
    if corpus.secondary_map is not None:
        second = restricted(corpus.secondary_map, learned)
        rows = [corpus.secondary.get(e.id) for e in entries]
        secondary = _stack([soft_target(r.labels if r else {}, second) for r in rows], learned)
        known[secondary.any(axis=1)] |= second.covered
    target = label
    voted = secondary.any(axis=1, keepdims=True)
    target = np.where(voted, (1 - targets.votes) * label + targets.votes * secondary, target)
    if posteriors:
        target = distilled(corpus.name, entries, target, known, posteriors, targets)
    if targets.smoothing:
        even = known / known.sum(axis=1, keepdims=True)
        target = (1 - targets.smoothing) * target + targets.smoothing * even
    return Samples(
        corpus.name,
        tuple(entries),
        media,
        label,
        secondary,
        target.astype(np.float32),
        known,
        to.covered,
        corpus.choice.sampling_weight,
    )


def posteriors_of(
    corpus: Corpus,
    learned: Taxonomy,
    run: Path,
    pieces: Callable[[Entry], Sequence[Any]],
) -> Posteriors | None:
    """Get what the corpus' teacher says of its training samples, or None without a teacher.

    Args:
        corpus: the corpus.
        learned: the labels that are learned.
        run: where a model's answers are kept.
        pieces: reads a sample as a model's `prepare` takes it.

    Raises:
        InputError, ModelError: if the teacher cannot be used.
    """
    choice = corpus.choice.teacher
    if choice is None:
        return None
    to = restricted(corpus.to, learned)
    if choice.model is None:
        return read_posteriors(choice, to)
    model = choice.model
    samples = ((e.id, pieces(e)) for e in corpus.manifest.of(Split.TRAIN))
    return kept(run / f"teacher-{corpus.name}.csv", to, lambda: ask(model, samples, to))


def label_weights(
    samples: Sequence[Samples[Any]], targets: TargetConfig, labels: int
) -> Floats | None:
    """Return the weight of each label in the loss, (labels,), or None where all are alike.

    Weights are scaled so that the mean over the training targets is 1; a label that
    never occurs has 0.
    """
    if targets.weighting is Weighting.NONE:
        return None
    mass = np.zeros(labels)
    for s in samples:
        mass += s.sampling_weight * s.target.sum(axis=0, dtype=np.float64)
    there = mass > 1e-6
    weights = np.zeros(labels)
    if targets.weighting is Weighting.BALANCED:
        weights[there] = 1 / mass[there]
    else:
        weights[there] = (1 - targets.beta) / (1 - targets.beta ** mass[there])
    scaled: Floats = (weights * mass.sum() / (weights * mass).sum()).astype(np.float32)
    return scaled


def drawn(
    samples: Sequence[Samples[Any]], size: int, rng: np.random.Generator
) -> Iterator[list[tuple[int, int]]]:
    """Yield batches of (which corpus, which sample), shuffled; the rest waits.

    Args:
        samples: each met as often as its `sampling_weight` says.
        size: of a batch.
        rng: decides everything.
    """
    places = np.array([(k, i) for k, s in enumerate(samples) for i in range(len(s))])
    if any(s.sampling_weight != 1 for s in samples):
        weights = np.concatenate([np.full(len(s), s.sampling_weight) for s in samples])
        times = np.floor(weights).astype(int)
        first = 0
        for s in samples:  # exactly so many of each corpus, whichever they are
            extra = round((s.sampling_weight - math.floor(s.sampling_weight)) * len(s))
            times[first + rng.permutation(len(s))[:extra]] += 1
            first += len(s)
        places = np.repeat(places, times, axis=0)
    for index in shuffled(len(places), size, rng):
        yield [(int(k), int(i)) for k, i in places[index]]


def shuffled(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the indices below `n` in random order, in full batches of `size`; the rest waits."""
    order = rng.permutation(n)
    for start in range(0, n - size + 1, size):
        yield order[start : start + size]


def steps_of(samples: Sequence[Samples[Any]], size: int) -> int:
    """Return how many batches `drawn` yields.

    Raises:
        InputError: if not even one is full.
    """
    n = sum(
        len(s) * math.floor(s.sampling_weight)
        + round((s.sampling_weight - math.floor(s.sampling_weight)) * len(s))
        for s in samples
    )
    if n < size:
        raise InputError(f"a batch needs {size} samples, the training data has {n}; lower `batch`")
    return n // size


def _read_media(
    corpus: Corpus, labeled: Sequence[Entry], read_medium: Callable[[Entry], Medium], skip: bool
) -> tuple[list[Entry], list[Medium]]:
    entries: list[Entry] = []
    media: list[Medium] = []
    broken: list[str] = []
    for entry in labeled:
        try:
            media.append(read_medium(entry))
            entries.append(entry)
        except InputError as e:
            if not skip:
                raise InputError(
                    f"corpus {corpus.name!r}, sample {entry.id!r}: {e}. Repair or remove it, or "
                    "set skip_unreadable: true"
                ) from e
            broken.append(f"{entry.id}: {e}")
    if len(broken) > UNREADABLE * len(labeled):
        raise InputError(
            f"corpus {corpus.name!r}: {len(broken)} of {len(labeled)} samples cannot be read, more "
            f"than the {UNREADABLE:.0%} that skip_unreadable lets pass; the first is {broken[0]}"
        )
    if broken:
        warnings.warn(
            f"{corpus.name}: {len(broken)} of {len(labeled)} samples cannot be read and are left "
            f"out; the first is {broken[0]}",
            stacklevel=3,
        )
    return entries, media


def _stack(rows: Sequence[Floats], learned: Taxonomy) -> Floats:
    return np.stack(rows) if rows else np.zeros((0, len(learned)), np.float32)
