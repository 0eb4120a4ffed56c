"""Smoothing of fused estimates along time. Causal: no latency is added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, Modality, Scores, Subject
from ..core.media import Progress
from ..core.time import NS


class ExponentialSmoother:
    """Lets each fused estimate remember its subject's earlier ones.

    The weight of the past halves every `half_life_ns`, whatever the slots'
    length. After a gap of more than `reset_ns` without evidence the past is
    forgotten. Estimates of single modalities pass unchanged.

    Args:
        half_life_ns: time after which the past weighs half; 0 switches smoothing off.
        reset_ns: longest gap that is bridged.
    """

    def __init__(self, half_life_ns: int, reset_ns: int = NS) -> None:
        if half_life_ns < 0 or reset_ns < 0:
            raise ValueError("half life and reset must be >= 0")
        self._half_life_ns = half_life_ns
        self._reset_ns = reset_ns
        self.reset()

    def reset(self) -> None:
        """Forget every subject."""
        self._past: dict[Subject, tuple[int, NDArray[np.float64]]] = {}

    def feed(self, item: Estimate | Progress) -> Iterator[Estimate | Progress]:
        """Take an estimate; yield it, smoothed if it is a fused one."""
        smooth = isinstance(item, Estimate) and item.modality is Modality.FUSED
        yield self._smoothed(item) if smooth and self._half_life_ns else item  # type: ignore[arg-type]

    def flush(self) -> Iterator[Estimate | Progress]:
        """Nothing is ever held."""
        return iter(())

    def _smoothed(self, e: Estimate) -> Estimate:
        p = e.scores.probabilities.astype(np.float64)
        end_ns, past = self._past.get(e.subject, (-self._reset_ns - 1, p))
        if e.span.start_ns - end_ns <= self._reset_ns:
            memory = 0.5 ** ((e.span.end_ns - end_ns) / self._half_life_ns)
            p = memory * past + (1 - memory) * p
        self._past[e.subject] = (e.span.end_ns, p)
        return replace(e, scores=Scores(e.scores.taxonomy, p))
