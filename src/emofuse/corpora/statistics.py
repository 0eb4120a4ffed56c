"""Counts what a corpus holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .files import FileFacts
from .manifest import Entry, Manifest, Split

_T = TypeVar("_T")

UNLABELLED = "(no label)"
"""The row of samples that nobody labelled."""


@dataclass(frozen=True, slots=True)
class SpeakerFacts:
    """What a corpus holds of one speaker: `labels` and `splits` count samples."""

    speaker: str
    sex: str | None
    age: int | None
    race: str | None
    samples: int
    labels: Mapping[str, int]
    splits: Mapping[Split, int]
    fold: int | None


def label_counts(manifest: Manifest) -> dict[str, dict[Split, float]]:
    """Count samples by native label and split.

    A sample with votes counts in shares that sum to 1, one with several labels at once
    counts fully for each of them. Labels stand in the taxonomy's order.
    """
    counts = {label: dict.fromkeys(Split, 0.0) for label in manifest.taxonomy.labels}
    for entry in manifest:
        if not entry.labels:
            counts.setdefault(UNLABELLED, dict.fromkeys(Split, 0.0))[entry.split] += 1
        whole = 1.0 if manifest.taxonomy.multi_label else sum(entry.labels.values())
        for label, weight in entry.labels.items():
            counts[label][entry.split] += weight / whole
    return counts


def speakers(manifest: Manifest) -> list[SpeakerFacts]:
    """Describe every speaker, in the order of their names; numbers by value."""
    samples: dict[str, list[Entry]] = defaultdict(list)
    for entry in manifest:
        if entry.speaker is not None:
            samples[entry.speaker].append(entry)
    names = sorted(samples, key=lambda s: (not s.isdigit(), int(s) if s.isdigit() else 0, s))
    return [_speaker(name, samples[name]) for name in names]


def _speaker(name: str, entries: list[Entry]) -> SpeakerFacts:
    folds = {entry.fold for entry in entries}
    return SpeakerFacts(
        speaker=name,
        sex=_first(entry.sex for entry in entries),
        age=_first(entry.age for entry in entries),
        race=_first(entry.race for entry in entries),
        samples=len(entries),
        labels=Counter(label for entry in entries for label in entry.labels),
        splits=Counter(entry.split for entry in entries),
        fold=folds.pop() if len(folds) == 1 else None,
    )


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def durations(manifest: Manifest, files: Mapping[Path, FileFacts]) -> dict[str, float]:
    """Return how long each sample lasts, in seconds, by id; without those that nobody knows."""
    known = ((entry.id, _seconds(entry, files)) for entry in manifest)
    return {name: seconds for name, seconds in known if seconds is not None}


def _seconds(entry: Entry, files: Mapping[Path, FileFacts]) -> float | None:
    facts = files.get(entry.path) if entry.path is not None else None
    whole = facts.seconds if facts is not None else None
    end = entry.end if entry.end is not None else whole
    return None if end is None else max(0.0, end - (entry.start or 0.0))
