"""Native label sets and their maps to the canonical one, kept as TOML files.

A file ``taxonomies/NAME.toml`` holds ``labels`` (in the corpus' own order),
``multi_label`` (default false), a table ``map`` (native label = canonical label,
or a table of weights that sum to 1) and a table ``drop`` (native label =
reason). Every native label stands in exactly one of the two tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.labels import CANONICAL, LabelMap, Taxonomy
from ..errors import InputError
from .manifest import Entry

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - Python 3.10
    import tomli as tomllib

_FOLDER = resources.files(__package__) / "taxonomies"


def names() -> tuple[str, ...]:
    """Return the names of all taxonomies kept here."""
    files = (f.name for f in _FOLDER.iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in files if n.endswith(".toml")))


@cache
def taxonomy(name: str) -> Taxonomy:
    """Return a native taxonomy.

    Raises:
        InputError: if there is none of that name.
    """
    raw = _read(name)
    return Taxonomy(name, tuple(raw["labels"]), raw.get("multi_label", False))


@cache
def load_map(name: str) -> LabelMap:
    """Return the map from taxonomy `name` to the canonical labels.

    Raises:
        InputError: if there is no taxonomy of that name.
        ValueError: if its file does not account for every label exactly once.
    """
    if name == CANONICAL.name:
        return LabelMap.identity(CANONICAL)
    raw = _read(name)
    weights = {
        label: {target: 1.0} if isinstance(target, str) else target
        for label, target in raw.get("map", {}).items()
    }
    return LabelMap(taxonomy(name), CANONICAL, weights, raw.get("drop", {}))


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
        raw: dict[str, Any] = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
        return raw
    except FileNotFoundError:
        raise InputError(f"no taxonomy {name!r}; there are {', '.join(names())}") from None
