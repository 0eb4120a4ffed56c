"""Predictions of a recogniser on a corpus, cached: the raw material of fusion.

Fusers are trained, calibrated and evaluated on predictions of the very recognisers that
analyses use. These take minutes to compute, so they are cached as one Parquet table per
corpus and model. A table carries the digest of the model's weights, and a fingerprint of
the corpus and of the card's calibration: one that no longer matches is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from ...core.labels import CANONICAL, Taxonomy
from ...core.time import NS, Span
from ...corpora import labels as kept
from ...corpora import recipes
from ...corpora.manifest import Entry, Manifest, Split
from ...errors import InputError, MissingExtra
from ...face.quality import crop_quality
from ...io.atomic import atomic_path
from ...models.card import Card
from ...speech import quality as speech_quality
from ..protocol.protocols import UNUSABLE
from ..protocol.robustness import Corruption
from .inference import LogitRecogniser, Piece, Predictions, Progress, Tick, predict
from .scenes import Crops, FaceFinder
from .segmentation import Segmentation, Segmenter

Floats = NDArray[np.float32]

MOMENT = Span(0, NS)
"""The span of estimates made of cached predictions; its place does not matter."""

_TRACE = 1e-3
"""Least quality of evidence that is there: worthless is not the same as absent."""

_FACE = Subject(SubjectKind.FACE)
_ABOUT = b"emofuse"
_COLUMNS = ("ids", "speakers", "splits", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class CachedPredictions:
    """Predictions of one recogniser for the samples of one corpus.

    Args:
        corpus: its name.
        modality: of the recogniser.
        model_id: of the recogniser.
        sha256: of its weights, in hex.
        taxonomy: labels of `probabilities`.
        ids: of the samples.
        speakers: "" where the corpus does not name them.
        splits: ``"train"``, ``"validation"`` or ``"test"``.
        labels: the true canonical label; "" where there is none, or several.
        folds: numbers, int64 (n,); -1 where the corpus has none.
        quality: of the evidence, as the pipeline measures it, float32 (n,); 0 where
            no face or voice was found.
        probabilities: calibrated by the model's card, float32 (n, labels); of a clip
            the mean over its windows.
        logits: uncalibrated, likewise.
        embeddings: float32 (n, width), likewise; None if the model gives none.
        condition: how the samples were corrupted, e.g. ``"blur, 2 of 48 px"``; "" if not.
        fingerprint: digest of the manifest's samples and the card's calibration.

    Raises:
        ValueError: if the columns differ in length.
    """

    corpus: str
    modality: Modality
    model_id: str
    sha256: str
    taxonomy: Taxonomy
    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    folds: NDArray[np.int64]
    quality: Floats
    probabilities: Floats
    logits: Floats
    embeddings: Floats | None = None
    condition: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.ids), len(self.taxonomy))
        columns: list[Any] = [self.speakers, self.splits, self.labels, self.folds, self.quality]
        columns += [] if self.embeddings is None else [self.embeddings]
        if self.probabilities.shape != shape or self.logits.shape != shape:
            raise ValueError(f"probabilities and logits must have the shape {shape}")
        if any(len(column) != len(self.ids) for column in columns):
            raise ValueError(f"predictions for {self.corpus!r}: columns differ in length")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> str:
        """Name of its file, without the ending."""
        return file_name(self.corpus, self.model_id, self.condition)

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> CachedPredictions:
        """Return some rows: a mask, bool (n,), or their numbers in any order."""
        rows = np.flatnonzero(keep) if keep.dtype == bool else keep
        texts: dict[str, Any] = {
            name: tuple(getattr(self, name)[i] for i in rows) for name in _COLUMNS
        }
        arrays = ("folds", "quality", "probabilities", "logits")
        return replace(
            self,
            **texts,
            **{name: getattr(self, name)[rows] for name in arrays},
            embeddings=None if self.embeddings is None else self.embeddings[rows],
        )

    def of(self, split: str) -> CachedPredictions:
        """Return the rows of one split."""
        return self.where(np.array([s == split for s in self.splits], bool))

    def labelled(self, manifest: Manifest) -> CachedPredictions:
        """Return the same predictions, with the labels of another labelling of the corpus."""
        truth = dict(zip((e.id for e in manifest), truths(manifest), strict=True))
        return replace(self, labels=tuple(truth.get(i, "") for i in self.ids))

    def over(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities of some canonical labels: (n, len(labels)), rows sum to 1.

        Labels that the model does not know are 0.
        """
        wide = self.probabilities.astype(np.float64) @ kept.canonical_map(self.taxonomy).matrix
        p = wide[:, [CANONICAL.index(label) for label in labels]] + 1e-12
        out: NDArray[np.float64] = p / p.sum(axis=1, keepdims=True)
        return out

    def estimate(self, row: int) -> Estimate | None:
        """Return a row as the pipeline's estimate; None where no face or voice was found."""
        if not self.quality[row] > 0:
            return None
        return Estimate(
            subject=_FACE if self.modality is Modality.FACE else SPEAKER,
            span=MOMENT,
            probabilities=Probabilities(self.taxonomy, self.probabilities[row]),
            modality=self.modality,
            quality=float(self.quality[row]),
            model_id=self.model_id,
            embedding=None if self.embeddings is None else self.embeddings[row],
        )

    def save(self, path: Path) -> None:
        """Write the table; it appears under its name only when it is complete.

        Raises:
            InputError: if it cannot be written.
            MissingExtra: if pyarrow is not installed.
        """
        arrow, parquet = _arrow()
        columns = {name: arrow.array(getattr(self, name)) for name in _COLUMNS}
        columns["folds"] = arrow.array(self.folds)
        columns["quality"] = arrow.array(self.quality)
        for name in ("probabilities", "logits", "embeddings"):
            matrix = getattr(self, name)
            if matrix is not None:
                flat = arrow.array(np.ascontiguousarray(matrix).ravel())
                columns[name] = arrow.FixedSizeListArray.from_arrays(flat, matrix.shape[1])
        about = {name: getattr(self, name) for name in _ABOUT_FIELDS}
        about |= {"modality": self.modality.value, "taxonomy": asdict(self.taxonomy)}
        table = arrow.table(columns).replace_schema_metadata({_ABOUT: json.dumps(about)})
        try:
            with atomic_path(path) as part:
                parquet.write_table(table, part, compression="zstd")
        except OSError as e:
            raise InputError(f"cannot write {path}: {e}; choose another folder") from e


