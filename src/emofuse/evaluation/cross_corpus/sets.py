"""The paired sets: RAVDESS with others' faces and voices, or with ours, and CREMA-D's crowd.

No set was used to train the model whose answers it holds: published posteriors are out of
fold, our voice model is asked of actors whom it did not learn from, and what a vote says
of the acted label is learned on other actors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...core.labels import CANONICAL
from ...corpora import tree
from ...corpora.labels import canonical_map
from ...corpora.recipes import crema_d, ravdess
from ...errors import InputError
from ...models.calibrate import fit_temperature
from ...models.card import Card
from ..fusion import posteriors
from ..predict.cached import CachedPredictions
from ..predict.inference import LogitRecogniser
from .paired import Array, PairedSet, Part

SEVEN, SIX = CANONICAL.labels[:7], CANONICAL.labels[:6]
FOLDS = 5
"""Groups of CREMA-D's actors: what a vote says is learned on four, used on the fifth."""

_VOTES = "NHSAFD"  # the order of `SIX`
_ACTED = ("NEU", "HAP", "SAD", "ANG", "FEA", "DIS")


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """RAVDESS' published posteriors, calm counted as neutral, tempered on other folds.

    Args:
        clips: their names, without the number of the medium: ``01-01-…``.
        parts: MLP, LSTM and mean of both (faces), and voice: (n, labels) by name.
        actual: index into `SEVEN`, (n,).
        fold: (n,).
        actors: (n,).
    """

    clips: tuple[str, ...]
    parts: Mapping[str, Array]
    actual: NDArray[np.int64]
    fold: NDArray[np.int64]
    actors: tuple[str, ...]

    @property
    def prior(self) -> Array:
        """How often each label occurs, (labels,)."""
        out: Array = np.bincount(self.actual, minlength=len(SEVEN)) / len(self.actual)
        return out


FACES = ("MLP", "LSTM", "mean of both")
"""The published face models."""


def published(root: Path) -> Published:
    """Read the published posteriors below a folder.

    Raises:
        InputError: if they are not there.
    """
    data = posteriors.load(root)
    table = tree.find(root, posteriors.TABLE)
    assert table is not None
    names = [row["clip"].partition("-")[2] for row in tree.read_table(table, "clip")]
    actual = np.maximum(data.actual - 1, 0)
    p = np.concatenate([data.p[..., :2].sum(axis=-1, keepdims=True), data.p[..., 2:]], axis=-1)
    raw = {"MLP": p[:, 0], "LSTM": p[:, 1], "mean of both": p[:, :2].mean(axis=1), "voice": p[:, 2]}
    parts = {name: _tempered(part, actual, data.fold) for name, part in raw.items()}
    return Published(tuple(names), parts, actual, data.fold, data.actors)


def ravdess_published(data: Published, text: LogitRecogniser, face: str) -> PairedSet:
    """Return all clips: a published face, the published voice, our words."""
    spoken = _spoken(text, ravdess.SENTENCES, SEVEN)
    parts = {
        Modality.FACE: Part(data.parts[face], data.prior),
        Modality.SPEECH: Part(data.parts["voice"], data.prior),
        Modality.TEXT: Part(
            np.stack([spoken[clip.split("-")[3]] for clip in data.clips]), _prior(text.card, SEVEN)
        ),
    }
    return PairedSet(
        f"ravdess, published face ({face}) and voice",
        f"RAVDESS, published face ({face}) and voice",
        f"{len(data.clips)} clips; posteriors of others' models that had not seen the actor "
        "(Luna-Jiménez et al. 2021), each tempered on the other four folds of actors, and what "
        "our text model says of the spoken sentence, which is always neutral. Calm counts as "
        "neutral.",
        SEVEN,
        parts,
        data.actual,
        data.actors,
    )


def ravdess_own_voice(
    data: Published, voice: CachedPredictions, card: Card, text: LogitRecogniser
) -> PairedSet:
    """Return the clips that our voice model did not learn from, with the published faces.

    Raises:
        InputError: if none of the clips is among the predictions.
    """
    row_of = {name.partition("-")[2]: i for i, name in enumerate(voice.ids)}
    chosen = [i for i, clip in enumerate(data.clips) if clip in row_of]
    if not chosen:
        raise InputError(f"none of the clips of {posteriors.TABLE} is in {voice.corpus}")
    whole = ravdess_published(data, text, FACES[-1])
    face, words = whole.parts[Modality.FACE], whole.parts[Modality.TEXT]
    heard = voice.where(np.array([row_of[data.clips[i]] for i in chosen]))
    parts = {
        Modality.FACE: Part(face.p[chosen], face.prior),
        Modality.SPEECH: _own(heard, card, SEVEN),
        Modality.TEXT: Part(words.p[chosen], words.prior),
    }
    actors = tuple(data.actors[i] for i in chosen)
    return PairedSet(
        "ravdess fold 3, published face and our voice",
        "RAVDESS fold 3, published face, our voice",
        f"{len(chosen)} clips of {len(set(actors))} actors whom {voice.model_id} did not learn "
        "from (the teacher of its soft labels had heard them), cut as in an analysis. So few "
        "clips make wide intervals and a calibration error that is too high.",
        SEVEN,
        parts,
        data.actual[chosen],
        actors,
    )


