"""The face detectors by name."""

from __future__ import annotations

from collections.abc import Callable
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
