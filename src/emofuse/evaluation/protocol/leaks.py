"""Detects leaks of training data into an evaluation.

Speech models recognise the emotions of speakers they were trained on far better: papers
on RAVDESS that split clips at random report 90 % and more where speaker-independent
protocols give 62 to 82. Such a split is refused, not just noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...corpora.manifest import Entry, Manifest
from ...errors import InputError
from ...models.card import Card, Corpus

_SAME = {"fer": "fer2013", "ferplus": "fer2013", "ravdesssong": "ravdess"}
"""Corpora whose samples or speakers are another's."""

_NAMED = 6  # names in a message


class LeakError(InputError):
    """The model was trained on the samples, or on their speakers.

    Args:
        what: what leaks.
        remedy: what to do instead.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} {remedy}, or evaluate anyway with --despite-leaks")
        self.what = what


@dataclass(frozen=True, slots=True)
class Crossing:
    """Speakers who are in two parts of a corpus.

    Args:
        parts: names of the two parts, e.g. ``("test", "train")``.
        speakers: who is in both, sorted.
    """

    parts: tuple[str, str]
    speakers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{_names(self.speakers)} in both {self.parts[0]} and {self.parts[1]}"


def crossings(manifest: Manifest, by: str) -> tuple[Crossing, ...]:
    """Find speakers who cross parts.

    Args:
        manifest: the corpus.
        by: ``"split"`` or ``"fold"``.
    """
    parts: dict[str, set[str]] = {}
    for e in manifest:
        part = e.split.value if by == "split" else None if e.fold is None else f"fold {e.fold}"
        if e.speaker is not None and part is not None:
            parts.setdefault(part, set()).add(e.speaker)
    names = sorted(parts)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if parts[a] & parts[b]]
    return tuple(Crossing((a, b), tuple(sorted(parts[a] & parts[b]))) for a, b in pairs)


def refuse_crossing(manifest: Manifest, by: str) -> None:
    """Refuse a corpus whose speakers cross its splits or folds.

    Raises:
        LeakError: naming parts and speakers.
    """
    if found := crossings(manifest, by):
        raise LeakError(
            f"the {by}s of {manifest.corpus} leak speakers: {'; '.join(map(str, found))}. Metrics "
            "would reward recognizing the speaker.",
            f"Split by speaker (give each to one {by})",
        )


def refuse_seen(card: Card, corpus: str) -> None:
    """Refuse cross-corpus evaluation on a corpus that the card's data names.

    Raises:
        LeakError: if the model was trained or selected on it.
    """
    for data in card.data:
        if corpus_key(corpus) in (corpus_key(data.corpus), corpus_key(data.name)):
            raise LeakError(
                f"model {card.id!r} has seen {corpus}: its card says {data.name!r}"
                f"{f' ({data.used})' if data.used else ''}. The protocol cross-corpus is for "
                "corpora it has not seen.",
                "Choose a held-out split or fold",
            )


def refuse_learnt(card: Card, manifest: Manifest, asked: Manifest) -> tuple[str, ...]:
    """Refuse samples that a model was trained on, or whose speakers it was trained on.

    Args:
        card: of the model; the fields of its `data` say what it was trained on.
        manifest: the whole corpus.
        asked: the samples that the model is evaluated on.

    Returns:
        Reservations for the report: the card names the corpus in words only, or the
        samples served to select or calibrate the model.

    Raises:
        LeakError: naming the samples or speakers.
    """
    reservations: list[str] = []
    for data in of_corpus(card, manifest.corpus):
        learnt = [e for e in manifest if _learnt(e, data)]
        _refuse_overlap(card, data, learnt, asked.entries)
        if again := sorted(set(data.chosen) & _parts(asked.entries)):
            reservations.append(
                f"The model was selected or calibrated on {', '.join(again)} of {data.name}: "
                "metrics on it are slightly optimistic."
            )
    reservations += _told_in_words(card, manifest.corpus)
    return tuple(reservations)


def of_corpus(card: Card, corpus: str) -> tuple[Corpus, ...]:
    """Return the `data` of a card that say in fields what was used of a corpus."""
    return tuple(d for d in card.data if d.corpus and corpus_key(d.corpus) == corpus_key(corpus))


def corpus_key(name: str) -> str:
    """Return a key that is the same for all names of a corpus: ``"CREMA-D"`` → ``"cremad"``."""
    key = "".join(c for c in name.lower() if c.isalnum())
    return _SAME.get(key, key)


def _learnt(entry: Entry, data: Corpus) -> bool:
    if data.chosen and not (data.splits or data.folds or data.speakers):
        return False
    return (
        (not data.splits or entry.split.value in data.splits)
        and (not data.folds or entry.fold in data.folds)
        and (not data.speakers or entry.speaker in data.speakers)
    )


def _refuse_overlap(
    card: Card, data: Corpus, learnt: Iterable[Entry], asked: Sequence[Entry]
) -> None:
    ids, speakers = set(), set()
    for e in learnt:
        ids.add(e.id)
        speakers.add(e.speaker)
    same = [e.id for e in asked if e.id in ids]
    if same:
        raise LeakError(
            f"model {card.id!r} was trained on {len(same)} of the {len(asked)} samples "
            f"({_names(same)}): its card says {_said(data)}.",
            "Choose samples it has not seen",
        )
    known = sorted({e.speaker for e in asked if e.speaker is not None} & (speakers - {None}))
    if known:
        raise LeakError(
            f"model {card.id!r} was trained on {len(known)} of the speakers ({_names(known)}): "
            f"its card says {_said(data)}.",
            "Choose speakers it has not seen",
        )


def _said(data: Corpus) -> str:
    fields = {"splits": data.splits, "folds": data.folds, "speakers": data.speakers}
    told = "; ".join(f"{k} {_names(list(map(str, v)))}" for k, v in fields.items() if v)
    return f"{data.name}: {told or 'all of it'}"


def _told_in_words(card: Card, corpus: str) -> list[str]:
    key = corpus_key(corpus)
    named = [d for d in card.data if not d.corpus and corpus_key(d.name) == key]
    return [
        f"The card says in words only what of {d.name} the model was trained on "
        f"({d.used or 'nothing is said'}); overlap with these samples could not be checked."
        for d in named
    ]


def _parts(entries: Iterable[Entry]) -> set[str]:
    parts: set[str] = set()
    for e in entries:
        parts |= {e.split.value} | ({f"fold {e.fold}"} if e.fold is not None else set())
    return parts


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
