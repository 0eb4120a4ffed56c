"""Drawing the window: the picture with its people, and a panel that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pygame

from ..core.details import TextDetails
from ..core.estimates import Estimate, Modality, SubjectKind
from ..core.labels import CANONICAL
from ..export.palette import COLOURS
from .state import WAVE_RATE, WAVE_SECONDS, Person, Picture, Snapshot, Status

Colour = tuple[int, int, int]

BACK, CARD, LINE, SHADE = (17, 18, 22), (28, 30, 36), (46, 49, 58), (20, 21, 25)
INK, SOFT, FAINT = (238, 239, 242), (168, 172, 182), (112, 117, 128)
RED, AMBER = (235, 80, 70), (240, 180, 60)
CLAIM = "Expressions, not feelings: what a face and a voice show, not what a person feels."
KEYS = (("space", "pause"), ("r", "record"), ("a", "talk"), ("f", "full screen"), ("q", "quit"))

PANEL = 340  # width of the panel in points
PAD = 16
_FONTS = "segoeui,helveticaneue,inter,notosans,dejavusans,liberationsans,arial"
_DEPTH_DB = 54.0  # below full scale: what is fainter is not drawn
_CONTRADICTION = 0.5  # disagreement from which it is worth a word
_NAMES = {Modality.FACE: "face", Modality.SPEECH: "voice", Modality.TEXT: "words"}
_SHADES = {
    Modality.FACE: (122, 162, 247),
    Modality.SPEECH: (158, 206, 106),
    Modality.TEXT: (224, 175, 104),
}


class Painter:
    """Draws what a `Snapshot` holds.

    Args:
        scale: pixels of a point; 2 on a screen of twice the resolution.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        pygame.font.init()
        self._font = lru_cache(maxsize=32)(self._load_font)
        self._text = lru_cache(maxsize=512)(self._render)

    def window(self, target: pygame.Surface, snap: Snapshot, status: Status) -> None:
        """Draw the whole window."""
        target.fill(BACK)
        width, height = target.get_size()
        panel = self._px(PANEL) if width >= self._px(PANEL) * 2 else 0
        foot = self._px(54)
        pad = self._px(PAD)
        view = pygame.Rect(pad, pad, width - panel - 2 * pad, height - foot - 2 * pad)
        self._picture(target, view, snap, status)
        if panel:
            side = pygame.Rect(width - panel, pad, panel - pad, height - foot - 2 * pad)
            self._panel(target, side, snap, status)
        claim = self._text(CLAIM, 13, SOFT)
        target.blit(claim, claim.get_rect(midleft=(pad, height - foot + self._px(4))))
        line = pygame.Rect(pad, height - self._px(36), width - 2 * pad, self._px(30))
        self._foot(target, line, status)

    def splash(self, target: pygame.Surface, text: str) -> None:
        """Draw a line of text on an empty window."""
        target.fill(BACK)
        x, y = target.get_rect().center
        self._centre(target, "emofuse", 34, INK, (x, y - self._px(24)), bold=True)
        self._centre(target, text, 16, SOFT, (x, y + self._px(16)))
        self._centre(target, CLAIM, 13, FAINT, (x, target.get_height() - self._px(30)))

    def picture(self, snap: Snapshot, mirror: bool) -> pygame.Surface | None:
        """Draw the picture with its people at its own size, e.g. for a recording."""
        if snap.picture is None:
            return None
        surface = _surface(snap.picture, mirror)
        self._people(surface, surface.get_rect(), snap.people, mirror)
        return surface

    def _picture(
        self, target: pygame.Surface, view: pygame.Rect, snap: Snapshot, status: Status
    ) -> None:
        if snap.picture is None:
            pygame.draw.rect(target, CARD, view, border_radius=self._px(10))
            text = "listening" if status.sound else "waiting for the camera …"
            self._centre(target, text, 18, SOFT, view.center)
            area = view
        else:
            image = _surface(snap.picture, mirror=True)
            area = _fit(image.get_size(), view)
            if area.size != image.get_size():
                image = pygame.transform.smoothscale(image, area.size)
            target.blit(image, area)
            self._people(target, area, snap.people, mirror=True)
        self._badges(target, area, status)
        self._notes(target, area, snap.notes)

    def _people(
        self,
        target: pygame.Surface,
        area: pygame.Rect,
        people: Sequence[Person],
        mirror: bool,
    ) -> None:
        for person in people:
            if person.box is None or person.estimate is None:
                continue
            x, y, w, h = map(float, person.box)
            if mirror:
                x = 1.0 - x - w
            box = pygame.Rect(
                round(area.x + x * area.w),
                round(area.y + y * area.h),
                round(w * area.w),
                round(h * area.h),
            )
            self._face(target, area, box, person)

    def _face(
        self, target: pygame.Surface, area: pygame.Rect, box: pygame.Rect, person: Person
    ) -> None:
        e = person.estimate
        assert e is not None
        colour = _colour(e)
        width = max(2, self._px(3.5))
        _corners(target, box, colour, width)
        text = _headline(e)
        tag = self._text(f"{person.subject.number}", 15, _ink_on(colour), True)
        label = self._text(text, 15, INK, True)
        pad = self._px(7)
        height = label.get_height() + pad
        total = tag.get_width() + label.get_width() + 4 * pad
        left = max(area.left, min(box.left, area.right - total))
        top = box.top - height - self._px(6)
        if top < area.top:
            top = min(box.bottom + self._px(6), area.bottom - height)
        back = pygame.Rect(left, top, total, height)
        radius = self._px(7)
        _veil(target, back, (12, 13, 16, 205), radius)
        chip = pygame.Rect(left, top, tag.get_width() + 2 * pad, height)
        pygame.draw.rect(
            target, colour, chip, border_top_left_radius=radius, border_bottom_left_radius=radius
        )
        target.blit(tag, tag.get_rect(center=chip.center))
        target.blit(label, label.get_rect(midleft=(chip.right + pad, back.centery)))

    def _badges(self, target: pygame.Surface, area: pygame.Rect, status: Status) -> None:
        x, y = area.left + self._px(12), area.top + self._px(12)
        if status.recording_seconds is not None:
            minutes, seconds = divmod(int(status.recording_seconds), 60)
            x = self._badge(target, (x, y), f"● REC {minutes}:{seconds:02d}", RED)
        if status.talking is not None:
            x = self._badge(target, (x, y), "● speak now", AMBER)
            line = pygame.Rect(area.left, area.bottom - self._px(5), area.w, self._px(5))
            _veil(target, line, (0, 0, 0, 120), 0)
            pygame.draw.rect(
                target, AMBER, (line.x, line.y, round(line.w * status.talking), line.h)
            )
        if status.paused:
            _veil(target, area, (10, 11, 14, 130), 0)
            self._centre(target, "paused", 34, INK, area.center, bold=True)
            below = (area.centerx, area.centery + self._px(34))
            self._centre(target, "space goes on", 15, SOFT, below)

    def _badge(self, target: pygame.Surface, at: tuple[int, int], text: str, colour: Colour) -> int:
        label = self._text(text, 14, colour, True)
        back = label.get_rect(topleft=at).inflate(self._px(18), self._px(10))
        back.topleft = at
        _veil(target, back, (12, 13, 16, 205), self._px(7))
        target.blit(label, label.get_rect(center=back.center))
        return back.right + self._px(8)

    def _notes(self, target: pygame.Surface, area: pygame.Rect, notes: Sequence[str]) -> None:
        bottom = area.bottom - self._px(14)
        for note in reversed(notes):
            lines = self._wrapped(note, 14, area.w - self._px(60))
            height = sum(line.get_height() for line in lines) + self._px(14)
            width = max(line.get_width() for line in lines) + self._px(28)
            back = pygame.Rect(0, 0, width, height)
            back.midbottom = (area.centerx, bottom)
            _veil(target, back, (12, 13, 16, 220), self._px(8))
            y = back.top + self._px(7)
            for line in lines:
                target.blit(line, line.get_rect(midtop=(back.centerx, y)))
                y += line.get_height()
            bottom = back.top - self._px(6)

    def _panel(
        self, target: pygame.Surface, side: pygame.Rect, snap: Snapshot, status: Status
    ) -> None:
        voice_height = self._px(150)
        voice = pygame.Rect(side.x, side.bottom - voice_height, side.w, voice_height)
        people = pygame.Rect(side.x, side.y, side.w, side.h - voice_height - self._px(12))
        known = [p for p in snap.people if p.estimate is not None]
        few = len(known) == 1 or people.h >= self._px(254) * len(known)
        room = max(1, people.h // self._px(254 if few else 164))
        y = people.y
        if not known:
            card = pygame.Rect(people.x, y, people.w, self._px(92))
            pygame.draw.rect(target, CARD, card, border_radius=self._px(10))
            self._centre(target, "Nobody is seen or heard yet", 15, SOFT, card.center)
        for person in known[:room]:
            card = pygame.Rect(people.x, y, people.w, people.bottom - y)
            y += self._person(target, card, person, len(CANONICAL) if few else 3) + self._px(12)
        if len(known) > room and y + self._px(18) < voice.y:
            more = self._text(f"and {len(known) - room} more", 13, FAINT)
            target.blit(more, (people.x + self._px(14), y - self._px(6)))
        self._voice(target, voice, snap, status)

    def _person(self, target: pygame.Surface, room: pygame.Rect, person: Person, most: int) -> int:
        """Draw a card about a person with bars of the `most` likely labels; return its height."""
        e = person.estimate
        assert e is not None
        pad, row = self._px(14), self._px(18)
        rows = list(e.probabilities.taxonomy.labels)
        if len(rows) > most:
            rows = sorted(rows, key=lambda label: -e.probabilities[label])[:most]
        head = self._px(62)
        tail = self._px(40) if e.fusion is not None else self._px(12)
        height = head + row * len(rows) + tail
        card = pygame.Rect(room.x, room.y, room.w, height)
        pygame.draw.rect(target, CARD, card, border_radius=self._px(10))
        colour = _colour(e)
        is_face = person.subject.kind is SubjectKind.FACE
        name = f"Person {person.subject.number}" if is_face else "A voice"
        target.blit(self._text(name, 13, SOFT), (card.x + pad, card.y + self._px(10)))
        headline = self._text(_headline(e), 21, colour if e.uncertain is None else SOFT, True)
        target.blit(headline, (card.x + pad, card.y + self._px(27)))
        y = card.y + head
        for label in rows:
            self._bar(target, pygame.Rect(card.x + pad, y, card.w - 2 * pad, row), e, label)
            y += row
        if e.uncertain is not None:
            reason = self._wrapped(e.doubt or "", 12, card.w - 2 * pad, AMBER)[0]
            target.blit(reason, (card.x + pad, y + self._px(8)))
        elif e.fusion is not None:
            line = pygame.Rect(card.x + pad, y + self._px(6), card.w - 2 * pad, self._px(26))
            self._shares(target, line, e)
        return height

    def _bar(self, target: pygame.Surface, row: pygame.Rect, e: Estimate, label: str) -> None:
        p = e.probabilities[label]
        top = label == e.label
        name = self._text(label, 13, INK if top else SOFT, top)
        target.blit(name, name.get_rect(midleft=row.midleft))
        left, right = row.x + self._px(72), row.right - self._px(40)
        track = pygame.Rect(left, row.centery - self._px(4), right - left, self._px(8))
        pygame.draw.rect(target, LINE, track, border_radius=self._px(4))
        filled = pygame.Rect(track.x, track.y, round(track.w * p), track.h)
        if filled.w >= self._px(2):
            colour = _rgb(COLOURS[label]) if e.uncertain is None else FAINT
            pygame.draw.rect(target, colour, filled, border_radius=self._px(4))
        share = self._text(f"{100 * p:.0f} %", 12, INK if top else FAINT)
        target.blit(share, share.get_rect(midright=row.midright))

    def _shares(self, target: pygame.Surface, line: pygame.Rect, e: Estimate) -> None:
        assert e.fusion is not None
        track = pygame.Rect(line.x, line.y, line.w, self._px(5))
        x = float(track.x)
        words = []
        for modality, share in sorted(e.fusion.modality_weights.items()):
            part = pygame.Rect(round(x), track.y, max(1, round(track.w * share)), track.h)
            pygame.draw.rect(target, _SHADES[modality], part)
            x += track.w * share
            words.append((f"{_NAMES[modality]} {100 * share:.0f} %", _SHADES[modality]))
        at = line.x
        for text, colour in words:
            label = self._text(text, 12, colour)
            target.blit(label, (at, line.y + self._px(10)))
            at += label.get_width() + self._px(12)
        if e.fusion.disagreement >= _CONTRADICTION:
            label = self._text("they disagree", 12, AMBER)
            target.blit(label, label.get_rect(topright=(line.right, line.y + self._px(10))))

    def _voice(
        self, target: pygame.Surface, card: pygame.Rect, snap: Snapshot, status: Status
    ) -> None:
        pygame.draw.rect(target, CARD, card, border_radius=self._px(10))
        pad = self._px(14)
        head = "Voice" if not status.push_to_talk else "Voice (press a and speak)"
        target.blit(self._text(head, 13, SOFT), (card.x + pad, card.y + self._px(10)))
        if snap.voice is not None:
            e = snap.voice
            said = self._text(f"{e.label} {100 * e.confidence:.0f} %", 13, _colour(e), True)
            target.blit(said, said.get_rect(topright=(card.right - pad, card.y + self._px(10))))
        area = pygame.Rect(
            card.x + pad, card.y + self._px(34), card.w - 2 * pad, card.h - self._px(84)
        )
        if status.sound:
            _wave(target, area, snap.wave)
        else:
            self._centre(target, "no microphone", 14, FAINT, area.center)
        if snap.words is not None:
            details = snap.words.find_details(TextDetails) or TextDetails()
            text = f"“{details.text or ''}”"
            lines = self._wrapped(text, 13, area.w, INK)[-2:]
            y = card.bottom - self._px(8) - sum(line.get_height() for line in lines)
            for line in lines:
                target.blit(line, (area.x, y))
                y += line.get_height()

    def _foot(self, target: pygame.Surface, line: pygame.Rect, status: Status) -> None:
        y = line.centery
        facts = [f"{_name(m)} {ms:.0f} ms" for m, ms in sorted(status.latency_ms.items())]
        facts += [f"picture {status.age_ms:.0f} ms old", f"{status.fps:.0f} fps"]
        facts.append(f"{status.dropped} dropped")
        x = line.x
        for text in facts:
            label = self._text(text, 12, FAINT)
            target.blit(label, label.get_rect(midleft=(x, y)))
            x += label.get_width() + self._px(14)
        right = line.right
        for key, what in reversed(KEYS):
            label = self._text(what, 12, FAINT)
            if right - label.get_width() - self._px(60) < x:
                break
            target.blit(label, label.get_rect(midright=(right, y)))
            right -= label.get_width() + self._px(6)
            cap = self._text(key, 12, SOFT, True)
            back = cap.get_rect(midright=(right - self._px(5), y)).inflate(
                self._px(10), self._px(5)
            )
            pygame.draw.rect(target, LINE, back, border_radius=self._px(4))
            target.blit(cap, cap.get_rect(center=back.center))
            right = back.left - self._px(12)

    def _centre(
        self,
        target: pygame.Surface,
        text: str,
        size: int,
        colour: Colour,
        at: tuple[int, int],
        bold: bool = False,
    ) -> None:
        label = self._text(text, size, colour, bold)
        target.blit(label, label.get_rect(center=at))

    def _wrapped(
        self, text: str, size: int, width: int, colour: Colour = INK
    ) -> list[pygame.Surface]:
        """Break a text into lines that fit."""
        font, lines = self._font(size, False), [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font.size(longer)[0] > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return [self._text(line or " ", size, colour) for line in lines]

    def _px(self, points: float) -> int:
        return round(points * self._scale)

    def _load_font(self, size: int, bold: bool) -> pygame.font.Font:
        return pygame.font.SysFont(_FONTS, self._px(size), bold=bold)

    def _render(self, text: str, size: int, colour: Colour, bold: bool = False) -> pygame.Surface:
        return self._font(size, bold).render(text, True, colour)


def _surface(picture: Picture, mirror: bool) -> pygame.Surface:
    height, width = picture.image.shape[:2]
    pixels = np.ascontiguousarray(picture.image)
    surface = pygame.image.frombuffer(pixels.data.cast("B"), (width, height), "RGB")
    # Either way a copy: what is drawn on it must not reach the picture that is analyzed.
    return pygame.transform.flip(surface, True, False) if mirror else surface.copy()


def _fit(size: tuple[int, int], room: pygame.Rect) -> pygame.Rect:
    scale = min(room.w / size[0], room.h / size[1])
    fitted = pygame.Rect(0, 0, round(size[0] * scale), round(size[1] * scale))
    fitted.center = room.center
    return fitted


def _corners(target: pygame.Surface, box: pygame.Rect, colour: Colour, width: int) -> None:
    """Draw a thin frame with strong corners, edged so that it shows on any ground."""
    pygame.draw.rect(target, SHADE, box.inflate(2, 2), 3)
    pygame.draw.rect(target, colour, box, 1)
    arm = max(8, min(box.w, box.h) // 5)
    arms = [
        pygame.Rect(x - (x == box.right) * w, y - (y == box.bottom) * h, w, h)
        for w, h in ((arm, width), (width, arm))
        for x in (box.left, box.right)
        for y in (box.top, box.bottom)
    ]
    for part in arms:
        pygame.draw.rect(target, SHADE, part.inflate(2, 2))
    for part in arms:
        pygame.draw.rect(target, colour, part)


def _veil(
    target: pygame.Surface, area: pygame.Rect, colour: tuple[int, int, int, int], radius: int
) -> None:
    veil = pygame.Surface(area.size, pygame.SRCALPHA)
    pygame.draw.rect(veil, colour, veil.get_rect(), border_radius=radius)
    target.blit(veil, area)


def _wave(target: pygame.Surface, area: pygame.Rect, wave: Any) -> None:
    """Draw peaks from the left (older) to the right (now), soft sounds lifted."""
    pygame.draw.line(target, LINE, area.midleft, area.midright)
    step = max(2, area.w // 110)
    bars = area.w // step
    if not len(wave):
        return
    full = np.zeros(int(WAVE_RATE * WAVE_SECONDS), np.float32)
    full[-len(wave) :] = wave
    edges = np.linspace(0, len(full), bars, endpoint=False).astype(int)
    peaks = np.maximum(np.maximum.reduceat(full, edges), 1e-6)
    levels = np.clip(1 + 20 * np.log10(peaks) / _DEPTH_DB, 0, 1)  # ears hear by decibels
    halves = levels**1.5 * area.h / 2
    for i, half in enumerate(halves.round().astype(int).tolist()):
        fade = 0.35 + 0.65 * i / bars
        colour = tuple(round(c * fade) for c in _SHADES[Modality.SPEECH])
        if half:
            bar = (area.x + i * step, area.centery - half, max(1, step - 1), 2 * half)
            pygame.draw.rect(target, colour, bar)


def _headline(e: Estimate) -> str:
    if e.uncertain is not None:
        return f"unsure ({e.label}?)"
    return f"{e.label} {100 * e.confidence:.0f} %"


def _colour(e: Estimate) -> Colour:
    return SOFT if e.uncertain is not None else _rgb(COLOURS.get(e.label, "#cccccc"))


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _ink_on(colour: Colour) -> Colour:
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return (16, 17, 20) if luma > 130 else (255, 255, 255)


def _name(modality: str) -> str:
    return {"speech": "voice"}.get(modality, modality)
