"""What every trainer has in common: configuration → samples → task → training → model.

A modality adds how its media are read, varied and prepared: see `face`, `speech` and
`text`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from ...core.estimates import Modality
from ...core.labels import Taxonomy
from ...corpora.manifest import Entry, Split
from ...errors import InputError
from ...evaluation.metrics import calibration as calibration_metrics
from ...evaluation.metrics import classification as metrics
from ...models.card import Calibration, Card
from ...models.recogniser import OnnxRecogniser
from . import cards
from .build import NetPlan, construct, merged, plain
from .checkpoint import load_weights, start_from, told
from .curves import draw_confusion, draw_curves
from .export import Answering, write_card, write_golden, write_onnx
from .loop import BEST, Batch, LoopConfig, Task, Watch, fit
from .quantize import CHOICES, Products, Shrinking, quantise_static, quantize
from .run_folder import RunFolder
from .samples import (
    Corpus,
    CorpusChoice,
    Labels,
    Samples,
    TargetConfig,
    canonical_labels,
    label_weights,
    learnt_labels,
    load_corpora,
    posteriors_of,
    read_samples,
    restricted,
    steps_of,
)

Medium = TypeVar("Medium")
Floats = NDArray[np.float32]
Batches = Callable[[int, np.random.Generator], Iterator[Batch]]

LOSS = 0.003
"""What the selecting figure may lose by int8 arithmetic: 0.3 points."""


class Calibrating(str, Enum):
    """What a model's probabilities are made to fit on validation."""

    TARGETS = "targets"
    """What it was taught: of ten votes, six for happy are 60 %."""

    MAJORITY = "majority"
    """How often the label with the largest share of the target is right."""


