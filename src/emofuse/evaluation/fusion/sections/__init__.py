"""The sections of the fusion report, in order: each reads one `Study` and returns a `Finding`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..study import Study
from . import calibration, corruption, pairs, posteriors, rejection, speed, subsets
from .finding import Finding

__all__ = ["SECTIONS", "Finding"]

SECTIONS: Mapping[str, Callable[[Study], Finding]] = MappingProxyType(
    {
        "RAVDESS posteriors": posteriors.section,
        "pairs of face and voice": pairs.section,
        "all subsets of face, voice and text": subsets.section,
        "one modality corrupted": corruption.section,
        "calibration": calibration.section,
        "rejection": rejection.section,
        "speed": speed.section,
    }
)
"""The sections by what they evaluate."""
