"""Joins a model of faces and one of sound to the plain model of a group."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config.loader import to_mapping
from ...core.estimates import Modality
from ...corpora.manifest import Split
from ...errors import InputError
from ...face.detectors import make_detector
from ...group.hybrid import FILES, HybridPreparation, HybridRecogniser
from ...group.streams import Clip, read_clip
from ...models.card import Card, Scores, read_card
from ...models.store import Store
from ...models.write import write_card, write_golden
from ..core import cards
from ..core.calibrate import fit_temperature
from ..core.calibrate import prior as prior_of
from ..core.checkpoint import disk_errors
from ..core.config import Calibrating
from ..core.console import log
from ..core.corpora import CorpusChoice, Labels, load_corpora
from ..core.measure import classified
from ..core.samples import Samples, read_samples
from ..core.targets import TargetConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HybridTraining:
    """What decides a hybrid.

    Args:
        id: of the model that is made.
        parts: ``face`` and ``speech`` → the card of a finished model.
        data: folder of the corpora, where they name none of their own.
        run: folder of the run; the model is in its folder ``model``.
        corpora: clips whose validation split the mean is calibrated on.
        weights: of both parts in the mean.
        history: over how many moments of a film answers are averaged.
        detector: what finds the faces.
        skip_unreadable: leave out clips that cannot be read (up to 5 %).
        summary: one line about the model for its card.
        licence: of the weights; by default both parts' together.
        notes: for its card.
    """

    parts: Mapping[str, Path]
    id: str = "group-hybrid"
    data: Path = Path("data")
    run: Path = Path("runs/group-hybrid")
    corpora: tuple[CorpusChoice, ...] = (CorpusChoice("vgaf"),)
    weights: Mapping[str, float] = field(default_factory=lambda: {"face": 0.6, "speech": 0.4})
    history: int = 5
    detector: str = "compact"
    skip_unreadable: bool = False
    summary: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if set(self.parts) != set(FILES):
            raise ValueError(f"parts: need face and speech, got {', '.join(self.parts) or 'none'}")


def train_hybrid(config: HybridTraining) -> Path:
    """Join two models, calibrate their mean on validation clips, and write the model's folder.

    Returns:
        The card's path.

    Raises:
        InputError: if the parts answer other labels than the corpora have, or data is missing.
        ModelError: if a part is missing or damaged.
    """
    parts = {name: read_card(path) for name, path in config.parts.items()}
    corpora = [
        c
        for c in load_corpora(config.corpora, config.data, Labels.NATIVE)
        if len(c.manifest.of(Split.VALIDATION))
    ]
    labels = corpora[0].manifest.taxonomy
    for name, card in parts.items():
        if card.modality.value != name:
            raise InputError(f"parts.{name}: {card.id!r} is a model of {card.modality.value}")
        if card.scores is not Scores.LOGITS:
            raise InputError(
                f"parts.{name}: the graph of {card.id!r} answers with probabilities; take a model "
                "that `emofuse train` made"
            )
        if card.taxonomy.labels != labels.labels:
            raise InputError(
                f"parts.{name}: {card.id!r} answers {', '.join(card.taxonomy.labels)}, the corpora "
                f"have {', '.join(labels.labels)}: train it with `labels: native`"
            )
    folder = config.run / "model"
    with disk_errors(f"what is in {config.run}"):
        folder.mkdir(parents=True, exist_ok=True)
        files = _copy(config, parts, folder)
        fields: dict[str, Any] = {
            "id": config.id,
            "modality": Modality.FUSED.value,
            "recogniser": "group-hybrid",
            "summary": config.summary or "mood of a group by its faces and its sound, averaged",
            "taxonomy": labels.name,
            "labels": list(labels.labels),
            "licence": config.licence or "; ".join(c.licence for c in parts.values()),
            "preparation": to_mapping(_preparation(config, parts)),
            "data": [asdict(x) for c in parts.values() for x in c.data],
        }
        recogniser = HybridRecogniser(write_card(fields, folder, files), files)
        detector = make_detector(config.detector, Store())

        def read(entry: Any) -> Clip:
            return read_clip(entry.path, recogniser.preparation, detector)

        read_parts = [
            read_samples(
                c, Split.VALIDATION, labels, TargetConfig(), read,
                skip_unreadable=config.skip_unreadable,
            )
            for c in corpora
        ]  # fmt: skip
        samples = [_usable(part) for part in read_parts]
        rows = [[recogniser.prepare(clip) for clip in s.media] for s in samples]
        logits = [recogniser.logits(some) for some in rows]
        scale = fit_temperature(
            logits, [s.target for s in samples], [s.known for s in samples], Calibrating.TARGETS
        )
        fields |= {
            "calibration": {"temperature": scale.temperature},
            "prior": prior_of(logits, scale),
            "metrics": _metrics(recogniser, rows, logits, samples, len(labels)),
            "notes": [*config.notes, *_notes(config, read_parts, samples)],
        }
        card = write_card(fields, folder, files)
        write_golden(HybridRecogniser(card, files), _drawn(rows[0][0]), folder)
    return folder / f"{config.id}.toml"


def _copy(config: HybridTraining, parts: Mapping[str, Card], folder: Path) -> dict[str, Path]:
    """Copy the parts' graphs beside the card; return them by role."""
    out = {}
    for name, card in parts.items():
        path = config.parts[name].with_name(card.files["weights"].name)
        store = Store(folders=[path.parent])
        store.verify(store.card(card.id))
        out[FILES[name]] = folder / f"{config.id}.{name}.onnx"
        shutil.copyfile(path, out[FILES[name]])
    return out


