"""Finds what would make a figure measure memory instead of skill.

Speech models that have heard a speaker recognise the speaker's emotions far
better: papers on RAVDESS that split clips at random report 90 % and more where
speaker-independent protocols give 62 to 82. Such a split is refused, not noted.
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
    """The samples, or those who speak in them, are known to the model already.

    Args:
        what: what leaks.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} {remedy}, or say --despite-leaks to see the figure all the same")
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
            f"the {by}s of {manifest.corpus} leak speakers: {'; '.join(map(str, found))}. Figures "
            "would show how well voices or faces are remembered.",
            f"Split by speaker (give each to one {by})",
        )


def refuse_seen(card: Card, corpus: str) -> None:
    """Refuse to call a corpus unseen that the card's data names.

    Raises:
        LeakError: if the model has learnt from it, or was chosen on it.
    """
    for data in card.data:
        if corpus_key(corpus) in (corpus_key(data.corpus), corpus_key(data.name)):
            raise LeakError(
                f"model {card.id!r} has seen {corpus}: its card says {data.name!r}"
                f"{f' ({data.used})' if data.used else ''}. The protocol cross-corpus is for "
                "corpora that it has not.",
                "Choose a held-out split or fold",
            )


def refuse_learnt(card: Card, manifest: Manifest, asked: Manifest) -> tuple[str, ...]:
    """Refuse samples that a model has learnt from, or whose speakers it has learnt from.

    Args:
        card: of the model; the fields of its `data` say what was learnt.
        manifest: the whole corpus.
        asked: the samples to be measured.

    Returns:
        Doubts for the report: the card names the corpus in words only, or the samples
        served to choose or calibrate the model.

    Raises:
        LeakError: naming the samples or speakers.
    """
    doubts: list[str] = []
    for data in of_corpus(card, manifest.corpus):
        learnt = [e for e in manifest if _learnt(e, data)]
        _refuse_overlap(card, data, learnt, asked.entries)
        if again := sorted(set(data.chosen) & _parts(asked.entries)):
            doubts.append(
                f"The model was chosen or calibrated on {', '.join(again)} of {data.name}: "
                "figures on it are a little too good."
            )
    doubts += _told_in_words(card, manifest.corpus)
    return tuple(doubts)


def of_corpus(card: Card, corpus: str) -> tuple[Corpus, ...]:
    """Return the data of a card that says in fields what was used of a corpus."""
    return tuple(d for d in card.data if d.corpus and corpus_key(d.corpus) == corpus_key(corpus))


def corpus_key(name: str) -> str:
    """Return what names of the same corpus have in common: ``"CREMA-D"`` → ``"cremad"``."""
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
            f"model {card.id!r} has learnt from {len(same)} of the {len(asked)} samples "
            f"({_names(same)}): its card says {_said(data)}.",
            "Choose what it has not seen",
        )
    known = sorted({e.speaker for e in asked if e.speaker is not None} & (speakers - {None}))
    if known:
        raise LeakError(
            f"model {card.id!r} has learnt from {len(known)} of the speakers ({_names(known)}): "
            f"its card says {_said(data)}.",
            "Choose speakers it has not heard",
        )


def _said(data: Corpus) -> str:
    fields = {"splits": data.splits, "folds": data.folds, "speakers": data.speakers}
    told = "; ".join(f"{k} {_names(list(map(str, v)))}" for k, v in fields.items() if v)
    return f"{data.name}: {told or 'all of it'}"


def _told_in_words(card: Card, corpus: str) -> list[str]:
    key = corpus_key(corpus)
    named = [d for d in card.data if not d.corpus and corpus_key(d.name) == key]
    return [
        f"The card says in words only what the model has seen of {d.name} "
        f"({d.used or 'nothing is said'}); that no sample here was learnt could not be checked."
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
