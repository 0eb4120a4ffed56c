"""From corpora in a configuration to what is learnt and what is measured, for any modality.

Each corpus keeps its own labels; here they become distributions over the labels
that are learnt, and a mask of those that the corpus can say something about. What
a corpus does not know is left out of the loss, never taught as absent.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.labels import CANONICAL, LabelMap, Taxonomy
from ...corpora import recipes
from ...corpora.labels import map_of, soft_target
from ...corpora.manifest import Entry, Manifest, Split, read
from ...corpora.recipes.crema_d import CONFLICTING
from ...corpora.recipes.fer2013 import BLANK, DUPLICATE
from ...errors import InputError
from .data import shuffled
from .teacher import Posteriors, TeacherChoice, ask, kept, read_posteriors, softened

Medium = TypeVar("Medium")
Floats = NDArray[np.float32]

UNFIT = (BLANK, CONFLICTING, DUPLICATE)
"""Flags of samples that are left out unless a configuration says otherwise."""

HELD_OUT = 0.15
"""Share of the training speakers who are held out where a corpus has no validation split."""

UNREADABLE = 0.05
"""Largest share of unreadable media that may be skipped."""


class Weighting(str, Enum):
    """How much each label counts in the loss."""

    NONE = "none"
    """All alike."""

    BALANCED = "balanced"
    """By the inverse of its share of the training targets."""

    EFFECTIVE = "effective"
    """By the inverse of its effective number of samples (Cui et al. 2019)."""


class Labels(str, Enum):
    """What is learnt and what is answered."""

    CANONICAL = "canonical"
    """The canonical labels that at least one of the corpora knows."""

    NATIVE = "native"
    """The corpus' own labels; all corpora must have the same."""

    FOLDED = "folded"
    """The corpus' own labels are learnt, and summed to canonical ones in the answer."""


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """What the net is taught to answer.

    Args:
        votes: share of the second opinion (a crowd's votes, say) in the target of a
            corpus that has one; the rest is the label.
        teacher: share of a teacher's posteriors, where there is a teacher that knows
            the sample (distillation, Hinton et al. 2015).
        temperature: the teacher's posteriors are raised to 1 / temperature.
        smoothing: share spread evenly over the labels that the corpus knows.
        weighting: how much each label counts in the loss.
        beta: of the effective number, (1 - betaⁿ) / (1 - beta).

    Raises:
        ValueError: if a share is none.
    """

    votes: float = 0.0
    teacher: float = 0.5
    temperature: float = 1.0
    smoothing: float = 0.0
    weighting: Weighting = Weighting.NONE
    beta: float = 0.999

    def __post_init__(self) -> None:
        object.__setattr__(self, "weighting", Weighting(self.weighting))
        if not all(0 <= s <= 1 for s in (self.votes, self.teacher, self.smoothing)):
            raise ValueError(f"shares must lie in [0, 1], got {self}")
        if not (self.temperature > 0 and 0 <= self.beta < 1):
            raise ValueError(f"need temperature > 0 and beta in [0, 1), got {self}")


