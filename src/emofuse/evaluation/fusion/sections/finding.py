"""What a section found, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...metrics.bootstrap import spread
from ...report.document import Section
from ..paired import Fused, Subset
from ..study import FACE, SPEECH, TEXT

_NAMES = {FACE: "face", SPEECH: "voice", TEXT: "text"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a section found.

    Args:
        section: for the report.
        metrics: for JSON, by name.
        headline: tiles at the top of the report: name, value, remark.
        summary: criterion → strategy → value, for the table that compares the strategies.
    """

    section: Section
    metrics: Mapping[str, Any] = field(default_factory=dict)
    headline: tuple[tuple[str, str, str], ...] = ()
    summary: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def named(subset: Subset) -> str:
    """Return the name of a subset of modalities: ``face + voice``."""
    return " + ".join(_NAMES[m] for m in subset)


def percent(value: float, unit: str = " %") -> str:
    """Format a share: ``86.7 %``."""
    return f"{100 * value:.1f}{unit}"


def points(value: float) -> str:
    """Format a difference of shares in percentage points, with its sign: ``+1.2``."""
    return f"{100 * value:+.1f}"


def mean_and_deviation(values: Sequence[float]) -> str:
    """Format shares as their mean and standard deviation: ``86.7 ± 0.4 %``."""
    mean, deviation = spread(values)
    return f"{100 * mean:.1f} ± {100 * deviation:.1f} %"


def mean_accuracy(runs: Iterable[Fused]) -> float:
    """Return the mean accuracy of several runs."""
    return float(np.mean([run.accuracy for run in runs]))
