"""Fusing parts that belong together: face, voice and words of one clip.

The default fuser and the default rejection fuse what models (or people) said of the
parts of each clip; every subset of the parts is measured beside its best part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import SPEAKER, Estimate, Modality, Probabilities
from ...core.labels import CANONICAL, Taxonomy
from ...core.protocols import Fuser, Slot
from ...fusion.config import FusionConfig
from ...fusion.factory import make_fuser
from ...fusion.rejection import RejectionConfig, rejection_reason
from ..metrics import bootstrap
from ..predict.cached import MOMENT
from .measures import Measured, measure

Array = NDArray[np.float64]
Subset = tuple[Modality, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one modality says of every clip.

    Args:
        p: probabilities of the set's labels, (n, labels), rows sum to 1.
        prior: its mean answer, (labels,), sums to 1.
        quality: of the evidence, (n,); 0 where there is none. None: 1 everywhere.
    """

    p: Array
    prior: Array
    quality: Array | None = None

    @property
    def there(self) -> NDArray[np.bool_]:
        """Whether there is evidence, (n,)."""
        if self.quality is None:
            return np.ones(len(self.p), bool)
        found: NDArray[np.bool_] = self.quality > 0
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PairedSet:
    """Clips with two or more parts each.

    Args:
        key: short name, for JSON.
        title: for people.
        text: where the parts are from.
        labels: canonical labels that occur.
        parts: by modality.
        actual: index into `labels`, (n,).
        people: whose clip it is, (n,); intervals resample them.
    """

    key: str
    title: str
    text: str
    labels: tuple[str, ...]
    parts: Mapping[Modality, Part]
    actual: NDArray[np.int64]
    people: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.actual)

    @property
    def subsets(self) -> tuple[Subset, ...]:
        """All subsets of the parts, small ones first."""
        return tuple(s for n in range(1, len(self.parts) + 1) for s in combinations(self.parts, n))


@dataclass(frozen=True, slots=True)
class FusedRow:
    """What fusion makes of a subset of the parts. Shares are in [0, 1], None if undefined.

    Args:
        subset: the parts that are present.
        measured: of the fused answers.
        gain: accuracy less that of the best part, with its 95 % interval.
        one_right: of clips of which exactly one part is right, how many the fused answer gets.
        one_right_of: how many such clips there are.
        wrong_marked: of wrong fused answers beside a right part, how many are marked uncertain.
        wrong_marked_of: how many such answers there are.
        right_marked: of right fused answers, how many are marked uncertain.
        marked: share of all answers that are marked.
        unmarked_accuracy: accuracy of the others.
    """

    subset: Subset
    measured: Measured
    gain: tuple[float, float, float] | None = None
    one_right: float | None = None
    one_right_of: int = 0
    wrong_marked: float | None = None
    wrong_marked_of: int = 0
    right_marked: float | None = None
    marked: float | None = None
    unmarked_accuracy: float | None = None

    @property
    def name(self) -> str:
        """Parts as people read them: ``face + voice``."""
        return " + ".join(m.spec.name for m in self.subset)

    def to_mapping(self) -> dict[str, Any]:
        """Return plain types for JSON."""
        mapping = self.measured.to_mapping()
        if len(self.subset) < 2:
            return mapping
        gain = self.gain or (float("nan"),) * 3
        return {
            **mapping,
            "gain": {"value": round(gain[0], 4), "interval": [round(g, 4) for g in gain[1:]]},
            "right_where_one_part_is": _rounded(self.one_right),
            "clips_of_which_one_part_is_right": self.one_right_of,
            "wrong_with_a_right_part_marked": _rounded(self.wrong_marked),
            "wrong_with_a_right_part": self.wrong_marked_of,
            "right_marked": _rounded(self.right_marked),
            "marked": _rounded(self.marked),
            "accuracy_of_unmarked": _rounded(self.unmarked_accuracy),
        }


def measure_all(
    clips: PairedSet,
    n_resamples: int,
    tick: Any = lambda: None,
    rejection: RejectionConfig | None = None,
) -> tuple[FusedRow, ...]:
    """Measure every subset of the parts; `tick` is called after each."""
    rows = []
    for subset in clips.subsets:
        rows.append(measure_subset(clips, subset, n_resamples, rejection))
        tick()
    return tuple(rows)


def measure_subset(
    clips: PairedSet,
    subset: Subset,
    n_resamples: int,
    rejection: RejectionConfig | None = None,
) -> FusedRow:
    """Fuse and measure a subset of the parts."""
    p, marked = fuse(clips, subset, rejection or RejectionConfig())
    measured = measure(clips.actual, p, clips.people, n_resamples)
    if len(subset) == 1:
        return FusedRow(subset, measured)
    right = p.argmax(axis=1) == clips.actual
    own = np.stack(
        [(clips.parts[m].p.argmax(axis=1) == clips.actual) & clips.parts[m].there for m in subset],
        axis=1,
    )
    one, lost = own.sum(axis=1) == 1, ~right & own.any(axis=1)
    return FusedRow(
        subset,
        measured,
        _gain(right, own[:, own.mean(axis=0).argmax()], clips.people, n_resamples),
        _share(right[one]),
        int(one.sum()),
        _share(marked[lost]),
        int(lost.sum()),
        _share(marked[right]),
        _share(marked),
        _share(right[~marked]),
    )


def fuse(
    clips: PairedSet, subset: Subset, rejection: RejectionConfig
) -> tuple[Array, NDArray[np.bool_]]:
    """Fuse by default settings: probabilities, (n, labels), and which answers are marked, (n,).

    Where no part has evidence the answer is uniform, and marked.
    """
    taxonomy = Taxonomy("paired", clips.labels)
    fuser: Fuser = make_fuser(
        FusionConfig(), {m.value: tuple(clips.parts[m].prior) for m in subset}
    )
    columns = [CANONICAL.index(label) for label in clips.labels]
    p = np.full((len(clips), len(columns)), 1 / len(columns))
    marked = np.ones(len(clips), bool)
    for i in range(len(clips)):
        evidence = {m: e for m in subset if (e := _estimate(clips, m, i, taxonomy)) is not None}
        fuser.reset()
        fused = fuser.fuse(Slot(SPEAKER, MOMENT, evidence)) if evidence else None
        if fused is None:
            continue
        closed = fused.probabilities.values[columns].astype(np.float64) + 1e-12
        p[i] = closed / closed.sum()
        marked[i] = rejection_reason(fused, rejection) is not None
    return p, marked


def _estimate(clips: PairedSet, m: Modality, i: int, taxonomy: Taxonomy) -> Estimate | None:
    part = clips.parts[m]
    quality = 1.0 if part.quality is None else float(part.quality[i])
    if not quality > 0:
        return None
    return Estimate(SPEAKER, MOMENT, Probabilities(taxonomy, part.p[i]), m, quality, m.value)


def _gain(
    right: NDArray[np.bool_], best: NDArray[np.bool_], people: Sequence[str], n_resamples: int
) -> tuple[float, float, float]:
    """Accuracy less the best part's, and its interval; people are resampled."""
    groups = bootstrap.group_of(people)
    size = np.bincount(groups)
    more = np.bincount(groups, right.astype(np.float64) - best)
    drawn = np.random.default_rng(0).integers(0, len(size), (n_resamples, len(size)))
    low, high = bootstrap.interval(more[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    return float(right.mean() - best.mean()), low, high


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
