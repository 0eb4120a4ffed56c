"""Whose voice it is: speech is given to the face that speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from ..core.details import FaceDetails
from ..core.estimates import SPEAKER, Estimate, Modality, Subject, SubjectKind
from ..core.intervals import Interval, check_within
from ..core.media import Watermark
from ..core.protocols import Slot
from ..core.time import Span, to_ns
from .align import sole_face, tells_of_speaker

MIDDLE = 0.14
"""Mouth motion (see `face.mouth.MouthMotion`) that speaks neither for nor against speech.

Fitted, as `SLOPE`, by logistic regression on slots of half a second of six heads, each
speaking and listening, and confirmed with each head left out in turn (97 % of slots
right). The fit itself is steeper (10): six heads are few, and none of them laughs or chews.
"""

SLOPE = 6.0
"""Log odds for speech for each factor of e in motion."""

RATIO, NOISIEST = 1.45, 0.25
"""A mouth at rest that seems to move (noise, a beard) shifts the middle to `RATIO` times its
usual motion in silence, but not beyond `NOISIEST`."""

_SUREST = 4.0  # log odds that one slot can say at most
_CALM, _CALM_SLOTS = 0.09, 6.0  # motion at rest until more is known, and its weight in slots
_MEMORY_SLOTS = 60.0  # most slots of silence that are remembered


class ActiveSpeakerMethod(str, Enum):
    """The ways of telling whose voice is heard."""

    SOLE = "sole"
    MOUTH = "mouth"


@dataclass(frozen=True, slots=True)
class ActiveSpeakerConfig:
    """How speech is linked to the face that speaks.

    Args:
        method: ``mouth`` looks whose mouth moves while somebody speaks; ``sole`` gives
            the voice to a face that is alone in the picture, and to no other.
        least: probability that a face must have to be given the voice where several
            are seen.
        sole: the same where only one is seen: it keeps the voice unless its mouth is
            surely still.
        away: how often, before looking, a voice comes from nobody seen.
        turn: mean seconds after which somebody else may speak; a pause does not count.
        lag: seconds of coming pictures that are waited for.

    Raises:
        InputError: if a number is out of range.
    """

    method: ActiveSpeakerMethod = ActiveSpeakerMethod.MOUTH
    least: float = 0.6
    sole: float = 0.1
    away: float = 0.2
    turn: float = 3.0
    lag: float = 0.5

    def __post_init__(self) -> None:
        probability = Interval(0, 1, above=True, below=True)
        check_within(self, "active_speaker", ("least", "sole", "away"), probability)
        check_within(self, "active_speaker", ("turn",), Interval(0, 600, "s", above=True))
        check_within(self, "active_speaker", ("lag",), Interval(0, 10, "s"))


@dataclass(slots=True)
class _Moment:
    """All slots of one span, what their mouths say, and whether anybody speaks."""

    span: Span
    slots: list[Slot]
    voiced: bool
    odds: Mapping[Subject, float] = field(default_factory=dict)  # log odds for speech


class ActiveSpeakerAttribution:
    """Moves the evidence of the unknown speaker to the face that speaks.

    Who speaks is a Markov chain over the faces in the picture and *nobody seen*, read
    from the mouth motion of each while a voice is heard: about every `turn` seconds
    of speech anybody may take over. Its marginals, from all that came before and
    `lag` after (forward-backward, as in `HmmSmoother`), are the confidences: a single
    slot without motion (a long vowel, a closed mouth) does not end a turn. The
    voice's evidence goes with its `attribution`, the confidence in [0, 1] that it
    is this face's; below the least it stays with ``speaker-1``, and says how sure
    it is that nobody in the picture speaks.

    Motion is judged against the face's own motion in silence, as far as known. While no
    mouth in the picture was measured, a face that is alone has the voice.

    Args:
        config: method and thresholds.
    """

    def __init__(self, config: ActiveSpeakerConfig | None = None) -> None:
        self._config = config or ActiveSpeakerConfig()
        looks = self._config.method is ActiveSpeakerMethod.MOUTH
        self.lag_ns = to_ns(self._config.lag) if looks else 0
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._held: list[_Moment] = []
        self._belief: dict[Subject, float] = {}
        self._calm: dict[Subject, tuple[float, float, int]] = {}  # motion, weight, last seen
        self._told_ns = 0

    def feed(self, item: Estimate | Slot | Watermark) -> Iterator[Estimate | Slot | Watermark]:
        """Take what the aligner yields; yield slots with the voices where they belong."""
        if isinstance(item, Slot):
            if not self._held or self._held[-1].span != item.span:
                self._held.append(_Moment(item.span, [], False))
            self._held[-1].slots.append(item)
            self._held[-1].voiced |= item.subject == SPEAKER
        elif isinstance(item, Watermark) and item.track is Modality.FUSED:
            yield from self._release(item.upto_ns)
        else:
            yield item

    def flush(self) -> Iterator[Estimate | Slot | Watermark]:
        """Yield what is held."""
        if self._held:
            end_ns = self._held[-1].span.end_ns
            yield from self._release(end_ns + self.lag_ns, end_ns)

    def _release(self, known_ns: int, upto_ns: int | None = None) -> Iterator[Slot | Watermark]:
        while self._held and self._held[0].span.end_ns + self.lag_ns <= known_ns:
            yield from self._linked(self._held.pop(0))
        safe_ns = known_ns if upto_ns is None else upto_ns
        if self._held:
            safe_ns = min(safe_ns, self._held[0].span.start_ns)
        if safe_ns > self._told_ns:
            self._told_ns = safe_ns
            yield Watermark(Modality.FUSED, safe_ns)

    def _linked(self, moment: _Moment) -> Iterator[Slot]:
        faces = [s.subject for s in moment.slots if s.subject.kind is SubjectKind.FACE]
        looks = self._config.method is ActiveSpeakerMethod.MOUTH
        looks &= any(_motion(slot) is not None for slot in moment.slots)
        if not moment.voiced:
            self._rest(moment)
            yield from moment.slots
        elif looks:
            chances = self._chances(moment, faces)
            owner = max(faces, key=lambda face: (chances[face], -face.number))
            least = self._config.sole if len(faces) == 1 else self._config.least
            if chances[owner] < least:
                owner = SPEAKER
            yield from _moved(moment, owner, chances[owner])
        else:
            yield from _moved(moment, sole_face(faces), None)

    def _chances(self, moment: _Moment, faces: list[Subject]) -> dict[Subject, float]:
        """Return for each face, and for nobody seen, how likely it is to be the one speaking."""
        who = [SPEAKER, *faces]
        prior = np.array([self._config.away] + [(1 - self._config.away) / len(faces)] * len(faces))
        stay = float(np.exp(-moment.span.duration_ns / to_ns(self._config.turn)))
        known = np.array([self._belief.get(subject, 0.0) for subject in who])
        left = 1 - known.sum()  # of faces that have gone, and at the start
        belief = stay * (known + left * prior) + (1 - stay) * prior
        belief = belief * self._says(moment, who)
        belief /= belief.sum()
        self._belief = dict(zip(who, belief.tolist(), strict=True))
        ahead = np.ones(len(who))
        end_ns = moment.span.end_ns + self.lag_ns
        for later in reversed(self._held):
            if later.voiced and later.span.start_ns < end_ns:
                ahead = ahead * self._says(later, who)
                ahead = stay * ahead + (1 - stay) * float(prior @ ahead)
        chances = belief * ahead
        return dict(zip(who, (chances / chances.sum()).tolist(), strict=True))

    def _says(self, moment: _Moment, who: list[Subject]) -> np.ndarray:
        """Return how many times likelier each one's mouth is if it speaks than if not."""
        odds = np.zeros(len(who))
        for slot in moment.slots:
            motion = _motion(slot)
            if motion is not None and slot.subject in who:
                calm = self._calm.get(slot.subject, (_CALM, 0.0, 0))[0]
                middle = float(np.clip(RATIO * calm, MIDDLE, NOISIEST))
                say = SLOPE * np.log(max(motion, 1e-3) / middle)
                odds[who.index(slot.subject)] = np.clip(say, -_SUREST, _SUREST)
        likely: np.ndarray = np.exp(odds)
        return likely

    def _rest(self, moment: _Moment) -> None:
        """Learn how much the mouths move in silence."""
        for slot in moment.slots:
            motion = _motion(slot)
            if motion is not None:
                calm, weight, _ = self._calm.get(slot.subject, (_CALM, _CALM_SLOTS, 0))
                calm = (weight * calm + motion) / (weight + 1)
                weight = min(weight + 1, _MEMORY_SLOTS)
                self._calm[slot.subject] = calm, weight, moment.span.end_ns
        if len(self._calm) > 64:  # faces long gone
            del self._calm[min(self._calm, key=lambda subject: self._calm[subject][2])]


def _motion(slot: Slot) -> float | None:
    face = slot.evidence.get(Modality.FACE)
    details = None if face is None else face.find_details(FaceDetails)
    return None if details is None else details.mouth


def _moved(moment: _Moment, owner: Subject, confidence: float | None) -> Iterator[Slot]:
    """Yield a moment's slots with the speaker's evidence given to its owner."""
    voice = {
        modality: e if confidence is None else replace(e, attribution=confidence)
        for slot in moment.slots
        if slot.subject == SPEAKER
        for modality, e in slot.evidence.items()
        if tells_of_speaker(modality)
    }
    for slot in moment.slots:
        if slot.subject == owner:
            yield replace(slot, evidence={**slot.evidence, **voice})
        elif slot.subject != SPEAKER:
            yield slot