@dataclass(frozen=True, slots=True)
class CorpusChoice:
    """A corpus to learn from.

    Args:
        name: of its recipe (`emofuse corpus` lists them); with `manifest`, any name.
        root: its folder; by default the training's `data`.
        manifest: table that `emofuse corpus prepare` wrote, instead of reading `root`.
        labelling: which labels, where a corpus was labelled more than once; by default
            the recipe's first.
        opinion: labelling that is the second opinion, mixed in by `targets.votes`.
        medium: which media, where a corpus has several, e.g. ``"audio"``.
        options: the recipe's own options.
        map: TOML file that says where labels go that are not known here.
        teacher: whose posteriors are mixed in by `targets.teacher`.
        share: how often each training sample is met in an epoch: 2 = twice, 0.5 = a
            random half of them.
        validation_folds: folds that are held out to choose the best epoch.
        test_folds: folds that are not touched; by default the recipe's test split.
        leave_out: flags of samples that are left out; by default blank images,
            repetitions and conflicting doubles.
    """

    name: str
    root: Path | None = None
    manifest: Path | None = None
    labelling: str | None = None
    opinion: str | None = None
    medium: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    map: Path | None = None
    teacher: TeacherChoice | None = None
    share: float = 1.0
    validation_folds: tuple[int, ...] = ()
    test_folds: tuple[int, ...] | None = None
    leave_out: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 100:
            raise ValueError(f"corpus {self.name!r}: need 0 < share <= 100, got {self.share}")
        if self.manifest is not None and (self.root or self.labelling or self.opinion):
            raise ValueError(
                f"corpus {self.name!r}: a manifest is already one labelling of one folder; leave "
                "root, labelling and opinion out"
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
        manifest: all that may be learnt from or measured on; splits as they are used.
        opinion: id → labels of the second opinion.
        to: map of its labels to all canonical ones, or to themselves.
        opinion_to: the same of the second opinion.
        own_split: id → split in the corpus itself.
        held_out: whether its validation samples were taken out of its training split.
    """

    choice: CorpusChoice
    manifest: Manifest
    opinion: Mapping[str, Entry]
    to: LabelMap
    opinion_to: LabelMap | None
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
        return covered if self.opinion_to is None else covered | self.opinion_to.covered


def load_corpora(
    choices: Sequence[CorpusChoice], data: Path, labels: Labels = Labels.CANONICAL
) -> list[Corpus]:
    """Read the tables of corpora; no medium is opened.

    Where none of them has anything to validate on, some training speakers are held out.

    Args:
        choices: which corpora.
        data: their folder, where they name none of their own.
        labels: what is learnt; only native labels need no place among the canonical ones.

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


def learnt_labels(corpora: Sequence[Corpus], labels: Labels) -> Taxonomy:
    """Return the labels that the net learns.

    Raises:
        InputError: if corpora of different labels are to be learnt natively.
    """
    if labels is Labels.CANONICAL:
        return canonical_labels(corpora)
    taxonomies = {c.manifest.taxonomy.labels: c.manifest.taxonomy for c in corpora}
    if len(taxonomies) > 1:
        raise InputError(
            f"labels: got {labels.value!r}, but the corpora have different labels "
            f"({'; '.join(', '.join(t) for t in taxonomies)}); learn `canonical` ones"
        )
    (native,) = taxonomies.values()
    return native


def canonical_labels(corpora: Sequence[Corpus]) -> Taxonomy:
    """Return the canonical labels that at least one corpus knows."""
    covered = np.any([c.covered for c in corpora], axis=0)
    known = tuple(x for x, yes in zip(CANONICAL.labels, covered, strict=True) if yes)
    return CANONICAL if known == CANONICAL.labels else Taxonomy(CANONICAL.name, known)


def restricted(to: LabelMap, target: Taxonomy) -> LabelMap:
    """Return a map to the canonical labels as one to `target`, some of these or the source."""
    if target.labels == to.source.labels:
        return LabelMap.identity(to.source)
    return LabelMap(to.source, target, to.weights, to.dropped)


@dataclass(frozen=True, slots=True, eq=False)
class Samples(Generic[Medium]):
    """Samples of one corpus in memory.

    Args:
        corpus: its name.
        entries: what is known of each.
        media: the media in the same order; an array if they are pictures.
        label: their label as a distribution over what is learnt, (n, labels); several
            labels have equal shares.
        opinion: the second opinion, (n, labels), 0 where there is none.
        target: what is taught, (n, labels).
        known: which labels can be spoken of, bool (n, labels).
        covered: which labels the first labelling has, bool (labels,).
        share: how often each is met in an epoch.
    """

    corpus: str
    entries: tuple[Entry, ...]
    media: Sequence[Medium]
    label: Floats
    opinion: Floats
    target: Floats
    known: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.entries)


def read_samples(
    corpus: Corpus,
    split: Split,
    learnt: Taxonomy,
    targets: TargetConfig,
    read_medium: Callable[[Entry], Medium],
    posteriors: Posteriors | None = None,
    skip_unreadable: bool = False,
) -> Samples[Medium]:
    """Read the media of a corpus' split and make their targets.

    Args:
        corpus: with at least one sample of the split.
        split: which samples.
        learnt: the labels that are learnt.
        targets: what is mixed.
        read_medium: reads one sample's medium; raises `InputError` if it cannot.
        posteriors: of a teacher.
        skip_unreadable: leave out media that cannot be read, up to `UNREADABLE` of them.

    Raises:
        InputError: if a medium cannot be read, or too many.
    """
    to = restricted(corpus.to, learnt)
    told = [e for e in corpus.manifest.of(split) if soft_target(e.labels, to).any()]
    entries, media = _read_media(corpus, told, read_medium, skip_unreadable)
    label = _stack([soft_target(e.labels, to) for e in entries], learnt)
    opinion, known = np.zeros_like(label), np.tile(to.covered, (len(entries), 1))
    if corpus.opinion_to is not None:
        second = restricted(corpus.opinion_to, learnt)
        rows = [corpus.opinion.get(e.id) for e in entries]
        opinion = _stack([soft_target(r.labels if r else {}, second) for r in rows], learnt)
        known[opinion.any(axis=1)] |= second.covered
    target = label
    voted = opinion.any(axis=1, keepdims=True)
    target = np.where(voted, (1 - targets.votes) * label + targets.votes * opinion, target)
    if posteriors:
        target = _distilled(corpus.name, entries, target, known, posteriors, targets)
    if targets.smoothing:
        even = known / known.sum(axis=1, keepdims=True)
        target = (1 - targets.smoothing) * target + targets.smoothing * even
    return Samples(
        corpus.name,
        tuple(entries),
        media,
        label,
        opinion,
        target.astype(np.float32),
        known,
        to.covered,
        corpus.choice.share,
    )


