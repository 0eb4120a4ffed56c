"""Faces followed through a video: who is who from frame to frame, and a crop of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.assignment import least_cost_pairs
from ..core.estimates import Modality, Subject, SubjectKind
from ..core.identity import Portrait
from ..core.media import Frame, Sample, Track, Watermark
from ..core.time import to_ns
from .config import Between, FaceConfig
from .crop import USUAL, CropStyle, crop_face
from .detect import Box, Detection, Detector, iou
from .flow import FlowDetector
from .mouth import MouthMotion
from .portrait import Portraits
from .quality import look
from .roi import RoiDetector

STILL = 0.985
"""Correlation with how its place looked at first from which on a weak find is a thing.

In our clips a wall clock has 0.99; the stillest face has 0.966 to 0.982 within 0.4 s.
"""

SAME = 0.7
"""Correlation of a face's place before and after a change of layout at which it goes on."""

CUT = 0.5
"""Change of layout (see `layout_change`) that is a scene cut.

In our clips cuts have 0.74 to 1.1; a video of a stage with a swinging camera reaches
0.43, a turning head 0.1.
"""

REJOIN_NS = to_ns(1.5)
"""How long after a track was lost a face in its place takes over its number."""

APART_NS = to_ns(0.09)
"""With optical flow a face counts once it was seen for this long: successive looks err alike."""

LOST_QUALITY = 0.5
"""Factor on the quality of a face where the detector looked and did not find it."""


