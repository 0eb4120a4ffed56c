"""Portraits: few, the best of each stretch, and who was beside whom."""

from __future__ import annotations

import numpy as np

from emofuse.core.estimates import Subject, SubjectKind
from emofuse.core.identity import Portrait
from emofuse.core.time import Span, to_ns
from emofuse.face.detect import Detection
from emofuse.face.portrait import SIDE, Portraits
from emofuse.face.quality import View

IMAGE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
FACE = Detection((100.0, 60.0, 90.0, 90.0), 0.9)


def view(quality: float = 0.8, side: float = 90.0) -> View:
    return View(quality, side, 1.0)


def watch(portraits: Portraits, views: dict[float, View], number: int = 1) -> list[Portrait]:
    out = []
    for at, seen in views.items():
        span = Span.of_seconds(at, at + 0.1)
        out += portraits.see(number, IMAGE, FACE, seen, span)
    return out


def face(number: int) -> Subject:
    return Subject(SubjectKind.FACE, number)


def test_each_stretch_has_its_best_view() -> None:
    portraits = Portraits()
    views = {k / 10: view(0.4) for k in range(10)} | {0.3: view(0.9), 0.9: view(0.7)}
    first = watch(portraits, dict(sorted(views.items())))
    assert [p.span.start for p in first] == [0.3]
    (rest,) = portraits.keep(())
    assert rest.span.start == 0.9
    assert rest.image.shape == (SIDE, SIDE, 3)


def test_an_hour_costs_a_handful() -> None:
    portraits = Portraits()
    views = {float(at): view() for at in range(3600)}
    assert len(watch(portraits, views)) + len(list(portraits.keep(()))) <= 8


def test_a_larger_view_is_better_than_a_small_one_as_sharp() -> None:
    portraits = Portraits()
    watch(portraits, {0.0: view(side=50), 0.2: view(side=120), 0.4: view(side=60)})
    assert [p.span.start for p in portraits.keep(())] == [0.2]


def test_poor_and_tiny_views_are_none() -> None:
    portraits = Portraits()
    watch(portraits, {0.0: view(quality=0.1), 0.2: view(side=20)})
    assert list(portraits.keep(())) == []


def test_who_is_in_one_frame_for_long_enough_is_beside() -> None:
    portraits = Portraits()
    for at in (0.0, 0.1, 0.2):
        for number in (1, 2, 3):
            watch(portraits, {at: view()}, number)
        portraits.seen_together([1, 2] if at else [1, 2, 3])  # 3 slipped in once
    beside = {p.subject: p.beside for p in portraits.keep(())}
    assert beside == {face(1): {face(2)}, face(2): {face(1)}, face(3): frozenset()}


def test_a_track_that_ends_leaves_its_portrait_and_is_forgotten() -> None:
    portraits = Portraits()
    watch(portraits, {0.0: view()}, 1)
    watch(portraits, {0.0: view()}, 2)
    portraits.seen_together([1, 2])
    assert [p.subject for p in portraits.keep({2})] == [face(1)]
    assert [p.subject for p in portraits.keep({2})] == []
    assert [p.subject for p in portraits.keep(())] == [face(2)]
    assert not portraits._together


def test_the_first_portrait_comes_within_a_second() -> None:
    out = watch(Portraits(), {k / 8: view() for k in range(8)})
    assert out
    assert out[0].span.end_ns <= to_ns(1.0)
