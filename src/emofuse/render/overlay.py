"""What is drawn on a frame: boxes, names, bars, words; and faces made unrecognizable."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..core.details import FaceDetails, TextDetails
from ..core.estimates import Estimate, Modality, Subject, SubjectKind
from ..core.time import NS
from ..core.timeline import Timeline
from ..export.palette import colours_of
from ..export.runs import names_of
from ..export.strips import ink_on

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in fractions of the frame."""

_SHOWN = 3
"""Bars of a person: the most probable labels."""

_HOLD_NS = NS
"""A blurred face stays blurred this long before it is first and after it is last found."""

_MARGIN = 0.35
"""Part of a face's size by which its blurred place is larger on every side."""

_BLOCKS = 6
"""Blocks across a blurred face."""

_NOTE = "expressions, not feelings"


@dataclass(frozen=True, slots=True)
class _Lane:
    """Estimates in order of time, to be looked up."""

    estimates: Sequence[Estimate]
    starts: Sequence[int]

    def at(self, time_ns: int) -> Estimate | None:
        """Return the estimate that holds at a time."""
        k = bisect_right(self.starts, time_ns) - 1
        found = self.estimates[k] if k >= 0 else None
        return found if found is not None and time_ns < found.span.end_ns else None

    def around(self, time_ns: int) -> Sequence[Estimate]:
        """Return the estimates that hold within a second of a time."""
        first = bisect_right(self.starts, time_ns - 2 * _HOLD_NS)
        last = bisect_right(self.starts, time_ns + _HOLD_NS)
        some = self.estimates[first:last]
        return [e for e in some if e.span.end_ns > time_ns - _HOLD_NS]