def posteriors_of(
    corpus: Corpus,
    learnt: Taxonomy,
    run: Path,
    pieces: Callable[[Entry], Sequence[Any]],
) -> Posteriors | None:
    """Get what the corpus' teacher says of its training samples, or None without a teacher.

    Args:
        corpus: the corpus.
        learnt: the labels that are learnt.
        run: where a model's answers are kept.
        pieces: reads a sample as a model's `prepare` takes it.

    Raises:
        InputError, ModelError: if the teacher cannot be used.
    """
    choice = corpus.choice.teacher
    if choice is None:
        return None
    to = restricted(corpus.to, learnt)
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
        mass += s.share * s.target.sum(axis=0, dtype=np.float64)
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
        samples: each met as often as its `share` says.
        size: of a batch.
        rng: decides everything.
    """
    places = np.array([(k, i) for k, s in enumerate(samples) for i in range(len(s))])
    if any(s.share != 1 for s in samples):
        shares = np.concatenate([np.full(len(s), s.share) for s in samples])
        times = np.floor(shares).astype(int)
        first = 0
        for s in samples:  # exactly so many of each corpus, whichever they are
            extra = round((s.share - math.floor(s.share)) * len(s))
            times[first + rng.permutation(len(s))[:extra]] += 1
            first += len(s)
        places = np.repeat(places, times, axis=0)
    for index in shuffled(len(places), size, rng):
        yield [(int(k), int(i)) for k, i in places[index]]


def steps_of(samples: Sequence[Samples[Any]], size: int) -> int:
    """Return how many batches `drawn` yields.

    Raises:
        InputError: if not even one is full.
    """
    n = sum(
        len(s) * math.floor(s.share) + round((s.share - math.floor(s.share)) * len(s))
        for s in samples
    )
    if n < size:
        raise InputError(f"a batch needs {size} samples, the training data has {n}; lower `batch`")
    return n // size


def _load(choice: CorpusChoice, data: Path, labels: Labels) -> Corpus:
    opinion: dict[str, Entry] = {}
    opinion_to = None
    if choice.manifest is not None:
        manifest = read(choice.manifest)
    else:
        recipe, root = recipes.recipe(choice.name), choice.root or data
        manifest = recipe.load(root, choice.labelling, choice.medium, **choice.options)
        if choice.opinion is not None:
            second = recipe.load(root, choice.opinion, choice.medium, **choice.options)
            opinion_to = _map(choice, second.taxonomy, labels)
            opinion = {e.id: e for e in second}
    if not len(manifest):
        raise InputError(
            f"corpus {choice.name!r} is empty; look at its folder with `emofuse corpus show`"
        )
    unfit = UNFIT if choice.leave_out is None else choice.leave_out
    own_split = {e.id: e.split for e in manifest}
    manifest = _split(manifest.without(*unfit), choice)
    to = _map(choice, manifest.taxonomy, labels)
    own = labels is not Labels.CANONICAL
    if own and opinion_to is not None and opinion_to.source.labels != to.source.labels:
        raise InputError(
            f"corpus {choice.called!r}: the labelling {choice.opinion!r} has other labels; to "
            "learn both, learn `canonical` labels"
        )
    return Corpus(choice, manifest, opinion, to, opinion_to, own_split)


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
        told = f"the speakers {', '.join(sorted(chosen))}"
        out = {e.id for e in learn if e.speaker in chosen}
    elif len(learn) >= 20:
        out = set(_some([e.id for e in learn]))
        told = f"{len(out)} samples"
    else:
        return manifest
    warnings.warn(
        f"{manifest.corpus} has no validation split: {told} are held out of its training to "
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


def _read_media(
    corpus: Corpus, told: Sequence[Entry], read_medium: Callable[[Entry], Medium], skip: bool
) -> tuple[list[Entry], list[Medium]]:
    entries: list[Entry] = []
    media: list[Medium] = []
    broken: list[str] = []
    for entry in told:
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
    if len(broken) > UNREADABLE * len(told):
        raise InputError(
            f"corpus {corpus.name!r}: {len(broken)} of {len(told)} samples cannot be read, more "
            f"than the {UNREADABLE:.0%} that skip_unreadable lets pass; the first is {broken[0]}"
        )
    if broken:
        warnings.warn(
            f"{corpus.name}: {len(broken)} of {len(told)} samples cannot be read and are left "
            f"out; the first is {broken[0]}",
            stacklevel=3,
        )
    return entries, media


def _distilled(
    name: str,
    entries: Sequence[Entry],
    target: Floats,
    known: NDArray[np.bool_],
    posteriors: Posteriors,
    config: TargetConfig,
) -> Floats:
    """Mix a teacher's posteriors in, over the labels that the corpus knows."""
    out, met = target.copy(), 0
    for i, entry in enumerate(entries):
        if (answer := posteriors.get(entry.id)) is not None:
            said = softened(np.where(known[i], answer, np.float32(0)), config.temperature)
            if said.any():
                out[i] = (1 - config.teacher) * target[i] + config.teacher * said
                met += 1
    if not met:
        raise InputError(
            f"the teacher of {name!r} knows none of its {len(entries)} training samples: it knows "
            f"{next(iter(posteriors), 'nothing')!r}, asked was {entries[0].id!r}; look at "
            "`id_prefix`"
        )
    return out


def _stack(rows: Sequence[Floats], learnt: Taxonomy) -> Floats:
    return np.stack(rows) if rows else np.zeros((0, len(learnt)), np.float32)