_ABOUT_FIELDS = ("corpus", "model_id", "sha256", "condition", "fingerprint")


def load(path: Path) -> CachedPredictions:
    """Read what `CachedPredictions.save` wrote.

    Raises:
        InputError: if it cannot be read or is no such table.
        MissingExtra: if pyarrow is not installed.
    """
    arrow, parquet = _arrow()
    try:
        table = parquet.read_table(path)
        about = json.loads(table.schema.metadata[_ABOUT])
        labels = about.pop("taxonomy")
        texts: dict[str, Any] = {name: tuple(table[name].to_pylist()) for name in _COLUMNS}
        return CachedPredictions(
            **{name: about[name] for name in _ABOUT_FIELDS},
            modality=Modality(about["modality"]),
            taxonomy=Taxonomy(labels["name"], tuple(labels["labels"]), labels["multi_label"]),
            **texts,
            folds=table["folds"].to_numpy(),
            quality=table["quality"].to_numpy(),
            probabilities=_matrix(table, "probabilities"),
            logits=_matrix(table, "logits"),
            embeddings=_matrix(table, "embeddings") if "embeddings" in table.schema.names else None,
        )
    except (OSError, KeyError, TypeError, ValueError, arrow.ArrowException) as e:
        raise InputError(
            f"{path} holds no cached predictions: {e}; delete it, and it is made again"
        ) from e