@dataclass(frozen=True, slots=True)
class Training:
    """What decides a training, whatever the modality.

    Args:
        id: of the model that is made.
        data: folder of the corpora, where they name none of their own.
        run: folder of the run; it goes on from there if it was interrupted.
        out: where the finished model is put; by default ``model/`` in the run's folder.
        corpora: what is learnt from; by default the modality's own protocol.
        labels: what is learnt and answered.
        batch: samples a step.
        net: ``name`` of the net and its sizes.
        preparation: how a sample becomes a row, where it is not as the net wants it.
        targets: what the net is taught.
        init: safetensors weights to start from, as far as they fit.
        select: figure whose largest value marks the best epoch; by default the
            modality's.
        quantize: how the model is made smaller.
        calibrate: what its probabilities are made to fit.
        skip_unreadable: leave out media that cannot be read (up to 5 %).
        summary: one line about the model for its card.
        licence: of the weights; by default that of the training data.
        notes: for its card, what a user should know.
        loop: how it is trained.
        tune: search space of `emofuse tune`; key → range or choices.

    Raises:
        ValueError: if the batch is too small.
    """

    id: str = "model"
    data: Path = Path("data")
    run: Path = Path("runs/model")
    out: Path | None = None
    corpora: tuple[CorpusChoice, ...] = ()
    labels: Labels = Labels.CANONICAL
    batch: int = 64
    net: Mapping[str, Any] = field(default_factory=dict)
    preparation: Mapping[str, Any] = field(default_factory=dict)
    targets: TargetConfig = field(default_factory=TargetConfig)
    init: Path | None = None
    select: str | None = None
    quantize: Shrinking = Shrinking.NONE
    calibrate: Calibrating = Calibrating.TARGETS
    skip_unreadable: bool = False
    summary: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    loop: LoopConfig = field(default_factory=LoopConfig)
    tune: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (
            ("labels", Labels),
            ("quantize", Shrinking),
            ("calibrate", Calibrating),
        ):
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in ("corpora", "notes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.batch < 2:
            raise ValueError(f"need batch >= 2, got {self.batch}")

    @property
    def model(self) -> Path:
        """Folder of the finished model."""
        return self.out or self.run / "model"


class Trainer(ABC, Generic[Medium]):
    """Trains one modality.

    Subclasses name the class constants and write the abstract methods.

    Args:
        config: of the training.

    Raises:
        InputError: if net, preparation or corpora cannot be used; nothing was written.
    """

    modality: ClassVar[Modality]
    recogniser: ClassVar[type[OnnxRecogniser]]
    recogniser_name: ClassVar[str]
    preparation_class: ClassVar[type[Any]]
    select: ClassVar[str]
    axes: ClassVar[Sequence[Mapping[int, str]] | None] = None
    validate_bf16: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        self.config = config
        self.plan = NetPlan.of(self.modality, config.net)
        wanted = merged(self.plan.kind.preparation, config.preparation)
        self.preparation = construct(self.preparation_class, wanted, "preparation")
        self.corpora: list[Corpus] = load_corpora(
            config.corpora or self.own_corpora(), config.data, config.labels
        )
        self.learnt: Taxonomy = learnt_labels(self.corpora, config.labels)
        self.answered: Taxonomy = self.learnt
        self.fold: Floats | None = None
        if config.labels is Labels.FOLDED:
            self.answered = canonical_labels(self.corpora)
            self.fold = restricted(self.corpora[0].to, self.answered).matrix.astype(np.float32)
        self.plan.config(self.facts())  # sizes that make no sense are told before reading media

    # What a modality adds.

    @abstractmethod
    def own_corpora(self) -> tuple[CorpusChoice, ...]:
        """Return the corpora that are learnt from where the configuration names none."""

    @abstractmethod
    def read(self, entry: Entry) -> Medium:
        """Read one sample's medium. Raises `InputError` if it cannot be."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return the sizes of a net that data and preparation decide."""

    @abstractmethod
    def batches(self, learn: Sequence[Samples[Medium]]) -> Batches:
        """Return what yields an epoch's varied and prepared batches."""

    @abstractmethod
    def pieces(self, medium: Medium) -> list[Any]:
        """Return what `prepare` is given of a medium: one piece, or several to be averaged."""

    @abstractmethod
    def examples(self) -> Sequence[Any]:
        """Return drawn or made-up samples for the golden pair: no recordings of people."""

    def pack(self, media: Sequence[Medium]) -> Sequence[Medium]:
        """Keep media in the way that suits the modality."""
        return media

    def row(self, piece: Any) -> NDArray[Any]:
        """Prepare one piece."""
        row: NDArray[Any] = self.preparation(piece)
        return row

    def collate(self, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Stack prepared rows into the net's inputs."""
        return (np.stack(rows),)

    def initialize_from_data(self, net: nn.Module) -> None:
        """Give a fresh net what it must know before training, e.g. pretrained weights."""

    def extra_files(self) -> dict[str, Path]:
        """Put further files of the model into its folder; return them by role."""
        return {}

    def card_preparation(self) -> dict[str, Any]:
        """Return the card's ``preparation``."""
        return plain(self.preparation)

    def card_fields(self) -> dict[str, Any]:
        """Return what else the card says."""
        return {}

    def figures(self, logits: Floats, samples: Samples[Medium]) -> dict[str, float]:
        """Measure answers (n, answered) on samples."""
        return classified(logits, self.answer_of(samples), self.covered_of(samples)) | {
            f"{self.opinion_name(samples)}_{name}": value
            for name, value in by_opinion(logits, self.answer_of(samples, "opinion")).items()
        }

    # What follows from it.

    @cached_property
    def learn(self) -> list[Samples[Medium]]:
        """The training samples, a corpus each."""
        return [self._read(corpus, Split.TRAIN) for corpus in self.corpora]

    @cached_property
    def choose(self) -> list[Samples[Medium]]:
        """The validation samples of the corpora that have any."""
        there = [c for c in self.corpora if len(c.manifest.of(Split.VALIDATION))]
        return [self._read(corpus, Split.VALIDATION) for corpus in there]

    @cached_property
    def rows(self) -> list[tuple[list[NDArray[Any]], NDArray[np.int64]]]:
        """Prepared pieces of each corpus' validation samples, and whose each is."""
        return [self._rows(s) for s in self.choose]

    def share_samples(self, other: Trainer[Medium]) -> None:
        """Take over the samples that another trainer has read, if they would be the same."""
        keys = ("data", "corpora", "labels", "targets", "preparation", "skip_unreadable")
        mine, theirs = plain(self.config), plain(other.config)
        same = all(mine[k] == theirs[k] for k in keys) and self.preparation == other.preparation
        for name in ("learn", "choose", "rows") if same else ():
            if name in vars(other):
                setattr(self, name, getattr(other, name))

    def task(self) -> Task:
        """Put together what `fit` needs."""
        # A figure that there is not should be told before an hour of training.
        self.measure([np.zeros((len(s), len(self.answered)), np.float32) for s in self.choose])
        weights = label_weights(self.learn, self.config.targets, len(self.learnt))
        return Task(
            self.new_net(),
            self.batches(self.learn),
            self.steps(),
            self.validate,
            self.config.select or self.select,
            None if weights is None else torch.from_numpy(weights),
            self.identity(),
        )

    def steps(self) -> int:
        """Return the number of batches of an epoch."""
        return steps_of(self.learn, self.config.batch)

    def new_net(self, fresh: bool = True) -> nn.Module:
        """Make the net; with `fresh`, ready to be trained from the start."""
        net = self.plan.build(self.facts(), self.config.loop.seed)
        if fresh:
            self.initialize_from_data(net)
            if self.config.init is not None:
                tell(f"init: {start_from(net, self.config.init)}")
        return net

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for a run to be the same run, besides the loop."""
        left_out = {"id", "data", "run", "out", "quantize", "summary", "licence", "notes"}
        left_out |= {"loop", "tune"}
        config = plain(self.config)
        kept = {f.name: config[f.name] for f in fields(self.config) if f.name not in left_out}
        for corpus in kept["corpora"]:
            for place in ("root", "manifest"):  # data may be moved
                corpus.pop(place)
        return {**kept, "learnt": list(self.learnt.labels)}

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Measure a net on the validation samples."""
        found = [self.answers(net, rows, owner) for rows, owner in self.rows]
        return self.measure(found)

    def measure(self, logits: Sequence[Floats]) -> dict[str, float]:
        """Measure answers to each corpus' validation samples; of several, their mean."""
        each = [self.figures(x, s) for x, s in zip(logits, self.choose, strict=True)]
        select = self.config.select or self.select
        common = [name for name in each[0] if all(name in f for f in each)]
        out = {name: float(np.mean([f[name] for f in each])) for name in common}
        if select not in out:
            raise InputError(f"select: got {select!r}, expected one of {', '.join(out)}")
        if len(each) > 1:
            pairs = zip(self.choose, each, strict=True)
            out |= {f"{select}_{s.corpus}": f[select] for s, f in pairs}
        return out

    def answers(
        self, net: nn.Module, rows: Sequence[NDArray[Any]], owner: NDArray[np.int64]
    ) -> Floats:
        """Let a net answer prepared pieces: logits of each sample, (samples, answered)."""
        place = next(net.parameters()).device
        fast = self.config.loop.bf16 and self.validate_bf16
        shipped = Answering(net, None if self.fold is None else torch.from_numpy(self.fold))
        shipped = shipped.to(place)
        # Rows of about one length together, so that none is mostly padding.
        order = np.argsort([row.shape[-1] for row in rows], kind="stable")
        out = np.empty((len(rows), len(self.answered)), np.float32)
        with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=fast):
            for k in range(0, len(rows), 128):
                part = order[k : k + 128]
                inputs = self.collate([rows[i] for i in part])
                tensors = tuple(self.tensor(x).to(place) for x in inputs)
                out[part] = shipped(*tensors)[0].float().cpu().numpy()
        return averaged(out, owner)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Turn inputs into a tensor in the fast layout."""
        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def answer_of(self, samples: Samples[Medium], labelling: str = "label") -> Floats:
        """Return a labelling of samples (``label``, ``opinion``, ``target``) as answered."""
        rows: Floats = getattr(samples, labelling)
        return rows if self.fold is None else rows @ self.fold

    def covered_of(self, samples: Samples[Medium]) -> NDArray[np.bool_]:
        """Return which of the answered labels a corpus has: bool (answered,)."""
        if self.fold is None:
            return samples.covered
        covered: NDArray[np.bool_] = samples.covered @ self.fold > 0
        return covered

    def known_of(self, samples: Samples[Medium]) -> NDArray[np.bool_]:
        """Return which of the answered labels each sample's target speaks of: (n, answered)."""
        if self.fold is None:
            return samples.known
        known: NDArray[np.bool_] = samples.known @ self.fold > 0
        return known

    def opinion_name(self, samples: Samples[Medium]) -> str:
        """Return the name of a corpus' second opinion, for figures."""
        corpus = next(c for c in self.corpora if c.name == samples.corpus)
        return corpus.choice.opinion or "opinion"

    def ship(self) -> Card:
        """Export the best weights of a run: graph, calibration, figures, card, golden pair.

        Temperature and prior come from the validation samples.

        Raises:
            InputError: if there is no room.
            ModelError: if ONNX Runtime answers otherwise than torch.
        """
        with told(f"what was trained in {self.config.run}"):
            self.config.model.mkdir(parents=True, exist_ok=True)
            return self._ship()

    def _ship(self) -> Card:
        config, folder = self.config, self.config.model
        net = load_weights(self.new_net(fresh=False), config.run / BEST)
        graph = folder / f"{config.id}.onnx"
        fold = None if self.fold is None else torch.from_numpy(self.fold)
        example = tuple(self.tensor(x) for x in self.collate(self.rows[0][0][:4]))
        width = write_onnx(Answering(net, fold), example, graph, self.axes)
        if config.quantize is Shrinking.WEIGHTS:
            quantize(graph)
        card = cards.fields(self)
        card["embedding"] = width
        files = {"weights": graph, **self.extra_files()}
        recogniser = self._recogniser(write_card(card, folder, files), files)
        logits = self._recognised(recogniser)
        if config.quantize in CHOICES:
            logits = self._quantise(recogniser, logits, card, files)
        card |= self._calibrated(logits, recogniser)
        recogniser = self._recogniser(write_card(card, folder, files), files)
        card["metrics"] = self._metrics(logits, recogniser.card)
        finished = write_card(card, folder, files)
        write_golden(recogniser, self.examples(), folder)
        draw_confusion(config.run, self._confusion(logits), self.answered.labels)
        return finished

    def _quantise(
        self,
        recogniser: OnnxRecogniser,
        logits: list[Floats],
        card: dict[str, Any],
        files: dict[str, Path],
    ) -> list[Floats]:
        """Replace the graph by one that computes in int8, if that costs little enough."""
        select, graph = self.config.select or self.select, files["weights"]
        before = self.measure(logits)[select]
        for what in CHOICES[self.config.quantize]:
            candidate = self._in_int8(graph, what)
            asked = self._recogniser(recogniser.card, {**files, "weights": candidate})
            found = self._recognised(asked)
            after = self.measure(found)[select]
            told_by = f"{select} on validation {before:.4f} in float32, {after:.4f} in int8"
            if after >= before - LOSS:
                sizes = " → ".join(f"{path.stat().st_size:,}" for path in (graph, candidate))
                tell(f"int8: {told_by}; {sizes} bytes")
                candidate.replace(graph)
                card["notes"] = [*card["notes"], f"In int8 compute {what.value}: {told_by}."]
                return found
            candidate.unlink()
            tell(f"int8 for {what.value} is not kept: {told_by}; allowed is a loss of {LOSS}")
        if self.config.quantize is not Shrinking.MATRICES:
            return logits
        quantize(graph)
        return self._recognised(self._recogniser(write_card(card, graph.parent, files), files))

    def _in_int8(self, graph: Path, what: Products) -> Path:
        """Write a graph that computes in int8 beside another; its scales fit validation rows."""
        candidate = graph.with_name(f"{self.config.id}.int8.onnx")
        rows = [row for some, _ in self.rows for row in some]
        chosen = np.random.default_rng(0).permutation(len(rows))[:512]
        parts = np.array_split(chosen, min(16, len(chosen)))
        quantise_static(graph, candidate, [self.collate([rows[i] for i in p]) for p in parts], what)
        if what is not Products.CONVOLUTIONS:
            quantize(candidate)
        return candidate

    def _recogniser(self, card: Card, files: Mapping[str, Path]) -> OnnxRecogniser:
        return self.recogniser(card, files)

    def _recognised(
        self,
        recogniser: OnnxRecogniser,
        asked: Sequence[tuple[list[NDArray[Any]], NDArray[np.int64]]] | None = None,
    ) -> list[Floats]:
        """Let the exported model answer prepared samples (those of validation), as in use."""
        out = []
        for rows, owner in self.rows if asked is None else asked:
            order = np.argsort([row.shape[-1] for row in rows], kind="stable")
            parts = [order[k : k + 128] for k in range(0, len(rows), 128)]
            logits = np.empty((len(rows), len(self.answered)), np.float32)
            for part in parts:
                logits[part] = recogniser.logits([rows[i] for i in part])
            out.append(averaged(logits, owner))
        return out

    def _calibrated(self, logits: Sequence[Floats], recogniser: OnnxRecogniser) -> dict[str, Any]:
        """Fit the temperature on all validation samples; the prior is the corpora's mean.

        A corpus without validation samples is asked about those it was learnt from: a
        label that it alone knows would else seem never to be expected.
        """
        target = np.concatenate([self.answer_of(s, "target") for s in self.choose])
        pairs = zip(logits, self.choose, strict=True)
        # Not the labels of the corpus, but those that its targets (votes, say) speak of.
        closed = np.concatenate([np.where(self.known_of(s), x, -1e4) for x, s in pairs])
        if self.config.calibrate is Calibrating.MAJORITY:
            target, closed = majority(target, closed)
        temperature = round(calibration_metrics.fit_temperature(target, closed), 4)
        calibration = Calibration(temperature)
        learnt = [c for c in self.corpora if not len(c.manifest.of(Split.VALIDATION))]
        asked = [self._rows(self._read(corpus, Split.TRAIN)) for corpus in learnt]
        answers = [*logits, *self._recognised(recogniser, asked)]
        means = [calibration.probabilities(x).mean(axis=0, dtype=np.float64) for x in answers]
        return {
            "calibration": {"temperature": temperature},
            "prior": [round(float(p), 5) for p in np.mean(means, axis=0)],
        }

    def _metrics(self, logits: Sequence[Floats], card: Card) -> list[dict[str, Any]]:
        out = []
        for raw, closed, samples in zip(logits, self._closed(logits), self.choose, strict=True):
            found = self.figures(raw, samples)
            actual = self.answer_of(samples).argmax(axis=1)
            for suffix, c in (("", card.calibration), ("_uncalibrated", Calibration())):
                found[f"ece{suffix}"] = calibration_metrics.ece(actual, c.probabilities(closed))
            out += cards.metrics(found, samples, int(self.covered_of(samples).sum()))
        return out

    def _closed(self, logits: Sequence[Floats]) -> list[Floats]:
        pairs = zip(logits, self.choose, strict=True)
        return [np.where(self.covered_of(s), x, -1e4).astype(np.float32) for x, s in pairs]

    def _confusion(self, logits: Sequence[Floats]) -> NDArray[np.int64]:
        n = len(self.answered)
        counts = np.zeros((n, n), np.int64)
        for closed, samples in zip(self._closed(logits), self.choose, strict=True):
            actual = self.answer_of(samples).argmax(axis=1)
            counts += metrics.confusion(actual, closed.argmax(axis=1), n)
        return counts

    def _read(self, corpus: Corpus, split: Split) -> Samples[Medium]:
        posteriors = None
        if split is Split.TRAIN:
            posteriors = self.posteriors(corpus)
        read = read_samples(
            corpus,
            split,
            self.learnt,
            self.config.targets,
            self.read,
            posteriors,
            self.config.skip_unreadable,
        )
        tell(f"{corpus.name}: {len(read)} samples, {split.value}")
        return Samples(
            **{f.name: getattr(read, f.name) for f in fields(read) if f.name != "media"},
            media=self.pack(read.media),
        )

    def posteriors(self, corpus: Corpus) -> Mapping[str, Floats] | None:
        """Return what a corpus' teacher says of its training samples."""
        return posteriors_of(
            corpus, self.learnt, self.config.run, lambda e: self.pieces(self.read(e))
        )

    def _rows(self, samples: Samples[Medium]) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
        rows: list[NDArray[Any]] = []
        owner: list[int] = []
        for i, medium in enumerate(samples.media):
            pieces = self.pieces(medium)
            rows += [self.row(piece) for piece in pieces]
            owner += [i] * len(pieces)
        return rows, np.array(owner, np.int64)


def train(trainer: Trainer[Any], watch: Watch | None = None) -> Path:
    """Train, or go on where an interrupted training stopped; then ship the model.

    Args:
        trainer: of a modality.
        watch: told each epoch's figures.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if data is missing, the folder holds another run, the loss is no
            number any more, or there is no room.
    """
    config = trainer.config
    fit_only(trainer, watch)
    draw_curves(config.run)
    card = trainer.ship()
    return Path(config.model / f"{card.id}.toml")


def fit_only(trainer: Trainer[Any], watch: Watch | None = None) -> Path:
    """Train without shipping; see `train`. Return the path of the best weights."""
    config = trainer.config
    with told(f"what is in {config.run}"):
        config.run.mkdir(parents=True, exist_ok=True)
    task = trainer.task()
    parameters = sum(p.numel() for p in task.net.parameters())
    tell(f"{trainer.plan.kind.name}: {parameters:,} parameters; on {config.loop.place}")
    with RunFolder(config, trainer.identity()) as folder:

        def look(figures: Mapping[str, float]) -> None:
            folder.log(figures)
            if watch is not None:
                watch(figures)

        return fit(task, config.loop, config.run, look)


def tell(text: str) -> None:
    """Print a line for who waits."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def averaged(logits: Floats, owner: NDArray[np.int64]) -> Floats:
    """Average the logits of each sample's pieces."""
    if len(owner) == int(owner.max(initial=-1)) + 1:  # one piece each
        return logits
    sums = np.zeros((int(owner.max()) + 1, logits.shape[1]), np.float32)
    np.add.at(sums, owner, logits)
    counts = np.bincount(owner)[:, None]
    mean: Floats = (sums / counts).astype(np.float32)
    return mean


def majority(target: Floats, logits: Floats) -> tuple[Floats, Floats]:
    """Give all of a target to its largest share; leave rows out where two share the most."""
    most = np.sort(target, axis=1)[:, -2:]
    clear = most[:, 1] > most[:, 0]
    hard = np.eye(target.shape[1], dtype=np.float32)[target[clear].argmax(axis=1)]
    return hard, logits[clear]


def classified(logits: Floats, label: Floats, covered: NDArray[np.bool_]) -> dict[str, float]:
    """Measure answers against labels (both (n, labels)), asked for the covered labels only."""
    n = label.shape[1]
    closed = np.where(covered, logits, -1e4).astype(np.float32)
    actual, answer = label.argmax(axis=1), closed.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(actual, answer),
        "uar": metrics.uar(actual, answer, n),
        "macro_f1": metrics.macro_f1(actual, answer, n),
        "log_loss": calibration_metrics.log_loss(metrics.one_hot(actual, n), closed),
    }


def by_opinion(logits: Floats, opinion: Floats) -> dict[str, float]:
    """Measure answers against the majority of a second opinion, where that has one."""
    most = np.sort(opinion, axis=1)[:, -2:]
    clear = most[:, 1] > most[:, 0]
    if not clear.any():
        return {}
    majority, answer = opinion[clear].argmax(axis=1), logits[clear].argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(majority, answer),
        "macro_f1": metrics.macro_f1(majority, answer, opinion.shape[1]),
    }
