"""What the net is taught to answer: labels, votes, a teacher's posteriors, and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ...corpora.manifest import Entry
from ...errors import InputError
from .teacher import Posteriors, softened

Floats = NDArray[np.float32]


class Weighting(str, Enum):
    """How much each label counts in the loss."""

    NONE = "none"
    """All alike."""

    BALANCED = "balanced"
    """By the inverse of its share of the training targets."""

    EFFECTIVE = "effective"
    """By the inverse of its effective number of samples (Cui et al. 2019)."""


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """What the net is taught to answer.

    Args:
        votes: share of the secondary labels (a crowd's votes, say) in the target of a
            corpus that has one; the rest is the label.
        teacher: share of a teacher's posteriors, where there is a teacher that knows
            the sample (distillation, Hinton et al. 2015).
        temperature: the teacher's posteriors are raised to 1 / temperature.
        smoothing: share spread evenly over the labels that the corpus knows.
        weighting: how much each label counts in the loss.
        beta: of the effective number, (1 - betaⁿ) / (1 - beta).

    Raises:
        ValueError: if a share is none.
    """

    votes: float = 0.0
    teacher: float = 0.5
    temperature: float = 1.0
    smoothing: float = 0.0
    weighting: Weighting = Weighting.NONE
    beta: float = 0.999

    def __post_init__(self) -> None:
        object.__setattr__(self, "weighting", Weighting(self.weighting))
        if not all(0 <= s <= 1 for s in (self.votes, self.teacher, self.smoothing)):
            raise ValueError(f"shares must lie in [0, 1], got {self}")
        if not (self.temperature > 0 and 0 <= self.beta < 1):
            raise ValueError(f"need temperature > 0 and beta in [0, 1), got {self}")


def distilled(
    name: str,
    entries: Sequence[Entry],
    target: Floats,
    known: NDArray[np.bool_],
    posteriors: Posteriors,
    config: TargetConfig,
) -> Floats:
    """Mix a teacher's posteriors in, over the labels that the corpus knows."""
    out, met = target.copy(), 0
    for i, entry in enumerate(entries):
        if (answer := posteriors.get(entry.id)) is not None:
            said = softened(np.where(known[i], answer, np.float32(0)), config.temperature)
            if said.any():
                out[i] = (1 - config.teacher) * target[i] + config.teacher * said
                met += 1
    if not met:
        raise InputError(
            f"the teacher of {name!r} knows none of its {len(entries)} training samples: it knows "
            f"{next(iter(posteriors), 'nothing')!r}, asked was {entries[0].id!r}; look at "
            "`id_prefix`"
        )
    return out