def compute(
    manifest: Manifest,
    recogniser: LogitRecogniser,
    *,
    corruption: Corruption | None = None,
    find: FaceFinder | None = None,
    tick: Tick = lambda: None,
) -> CachedPredictions:
    """Run a recogniser on every sample of a manifest.

    As in an analysis, audio is segmented by voice activity and the card's windows, and
    quality is measured; a clip's prediction is the mean over its windows.

    Args:
        manifest: the samples.
        recogniser: the model.
        corruption: applied to each sample first.
        find: finds the faces of photos and films; None: they are crops.
        tick: called after each sample.

    Raises:
        InputError: if there are no samples, a medium cannot be read, or the labels
            cannot be mapped to the canonical ones.
    """
    entries = manifest.entries
    row_of = {entry.id: i for i, entry in enumerate(entries)}
    quality = np.zeros(len(entries), np.float32)
    grade = _grader(recogniser.card) if find is None else _graded

    def view(medium: Any, entry: Entry) -> Sequence[Piece]:
        pieces, quality[row_of[entry.id]] = grade(medium)
        return pieces

    view_used = corruption.view(view) if corruption else view
    found = predict(recogniser, entries, [view_used], tick, find)[0]
    card = recogniser.card
    p = card.calibration.probabilities(found.logits, card.taxonomy.multi_label)
    prior = np.array(card.prior or np.full(len(card.taxonomy), 1 / len(card.taxonomy)))
    return CachedPredictions(
        corpus=manifest.corpus,
        modality=card.modality,
        model_id=card.id,
        sha256=card.files["weights"].sha256,
        taxonomy=card.taxonomy,
        ids=tuple(e.id for e in entries),
        speakers=tuple(e.speaker or "" for e in entries),
        splits=tuple(e.split.value for e in entries),
        labels=truths(manifest),
        folds=np.array([-1 if e.fold is None else e.fold for e in entries], np.int64),
        quality=quality,
        probabilities=_means(found, p, prior),
        logits=_means(found, found.logits, np.log(np.maximum(prior, 1e-9))),
        embeddings=None
        if found.embeddings is None
        else _means(found, found.embeddings, np.zeros(found.embeddings.shape[1])),
        condition=corruption.name if corruption else "",
        fingerprint=fingerprint_of(manifest, recogniser.card),
    )


def load_or_compute(
    manifest: Manifest,
    recogniser: LogitRecogniser,
    folder: Path | None,
    *,
    corruption: Corruption | None = None,
    progress: Progress = lambda name, total: lambda: None,
) -> CachedPredictions:
    """Return predictions from the cache, or compute and cache them.

    Those of other weights, another calibration or another state of the corpus are
    computed again.

    Args:
        manifest: the samples.
        recogniser: the model.
        folder: the cache; None caches nothing.
        corruption: see `compute`.
        progress: starts a progress bar.
    """
    name = file_name(manifest.corpus, recogniser.model_id, corruption.name if corruption else "")
    path = None if folder is None else folder / f"{name}.parquet"
    if path is not None and path.is_file():
        found = load(path)
        if (found.sha256, found.fingerprint) == (
            recogniser.card.files["weights"].sha256,
            fingerprint_of(manifest, recogniser.card),
        ):
            return found
    tick = progress(name, len(manifest))
    made = compute(manifest, recogniser, corruption=corruption, tick=tick)
    if path is not None:
        made.save(path)
    return made


CORPORA = MappingProxyType(
    {"fer2013": "ferplus", "crema-d": "acted", "ravdess": "acted", "goemotions": "ekman"}
)
"""Corpora on which fusion is trained and evaluated, and the labelling that counts."""

HELD_OUT = (Split.VALIDATION, Split.TEST)
"""Splits that are used: a model is too sure of what it was trained on to learn fusion from."""


def held_out(corpus: str, root: Path, labelling: str | None = None) -> Manifest:
    """Return the held-out samples of one of `CORPORA` that have one label.

    Args:
        corpus: its name.
        root: folder that holds it, beside others or alone.
        labelling: instead of the one in `CORPORA`.

    Raises:
        InputError: if the corpus is not there.
    """
    manifest = recipes.recipe(corpus).load(root, labelling or CORPORA[corpus])
    manifest = replace(manifest, corpus=corpus)  # FER+ has the faces of FER2013
    manifest = manifest.without(*UNUSABLE).where(lambda e: e.split in HELD_OUT)
    labelled = {e.id for e, label in zip(manifest, truths(manifest), strict=True) if label}
    return manifest.where(lambda e: e.id in labelled)