class FaceTracker:
    """Turns sampled frames into face crops with stable numbers.

    The detector looks at every n-th frame, as a rule only where faces are known to be
    (see `RoiDetector`). Its finds are assigned to tracks by
    overlap and distance from where each track should be at constant velocity
    (the assignment of least total cost). In the frames between two finds, the
    face is interpolated: that is twice as near as extrapolating (the centre is
    off by 0.14 widths, not 0.31, in the worst tenth of our clips) and costs a
    delay of n - 1 frames.

    A face counts once it was found several times in a row, one of them surely, or
    well enough and in motion: what stays stiller than the frame around it is a thing.
    Its samples then start with the first find. A track that the detector loses is
    held for a while. If the face is found again in time, the gap is filled by
    interpolation, with less quality; if not, the gap stays empty, so that no
    sample shows the wall where a face was. Either way nothing is said about a
    frame before it is known, and `Watermark` waits for it: at most for
    `hold_seconds`, or ``detect_every * (confirmations - 1)`` frames at the start of a track,
    and not at all while there is no face.

    With optical flow (`Between.FLOW`) nothing waits: every frame is answered before the
    next one, with the faces that are known by then. A face has samples from the frame
    on in which it counts, and none where it is lost.

    A face that turns up where another was lost less than 1.5 s ago takes over its
    number: it is most likely the same, and nobody had to wait for it.

    At a scene cut the detector looks at once, and all tracks end whose place looks
    different: what is there after the cut is not the same face. A change in one tile
    of a mosaic leaves the faces in the others alone.

    Args:
        detector: finds the faces.
        config: how they are followed.
        mouths: measures how much each mouth moves: `FaceDetails.mouth`; None: nobody asks.
        style: how the samples' faces are cut out. Their quality is measured on the usual crop.
        portraits: picks views from which it can be told whose a face is; None: nobody asks.
    """

    def __init__(
        self,
        detector: Detector,
        config: FaceConfig | None = None,
        mouths: MouthMotion | None = None,
        style: CropStyle = USUAL,
        portraits: Portraits | None = None,
    ) -> None:
        self._mouths = mouths
        self._portraits = portraits
        self._style = style
        self._config = config = config or FaceConfig()
        flows = config.between is Between.FLOW
        self._flow = FlowDetector(detector, config.detect_every) if flows else None
        self._roi = RoiDetector(detector, to_ns(config.search_seconds))
        self._hold_ns = to_ns(self._config.hold_seconds)
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next face is number 1 again."""
        self._index = 0  # of the next frame; sampled frames are counted, nothing else
        if self._mouths is not None:
            self._mouths.reset()
        if self._portraits is not None:
            self._portraits.reset()
        if self._flow is not None:
            self._flow.reset()
        self._roi.reset()
        self._pending: list[tuple[int, Frame]] = []
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._numbers = 0
        self._layout: NDArray[np.float32] | None = None
        self._before: NDArray[np.uint8] | None = None  # the last frame
        self._size: tuple[int, ...] = ()
        self._looked = -1  # index of the last frame that the detector saw
        self._end_ns = 0  # of the last frame
        self._upto_ns = self._told_ns = 0

    def feed(self, item: Frame | Watermark) -> Iterator[Sample | Portrait | Watermark]:
        """Take a frame or progress; yield samples in order of time, portraits, and progress."""
        if isinstance(item, Frame):
            self._see(item)
            self._end_ns = item.at.end_ns
            self._upto_ns = max(self._upto_ns, self._end_ns)
        elif item.track is Track.VIDEO:
            self._upto_ns = max(self._upto_ns, item.upto_ns)
        yield from self._release()

    def flush(self) -> Iterator[Sample | Portrait | Watermark]:
        """Yield what is held, as if the video ended here."""
        self._end_tracks()
        yield from self._release()
        if self._portraits is not None:
            yield from self._portraits.keep(())

    def _see(self, frame: Frame) -> None:
        gap_ns = frame.at.start_ns - self._end_ns
        before, self._before = self._before, frame.image
        is_cut, paused = self._is_cut(frame.image), gap_ns > self._hold_ns
        if is_cut or paused:
            self._end_tracks(lambda face: paused or not _goes_on(face, before, frame.image))
            self._lost.clear()
            self._roi.reset()
            if self._flow is not None:
                self._flow.reset()
            due = True
        else:
            due = self._flow is not None or self._index % self._config.detect_every == 0
        self._pending.append((self._index, frame))
        if due:
            self._look(frame)
            self._looked = self._index
        self._give_up(frame.at.end_ns)
        self._index += 1

    def _is_cut(self, image: NDArray[np.uint8]) -> bool:
        before, self._layout = self._layout, layout(image)
        resized, self._size = image.shape != self._size, image.shape
        return before is not None and (resized or layout_change(before, self._layout) > CUT)

    def _look(self, frame: Frame) -> None:
        """Detect, and find out which face is which."""
        alive = [face for face in self._tracks if face.alive]
        found = self._find(frame)
        for face, detection in assign(alive, found, frame.at.start_ns):
            face.add(_Observation.of(self._index, frame, detection))
            found.remove(detection)
        for face in alive:
            if face.last.index != self._index:
                face.missed += 1
        self._bear(frame, found)
        self._confirm(frame)

    def _find(self, frame: Frame) -> list[Detection]:
        if self._flow is not None:
            return self._flow.detect(frame.image, frame.at.start_ns)
        assert self._layout is not None
        alive = [face for face in self._tracks if face.alive]
        settled = all(face.number is not None and not face.missed for face in alive)
        known = [face.predict(frame.at.start_ns) for face in alive] if settled else None
        return self._roi.detect(frame.image, frame.at.start_ns, self._layout, known)

    def _bear(self, frame: Frame, found: Sequence[Detection]) -> None:
        room = self._config.max_faces - sum(face.alive for face in self._tracks)
        surest = sorted(found, key=lambda d: d.score * d.box[2] * d.box[3], reverse=True)
        for detection in surest[: max(0, room)]:
            sight = _Observation.of(self._index, frame, detection)
            self._tracks.append(_Track(sight, None if detection.sure else (frame.image, sight.box)))

    def _confirm(self, frame: Frame) -> None:
        """Give numbers to faces that were found often and surely enough, from left to right."""
        enough = self._config.confirmations
        often = [
            face
            for face in self._tracks
            if face.alive and face.number is None and self._is_often_found(face, enough)
        ]
        for face in sorted(often, key=lambda f: (f.first.index, f.last.place[0])):
            if self._is_convincing(face, frame.image):
                face.start = None
                face.number = self._known(face) or self._next_number()
            else:  # never sure: go on with the latest finds, or nobody would know for ever
                face.restart(enough - 1)

    def _is_convincing(self, face: _Track, image: NDArray[np.uint8]) -> bool:
        least = self._config.min_score
        if any(sight.sure and sight.score >= least for sight in face.sights):
            return True
        best = max(sight.score for sight in face.sights)
        if self._config.confirmations == 1:
            return best >= least
        return best >= max(least, _WEAK) and not _is_still(face, image)

    def _is_often_found(self, face: _Track, enough: int) -> bool:
        lasted_ns = face.last.at_ns - face.first.at_ns
        apart = self._flow is None or enough == 1 or lasted_ns >= APART_NS
        return face.finds >= enough and apart

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _known(self, face: _Track) -> int | None:
        """Return the number of the track that was lost where this face appeared, if any."""
        at_ns, box = face.first.at_ns, face.first.box
        for lost in sorted(self._lost, key=lambda f: _cost(f.last.box, box)):
            recent = 0 <= at_ns - lost.last.end_ns <= self._hold_ns + REJOIN_NS
            if recent and _cost(lost.last.box, box) < _FAR:
                self._lost.remove(lost)
                return lost.number
        return None

    def _give_up(self, now_ns: int) -> None:
        """End tracks that were missed for too long; those without a number at once."""
        for face in self._tracks:
            held_ns = now_ns - face.last.end_ns
            if face.alive and face.missed and (face.number is None or held_ns >= self._hold_ns):
                face.end()
                if face.number is not None:
                    self._lost.append(face)
        oldest_ns = now_ns - self._hold_ns - 2 * REJOIN_NS
        self._lost = [face for face in self._lost if face.last.end_ns >= oldest_ns]

    def _end_tracks(self, ends: Callable[[_Track], bool] = lambda _: True) -> None:
        """End tracks; where the detector did not look since, the face stays where it was."""
        for face in self._tracks:
            if face.alive and ends(face):
                face.end(self._index - 1 if face.last.index == self._looked else None)

    def _release(self) -> Iterator[Sample | Portrait | Watermark]:
        """Yield the samples of all frames about which every track is decided."""
        held = [face.decided for face in self._tracks if face.alive and self._flow is None]
        decided = min(held, default=self._index)
        while self._pending and self._pending[0][0] <= decided:
            index, frame = self._pending.pop(0)
            yield from self._samples(index, frame)
        first = self._pending[0][0] if self._pending else self._index
        self._tracks = [face for face in self._tracks if face.alive or face.until >= first]
        for face in self._tracks:
            face.forget(first)
        if self._portraits is not None:
            yield from self._portraits.keep({face.number or 0 for face in self._tracks})
        upto_ns = self._pending[0][1].at.start_ns if self._pending else self._upto_ns
        if upto_ns > self._told_ns:
            self._told_ns = upto_ns
            yield Watermark(Modality.FACE, upto_ns)

    def _samples(self, index: int, frame: Frame) -> Iterator[Sample | Portrait]:
        shown = []
        numbered = [face for face in self._tracks if face.number is not None]
        for face in sorted(numbered, key=lambda f: f.number or 0):
            view = face.at(index, frame.at.start_ns)
            if view is None:
                continue
            detection, lost = view
            crop = crop_face(frame.image, detection)
            seen = look(crop, detection)
            quality = seen.quality * (LOST_QUALITY if lost else 1.0)
            subject = Subject(SubjectKind.FACE, face.number or 0)
            motion = None
            if self._mouths is not None:
                motion = self._mouths.measure(subject.number, frame.image, detection, frame.at)
            box = _fractions(detection.box, frame.image.shape)
            details = replace(seen.details, box=box, mouth=motion)
            if self._style != USUAL:
                crop = crop_face(frame.image, detection, self._style.geometry, self._style.side)
            yield Sample(subject, frame.at, crop, quality, details)
            shown.append(subject.number)
            if self._portraits is not None and not lost:
                number = subject.number
                yield from self._portraits.see(number, frame.image, detection, seen, frame.at)
        if self._portraits is not None:
            self._portraits.seen_together(shown)


def layout(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how light and dark lie in a frame: grey levels on a 16 × 16 grid."""
    step = max(1, max(image.shape[:2]) // 160)  # enough pixels for so coarse a grid
    grid = cv2.resize(image[::step, ::step], (16, 16), interpolation=cv2.INTER_AREA)
    grey: NDArray[np.float32] = grid.mean(axis=2, dtype=np.float32)
    return grey


def layout_change(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return how unlike two layouts are: one less their correlation, in [0, 2].

    Brighter or darker as a whole is no change. Two grey levels count as noise, so
    that one blank frame is like another.
    """
    a, b = before - before.mean(), after - after.mean()
    noise = 2.0**2 * a.size
    scale = np.sqrt(((a * a).sum() + noise) * ((b * b).sum() + noise))
    return float(1.0 - ((a * b).sum() + noise) / scale)


def place_change(
    before: NDArray[np.uint8], after: NDArray[np.uint8], box: Box
) -> tuple[float, float]:
    """Return how alike a place and the whole frame are in two frames of one size.

    Args:
        before: RGB uint8 (H, W, 3).
        after: a later frame of the same shape.
        box: the place, in pixels; it may have moved by a sixth of its width.

    Returns:
        Two correlations of grey levels, in [-1, 1]; brighter or darker as a whole is no
        change. 1 where the place has no pixels or no contrast.
    """
    height, width = before.shape[:2]
    x, y, w, h = box
    margin = max(4, round(w / 6))
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    if right - left < 4 or bottom - top < 4:
        return 1.0, 1.0
    place = before[top:bottom, left:right]
    around = after[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    scale = min(1.0, _PATCH / w)
    return (
        _correlation(_grey(place, scale), _grey(around, scale)),
        _correlation(_grey(before, _PATCH / width), _grey(after, _PATCH / width)),
    )


def _grey(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = max(2, round(grey.shape[1] * scale)), max(2, round(grey.shape[0] * scale))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _correlation(part: NDArray[np.uint8], whole: NDArray[np.uint8]) -> float:
    """Return the correlation of a patch with where it fits best; both may be of one size."""
    if part.std() < 2:  # grey levels: noise
        return 1.0
    part = part[: whole.shape[0], : whole.shape[1]]
    return float(cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED).max())


def _is_still(face: _Track, image: NDArray[np.uint8]) -> bool:
    """Whether a face's place looks as it did at first, while the frame as a whole changed."""
    if face.start is None or face.start[0].shape != image.shape:
        return False
    place, whole = place_change(face.start[0], image, face.start[1])
    return place > STILL and whole < place


def _goes_on(face: _Track, before: NDArray[np.uint8] | None, after: NDArray[np.uint8]) -> bool:
    if before is None or before.shape != after.shape:
        return False
    return place_change(before, after, face.last.box)[0] > SAME


def assign(
    faces: Sequence[_Track], found: Sequence[Detection], at_ns: int
) -> list[tuple[_Track, Detection]]:
    """Pair faces with detections at least total cost; what is too far apart stays alone."""
    if not faces or not found:
        return []
    costs = np.array([[_cost(f.predict(at_ns), d.box) + 1 - d.score for d in found] for f in faces])
    pairs = least_cost_pairs(costs)
    return [(faces[r], found[c]) for r, c in pairs if costs[r, c] < _FAR]


_FAR = 1e6
_WEAK = 0.75  # score that an unsure face must reach once
_PATCH = 48  # pixels across what is compared
_NEAR = 1.0  # widths between the centres of what may be the same face
_ALIKE = 1.6  # ratio of widths of what may be the same face


def _cost(a: Box, b: Box) -> float:
    """Return how badly two boxes fit, from 0; `_FAR` if they cannot be the same face."""
    width = (a[2] + b[2]) / 2
    apart = np.hypot(a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2) / width
    ratio = max(a[2], b[2]) / min(a[2], b[2])
    if apart > _NEAR or ratio > _ALIKE:
        return _FAR
    return float(1.0 - iou(a, b) + apart)


@dataclass(slots=True, eq=False)
class _Observation:
    """A face found in a frame. `place` is its box and landmarks in one vector, in pixels."""

    index: int
    at_ns: int
    end_ns: int
    place: NDArray[np.float64]
    score: float
    carried: bool  # by optical flow
    sure: bool
    missed: int = 0  # looks without a find since the last sight

    @property
    def box(self) -> Box:
        x, y, w, h = map(float, self.place[:4])
        return x, y, w, h

    @classmethod
    def of(cls, index: int, frame: Frame, d: Detection) -> _Observation:
        points = [] if d.landmarks is None else d.landmarks.ravel().tolist()
        place = np.array([*d.box, *points], dtype=np.float64)
        return cls(index, frame.at.start_ns, frame.at.end_ns, place, d.score, d.carried, d.sure)


@dataclass(slots=True, eq=False)
class _Track:
    """A track: one face as long as it is followed."""

    first: _Observation
    start: tuple[NDArray[np.uint8], Box] | None = None  # first image and box, until it counts
    sights: list[_Observation] = field(init=False)  # the latest
    number: int | None = None  # once it counts
    missed: int = 0
    until: int = -1  # index of its last frame, once it ended
    alive: bool = True

    def __post_init__(self) -> None:
        self.sights = [self.first]

    @property
    def last(self) -> _Observation:
        return self.sights[-1]

    @property
    def finds(self) -> int:
        """How often a detector found it of late: in all observations while it has no number."""
        return sum(not sight.carried for sight in self.sights)

    @property
    def decided(self) -> int:
        """Index of the last frame about which nothing can change any more."""
        return self.first.index - 1 if self.number is None else self.last.index

    def add(self, sight: _Observation) -> None:
        """Take a find. A still face's jitter is averaged out, a move is followed at once."""
        if sight.place.shape == self.last.place.shape:
            moved = np.abs(sight.place[:4] - self.last.place[:4]).max() / self.last.place[2]
            trust = float(np.interp(moved, (_JITTER, _MOVE), (_CALM, 1.0)))
            sight.place = trust * sight.place + (1 - trust) * self.last.place
        sight.missed, self.missed = self.missed, 0
        self.sights.append(sight)

    def restart(self, count: int) -> None:
        """Begin anew with the last `count` finds; without any the track ends."""
        if count == 0:
            self.end()
        else:
            found = [n for n, sight in enumerate(self.sights) if not sight.carried]
            self.sights = self.sights[found[-count] :]
            self.first = self.sights[0]

    def end(self, until: int | None = None) -> None:
        self.alive = False
        self.until = self.last.index if until is None else until

    def predict(self, at_ns: int) -> Box:
        """Say where the face should be: at constant velocity from the last two sights."""
        last = self.last
        x, y, w, h = last.place[:4]
        if len(self.sights) > 1:
            before = self.sights[-2]
            ahead = min(1.0, (at_ns - last.at_ns) / max(1, last.at_ns - before.at_ns))
            dx, dy = (last.place[:2] + last.place[2:4] / 2) - (
                before.place[:2] + before.place[2:4] / 2
            )
            x, y = x + ahead * dx, y + ahead * dy
        return float(x), float(y), float(w), float(h)

    def at(self, index: int, at_ns: int) -> tuple[Detection, bool] | None:
        """Return the face in a frame, and whether the detector had lost it there."""
        if not self.first.index <= index <= (self.last.index if self.alive else self.until):
            return None
        after = next((s for s in self.sights if s.index >= index), None)
        if after is None:  # the video or scene ends before the next look
            return _detection(self.last.place, self.last.score), False
        if after.index == index:
            return _detection(after.place, after.score), False
        before = [s for s in self.sights if s.index < index][-1]
        way = (at_ns - before.at_ns) / max(1, after.at_ns - before.at_ns)
        score = (1 - way) * before.score + way * after.score
        if before.place.shape != after.place.shape:
            return _detection(before.place, score), after.missed > 0
        place = (1 - way) * before.place + way * after.place
        return _detection(place, score), after.missed > 0

    def forget(self, first: int) -> None:
        """Drop observations that neither frames from `first` on nor the velocity need."""
        while self.number is not None and len(self.sights) > 2 and self.sights[1].index < first:
            del self.sights[0]


_JITTER, _MOVE = 0.04, 0.2  # in widths: what counts as standing still, what as moving
_CALM = 0.5  # weight of a new find of a face that stands still


def _detection(place: NDArray[np.float64], score: float) -> Detection:
    x, y, w, h = map(float, place[:4])
    landmarks = place[4:].reshape(5, 2).astype(np.float32) if len(place) > 4 else None
    return Detection((x, y, w, h), score, landmarks)


def _fractions(box: Box, shape: tuple[int, ...]) -> Box:
    """Return the part of a box inside the frame, in fractions of it."""
    height, width = shape[:2]
    left, top = (float(np.clip(v / n, 0, 1)) for v, n in zip(box[:2], (width, height), strict=True))
    right = float(np.clip((box[0] + box[2]) / width, 0, 1))
    bottom = float(np.clip((box[1] + box[3]) / height, 0, 1))
    return left, top, right - left, bottom - top