def crema_d_crowd(root: Path, text: LogitRecogniser) -> PairedSet:
    """Return CREMA-D as the crowd saw it without sound and heard it without picture.

    Raises:
        InputError: if the table of votes is not there.
    """
    rows = _crema_rows(root)
    actual = np.array([_ACTED.index(row["emotion"]) for row in rows])
    people = tuple(row["speaker"] for row in rows)
    prior = np.bincount(actual, minlength=len(SIX)) / len(actual)
    spoken = _spoken(text, crema_d.SENTENCES, SIX)
    fold = _folds(people)
    parts = {
        Modality.FACE: Part(_of_votes(rows, "face", actual, fold), prior),
        Modality.SPEECH: Part(_of_votes(rows, "voice", actual, fold), prior),
        Modality.TEXT: Part(
            np.stack([spoken[row["sentence"]] for row in rows]), _prior(text.card, SIX)
        ),
    }
    return PairedSet(
        "crema-d, crowd",
        "CREMA-D, the crowd by face and by voice",
        f"{len(rows)} clips of {len(set(people))} actors. What the vote on the silent film, and "
        "that on the sound alone, with its level, says of the acted emotion, learned on other "
        "actors; and our text model on the spoken sentence.",
        SIX,
        parts,
        actual,
        people,
    )


def crema_d_own_voice(
    crowd: PairedSet, ids: tuple[str, ...], voice: CachedPredictions, card: Card
) -> PairedSet:
    """Return the test speakers, our voice model for the crowd's ears.

    Args:
        crowd: all clips, see `crema_d_crowd`.
        ids: names of its clips.
        voice: predictions for speakers that the model did not learn from.
        card: of the voice model.

    Raises:
        InputError: if none of the clips is among the predictions.
    """
    row_of = {name: i for i, name in enumerate(voice.ids)}
    chosen = [i for i, clip in enumerate(ids) if clip in row_of]
    if not chosen:
        raise InputError("none of CREMA-D's clips with votes is among the voice model's")
    heard = voice.where(np.array([row_of[ids[i]] for i in chosen]))
    parts = {m: Part(part.p[chosen], part.prior) for m, part in crowd.parts.items()}
    parts[Modality.SPEECH] = _own(heard, card, SIX)
    people = tuple(crowd.people[i] for i in chosen)
    return PairedSet(
        "crema-d test, crowd's face and our voice",
        "CREMA-D test speakers, the crowd by face, our voice",
        f"{len(chosen)} clips of {len(set(people))} actors whom {voice.model_id} did not learn "
        "from, cut as in an analysis; the face as in the set above.",
        SIX,
        parts,
        crowd.actual[chosen],
        people,
    )


def crema_d_clips(root: Path) -> tuple[str, ...]:
    """Return the names of the clips of `crema_d_crowd`, in its order."""
    return tuple(row["clip"] for row in _crema_rows(root))


def people_combine(root: Path) -> dict[str, float]:
    """Measure how people who see and hear combine, on clips with one winner a vote.

    Returns:
        Shares in [0, 1]: how often the vote on the face, the voice and both is right; how
        often face and voice differ, whom those who see and hear follow then, and how often
        they are right where exactly one of the two is.
    """
    rows = [
        row
        for row in _crema_rows(root)
        if all(len(row[f"{c}_vote"]) == 1 for c in ("face", "voice", "multimodal"))
    ]
    face, voice, both = (
        np.array([_VOTES.index(row[f"{c}_vote"]) for row in rows])
        for c in ("face", "voice", "multimodal")
    )
    actual = np.array([_ACTED.index(row["emotion"]) for row in rows])
    differ, one = face != voice, (face == actual) ^ (voice == actual)
    return {
        "clips": float(len(rows)),
        "face right": float((face == actual).mean()),
        "voice right": float((voice == actual).mean()),
        "both right": float((both == actual).mean()),
        "differ": float(differ.mean()),
        "follow the face": float((both == face)[differ].mean()),
        "follow the voice": float((both == voice)[differ].mean()),
        "right where one is": float((both == actual)[one].mean()),
    }


