"""What a recogniser said of a corpus, kept: the raw material of fusion.

Fusers are trained, calibrated and measured on the answers of the very recognisers
that analyses use. Asking these takes minutes, so what they said is kept as one
Parquet table a corpus and model, which names the model's weights by their digest
and the calibration that its card had: a table of another model, or of another state
of the corpus, is made again.
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
from ...models.recogniser import OnnxRecogniser
from ...speech import quality as voice
from ..evaluate import UNUSABLE, Bars
from ..protocol.label_alignment import canonical_map
from ..protocol.robustness import Corruption
from .predict import Piece, Predictions, Tick, ask
from .segmentation import Cutter, Segmentation

Floats = NDArray[np.float32]

MOMENT = Span(0, NS)
"""The span of estimates that are made of readings: when it was is of no matter."""

_TRACE = 1e-3
"""Least quality of what was heard or seen: worthless is not the same as absent."""

_FACE = Subject(SubjectKind.FACE)
_ABOUT = b"emofuse"
_COLUMNS = ("ids", "speakers", "splits", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class CachedPredictions:
    """What one recogniser said of the samples of one corpus.

    Args:
        corpus: its name.
        modality: of the recogniser.
        model_id: of the recogniser.
        sha256: of its weights, in hex.
        taxonomy: labels of `probabilities`.
        ids: of the samples.
        speakers: who speaks or is seen; "" where the corpus does not say.
        splits: ``"train"``, ``"validation"`` or ``"test"``.
        labels: the canonical label that is right; "" where there is none, or several.
        folds: numbers, int64 (n,); -1 where the corpus has none.
        quality: of the evidence, as the pipeline measures it, float32 (n,); 0 where
            nothing was heard or seen: there is no reading then.
        probabilities: calibrated by the model's card, float32 (n, labels); of a clip
            the mean over its windows.
        logits: uncalibrated, likewise.
        embeddings: float32 (n, width), likewise; None if the model gives none.
        condition: how the samples were corrupted, e.g. ``"blur, 2 of 48 px"``; "" if not.
        state: digest of the manifest's samples and the card's calibration.

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
    state: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.ids), len(self.taxonomy))
        columns: list[Any] = [self.speakers, self.splits, self.labels, self.folds, self.quality]
        columns += [] if self.embeddings is None else [self.embeddings]
        if self.probabilities.shape != shape or self.logits.shape != shape:
            raise ValueError(f"probabilities and logits must have the shape {shape}")
        if any(len(column) != len(self.ids) for column in columns):
            raise ValueError(f"readings of {self.corpus!r}: columns differ in length")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> str:
        """Name of its file, without the ending."""
        return file_name(self.corpus, self.model_id, self.condition)

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> CachedPredictions:
        """Return some rows: a mask, bool (n,), or their numbers in any order."""
        rows = np.flatnonzero(keep) if keep.dtype == bool else keep
        texts = {name: tuple(getattr(self, name)[i] for i in rows) for name in _COLUMNS}
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
        """Return the same answers, with the labels of another labelling of the corpus."""
        truth = dict(zip((e.id for e in manifest), truths(manifest), strict=True))
        return replace(self, labels=tuple(truth.get(i, "") for i in self.ids))

    def over(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities of some canonical labels: (n, len(labels)), rows sum to 1.

        What the model does not know is 0; what is not asked for is left out.
        """
        wide = self.probabilities.astype(np.float64) @ canonical_map(self.taxonomy).matrix
        p = wide[:, [CANONICAL.index(label) for label in labels]] + 1e-12
        out: NDArray[np.float64] = p / p.sum(axis=1, keepdims=True)
        return out

    def estimate(self, row: int) -> Estimate | None:
        """Return a row as the pipeline's estimate; None where nothing was heard or seen."""
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


_ABOUT_FIELDS = ("corpus", "model_id", "sha256", "condition", "state")


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
        return CachedPredictions(
            **{name: about[name] for name in _ABOUT_FIELDS},
            modality=Modality(about["modality"]),
            taxonomy=Taxonomy(labels["name"], tuple(labels["labels"]), labels["multi_label"]),
            **{name: tuple(table[name].to_pylist()) for name in _COLUMNS},
            folds=table["folds"].to_numpy(),
            quality=table["quality"].to_numpy(),
            probabilities=_matrix(table, "probabilities"),
            logits=_matrix(table, "logits"),
            embeddings=_matrix(table, "embeddings") if "embeddings" in table.schema.names else None,
        )
    except (OSError, KeyError, TypeError, ValueError, arrow.ArrowException) as e:
        raise InputError(f"{path} holds no readings: {e}; delete it, and it is made again") from e


def read(
    manifest: Manifest,
    recogniser: OnnxRecogniser,
    *,
    cut: Segmentation = Segmentation.USE,
    spoiling: Corruption | None = None,
    tick: Tick = lambda: None,
) -> CachedPredictions:
    """Let a recogniser answer every sample of a manifest.

    Sound is cut by voice activity and the card's windows as in use, and a clip's
    answer is the mean over its windows. Quality is measured as in use, too.

    Args:
        manifest: the samples.
        recogniser: the model.
        cut: what of a clip is heard.
        spoiling: what is done to each sample first.
        tick: called after each sample.

    Raises:
        InputError: if there are no samples, a medium cannot be read, or the labels
            have no place among the canonical ones.
    """
    entries = manifest.entries
    seen = {entry.id: i for i, entry in enumerate(entries)}
    quality = np.zeros(len(entries), np.float32)
    grade = _grader(recogniser, cut)

    def view(medium: Any, entry: Entry) -> Sequence[Piece]:
        pieces, quality[seen[entry.id]] = grade(medium)
        return pieces

    answers = ask(recogniser, entries, [spoiling.view(view) if spoiling else view], tick)[0]
    card = recogniser.card
    p = card.calibration.probabilities(answers.logits, card.taxonomy.multi_label)
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
        probabilities=_means(answers, p, prior),
        logits=_means(answers, answers.logits, np.log(np.maximum(prior, 1e-9))),
        embeddings=None
        if answers.embeddings is None
        else _means(answers, answers.embeddings, np.zeros(answers.embeddings.shape[1])),
        condition=spoiling.name if spoiling else "",
        state=state_of(manifest, recogniser, cut),
    )