def collect(
    root: Path,
    recognisers: Mapping[Modality, LogitRecogniser],
    folder: Path | None,
    progress: Progress = lambda name, total: lambda: None,
) -> tuple[dict[str, CachedPredictions], list[str]]:
    """Predict the held-out samples of all of `CORPORA` that a folder holds.

    Args:
        root: folder of the corpora.
        recognisers: one per modality.
        folder: the cache, see `load_or_compute`.
        progress: starts a progress bar.

    Returns:
        Predictions by corpus, and why the others are missing.
    """
    found, missing = {}, []
    for corpus in CORPORA:
        model = recognisers.get(recipes.recipe(corpus).modalities[0])
        if model is None:
            continue
        try:
            manifest = held_out(corpus, root)
        except InputError as e:
            missing.append(str(e))
            continue
        found[corpus] = load_or_compute(manifest, model, folder, progress=progress)
    return found, missing


def file_name(corpus: str, model_id: str, condition: str = "") -> str:
    """Return the name of a cache file, without its ending."""
    words = "-".join(filter(None, (corpus, model_id, condition)))
    return "".join(c if c.isalnum() or c in "-." else "-" for c in words.lower())


def fingerprint_of(manifest: Manifest, card: Card) -> str:
    """Digest what predictions depend on besides the weights: samples, labels, calibration."""
    digest = hashlib.sha256(repr(card.calibration).encode())
    for e in manifest:
        digest.update(f"{e.id}\t{e.split.value}\t{sorted(e.labels.items())}\n".encode())
    return digest.hexdigest()[:16]


def truths(manifest: Manifest) -> tuple[str, ...]:
    """Return the canonical label of each sample; "" where none or several are the most likely."""
    to = kept.canonical_map(manifest.taxonomy)
    targets = kept.soft_targets(manifest, to)
    return tuple(_winner(row, to.target) for row in targets)


def _winner(target: Floats, taxonomy: Taxonomy) -> str:
    best = np.flatnonzero(target >= target.max() - 1e-6)
    return taxonomy.labels[int(best[0])] if len(best) == 1 and target.max() > 0 else ""


Grader = Callable[[Any], tuple[Sequence[Piece], float]]
"""Segments a medium into pieces and rates its quality as evidence."""


def _grader(card: Card) -> Grader:
    if card.modality is Modality.FACE:
        return lambda face: (((face, 1.0),), max(crop_quality(face), _TRACE))
    if card.modality is Modality.TEXT:
        return lambda text: (((text, 1.0),), 1.0)
    segmenter = Segmenter(Segmentation.VAD, card.window, speech_quality.grade)

    def windows(sound: Floats) -> tuple[Sequence[Piece], float]:
        found = list(segmenter(sound))
        if not found:
            return (), 0.0
        seconds = np.array([s.span.duration for s in found])
        quality = float(seconds @ [s.quality for s in found] / seconds.sum())
        return [(s.data, s.span.duration) for s in found], max(quality, _TRACE)

    return windows


def _graded(faces: Crops) -> tuple[Sequence[Piece], float]:
    """Rate what was found in a scene: the mean quality, 0 where no face was."""
    return faces, float(np.mean([quality for _, quality in faces])) if faces else 0.0


def _means(found: Predictions, rows: NDArray[Any], fallback: NDArray[Any]) -> Floats:
    """Average the rows of each sample's pieces; `fallback` where it has none."""
    out = np.tile(1e-9 * fallback, (found.samples, 1))
    total = np.full(found.samples, 1e-9)
    np.add.at(out, found.sample, rows * found.weight[:, None].astype(np.float64))
    np.add.at(total, found.sample, found.weight)
    return (out / total[:, None]).astype(np.float32)  # type: ignore[no-any-return]


def _matrix(table: Any, name: str) -> Floats:
    column = table[name].combine_chunks()
    flat: Floats = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1).astype(np.float32)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as e:
        raise MissingExtra("parquet", "caching predictions") from e
    return pyarrow, parquet