class Overlay:
    """Draws a timeline on the frames of its medium.

    Args:
        timeline: what to draw.
        blur_faces: whether every face that was found is made unrecognizable.
    """

    def __init__(self, timeline: Timeline, *, blur_faces: bool = False) -> None:
        self._blur = blur_faces
        self._names = names_of(timeline)
        self._results = _lanes(timeline, Modality.FUSED)
        self._faces = _lanes(timeline, Modality.FACE)
        self._words = _lane(timeline.of(Modality.TEXT))
        self._colours = colours_of(timeline.labels)

    def draw(self, image: NDArray[np.uint8], time_ns: int) -> NDArray[np.uint8]:
        """Return a frame with what is known of its moment.

        Args:
            image: RGB, shape (height, width, 3); it is left as it is.
            time_ns: when it is shown.
        """
        picture = Image.fromarray(image)
        if self._blur:
            for lane in self._faces.values():
                _pixelate(picture, lane.around(time_ns))
        pen = _Pen(picture)
        unseen: list[tuple[str, Estimate]] = []
        for subject, lane in self._results.items():
            e, box = lane.at(time_ns), self._box(subject, time_ns)
            if e is None:
                continue
            if box is None or subject.kind is not SubjectKind.FACE:
                unseen.append((self._names[subject], e))
            else:
                self._person(pen, self._names[subject], e, box)
        self._lone(pen, unseen)
        self._say(pen, time_ns)
        pen.text((pen.width - pen.pad, pen.pad), _NOTE, anchor="rt")
        return np.asarray(picture)

    def _box(self, subject: Subject, time_ns: int) -> Box | None:
        """Return where a face is: between the middles of its estimates on a straight line."""
        lane = self._faces.get(subject)
        e = lane.at(time_ns) if lane is not None else None
        here = _box_of(e)
        if lane is None or e is None or here is None:
            return None
        middle = (e.span.start_ns + e.span.end_ns) // 2
        step = e.span.duration_ns or 1
        other = lane.at(middle + (step if time_ns >= middle else -step))
        there = _box_of(other)
        if there is None:
            return here
        part = min(abs(time_ns - middle) / step, 0.5)
        left, top, right, bottom = (a + part * (b - a) for a, b in zip(here, there, strict=True))
        return left, top, right, bottom

    def _person(self, pen: _Pen, name: str, e: Estimate, box: Box) -> None:
        left, top, right, bottom = pen.pixels(box)
        colour = "#ffffff" if e.uncertain else self._colours[e.label]
        pen.frame((left, top, right, bottom), colour, dashed=e.uncertain is not None)
        pen.tag((left, top), f"{name}: {_told(e)}", colour)
        self._bars(pen, e, left, bottom + pen.pad // 2)

    def _lone(self, pen: _Pen, some: Sequence[tuple[str, Estimate]]) -> None:
        """Draw those who have no place in the frame in its corner."""
        top: float = pen.pad + pen.line
        for name, e in some:
            colour = "#ffffff" if e.uncertain else self._colours[e.label]
            pen.tag((pen.pad, top), f"{name}: {_told(e)}", colour)
            top = self._bars(pen, e, pen.pad, top + pen.pad // 2) + pen.line + pen.pad

    def _bars(self, pen: _Pen, e: Estimate, left: float, top: float) -> float:
        best = sorted(e.probabilities.items(), key=lambda item: -item[1])[:_SHOWN]
        for label, p in best:
            pen.bar((left, top), label, p, self._colours[label])
            top += pen.line
        return top

    def _say(self, pen: _Pen, time_ns: int) -> None:
        e = self._words.at(time_ns)
        details = e.find_details(TextDetails) if e is not None else None
        if details is not None and details.text:
            pen.caption(details.text)


class _Pen:
    """Draws with sizes that go with the frame's."""

    def __init__(self, picture: Image.Image) -> None:
        self.width, self.height = picture.size
        self.size = max(12, round(min(self.width, self.height * 1.4) / 46))
        self.line, self.pad = round(self.size * 1.35), max(3, self.size // 2)
        self._draw = ImageDraw.Draw(picture, "RGBA")
        self._font = ImageFont.load_default(self.size)

    def pixels(self, box: Box) -> Box:
        """Turn fractions of the frame into pixels."""
        left, top, right, bottom = box
        return left * self.width, top * self.height, right * self.width, bottom * self.height

    def text(
        self, at: tuple[float, float], text: str, colour: str = "#ffffff", anchor: str = "lt"
    ) -> None:
        """Write with a dark edge, which is read on any ground."""
        stroke = max(1, self.size // 9) if colour == "#ffffff" else 0
        self._draw.text(
            at, text, colour, self._font, anchor=anchor, stroke_width=stroke, stroke_fill="#000000"
        )

    def frame(self, box: Box, colour: str, dashed: bool) -> None:
        """Draw a box; a dashed one is of a result that is uncertain."""
        wide = max(2, self.size // 7)
        self._draw.rectangle(box, outline="#000000a0", width=wide + 2)
        if not dashed:
            self._draw.rectangle(box, outline=colour, width=wide)
            return
        for line in _dashes(box, self.size):
            self._draw.line(line, colour, wide)

    def tag(self, at: tuple[float, float], text: str, colour: str) -> None:
        """Write on a ground of a color, above a place; it stays within the frame."""
        wide = self._draw.textlength(text, self._font) + 2 * self.pad
        left = max(0.0, min(at[0], self.width - wide))
        top = max(0.0, at[1] - self.line - self.pad // 2)
        ground = (left, top, left + wide, top + self.line + self.pad // 2)
        self._draw.rectangle(ground, fill=colour)
        ink = ink_on(colour)
        self._draw.text(
            (left + self.pad, (ground[1] + ground[3]) / 2), text, ink, self._font, anchor="lm"
        )

    def bar(self, at: tuple[float, float], label: str, p: float, colour: str) -> None:
        """Draw a probability with its label."""
        long = self.size * 8
        left, top = max(0.0, min(at[0], self.width - long)), at[1]
        ground = (left, top, left + long, top + self.line - 2)
        self._draw.rectangle(ground, fill="#000000a8")
        self._draw.rectangle(
            (left, ground[3] - self.size / 3.5, left + long * p, ground[3]), fill=colour
        )
        place = (left + self.pad / 2, top + (self.line - 2) / 2)
        self._draw.text(place, f"{label} {p:.0%}", "#ffffff", self._font, anchor="lm")

    def caption(self, text: str) -> None:
        """Write what is said at the bottom, in as many lines as it needs."""
        lines, room = [""], self.width * 0.9
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if self._draw.textlength(longer, self._font) <= room or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(word)
        for n, line in enumerate(reversed(lines)):
            self.text((self.width / 2, self.height - self.pad - n * self.line), line, anchor="mb")


def _lanes(timeline: Timeline, modality: Modality) -> dict[Subject, _Lane]:
    """Return the estimates of a modality by whom they are about."""
    found: dict[Subject, list[Estimate]] = {}
    for e in timeline.of(modality):
        found.setdefault(e.subject, []).append(e)
    return {subject: _lane(found[subject]) for subject in sorted(found)}


def _lane(estimates: Sequence[Estimate]) -> _Lane:
    return _Lane(estimates, [e.span.start_ns for e in estimates])


def _told(e: Estimate) -> str:
    return "uncertain" if e.uncertain else f"{e.label} {e.confidence:.0%}"


def _box_of(e: Estimate | None) -> Box | None:
    details = e.find_details(FaceDetails) if e is not None else None
    if details is None or details.box is None:
        return None
    left, top, width, height = details.box
    return left, top, left + width, top + height


def _pixelate(picture: Image.Image, some: Sequence[Estimate]) -> None:
    """Make a face unrecognizable wherever it was within a second: it may have moved meanwhile."""
    boxes = [box for e in some if (box := _box_of(e)) is not None]
    if not boxes:
        return
    left, top, right, bottom = (
        min(b[0] for b in boxes), min(b[1] for b in boxes),
        max(b[2] for b in boxes), max(b[3] for b in boxes),
    )  # fmt: skip
    x, y = _MARGIN * (right - left), _MARGIN * (bottom - top)
    wide, high = picture.size
    place = (
        max(0, int((left - x) * wide)), max(0, int((top - y) * high)),
        min(wide, int((right + x) * wide) + 1), min(high, int((bottom + y) * high) + 1),
    )  # fmt: skip
    if place[0] >= place[2] or place[1] >= place[3]:
        return
    part = picture.crop(place)
    blocks = part.resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX)
    picture.paste(blocks.resize(part.size, Image.Resampling.NEAREST), place)


def _dashes(box: Box, long: float) -> Iterator[Box]:
    """Yield the pieces of a dashed box."""
    left, top, right, bottom = box
    for x in np.arange(left, right, 2 * long):
        for y in (top, bottom):
            yield x, y, min(x + long, right), y
    for y in np.arange(top, bottom, 2 * long):
        for x in (left, right):
            yield x, y, x, min(y + long, bottom)