def cached(
    manifest: Manifest,
    recogniser: OnnxRecogniser,
    folder: Path | None,
    *,
    spoiling: Corruption | None = None,
    bars: Bars = lambda name, total: lambda: None,
) -> CachedPredictions:
    """Return the readings that a folder keeps, or make and keep them.

    Those of other weights, another calibration or another state of the corpus are
    made again.

    Args:
        manifest: the samples.
        recogniser: the model.
        folder: where readings are kept; None keeps none.
        spoiling: see `read`.
        bars: starts a progress bar, see `evaluate.Bars`.
    """
    name = file_name(manifest.corpus, recogniser.model_id, spoiling.name if spoiling else "")
    path = None if folder is None else folder / f"{name}.parquet"
    if path is not None and path.is_file():
        found = load(path)
        if (found.sha256, found.state) == (
            recogniser.card.files["weights"].sha256,
            state_of(manifest, recogniser),
        ):
            return found
    tick = bars(name, len(manifest))
    made = read(manifest, recogniser, spoiling=spoiling, tick=tick)
    if path is not None:
        made.save(path)
    return made


CORPORA = MappingProxyType(
    {"fer2013": "ferplus", "crema-d": "acted", "ravdess": "acted", "goemotions": "ekman"}
)
"""Corpora of which fusion is made and measured, and the labelling that counts."""

HELD_OUT = (Split.VALIDATION, Split.TEST)
"""Splits that are read: of what a model has learnt it is too sure to learn fusing from."""


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
    recognisers: Mapping[Modality, OnnxRecogniser],
    folder: Path | None,
    bars: Bars = lambda name, total: lambda: None,
) -> tuple[dict[str, CachedPredictions], list[str]]:
    """Read the held-out samples of all of `CORPORA` that a folder holds.

    Args:
        root: folder of the corpora.
        recognisers: one a modality.
        folder: where readings are kept, see `cached`.
        bars: starts a progress bar.

    Returns:
        CachedPredictions by corpus, and why the others are missing.
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
        found[corpus] = cached(manifest, model, folder, bars=bars)
    return found, missing


def file_name(corpus: str, model_id: str, condition: str = "") -> str:
    """Return the name, without ending, of the file of readings."""
    words = "-".join(filter(None, (corpus, model_id, condition)))
    return "".join(c if c.isalnum() or c in "-." else "-" for c in words.lower())


def state_of(
    manifest: Manifest, recogniser: OnnxRecogniser, cut: Segmentation = Segmentation.USE
) -> str:
    """Digest what readings depend on besides the weights: samples, labels, calibration, cut."""
    told = json.dumps(recogniser.card.calibration.to_mapping(), sort_keys=True)
    digest = hashlib.sha256(f"{told} {cut.value}".encode())
    for e in manifest:
        digest.update(f"{e.id}\t{e.split.value}\t{sorted(e.labels.items())}\n".encode())
    return digest.hexdigest()[:16]


def truths(manifest: Manifest) -> tuple[str, ...]:
    """Return the canonical label of each sample; "" where none or several are the most likely."""
    to = canonical_map(manifest.taxonomy)
    targets = kept.soft_targets(manifest, to)
    return tuple(_winner(row, to.target) for row in targets)


def _winner(target: Floats, taxonomy: Taxonomy) -> str:
    best = np.flatnonzero(target >= target.max() - 1e-6)
    return taxonomy.labels[int(best[0])] if len(best) == 1 and target.max() > 0 else ""


Grader = Callable[[Any], tuple[Sequence[Piece], float]]
"""Cuts a medium into pieces and says how good it is as evidence."""


def _grader(recogniser: OnnxRecogniser, cut: Segmentation) -> Grader:
    if recogniser.card.modality is Modality.FACE:
        return lambda face: (((face, 1.0),), max(crop_quality(face), _TRACE))
    if recogniser.card.modality is Modality.TEXT:
        return lambda text: (((text, 1.0),), 1.0)
    cutter = Cutter(cut, recogniser.card.window, voice.grade)

    def windows(sound: Floats) -> tuple[Sequence[Piece], float]:
        found = list(cutter(sound))
        if not found:
            return (), 0.0
        seconds = np.array([s.span.duration for s in found])
        quality = float(seconds @ [s.quality for s in found] / seconds.sum())
        return [(s.data, s.span.duration) for s in found], max(quality, _TRACE)

    return windows


def _means(answers: Predictions, rows: NDArray[Any], fallback: NDArray[Any]) -> Floats:
    """Average the rows of each sample's pieces; `fallback` where it has none."""
    out = np.tile(1e-9 * fallback, (answers.samples, 1))
    total = np.full(answers.samples, 1e-9)
    np.add.at(out, answers.sample, rows * answers.weight[:, None].astype(np.float64))
    np.add.at(total, answers.sample, answers.weight)
    return (out / total[:, None]).astype(np.float32)


def _matrix(table: Any, name: str) -> Floats:
    column = table[name].combine_chunks()
    flat: Floats = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1).astype(np.float32)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as e:
        raise MissingExtra("parquet", "keeping readings") from e
    return pyarrow, parquet
