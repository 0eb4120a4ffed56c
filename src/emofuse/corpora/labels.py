"""Native label sets and their maps to the canonical one, kept as TOML files.

A file ``taxonomies/NAME.toml`` holds ``labels`` (in the corpus' own order),
``multi_label`` (default false), a table ``map`` (native label = canonical label,
or a table of weights that sum to 1) and a table ``drop`` (native label =
reason). Every native label stands in exactly one of the two tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.loader import read_toml
from ..core.labels import CANONICAL, LabelMap, Taxonomy
from ..errors import InputError
from .manifest import Entry

_FOLDER = resources.files(__package__) / "taxonomies"
_SYNONYMS = "synonyms.toml"


def names() -> tuple[str, ...]:
    """Return the names of all taxonomies kept here."""
    files = (f.name for f in _FOLDER.iterdir() if f.name != _SYNONYMS)
    return tuple(sorted(n.removesuffix(".toml") for n in files if n.endswith(".toml")))


@cache
def taxonomy(name: str) -> Taxonomy:
    """Return a native taxonomy.

    Raises:
        InputError: if there is none of that name.

    Example:
        >>> taxonomy("ravdess").labels[:2]
        ('neutral', 'calm')
    """
    raw = _read(name)
    return Taxonomy(name, tuple(raw["labels"]), raw.get("multi_label", False))


@cache
def load_map(name: str) -> LabelMap:
    """Return the map from taxonomy `name` to the canonical labels.

    Raises:
        InputError: if there is no taxonomy of that name.
        ValueError: if its file does not account for every label exactly once.

    Example:
        >>> load_map("ravdess").weights["fearful"]
        {'fear': 1.0}
    """
    if name == CANONICAL.name:
        return LabelMap.identity(CANONICAL)
    raw = _read(name)
    return LabelMap.of_names(taxonomy(name), CANONICAL, raw.get("map", {}), raw.get("drop", {}))


def map_of(native: Taxonomy, file: Path | None = None) -> LabelMap:
    """Return the map to the canonical labels of any taxonomy, also of a user's own.

    A taxonomy that is kept here has its map here. Of others, each label must be a
    canonical one or one of its common names (``taxonomies/synonyms.toml``), unless
    `file` says where the labels go.

    Args:
        native: e.g. of a manifest.
        file: TOML with the tables ``map`` and ``drop``, as in ``taxonomies/``; labels
            that it does not name are looked up as without it.

    Raises:
        InputError: if a label has no place, or `file` cannot be used.
    """
    if file is None and native.name in names() and native.labels == taxonomy(native.name).labels:
        return load_map(native.name)
    told = _read_file(file) if file else {}
    targets, drop = dict(told.get("map", {})), dict(told.get("drop", {}))
    common = _synonyms()
    for label in native.labels:
        if label not in targets and label not in drop and label.strip().lower() in common:
            targets[label] = common[label.strip().lower()]
    if lost := [label for label in native.labels if label not in targets and label not in drop]:
        raise InputError(
            f"no place among the canonical labels for {', '.join(map(repr, lost))} of "
            f"{native.name!r}: write a TOML file with a table [map] ({lost[0]!r} = one of "
            f"{', '.join(CANONICAL.labels)}) or [drop] ({lost[0]!r} = the reason), and name it "
            "with --map"
        )
    targets = {label: to for label, to in targets.items() if label in native.labels}
    dropped = {label: reason for label, reason in drop.items() if label in native.labels}
    try:
        return LabelMap.of_names(native, CANONICAL, targets, dropped)
    except (KeyError, ValueError) as e:
        raise InputError(f"the map {file or 'of ' + native.name} cannot be used: {e}") from e


def canonical_map(labels: Taxonomy) -> LabelMap:
    """Return the map of some labels to the canonical ones.

    Labels of a taxonomy that is kept in this module are recognised
    whatever the taxonomy is called; others must be canonical or synonyms.

    Raises:
        InputError: if a label has no place.
    """
    if not set(labels.labels) <= set(CANONICAL.labels):
        for name in names():
            if set(taxonomy(name).labels) == set(labels.labels):
                known = load_map(name)
                return LabelMap(labels, CANONICAL, known.weights, known.dropped)
    return map_of(labels)


def to_valence() -> LabelMap:
    """Return the map of the canonical labels to positive, neutral and negative.

    For corpora that know nothing finer, such as those of groups: what a model says is
    folded, because what they say cannot be unfolded.
    """
    bad = ("sad", "angry", "fear", "disgust", "contempt")
    return LabelMap(
        CANONICAL,
        taxonomy("valence"),
        {"happy": {"positive": 1.0}, "neutral": {"neutral": 1.0}}
        | {label: {"negative": 1.0} for label in bad},
        {"surprise": "it may be pleasant or not"},
    )


def soft_target(labels: Mapping[str, float], to: LabelMap) -> NDArray[np.float32]:
    """Turn native labels or votes into a distribution over the map's target.

    Votes for dropped labels do not count; the others are shared out and sum to 1.

    Returns:
        float32, shape (len(to.target),); all 0 if no vote is left.
    """
    out = np.zeros(len(to.target))
    for label, weight in labels.items():
        for target, share in to.weights.get(label, {}).items():
            out[to.target.index(target)] += weight * share
    shares: NDArray[np.float32] = (out / max(out.sum(), 1e-12)).astype(np.float32)
    return shares


def soft_targets(entries: Iterable[Entry], to: LabelMap) -> NDArray[np.float32]:
    """Stack `soft_target` of each entry's labels: float32, shape (entries, targets)."""
    rows = [soft_target(entry.labels, to) for entry in entries]
    return np.stack(rows) if rows else np.zeros((0, len(to.target)), np.float32)


def _read(name: str) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = read_toml((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
        return raw
    except FileNotFoundError:
        raise InputError(f"no taxonomy {name!r}; there are {', '.join(names())}") from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = read_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"cannot read the label map {path}: {e}") from e
    if not isinstance(raw.get("map", {}), dict) or not isinstance(raw.get("drop", {}), dict):
        raise InputError(f'{path}: map and drop are tables, as in [map] sadness = "sad"')
    return raw


@cache
def _synonyms() -> dict[str, str]:
    """Common names of the canonical labels, in lower case, and these themselves."""
    raw = read_toml((_FOLDER / _SYNONYMS).read_text(encoding="utf-8"))
    named = {name: label for label, names_ in raw["synonyms"].items() for name in names_}
    return {label: label for label in CANONICAL.labels} | named
