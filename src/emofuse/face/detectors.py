"""The face detectors by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..core.registry import Registry

if TYPE_CHECKING:
    from ..models.store import Store
    from .detect import Detector

DETECTORS: Registry[Callable[[Store], Detector]] = Registry("emofuse.detectors", "face detector")
"""Makers of detectors: each takes the store, which has the weights of those that need any."""


def make_detector(name: str, store: Store) -> Detector:
    """Make a detector by name.

    Raises:
        InputError: if none of that name is registered.
        ModelError: if it cannot be imported, or its weights are missing or damaged.
    """
    return DETECTORS.load(name)(store)


_MODELS = {"yunet": "yunet-2023mar"}
_PACKAGES = {"mtcnn": "mtcnn"}
"""What our own detectors need beside what is always here."""


def usable_detectors(store: Store) -> Iterator[str]:
    """Yield the names of the detectors that work without a download; none is loaded."""
    for name in DETECTORS:
        model, package = _MODELS.get(name), _PACKAGES.get(name)
        if model is not None and not store.is_ready(store.card(model)):
            continue
        if package is None or find_spec(package) is not None:
            yield name
