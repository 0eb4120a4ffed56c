"""Smoothing of fused estimates along time.

Every method is a stage. `lag_ns` says how long it holds an estimate back;
`latency_ns` says within what time, lag included, a clear change of emotion shows.
Both are the same live and offline, and no result depends on how a stream was cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, Modality, Probabilities, Subject, SubjectKind
from ..core.intervals import Interval, check_within
from ..core.labels import CANONICAL, Taxonomy
from ..core.media import Watermark
from ..core.time import NS, Span, to_ns
from ..errors import InputError

Array = NDArray[np.float64]

CLEAR = 0.9
"""Confidence of the readings on both sides of a change that `latency_ns` speaks of."""

_FLOOR = 1e-4
"""Least probability in a logarithm: one sure but wrong reading must not veto its neighbours."""


class SmoothMethod(str, Enum):
    """The ways of smoothing."""

    NONE = "none"
    MEAN = "mean"
    EXPONENTIAL = "exponential"
    HMM = "hmm"


@dataclass(frozen=True, slots=True)
class SmoothConfig:
    """How fused estimates are smoothed along time.

    Args:
        method: ``mean`` averages the last `seconds`; ``exponential`` forgets the past
            by halves; ``hmm`` weighs past and coming readings as a hidden Markov model
            does, and waits `lag` for the coming ones.
        seconds: length of the mean, or half-life of the exponential memory; 0: none.
        lag: seconds of coming readings that ``hmm`` waits for.
        dwell: seconds after which, on average, ``hmm`` expects the emotion to be drawn
            anew; see `learn_dwell`.
        independent: readings so many seconds apart count as independent evidence in
            ``hmm``; neighbours that see the same face and voice do not.
        prior: label → how common it is (any positive scale), for ``hmm``; labels that
            are left out share evenly what is usual among the others. Empty: all alike.

    Raises:
        InputError: if a number is out of range.
    """

    method: SmoothMethod = SmoothMethod.EXPONENTIAL
    seconds: float = 0.5
    lag: float = 1.0
    dwell: float = 8.0
    independent: float = 2.0
    prior: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_within(self, "smoothing", ("seconds", "lag"), Interval(0, 60, "s"))
        hour = Interval(0, 3600, "s", above=True)
        check_within(self, "smoothing", ("dwell", "independent"), hour)
        if any(not 0 < p < float("inf") for p in self.prior.values()):
            raise InputError(f"smoothing.prior needs values > 0, got {dict(self.prior)}")


def make_smoother(config: SmoothConfig, slot_ns: int = NS // 2) -> Smoother:
    """Build the stage that a configuration names.

    Args:
        config: method and its numbers.
        slot_ns: usual distance of a subject's estimates; only the declared latency of
            ``hmm`` depends on it.
    """
    if config.method is SmoothMethod.MEAN and config.seconds:
        return RollingMean(to_ns(config.seconds))
    if config.method is SmoothMethod.EXPONENTIAL and config.seconds:
        return ExponentialSmoother(to_ns(config.seconds))
    if config.method is SmoothMethod.HMM:
        return HmmSmoother(
            to_ns(config.lag),
            to_ns(config.dwell),
            independent_ns=to_ns(config.independent),
            prior=config.prior,
            slot_ns=slot_ns,
        )
    return Unsmoothed()


class Smoother(ABC):
    """What the methods share: fused estimates are smoothed, everything else passes.

    Attributes:
        lag_ns: how long an estimate is held back, in nanoseconds of the stream.
        latency_ns: a change from readings of one label to readings of another that are
            at least as sure (for ``hmm``: both at least `CLEAR`) shows at most so long
            after the first new reading is complete, lag included.
    """

    lag_ns: int = 0

    @property
    @abstractmethod
    def latency_ns(self) -> int:
        """Longest time until a clear change of emotion shows."""

    @abstractmethod
    def reset(self) -> None:
        """Forget the stream."""

    @abstractmethod
    def feed(self, item: Estimate | Watermark) -> Iterator[Estimate | Watermark]:
        """Take an estimate or progress; yield what can be said now."""

    def flush(self) -> Iterator[Estimate | Watermark]:
        """Yield what is still held."""
        return iter(())


class Unsmoothed(Smoother):
    """Lets everything pass."""

    latency_ns: ClassVar[int] = 0

    def reset(self) -> None:
        """Nothing to forget."""

    def feed(self, item: Estimate | Watermark) -> Iterator[Estimate | Watermark]:
        """Yield the item."""
        yield item


Past = TypeVar("Past")


class _Causal(Smoother, Generic[Past]):
    """Smooths each estimate at once, by what it remembers of its subject.

    Args:
        reset_ns: longest gap without evidence that is bridged.
    """

    def __init__(self, reset_ns: int) -> None:
        if reset_ns < 0:
            raise ValueError(f"reset must be >= 0, got {reset_ns} ns")
        self._reset_ns = reset_ns
        self.reset()

    def reset(self) -> None:
        """Forget every subject."""
        self._past: dict[Subject, tuple[int, Past]] = {}  # end of the last estimate, memory

    def feed(self, item: Estimate | Watermark) -> Iterator[Estimate | Watermark]:
        """Take an estimate; yield it, smoothed if it is a fused one."""
        if isinstance(item, Watermark):
            oldest = item.upto_ns - self._reset_ns
            if item.track is Modality.FUSED:
                self._past = {s: past for s, past in self._past.items() if past[0] >= oldest}
            yield item
        else:
            yield self._smoothed(item) if item.modality is Modality.FUSED else item

    def _smoothed(self, e: Estimate) -> Estimate:
        end_ns, past = self._past.get(e.subject, (0, None))
        if e.span.start_ns - end_ns > self._reset_ns:
            past = None
        p, memory = self._remember(past, end_ns, e)
        self._past[e.subject] = (e.span.end_ns, memory)
        return replace(e, probabilities=Probabilities(e.probabilities.taxonomy, p))

    @abstractmethod
    def _remember(self, past: Past | None, end_ns: int, e: Estimate) -> tuple[Array, Past]:
        """Return the smoothed probabilities and the new memory.

        Args:
            past: what was remembered; None if nothing.
            end_ns: end of the subject's last estimate.
            e: the new one.
        """


class ExponentialSmoother(_Causal[Array]):
    """Lets each fused estimate remember its subject's earlier ones.

    The weight of the past halves every `half_life_ns`, whatever the slots'
    length. After a gap of more than `reset_ns` without evidence the past is
    forgotten. Estimates of single modalities pass unchanged.

    Args:
        half_life_ns: time after which the past weighs half; 0 switches smoothing off.
        reset_ns: longest gap that is bridged.
    """

    def __init__(self, half_life_ns: int, reset_ns: int = NS) -> None:
        if half_life_ns < 0:
            raise ValueError(f"half life must be >= 0, got {half_life_ns} ns")
        self._half_life_ns = half_life_ns
        super().__init__(reset_ns)

    @property
    def latency_ns(self) -> int:
        """The half-life: then the past weighs less than what came since."""
        return self._half_life_ns

    def _remember(self, past: Array | None, end_ns: int, e: Estimate) -> tuple[Array, Array]:
        p = e.probabilities.values.astype(np.float64)
        if past is not None and self._half_life_ns:
            memory = 0.5 ** ((e.span.end_ns - end_ns) / self._half_life_ns)
            p = memory * past + (1 - memory) * p
        return p, p


class RollingMean(_Causal[deque[Estimate]]):
    """Averages each subject's fused estimates over the last `window_ns`, by overlap.

    Args:
        window_ns: length of the mean, up to the end of the estimate (> 0).
        reset_ns: longest gap without evidence that is bridged.
    """

    def __init__(self, window_ns: int, reset_ns: int = NS) -> None:
        if window_ns <= 0:
            raise ValueError(f"a mean needs a positive length, got {window_ns} ns")
        self._window_ns = window_ns
        super().__init__(reset_ns)

    @property
    def latency_ns(self) -> int:
        """Half the window: then most of it is new."""
        return self._window_ns // 2

    def _remember(
        self, past: deque[Estimate] | None, end_ns: int, e: Estimate
    ) -> tuple[Array, deque[Estimate]]:
        end = e.span.end_ns
        window = Span(max(0, end - self._window_ns), end)
        recent = deque((*(past or ()), e))
        while recent[0].span.end_ns <= window.start_ns and len(recent) > 1:
            recent.popleft()
        overlap = np.array([r.span.overlap_ns(window) for r in recent], dtype=np.float64)
        if not overlap.any():  # an estimate of no length
            overlap[-1] = 1.0
        p = np.stack([r.probabilities.values for r in recent]).astype(np.float64)
        return overlap @ p / overlap.sum(), recent


class HmmSmoother(Smoother):
    """Weighs each estimate against its neighbours in time, past and coming.

    Emotion is a Markov chain in continuous time: on average once in `dwell_ns` it is
    drawn anew from a prior π, which may well draw the same again, so that over a
    time t ::

        P(b after a) = e^(-t / dwell) [a = b] + (1 - e^(-t / dwell)) π(b)

    Each fused estimate is read as evidence p / π. What is given out are the chain's
    marginals by the forward-backward recursion (Rabiner 1989) with fixed lag
    (Anderson & Moore 1979, chapter 7): all that came before, and what starts within
    `lag_ns` after. Marginals rather than the single best path (Viterbi), because an
    estimate holds probabilities.

    The neighbours' evidence counts with the exponent distance / `independent_ns`
    (at most 1), because they see much the same; the estimate's own counts in full,
    so that one without neighbours is reported as it is.

    Args:
        lag_ns: how much of what comes is waited for.
        dwell_ns: mean time between two n_resamples (> 0).
        independent_ns: distance at which two readings are independent (> 0).
        prior: label → how common it is, in any scale; empty: all alike.
        slot_ns: usual distance of estimates, which the declared latency is for.
    """

    def __init__(
        self,
        lag_ns: int,
        dwell_ns: int,
        *,
        independent_ns: int = NS,
        prior: Mapping[str, float] | None = None,
        slot_ns: int = NS // 2,
    ) -> None:
        if lag_ns < 0 or min(dwell_ns, independent_ns, slot_ns) <= 0:
            raise ValueError(
                "need lag >= 0 and dwell, independent, slot > 0, got "
                f"{lag_ns}, {dwell_ns}, {independent_ns}, {slot_ns} ns"
            )
        self.lag_ns = lag_ns
        self._dwell_ns = dwell_ns
        self._independent_ns = independent_ns
        self._prior_of = dict(prior or {})
        self._slot_ns = slot_ns
        self.reset()

    def reset(self) -> None:
        """Forget every subject."""
        self._held: list[Estimate] = []
        self._before: dict[Subject, tuple[int, Array]] = {}  # start of the last, belief after it
        self._told_ns = 0

    def feed(self, item: Estimate | Watermark) -> Iterator[Estimate | Watermark]:
        """Take an estimate or progress; yield what has been waited for long enough."""
        if isinstance(item, Estimate):
            if item.modality is Modality.FUSED:
                self._held.append(item)
            else:
                yield item
        elif item.track is Modality.FUSED:
            yield from self._release(item.upto_ns)
        else:
            yield item

    def flush(self) -> Iterator[Estimate | Watermark]:
        """Yield what is held; nothing more comes after it."""
        if self._held:
            end_ns = max(e.span.end_ns for e in self._held)
            yield from self._release(end_ns + self.lag_ns, end_ns)

    def _release(self, known_ns: int, upto_ns: int | None = None) -> Iterator[Estimate | Watermark]:
        """Yield the estimates whose lag is over now that all before `known_ns` is known."""
        self._held.sort(key=lambda e: (e.span.start_ns, e.subject))
        while self._held and self._held[0].span.end_ns + self.lag_ns <= known_ns:
            yield self._smoothed(self._held.pop(0))
        forget_ns = known_ns - self.lag_ns - 8 * self._dwell_ns  # e^-8 of it would be left
        self._before = {s: b for s, b in self._before.items() if b[0] >= forget_ns}
        safe_ns = known_ns if upto_ns is None else upto_ns
        if self._held:
            safe_ns = min(safe_ns, self._held[0].span.start_ns)
        if safe_ns > self._told_ns:
            self._told_ns = safe_ns
            yield Watermark(Modality.FUSED, safe_ns)

    def _smoothed(self, e: Estimate) -> Estimate:
        taxonomy = e.probabilities.taxonomy
        prior = self._prior(taxonomy)
        start_ns, belief = self._before.get(e.subject, (e.span.start_ns, prior))
        forward = self._drift(belief, e.span.start_ns - start_ns, prior)
        backward = self._backward(e, prior)
        p = _normalised(forward * backward * self._evidence(e, prior))
        apart = e.span.start_ns - start_ns if e.subject in self._before else None
        own = self._evidence(e, prior, self._exponent(e.span.duration_ns, apart))
        self._before[e.subject] = (e.span.start_ns, _normalised(forward * own))
        return replace(e, probabilities=Probabilities(taxonomy, p))

    def _backward(self, e: Estimate, prior: Array) -> Array:
        """Return how likely each label makes what starts within the lag after an estimate."""
        end_ns = e.span.end_ns + self.lag_ns
        later = [h for h in self._held if h.subject == e.subject and h.span.start_ns < end_ns]
        message: Array = np.ones_like(prior)
        for before, after in reversed(list(pairwise((e, *later)))):
            apart = after.span.start_ns - before.span.start_ns
            weight = self._exponent(after.span.duration_ns, apart)
            message = message * self._evidence(after, prior, weight)
            stay = np.exp(-apart / self._dwell_ns)
            message = stay * message + (1 - stay) * float(prior @ message)
            message = message / message.max()
        return message

    def _exponent(self, duration_ns: int, apart_ns: int | None) -> float:
        distance = duration_ns if apart_ns is None else apart_ns
        return min(1.0, max(distance, 1) / self._independent_ns)

    def _evidence(self, e: Estimate, prior: Array, exponent: float = 1.0) -> Array:
        p = np.maximum(e.probabilities.values.astype(np.float64), _FLOOR)
        ratio: Array = (p / prior) ** exponent
        ratio /= ratio.max()
        return ratio

    def _drift(self, belief: Array, time_ns: int, prior: Array) -> Array:
        stay = np.exp(-time_ns / self._dwell_ns)
        drifted: Array = stay * belief + (1 - stay) * prior
        return drifted

    def _prior(self, taxonomy: Taxonomy) -> Array:
        return prior_over(taxonomy, self._prior_of)

    @cached_property
    def latency_ns(self) -> int:
        """Longest time until a change between clear readings shows, lag included.

        Found by letting a twin smooth the hardest ones. From the most to the least common
        label: what a reading leaves over is given to the other. Between these two, either
        way: what the old readings leave over is given to a third label, so that they
        speak against the new one as loudly as they can, what the new ones leave over to all.
        """
        common = self._prior(CANONICAL).argsort(kind="stable")
        one = np.eye(len(CANONICAL))
        often, third, seldom = one[common[-1]], one[common[-2]], one[common[0]]
        everything = np.full(len(CANONICAL), 1 / len(CANONICAL))
        changes = (
            (often, seldom, seldom, often),
            (often, third, seldom, everything),
            (seldom, third, often, everything),
        )
        waited = -(-self.lag_ns // self._slot_ns)  # slots: progress comes with whole ones
        slots = max(
            self._slots_until(CLEAR * old + (1 - CLEAR) * a, CLEAR * new + (1 - CLEAR) * b)
            for old, a, new, b in changes
        )
        return (waited + slots) * self._slot_ns

    def _slots_until(self, old: Array, new: Array) -> int:
        """Return how many slots after the first of the new readings their label shows."""
        twin = HmmSmoother(
            self.lag_ns,
            self._dwell_ns,
            independent_ns=self._independent_ns,
            prior=self._prior_of,
            slot_ns=self._slot_ns,
        )
        settled = 32  # slots; belief in what lasts grows no further long before
        patience = self.lag_ns // self._slot_ns + 64
        after = smooth_rows(twin, [old] * settled + [new] * patience, self._slot_ns)[settled:]
        shown = (i for i, p in enumerate(after) if p.argmax() == new.argmax())
        return next(shown, patience)


def smooth_rows(
    smoother: Smoother, rows: Iterable[Sequence[float] | NDArray[np.floating]], slot_ns: int
) -> Array:
    """Smooth the readings of one subject, one a slot without gaps, from the stream's start.

    Args:
        smoother: the method; it is reset first.
        rows: probabilities over the canonical labels.
        slot_ns: length of a slot.

    Returns:
        Smoothed probabilities, shape (slots, labels).
    """
    subject = Subject(SubjectKind.FACE)
    out: list[Estimate | Watermark] = []
    smoother.reset()
    for i, row in enumerate(rows):
        span = Span(i * slot_ns, (i + 1) * slot_ns)
        scores = Probabilities(CANONICAL, np.asarray(row))
        out += smoother.feed(Estimate(subject, span, scores, Modality.FUSED, 1.0, "rows"))
        out += smoother.feed(Watermark(Modality.FUSED, span.end_ns))
    out += smoother.flush()
    smoothed = [e.probabilities.values for e in out if isinstance(e, Estimate)]
    return np.array(smoothed, dtype=np.float64).reshape(-1, len(CANONICAL))


def prior_over(taxonomy: Taxonomy, common: Mapping[str, float]) -> Array:
    """Return how common each label is, summing to 1; what is not named gets the mean of the rest.

    Raises:
        InputError: if a name is not among the labels.
    """
    foreign = set(common) - set(taxonomy.labels)
    if foreign:
        raise InputError(
            f"smoothing.prior knows {', '.join(taxonomy.labels)}, got {', '.join(sorted(foreign))}"
        )
    usual = sum(common.values()) / len(common) if common else 1.0
    prior = np.array([common.get(label, usual) for label in taxonomy.labels])
    return _normalised(prior)


def learn_dwell(
    sequences: Iterable[Sequence[str]], slot_seconds: float, taxonomy: Taxonomy = CANONICAL
) -> tuple[float, dict[str, float]]:
    """Learn the transition prior of `HmmSmoother` from sequences of labels.

    Maximum likelihood by expectation maximisation: every step either kept its label or
    drew it anew from the prior, which may give the same; the first label was drawn.
    One count is added to each label, so that none is impossible.

    Args:
        sequences: the true label of every slot, in order, one sequence a subject.
        slot_seconds: time from one label to the next.
        taxonomy: the labels.

    Returns:
        `SmoothConfig.dwell` in seconds and `SmoothConfig.prior`, summing to 1.

    Raises:
        ValueError: if no sequence is two labels long.
    """
    indexed = [[taxonomy.index(label) for label in s] for s in sequences]
    steps = np.array([step for s in indexed for step in pairwise(s)]).reshape(-1, 2)
    if not len(steps):
        raise ValueError("a transition prior needs a sequence of at least two labels")
    n = len(taxonomy)
    firsts = np.bincount([s[0] for s in indexed if s], minlength=n)
    same = steps[:, 0] == steps[:, 1]
    prior, redraw = np.full(n, 1 / n), 0.5
    for _ in range(500):
        kept = (1 - redraw) / (1 - redraw + redraw * prior[steps[:, 1]])
        drawn = np.where(same, 1 - kept, 1.0)
        counts = 1.0 + firsts + np.bincount(steps[:, 1], weights=drawn, minlength=n)
        before, redraw = redraw, float(np.clip(drawn.mean(), 1e-6, 1 - 1e-6))
        prior = _normalised(counts)
        if abs(before - redraw) < 1e-9:
            break
    return -slot_seconds / float(np.log1p(-redraw)), dict(
        zip(taxonomy.labels, prior.tolist(), strict=True)
    )


def _normalised(p: NDArray[np.floating]) -> Array:
    scaled: Array = np.asarray(p / p.sum(), dtype=np.float64)
    return scaled
