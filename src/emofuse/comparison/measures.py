"""What is measured of a recording: shares, means, transitions, and the course of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Affect, Estimate, SubjectKind
from ..core.labels import CANONICAL
from ..core.time import NS
from ..core.timeline import RemarkKind
from ..errors import InputError
from ..export.people import transitions_of
from ..export.slots import estimates_of
from ..export.summary import find_subjects, people_by_name, summarise
from .groups import Recording

LABELS = CANONICAL.labels
"""The labels that are compared."""

BRIEF_S = 2.0
"""A recording with less evidence than this, in seconds, is left out."""

MEASURES = (
    *(f"share {label}" for label in LABELS),
    *("uncertain", "transitions per minute"),
    *(f"mean {label}" for label in LABELS),
    *("confidence", "valence", "arousal"),
)
"""What is compared. Shares are of the time, means of the probability."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One recording in numbers.

    Args:
        recording: which.
        seconds: of evidence, added up over the people in it.
        values: one for each of `MEASURES`; NaN where it is not known.
        estimates: the results that they are taken from.
    """

    recording: Recording
    seconds: float
    values: NDArray[np.float64]
    estimates: Sequence[Estimate]


def measure(recording: Recording) -> Measured:
    """Measure a recording: its person, or everybody in it together, by the time they are there.

    Raises:
        InputError: if its person is not in it.
    """
    timeline = recording.timeline
    people = [p for p in people_by_name(summarise(timeline)) if p.subject.kind != SubjectKind.GROUP]
    if recording.person:
        try:
            wanted = find_subjects(timeline, recording.person)
        except InputError as e:
            raise InputError(f"{recording.path}: {e}") from e
        people = [p for p in people if p.subject in wanted]
    told = estimates_of(timeline, people)
    estimates = [e for p in people for e in told[p.subject]]
    seconds = sum(e.span.duration for e in estimates)
    changes = sum(transitions_of(p) for p in people)
    present = sum(p.present_ns for p in people) / NS
    values = _values(estimates, changes / (present / 60) if present else float("nan"))
    return Measured(recording, seconds, values, sorted(estimates, key=lambda e: e.span))


def _values(estimates: Sequence[Estimate], transitions: float) -> NDArray[np.float64]:
    weights = np.array([e.span.duration_ns for e in estimates], np.float64)
    if not weights.sum():
        return np.full(len(MEASURES), np.nan)
    weights /= weights.sum()
    sure = np.array([not e.uncertain for e in estimates])
    tops = np.array([e.label for e in estimates])
    affect = Affect.mean([e.affect for e in estimates], list(weights))
    return np.array(
        [
            *((weights * (sure & (tops == label))).sum() for label in LABELS),
            (weights * ~sure).sum(),
            transitions,
            *(weights @ probabilities(estimates)),
            weights @ [e.confidence for e in estimates],
            affect.valence if affect else np.nan,
            affect.arousal if affect else np.nan,
        ]
    )


def probabilities(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Return probabilities over `LABELS`, shape (n, labels); what a model does not know is 0."""
    rows = np.zeros((len(estimates), len(LABELS)))
    for row, e in zip(rows, estimates, strict=True):
        known = dict(e.probabilities.items())
        row[:] = [known.get(label, 0.0) for label in LABELS]
    return rows


@dataclass(frozen=True, slots=True)
class Alignment:
    """What recordings are laid upon each other by.

    Args:
        times: for each result file the moments that become 0, in seconds; None: the start.
        before: seconds before them that are looked at.
        after: seconds after them.
        bin: length of a step, in seconds.
    """

    times: Mapping[str, Sequence[float]] | None
    before: float
    after: float
    bin: float

    @property
    def edges(self) -> NDArray[np.float64]:
        """The edges of the steps, in seconds relative to the moments."""
        count = max(1, round((self.before + self.after) / self.bin))
        edges: NDArray[np.float64] = np.arange(count + 1, dtype=np.float64) * self.bin
        return edges - self.before

    def moments(self, recording: Recording) -> Sequence[float]:
        """Return the moments of a recording."""
        return (0.0,) if self.times is None else self.times.get(str(recording.path), ())


def course(measured: Measured, alignment: Alignment) -> NDArray[np.float64]:
    """Return the mean probabilities in each step, shape (steps, labels): NaN where nobody is."""
    edges = alignment.edges
    steps = len(edges) - 1
    total, weight = np.zeros((steps, len(LABELS))), np.zeros(steps)
    starts = np.array([e.span.start for e in measured.estimates])
    ends = np.array([e.span.end for e in measured.estimates])
    p = probabilities(measured.estimates)
    for moment in alignment.moments(measured.recording):
        for k in range(steps):
            low, high = edges[k] + moment, edges[k + 1] + moment
            both = np.clip(np.minimum(ends, high) - np.maximum(starts, low), 0, None)
            total[k] += both @ p
            weight[k] += both.sum()
    return total / np.where(weight > 0, weight, np.nan)[:, None]


def marks_of(recordings: Sequence[Recording]) -> dict[str, Sequence[float]]:
    """Return the marks that were put down by hand, by result file, in seconds."""
    found = {
        str(r.path): tuple(x.span.start for x in r.timeline.remarks if x.kind is RemarkKind.MARK)
        for r in recordings
    }
    return {path: times for path, times in found.items() if times}


def by_participant(
    measured: Sequence[Measured], values: Sequence[NDArray[np.float64]]
) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Average recordings of one participant in one group by their seconds.

    Yields:
        Group, participant, and values of the shape given; NaN where no recording has a value.
    """
    keys = dict.fromkeys((m.recording.group, m.recording.participant) for m in measured)
    for group, participant in keys:
        mine = [
            (m.seconds, v)
            for m, v in zip(measured, values, strict=True)
            if (m.recording.group, m.recording.participant) == (group, participant)
        ]
        stack = np.array([v for _, v in mine])
        shape = (-1, *(1,) * (stack.ndim - 1))
        weight = np.array([s for s, _ in mine]).reshape(shape) * np.isfinite(stack)
        whole = weight.sum(axis=0)
        mean = np.nansum(stack * weight, axis=0) / np.where(whole > 0, whole, np.nan)
        yield group, participant, mean