def _crema_rows(root: Path) -> list[dict[str, str]]:
    table = tree.find(root, "crema-d.csv")
    if table is None:
        raise InputError("no crema-d.csv, which holds the crowd's votes on face, voice and both")
    columns = [f"{c}_{what}" for c in ("face", "voice", "multimodal") for what in ("vote", "level")]
    rows = tree.read_table(table, "clip", "speaker", "sentence", "emotion", "split", *columns)
    return [row for row in rows if row.get("conflicting_duplicate") != "1"]


def _folds(people: tuple[str, ...]) -> NDArray[np.int64]:
    names = sorted(set(people))
    number = dict(zip(names, np.random.default_rng(3).permutation(len(names)) % FOLDS, strict=True))
    return np.array([number[name] for name in people])


def _of_votes(
    rows: list[dict[str, str]], channel: str, actual: NDArray[np.int64], fold: NDArray[np.int64]
) -> Array:
    """Learn on other actors what a vote says of the acted label: (n, labels)."""
    x = np.zeros((len(rows), 2 * len(SIX) + 1))
    x[:, -1] = 1
    for i, row in enumerate(rows):
        votes = row[f"{channel}_vote"].split(":")
        levels = [float(level or 50) for level in row[f"{channel}_level"].split(":")]
        if len(levels) != len(votes):
            levels = [float(np.mean(levels))] * len(votes)
        for vote, level in zip(votes, levels, strict=True):
            column = _VOTES.index(vote)
            x[i, column] += 1 / len(votes)
            x[i, len(SIX) + column] += (level - 50) / 25 / len(votes)
    out = np.zeros((len(rows), len(SIX)))
    for held in np.unique(fold):
        test = fold == held
        weights = _softmax_regression(x[~test], actual[~test])
        out[test] = _softmax(x[test] @ weights)
    return out


def _softmax_regression(x: Array, actual: NDArray[np.int64], l2: float = 1e-3) -> Array:
    """Fit a multinomial logistic regression, (features, labels), of which the last is constant."""
    targets = np.eye(len(SIX))[actual]
    decay = np.full((x.shape[1], 1), l2)
    decay[-1] = 0

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(x.shape[1], len(SIX))
        p = _softmax(x @ weights)
        value = -(targets * np.log(p + 1e-300)).sum() / len(x) + (decay * weights**2).sum()
        return float(value), (x.T @ (p - targets) / len(x) + 2 * decay * weights).ravel()

    start = np.zeros(x.shape[1] * len(SIX))
    from scipy.optimize import minimize

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights: Array = found.x.reshape(x.shape[1], len(SIX))
    return weights


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    out: Array = e / e.sum(axis=1, keepdims=True)
    return out


def _tempered(p: Array, actual: NDArray[np.int64], fold: NDArray[np.int64]) -> Array:
    """Calibrate each fold by a temperature found on the others: (n, labels)."""
    out, logits, targets = np.zeros_like(p), np.log(np.maximum(p, 1e-4)), np.eye(p.shape[1])[actual]
    for held in np.unique(fold):
        test = fold == held
        out[test] = fit_temperature(targets[~test], logits[~test]).probabilities(logits[test])
    return out


def _own(voice: CachedPredictions, card: Card, labels: tuple[str, ...]) -> Part:
    return Part(voice.over(labels), _prior(card, labels), voice.quality.astype(np.float64))


def _spoken(
    text: LogitRecogniser, sentences: Mapping[str, str], labels: tuple[str, ...]
) -> dict[str, Array]:
    """Ask the text model about each sentence: (labels,) by its code."""
    said = text.infer([text.prepare(sentence) for sentence in sentences.values()])
    to = canonical_map(text.taxonomy).matrix[:, [CANONICAL.index(label) for label in labels]]
    wide = [prediction.probabilities.values.astype(np.float64) @ to for prediction in said]
    return {code: p / p.sum() for code, p in zip(sentences, wide, strict=True)}


def _prior(card: Card, labels: tuple[str, ...]) -> Array:
    """Return a model's mean answer over some canonical labels."""
    own = np.array(card.prior or np.full(len(card.taxonomy), 1 / len(card.taxonomy)))
    wide = own @ canonical_map(card.taxonomy).matrix
    known: Array = wide[[CANONICAL.index(label) for label in labels]] + 1e-9
    known /= known.sum()
    return known
