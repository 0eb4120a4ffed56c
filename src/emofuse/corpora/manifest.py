"""What a corpus holds, before any medium is opened.

A recipe (`emofuse.corpora.recipes`) reads a corpus' own tables and gives a
`Manifest`: one `Entry` per sample with its native labels. A corpus that was
labelled more than once (an acted emotion and a crowd's votes, say) has one
manifest per labelling, with the same ids in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from ..core.labels import Taxonomy


class Split(str, Enum):
    """What a sample may be used for: to learn, to choose, or to report (once)."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of a corpus.

    Args:
        id: unique in the corpus and stable.
        path: its medium; None for text.
        labels: native label → weight > 0: the number of votes, or 1 for the one
            label that was given. Empty if nobody labelled it.
        split: what it may be used for.
        fold: number of its cross-validation fold, if the corpus has folds.
        speaker: who speaks or is seen; no speaker crosses a split.
        sex: of that person, as the corpus writes it.
        text: what is said or written.
        flags: what is peculiar about it, e.g. ``"blank"``, in the recipe's words.
    """

    id: str
    path: Path | None = None
    labels: Mapping[str, float] = field(default_factory=dict)
    split: Split = Split.TRAIN
    fold: int | None = None
    speaker: str | None = None
    sex: str | None = None
    text: str | None = None
    flags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if any(weight <= 0 for weight in self.labels.values()):
            raise ValueError(f"entry {self.id!r}: weights must be > 0, got {dict(self.labels)}")
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))


@dataclass(frozen=True, slots=True)
class Manifest:
    """The samples of one corpus under one labelling.

    Args:
        corpus: the corpus' name.
        taxonomy: its native labels.
        entries: the samples, in a stable order.

    Raises:
        ValueError: if two entries share an id or a label is not in the taxonomy.
    """

    corpus: str
    taxonomy: Taxonomy
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if len({e.id for e in self.entries}) != len(self.entries):
            raise ValueError(f"manifest of {self.corpus!r}: ids must be unique")
        known = set(self.taxonomy.labels)
        for entry in self.entries:
            if unknown := set(entry.labels) - known:
                raise ValueError(
                    f"manifest of {self.corpus!r}: {entry.id!r} has labels {sorted(unknown)} "
                    f"that taxonomy {self.taxonomy.name!r} does not know"
                )

    def where(self, keep: Callable[[Entry], bool]) -> Manifest:
        """Return the manifest of the entries for which `keep` is true."""
        return replace(self, entries=tuple(e for e in self.entries if keep(e)))

    def of(self, split: Split) -> Manifest:
        """Return the manifest of one split."""
        return self.where(lambda e: e.split is split)

    def without(self, *flags: str) -> Manifest:
        """Return the manifest without the entries that carry any of `flags`."""
        return self.where(lambda e: e.flags.isdisjoint(flags))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)