def _preparation(config: HybridTraining, parts: Mapping[str, Card]) -> HybridPreparation:
    return HybridPreparation(
        face=dict(parts["face"].preparation),
        speech=dict(parts["speech"].preparation),
        temperatures={name: card.calibration.temperature for name, card in parts.items()},
        weights=dict(config.weights),
        detector=config.detector,
        history=config.history,
    )


def _usable(samples: Samples[Clip]) -> Samples[Clip]:
    """Leave out clips without faces and without sound: nothing could be said of them."""
    index = [i for i, c in enumerate(samples.media) if not (c.faces is None and c.sound is None)]
    arrays = {n: getattr(samples, n)[index] for n in ("label", "secondary", "target", "known")}
    return replace(
        samples,
        entries=tuple(samples.entries[i] for i in index),
        media=[samples.media[i] for i in index],
        **arrays,
    )


def _metrics(
    recogniser: HybridRecogniser, rows: Any, logits: Any, samples: Any, labels: int
) -> list[dict[str, Any]]:
    """Measure the mean, and each part where it can say something."""
    out = []
    for some, whole, s in zip(rows, logits, samples, strict=True):
        found = classified(whole, s.label, s.covered)
        for stream, alone in recogniser.stream_logits(some).items():
            there = ~np.isnan(alone[:, 0])
            if there.any():
                part = classified(alone[there], s.label[there], s.covered)
                found[f"accuracy_{stream.value}"] = part["accuracy"]
        log(f"{s.corpus}: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()))
        out += cards.metrics(found, s, labels)
    return out


def _notes(config: HybridTraining, read: Any, used: Any) -> list[str]:
    weights = ", ".join(f"{name} {weight:g}" for name, weight in config.weights.items())
    silent = sum(len(s) for s in read) - sum(len(s) for s in used)
    notes = [f"A mean of two models' probabilities ({weights}), calibrated anew."]
    return notes + ([f"{silent} clips had neither faces nor sound."] if silent else [])


def _drawn(row: Floats) -> list[Floats]:
    """Make rows for the golden pair: soft waves, with both parts and with one."""
    wave = np.sin(np.arange(len(row)) * 0.37).astype(np.float32)
    out = []
    for here in ((1, 1), (1, 0), (0, 1)):
        wave[:2] = here
        out.append(wave.copy())
    return out
