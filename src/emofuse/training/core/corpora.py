"""The corpora that a training learns from: which samples, which labels, which splits."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.labels import CANONICAL, LabelMap, Taxonomy
from ...corpora import recipes
from ...corpora.labels import map_of
from ...corpora.manifest import Entry, Manifest, Split, read
from ...corpora.recipes.crema_d import CONFLICTING
from ...corpora.recipes.fer2013 import BLANK, DUPLICATE
from ...errors import InputError
from .teacher import TeacherChoice

UNFIT = (BLANK, CONFLICTING, DUPLICATE)
"""Flags of samples that are left out unless a configuration says otherwise."""

HELD_OUT = 0.15
"""Fraction of the training speakers held out where a corpus has no validation split."""


class Labels(str, Enum):
    """What is learned and what is answered."""

    CANONICAL = "canonical"
    """The canonical labels that at least one of the corpora knows."""

    NATIVE = "native"
    """The corpus' own labels; all corpora must have the same."""

    AGGREGATED = "aggregated"
    """The corpus' own labels are learned, and summed to canonical ones in the answer."""


@dataclass(frozen=True, slots=True)
class CorpusChoice:
    """A corpus to learn from.

    Args:
        name: of its recipe (`emofuse corpus` lists them); with `manifest`, any name.
        root: its folder; by default the training's `data`.
        manifest: table that `emofuse corpus prepare` wrote, instead of reading `root`.
        labelling: which labels, where a corpus was labelled more than once; by default
            the recipe's first.
        secondary_labels: labelling that is mixed in by `targets.votes`, e.g. a crowd's votes.
        medium: which media, where a corpus has several, e.g. ``"audio"``.
        options: the recipe's own options.
        map: TOML file that says where labels go that are not known here.
        teacher: whose posteriors are mixed in by `targets.teacher`.
        sampling_weight: how often each training sample is met in an epoch: 2 = twice,
            0.5 = a random half of them.
        validation_folds: folds that are held out to choose the best epoch.
        test_folds: folds that are not touched; by default the recipe's test split.
        leave_out: flags of samples that are left out; by default blank images,
            repetitions and conflicting doubles.
    """

    name: str
    root: Path | None = None
    manifest: Path | None = None
    labelling: str | None = None
    secondary_labels: str | None = None
    medium: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    map: Path | None = None
    teacher: TeacherChoice | None = None
    sampling_weight: float = 1.0
    validation_folds: tuple[int, ...] = ()
    test_folds: tuple[int, ...] | None = None
    leave_out: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sampling_weight <= 100:
            raise ValueError(
                f"corpus {self.name!r}: need 0 < sampling_weight <= 100, got {self.sampling_weight}"
            )
        if self.manifest is not None and (self.root or self.labelling or self.secondary_labels):
            raise ValueError(
                f"corpus {self.name!r}: a manifest is already one labelling of one folder; leave "
                "root, labelling and secondary_labels out"
            )
        for name in ("validation_folds", "test_folds", "leave_out"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))

    @property
    def called(self) -> str:
        """Its name; corpora of one's own are named by the option ``name``."""
        return self.options.get("name", self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """A corpus as it is used: its samples by split, under one or two labellings.

    Args:
        choice: what the configuration says.
        manifest: all that may be learned from or measured on; splits as they are used.
        secondary: id → its secondary labels.
        to: map of its labels to all canonical ones, or to themselves.
        secondary_map: the same of the secondary labels.
        own_split: id → split in the corpus itself.
        held_out: whether its validation samples were taken out of its training split.
    """

    choice: CorpusChoice
    manifest: Manifest
    secondary: Mapping[str, Entry]
    to: LabelMap
    secondary_map: LabelMap | None
    own_split: Mapping[str, Split]
    held_out: bool = False

    @property
    def name(self) -> str:
        """What it is called: the recipe's name, if nothing else."""
        return self.choice.called

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Which canonical labels it can speak of in either labelling."""
        covered = self.to.covered
        return covered if self.secondary_map is None else covered | self.secondary_map.covered


def load_corpora(
    choices: Sequence[CorpusChoice], data: Path, labels: Labels = Labels.CANONICAL
) -> list[Corpus]:
    """Read the tables of corpora; no medium is opened.

    Where none of them has anything to validate on, some training speakers are held out.

    Args:
        choices: which corpora.
        data: their folder, where they name none of their own.
        labels: what is learned; only native labels need no place among the canonical ones.

    Raises:
        InputError: if one is missing, empty, or has a label without a place.
    """
    if not choices:
        raise InputError("corpora: got none, expected at least one, e.g. [{name: ravdess}]")
    names = [c.called for c in choices]
    if twice := {n for n in names if names.count(n) > 1}:
        raise InputError(
            f"corpora: {', '.join(sorted(twice))} is named twice; tell "
            "corpora of your own apart by options: {name: …}"
        )
    corpora = [_load(choice, data, labels) for choice in choices]
    if not any(len(c.manifest.of(Split.VALIDATION)) for c in corpora):
        corpora = [replace(c, manifest=_hold_out(c.manifest), held_out=True) for c in corpora]
    for corpus in corpora:
        if not len(corpus.manifest.of(Split.TRAIN)):
            raise InputError(
                f"corpus {corpus.name!r}: nothing to train on is left of "
                f"{len(corpus.manifest)} samples; look at its folds and `leave_out`"
            )
    if not any(len(c.manifest.of(Split.VALIDATION)) for c in corpora):
        raise InputError(
            "nothing to validate on: no corpus has a validation split, and none has two speakers "
            "or twenty samples to hold some out; name `validation_folds`"
        )
    return corpora


def learned_labels(corpora: Sequence[Corpus], labels: Labels) -> Taxonomy:
    """Return the labels that the net learns.

    Raises:
        InputError: if corpora of different labels are to be learned natively.
    """
    if labels is Labels.CANONICAL:
        return canonical_labels([c.covered for c in corpora])
    taxonomies = {c.manifest.taxonomy.labels: c.manifest.taxonomy for c in corpora}
    if len(taxonomies) > 1:
        raise InputError(
            f"labels: got {labels.value!r}, but the corpora have different labels "
            f"({'; '.join(', '.join(t) for t in taxonomies)}); learn `canonical` ones"
        )
    (native,) = taxonomies.values()
    return native


def canonical_labels(covered: Sequence[NDArray[np.bool_]]) -> Taxonomy:
    """Return the canonical labels that are covered at least once."""
    known = tuple(
        x for x, yes in zip(CANONICAL.labels, np.any(covered, axis=0), strict=True) if yes
    )
    return CANONICAL if known == CANONICAL.labels else Taxonomy(CANONICAL.name, known)


def restricted(to: LabelMap, target: Taxonomy) -> LabelMap:
    """Return a map to the canonical labels as one to `target`, some of these or the source."""
    if target.labels == to.source.labels:
        return LabelMap.identity(to.source)
    return LabelMap(to.source, target, to.weights, to.dropped)


def _load(choice: CorpusChoice, data: Path, labels: Labels) -> Corpus:
    secondary: dict[str, Entry] = {}
    secondary_map = None
    if choice.manifest is not None:
        manifest = read(choice.manifest)
    else:
        recipe, root = recipes.recipe(choice.name), choice.root or data
        manifest = recipe.load(root, choice.labelling, choice.medium, **choice.options)
        if choice.secondary_labels is not None:
            second = recipe.load(root, choice.secondary_labels, choice.medium, **choice.options)
            secondary_map = _map(choice, second.taxonomy, labels)
            secondary = {e.id: e for e in second}
    if not len(manifest):
        raise InputError(
            f"corpus {choice.name!r} is empty; look at its folder with `emofuse corpus show`"
        )
    unfit = UNFIT if choice.leave_out is None else choice.leave_out
    own_split = {e.id: e.split for e in manifest}
    manifest = _split(manifest.without(*unfit), choice)
    to = _map(choice, manifest.taxonomy, labels)
    own = labels is not Labels.CANONICAL
    if own and secondary_map is not None and secondary_map.source.labels != to.source.labels:
        raise InputError(
            f"corpus {choice.called!r}: the labelling {choice.secondary_labels!r} has other "
            "labels; to learn both, learn `canonical` labels"
        )
    return Corpus(choice, manifest, secondary, to, secondary_map, own_split)


def _map(choice: CorpusChoice, native: Taxonomy, labels: Labels) -> LabelMap:
    if labels is Labels.NATIVE:
        return LabelMap.identity(native)
    try:
        return map_of(native, choice.map)
    except InputError as e:
        hint = "its key `map`" if choice.map is None else str(choice.map)
        raise InputError(f"corpus {choice.called!r} ({hint}): {e}") from e


def _split(manifest: Manifest, choice: CorpusChoice) -> Manifest:
    """Give each entry the split that the configuration's folds ask for."""
    folds = {e.fold for e in manifest if e.fold is not None}
    wanted = {*choice.validation_folds, *(choice.test_folds or ())}
    if unknown := wanted - folds:
        raise InputError(
            f"corpus {choice.name!r} has no fold {', '.join(map(str, sorted(unknown)))}; it has "
            f"{', '.join(map(str, sorted(folds))) or 'no folds'}"
        )

    def used(e: Entry) -> Split:
        if choice.test_folds is not None and e.fold is not None:
            split = Split.TEST if e.fold in choice.test_folds else Split.TRAIN
        else:
            split = e.split
        return Split.VALIDATION if e.fold in choice.validation_folds else split

    return replace(manifest, entries=tuple(replace(e, split=used(e)) for e in manifest))


def _hold_out(manifest: Manifest) -> Manifest:
    """Hold some training speakers out, of each sex alike; without speakers, some samples.

    Who they are depends on their names alone, so that trainings with different seeds
    can be compared.
    """
    learn = manifest.of(Split.TRAIN)
    speakers = {e.speaker: e.sex for e in learn if e.speaker}
    if len(speakers) > 1 and all(e.speaker for e in learn):
        groups: dict[str | None, list[str]] = {}
        for speaker, sex in speakers.items():
            groups.setdefault(sex, []).append(speaker)
        if len(speakers) < 2 * len(groups):
            groups = {None: list(speakers)}
        chosen = {s for group in groups.values() for s in _some(group)}
        described = f"the speakers {', '.join(sorted(chosen))}"
        out = {e.id for e in learn if e.speaker in chosen}
    elif len(learn) >= 20:
        out = set(_some([e.id for e in learn]))
        described = f"{len(out)} samples"
    else:
        return manifest
    warnings.warn(
        f"{manifest.corpus} has no validation split: {described} are held out of its training to "
        "choose the best epoch",
        stacklevel=2,
    )
    return replace(
        manifest,
        entries=tuple(replace(e, split=Split.VALIDATION) if e.id in out else e for e in manifest),
    )


def _some(names: Iterable[str]) -> list[str]:
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return order[: max(1, round(HELD_OUT * len(order)))]
