"""What every trainer of a recogniser has in common: configuration → samples → task.

A modality adds how its media are read, varied and prepared: see `training.face.task`,
`training.speech.task` and `training.text.task`. `train.train` runs a trainer,
`exporter.Exporter` makes a model of what it trained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...config.loader import construct, merge, to_mapping
from ...core.estimates import Modality
from ...core.labels import Taxonomy
from ...corpora.labels import canonical_map
from ...corpora.manifest import Entry, Split
from ...errors import InputError
from ...models.recogniser import OnnxRecogniser
from .checkpoint import start_from
from .console import log
from .corpora import (
    Corpus,
    CorpusChoice,
    Labels,
    canonical_labels,
    learned_labels,
    load_corpora,
    restricted,
)
from .export import Exportable
from .loop import Batch, Task
from .measure import by_secondary_labels, classified, predict_in_batches
from .nets import NetPlan
from .samples import Samples, label_weights, posteriors_of, read_samples, steps_of

Medium = TypeVar("Medium")
Floats = NDArray[np.float32]
Batches = Callable[[int, np.random.Generator], Iterator[Batch]]
Rows = tuple[list[NDArray[Any]], NDArray[np.int64]]
"""Prepared pieces of samples, and the index of the sample that each belongs to."""


class Trainer(ABC, Generic[Medium]):
    """Trains one modality.

    Subclasses name the class constants and write the abstract methods.

    Args:
        config: of the training.
        learned: labels of a net that is trained already; no corpora are read then.

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

    def __init__(self, config: Any, learned: Taxonomy | None = None) -> None:
        self.config = config
        self.plan = NetPlan.of(self.modality, config.net)
        wanted = merge(self.plan.kind.preparation, config.preparation)
        self.preparation = construct(self.preparation_class, wanted, "preparation")
        self.corpora: list[Corpus] = []
        if learned is None:
            self.corpora = load_corpora(
                config.corpora or self.default_corpora(config), config.data, config.labels
            )
        self.learned: Taxonomy = learned or learned_labels(self.corpora, config.labels)
        self.output_labels: Taxonomy = self.learned
        self.aggregation: Floats | None = None
        if config.labels is Labels.AGGREGATED:
            to = self.corpora[0].to if self.corpora else canonical_map(self.learned)
            covered = [c.covered for c in self.corpora] or [to.covered]
            self.output_labels = canonical_labels(covered)
            to = restricted(to, self.output_labels)
            self.aggregation = to.matrix.astype(np.float32)
        self.plan.config(self.facts())  # sizes that make no sense are told before reading media

    # What a modality adds.

    @staticmethod
    @abstractmethod
    def default_corpora(config: Any) -> tuple[CorpusChoice, ...]:
        """Return the corpora that are learned from where the configuration names none."""

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
        return to_mapping(self.preparation)

    def card_fields(self) -> dict[str, Any]:
        """Return what else the card says."""
        return {}

    def measure_samples(self, logits: Floats, samples: Samples[Medium]) -> dict[str, float]:
        """Measure logits, (n, output labels), on the samples of one corpus."""
        labels, secondary = self.output_of(samples.label), self.output_of(samples.secondary)
        corpus = next(c for c in self.corpora if c.name == samples.corpus)
        name = corpus.choice.secondary_labels or "secondary"
        found = by_secondary_labels(logits, secondary)
        return classified(logits, labels, self.covered_of(samples)) | {
            f"{name}_{metric}": value for metric, value in found.items()
        }

    # What follows from it.

    @cached_property
    def train_samples(self) -> list[Samples[Medium]]:
        """The training samples, a corpus each."""
        return [self.read_split(corpus, Split.TRAIN) for corpus in self.corpora]

    @cached_property
    def validation_samples(self) -> list[Samples[Medium]]:
        """The validation samples of the corpora that have any."""
        there = [c for c in self.corpora if len(c.manifest.of(Split.VALIDATION))]
        return [self.read_split(corpus, Split.VALIDATION) for corpus in there]

    @cached_property
    def validation_rows(self) -> list[Rows]:
        """The prepared validation samples of each corpus."""
        return [self.prepared(s) for s in self.validation_samples]

    def share_samples(self, other: Trainer[Medium]) -> None:
        """Take over the samples that another trainer has read, if they would be the same."""
        keys = ("data", "corpora", "labels", "targets", "preparation", "skip_unreadable")
        mine, theirs = to_mapping(self.config), to_mapping(other.config)
        same = all(mine[k] == theirs[k] for k in keys) and self.preparation == other.preparation
        for name in ("train_samples", "validation_samples", "validation_rows") if same else ():
            if name in vars(other):
                setattr(self, name, getattr(other, name))

    def task(self) -> Task:
        """Put together what `fit` needs."""
        # A figure that there is not should be told before an hour of training.
        self.measure(
            [
                np.zeros((len(s), len(self.output_labels)), np.float32)
                for s in self.validation_samples
            ]
        )
        weights = label_weights(self.train_samples, self.config.targets, len(self.learned))
        return Task(
            self.new_net(),
            self.batches(self.train_samples),
            self.steps(),
            self.validate,
            self.config.select or self.select,
            None if weights is None else torch.from_numpy(weights),
            about=self.identity(),
        )

    def steps(self) -> int:
        """Return the number of batches of an epoch."""
        return steps_of(self.train_samples, self.config.batch)

    def new_net(self, fresh: bool = True) -> nn.Module:
        """Make the net; with `fresh`, ready to be trained from the start."""
        net = self.plan.build(self.facts(), self.config.loop.seed)
        if fresh:
            self.initialize_from_data(net)
            if self.config.init is not None:
                log(f"init: {start_from(net, self.config.init)}")
        return net

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for a run to be the same run, besides the loop."""
        left_out = {"id", "data", "run", "out", "quantize", "summary", "licence", "notes"}
        left_out |= {"loop", "tune"}
        config = to_mapping(self.config)
        kept = {f.name: config[f.name] for f in fields(self.config) if f.name not in left_out}
        for corpus in kept["corpora"]:
            for place in ("root", "manifest"):  # data may be moved
                corpus.pop(place)
        return {**kept, "learned": list(self.learned.labels)}

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Measure a net on the validation samples."""
        return self.measure([self.predict(net, rows) for rows in self.validation_rows])

    def measure(self, logits: Sequence[Floats]) -> dict[str, float]:
        """Measure answers to each corpus' validation samples; of several, their mean."""
        each = [
            self.measure_samples(x, s) for x, s in zip(logits, self.validation_samples, strict=True)
        ]
        select = self.config.select or self.select
        common = [name for name in each[0] if all(name in f for f in each)]
        out = {name: float(np.mean([f[name] for f in each])) for name in common}
        if select not in out:
            raise InputError(f"select: got {select!r}, expected one of {', '.join(out)}")
        if len(each) > 1:
            pairs = zip(self.validation_samples, each, strict=True)
            out |= {f"{select}_{s.corpus}": f[select] for s, f in pairs}
        return out

    def predict(self, net: nn.Module, rows: Rows) -> Floats:
        """Return a net's logits for prepared samples, (samples, output labels)."""
        device = next(net.parameters()).device
        fast = self.config.loop.bf16 and self.validate_bf16
        module = self.exportable(net).to(device)

        def ask(some: Sequence[NDArray[Any]]) -> Floats:
            tensors = tuple(self.tensor(x).to(device) for x in self.collate(some))
            logits: Floats = module(*tensors)[0].float().cpu().numpy()
            return logits

        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=fast):
            return predict_in_batches(*rows, ask)

    def exportable(self, net: nn.Module) -> Exportable:
        """Return a net with its outputs as the model will have them."""
        matrix = self.aggregation
        return Exportable(net, None if matrix is None else torch.from_numpy(matrix))

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Turn inputs into a tensor in the fast layout."""
        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def output_of(self, rows: Floats) -> Floats:
        """Return distributions over the learned labels as distributions over the output's."""
        return rows if self.aggregation is None else rows @ self.aggregation

    def covered_of(self, samples: Samples[Medium]) -> NDArray[np.bool_]:
        """Return which output labels a corpus has: bool (output labels,)."""
        return self.output_of(samples.covered.astype(np.float32)) > 0

    def known_of(self, samples: Samples[Medium]) -> NDArray[np.bool_]:
        """Return which output labels each sample's target speaks of: (n, output labels)."""
        return self.output_of(samples.known.astype(np.float32)) > 0

    def read_split(self, corpus: Corpus, split: Split) -> Samples[Medium]:
        """Read the samples of a corpus' split."""
        posteriors = None
        if split is Split.TRAIN:
            posteriors = self.posteriors(corpus)
        read = read_samples(
            corpus,
            split,
            self.learned,
            self.config.targets,
            self.read,
            posteriors,
            self.config.skip_unreadable,
        )
        log(f"{corpus.name}: {len(read)} samples, {split.value}")
        return replace(read, media=self.pack(read.media))

    def posteriors(self, corpus: Corpus) -> Mapping[str, Floats] | None:
        """Return what a corpus' teacher says of its training samples."""
        return posteriors_of(
            corpus, self.learned, self.config.run, lambda e: self.pieces(self.read(e))
        )

    def prepared(self, samples: Samples[Medium]) -> Rows:
        """Return the prepared pieces of samples."""
        rows: list[NDArray[Any]] = []
        owner: list[int] = []
        for i, medium in enumerate(samples.media):
            pieces = self.pieces(medium)
            rows += [self.row(piece) for piece in pieces]
            owner += [i] * len(pieces)
        return rows, np.array(owner, np.int64)
