"""From the weights of a run to a model: graph, int8, calibration, metrics, card, golden pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...corpora.manifest import Split
from ...evaluation.metrics import calibration
from ...evaluation.metrics import classification as metrics
from ...models.card import Calibration, Card
from ...models.recogniser import OnnxRecogniser
from ...models.write import write_card, write_golden
from . import cards
from .calibrate import fit_temperature, prior
from .checkpoint import disk_errors, load_weights
from .console import log
from .curves import draw_confusion
from .export import write_onnx
from .loop import BEST
from .measure import predict_in_batches
from .quantize import CHOICES, Products, Quantization, quantize, quantize_static
from .run_files import Confusion
from .trainer import Rows, Trainer

Floats = NDArray[np.float32]

LOSS = 0.003
"""What the selecting metric may lose by int8 arithmetic: 0.3 points."""


class Exporter:
    """Makes a model of the best weights of a run.

    Args:
        trainer: whose run it is.
    """

    def __init__(self, trainer: Trainer[Any]) -> None:
        self._trainer, self._config = trainer, trainer.config
        self._fields: dict[str, Any] = cards.fields(trainer)
        self._files: dict[str, Path] = {}

    def export(self) -> Card:
        """Write graph, card and golden pair into the model's folder.

        Temperature, prior and metrics come from the validation samples.

        Raises:
            InputError: if there is no room.
            ModelError: if ONNX Runtime answers otherwise than torch.
        """
        with disk_errors(f"what was trained in {self._config.run}"):
            self._config.model.mkdir(parents=True, exist_ok=True)
            return self._export()

    def _export(self) -> Card:
        trainer, config = self._trainer, self._config
        self._write_graph()
        logits = self._predict_all(self._recogniser(), trainer.validation_rows)
        if config.quantize in CHOICES:
            logits = self._quantize(logits)
        self._calibrate(logits)
        recogniser = self._recogniser()
        self._fields["metrics"] = self._metrics(logits, recogniser.card)
        card = self._write_card()
        write_golden(recogniser, trainer.examples(), config.model)
        confusion = Confusion(self._confusion(logits), trainer.output_labels.labels)
        confusion.save(config.run)
        draw_confusion(config.run, confusion, f"{config.id}: {trainer.plan.kind.name}, validation")
        return card

    def _write_graph(self) -> None:
        trainer, config = self._trainer, self._config
        net = load_weights(trainer.new_net(fresh=False), config.run / BEST)
        rows, _ = trainer.validation_rows[0]
        example = tuple(trainer.tensor(x) for x in trainer.collate(rows[:4]))
        graph = config.model / f"{config.id}.onnx"
        width = write_onnx(trainer.exportable(net), example, graph, trainer.axes)
        if config.quantize is Quantization.WEIGHTS:
            quantize(graph)
        self._fields["embedding"] = width
        self._files = {"weights": graph, **trainer.extra_files()}

    def _quantize(self, logits: list[Floats]) -> list[Floats]:
        """Replace the graph by one that computes in int8, if that costs little enough.

        Returns:
            The logits of the graph that is kept.
        """
        trainer, graph = self._trainer, self._files["weights"]
        select = self._config.select or trainer.select
        before = trainer.measure(logits)[select]
        for what in CHOICES[self._config.quantize]:
            candidate = self._in_int8(graph, what)
            asked = self._recogniser({**self._files, "weights": candidate})
            found = self._predict_all(asked, trainer.validation_rows)
            after = trainer.measure(found)[select]
            compared = f"{select} on validation {before:.4f} in float32, {after:.4f} in int8"
            if after >= before - LOSS:
                sizes = " → ".join(f"{path.stat().st_size:,}" for path in (graph, candidate))
                log(f"int8: {compared}; {sizes} bytes")
                candidate.replace(graph)
                note = f"{what.value.capitalize()} compute in int8: {compared}."
                self._fields["notes"] = [*self._fields["notes"], note]
                return found
            candidate.unlink()
            log(f"int8 for {what.value} is not kept: {compared}; a loss of {LOSS} is allowed")
        if self._config.quantize is not Quantization.MATRICES:
            return logits
        quantize(graph)
        return self._predict_all(self._recogniser(), trainer.validation_rows)

    def _in_int8(self, graph: Path, what: Products) -> Path:
        """Write a graph that computes in int8 beside another; its scales fit validation rows."""
        candidate = graph.with_name(f"{self._config.id}.int8.onnx")
        rows = [row for some, _ in self._trainer.validation_rows for row in some]
        chosen = np.random.default_rng(0).permutation(len(rows))[:512]
        parts = np.array_split(chosen, min(16, len(chosen)))
        batches = [self._trainer.collate([rows[i] for i in part]) for part in parts]
        quantize_static(graph, candidate, batches, what)
        if what is not Products.CONVOLUTIONS:
            quantize(candidate)
        return candidate

    def _calibrate(self, logits: Sequence[Floats]) -> None:
        """Put temperature and prior into the card.

        A corpus without validation samples is asked about those it was learned from: a
        label that it alone knows would else seem never to be expected.
        """
        trainer, samples = self._trainer, self._trainer.validation_samples
        targets = [trainer.output_of(s.target) for s in samples]
        known = [trainer.known_of(s) for s in samples]
        calibration = fit_temperature(logits, targets, known, self._config.calibrate)
        others = [c for c in trainer.corpora if not len(c.manifest.of(Split.VALIDATION))]
        rows = [trainer.prepared(trainer.read_split(c, Split.TRAIN)) for c in others]
        everything = [*logits, *self._predict_all(self._recogniser(), rows)]
        self._fields["calibration"] = {"temperature": calibration.temperature}
        self._fields["prior"] = prior(everything, calibration)

    def _write_card(self) -> Card:
        return write_card(self._fields, self._config.model, self._files)

    def _recogniser(self, files: Mapping[str, Path] | None = None) -> OnnxRecogniser:
        """Load the model as it stands, or with other files."""
        return self._trainer.recogniser(self._write_card(), files or self._files)

    def _predict_all(self, recogniser: OnnxRecogniser, rows: Sequence[Rows]) -> list[Floats]:
        """Let the exported model predict prepared samples, as in use."""
        return [predict_in_batches(*some, recogniser.logits) for some in rows]

    def _metrics(self, logits: Sequence[Floats], card: Card) -> list[dict[str, Any]]:
        trainer, out = self._trainer, []
        closed = self._closed(logits)
        for raw, x, samples in zip(logits, closed, trainer.validation_samples, strict=True):
            found = trainer.measure_samples(raw, samples)
            actual = trainer.output_of(samples.label).argmax(axis=1)
            for suffix, c in (("", card.calibration), ("_uncalibrated", Calibration())):
                found[f"ece{suffix}"] = calibration.ece(actual, c.probabilities(x))
            out += cards.metrics(found, samples, int(trainer.covered_of(samples).sum()))
        return out

    def _closed(self, logits: Sequence[Floats]) -> list[Floats]:
        """Rule out the labels that a corpus does not have."""
        pairs = zip(logits, self._trainer.validation_samples, strict=True)
        return [np.where(self._trainer.covered_of(s), x, -1e4).astype(np.float32) for x, s in pairs]

    def _confusion(self, logits: Sequence[Floats]) -> NDArray[np.int64]:
        n = len(self._trainer.output_labels)
        counts = np.zeros((n, n), np.int64)
        pairs = zip(self._closed(logits), self._trainer.validation_samples, strict=True)
        for closed, samples in pairs:
            actual = self._trainer.output_of(samples.label).argmax(axis=1)
            counts += metrics.confusion(actual, closed.argmax(axis=1), n)
        return counts
