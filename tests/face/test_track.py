"""Faces followed: over scripted finds, where everything is known, and over real films."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emofuse.core.estimates import Modality, SubjectKind
from emofuse.core.media import Frame, Sample, Track, Watermark
from emofuse.core.time import NS, Span
from emofuse.face.config import Between, FaceConfig
from emofuse.face.crop import CROP_SIDE
from emofuse.face.detect import Detection, Detector, HaarDetector
from emofuse.face.track import FaceTracker, layout, layout_change
from emofuse.sources.file import open_source

STEP = NS // 8
SIZE = (240, 320)


class Scripted:
    """A detector that reads a picture's number from its corner and looks up what is there."""

    name = "haar"

    def __init__(self, script: Mapping[int, Sequence[Detection]]) -> None:
        self.script = script
        self.looked: list[int] = []

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        number = int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])
        self.looked.append(number)
        return list(self.script.get(number, ()))


SCENES = [np.random.default_rng(n).integers(0, 256, (*SIZE, 3), dtype=np.uint8) for n in (1, 2)]


def film(count: int, step: int = STEP, cut: int | None = None) -> list[Frame]:
    """Numbered pictures of one scene, or of two with a cut before picture `cut`."""
    frames = []
    for number in range(count):
        image = SCENES[cut is not None and number >= cut].copy()
        image[0, 0, :2] = divmod(number, 256)
        frames.append(Frame(image, Span(number * step, (number + 1) * step)))
    return frames


def face(x: float = 100, y: float = 80, width: float = 60, score: float = 0.9) -> Detection:
    return Detection((x, y, width, width), score)


def run(tracker: FaceTracker, items: Iterable[Frame | Watermark]) -> list[Sample | Watermark]:
    fed = [out for item in items for out in tracker.feed(item)]
    return fed + list(tracker.flush())


def track(
    script: Mapping[int, Sequence[Detection]] | Callable[[int], Sequence[Detection]],
    count: int,
    cut: int | None = None,
    **settings_: object,
) -> dict[int, list[Sample]]:
    """Return each number's samples over a scripted film."""
    if callable(script):
        script = {n: script(n) for n in range(count)}
    tracker = FaceTracker(Scripted(script), FaceConfig(**settings_))
    return by_number(run(tracker, film(count, cut=cut)))


def by_number(items: Iterable[Sample | Watermark]) -> dict[int, list[Sample]]:
    out: dict[int, list[Sample]] = {}
    for item in items:
        if isinstance(item, Sample):
            out.setdefault(item.subject.number, []).append(item)
    return out


def pictures(samples: Sequence[Sample]) -> list[int]:
    return [s.span.start_ns // STEP for s in samples]


# --- one face -----------------------------------------------------------------------------


def test_a_face_that_stays_is_one_track_with_a_sample_a_picture() -> None:
    samples = track(lambda n: [face()], 20)
    assert list(samples) == [1]
    assert pictures(samples[1]) == list(range(20))
    for sample in samples[1]:
        assert sample.subject.kind is SubjectKind.FACE
        assert sample.data.shape == (CROP_SIDE, CROP_SIDE, 3)
        assert sample.data.dtype == np.uint8
        assert sample.details.box == pytest.approx((100 / 320, 80 / 240, 60 / 320, 60 / 240))


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_the_detector_looks_at_every_nth_picture(every: int) -> None:
    detector = Scripted({})
    run(FaceTracker(detector, FaceConfig(detect_every=every)), film(17))
    assert detector.looked == list(range(0, 17, every))


def test_between_finds_the_face_is_interpolated() -> None:
    samples = track(lambda n: [face(x=20 + 12 * n)], 16, detect_every=4)  # moves fast
    boxes = [s.details.box[0] * 320 for s in samples[1]][:13]
    np.testing.assert_allclose(boxes, 20 + 12 * np.arange(13), atol=1e-3)


def test_a_still_face_does_not_tremble() -> None:
    rng = np.random.default_rng(0)
    samples = track(lambda n: [face(x=100 + rng.normal(0, 1), width=60)], 100, detect_every=1)
    assert np.std([s.details.box[0] * 320 for s in samples[1]]) < 0.7


def test_one_find_is_no_face() -> None:
    assert track({4: [face()]}, 20) == {}
    assert track({4: [face()], 10: [face()]}, 20) == {}


def test_a_face_counts_from_its_first_find_on() -> None:
    samples = track(lambda n: [face()] if n >= 6 else [], 20, confirmations=3)
    assert pictures(samples[1]) == list(range(6, 20))


def test_unsure_finds_alone_are_no_face() -> None:
    weak = track(lambda n: [face(score=0.4)], 20, min_score=0.5)
    assert weak == {}
    once_sure = track(lambda n: [face(score=0.9 if n == 6 else 0.4)], 20, min_score=0.5)
    assert pictures(once_sure[1]) == list(range(4, 20))  # from the find before the sure one on


def test_a_single_picture_is_enough_if_so_configured() -> None:
    samples = track({0: [face()]}, 1, detect_every=1, confirmations=1)
    assert pictures(samples[1]) == [0]


# --- losing and finding again -------------------------------------------------------------


def test_a_short_loss_is_bridged_with_less_quality() -> None:
    samples = track(lambda n: [] if n == 8 else [face()], 20)
    assert pictures(samples[1]) == list(range(20))
    quality = {n: s.quality for n, s in zip(pictures(samples[1]), samples[1], strict=True)}
    assert all(quality[n] < 0.6 * quality[4] for n in (7, 8, 9))
    assert quality[6] == quality[10] == quality[4]


def test_a_face_that_left_leaves_nothing_behind() -> None:
    samples = track(lambda n: [face()] if n <= 10 else [], 40)
    assert pictures(samples[1]) == list(range(11))


def test_back_in_its_place_soon_it_keeps_its_number_and_the_gap_stays_empty() -> None:
    samples = track(lambda n: [face()] if n <= 10 or n >= 20 else [], 40)
    assert list(samples) == [1]
    assert pictures(samples[1]) == [*range(11), *range(20, 40)]


def test_back_after_long_it_is_another() -> None:
    samples = track(lambda n: [face()] if n <= 10 or n >= 40 else [], 60)
    assert pictures(samples[1]) == list(range(11))
    assert pictures(samples[2]) == list(range(40, 60))


def test_back_elsewhere_it_is_another() -> None:
    samples = track(lambda n: [face(x=20 if n <= 10 else 220)] if n <= 10 or n >= 20 else [], 40)
    assert list(samples) == [1, 2]


def test_after_a_cut_a_face_in_the_same_place_is_another() -> None:
    detector = Scripted({n: [face()] for n in range(20)})
    samples = by_number(run(FaceTracker(detector, FaceConfig(detect_every=4)), film(20, cut=10)))
    assert pictures(samples[1]) == list(range(10))
    assert pictures(samples[2]) == list(range(10, 20))
    assert 10 in detector.looked


def test_only_a_change_of_layout_is_a_cut(portrait: np.ndarray) -> None:
    still = layout(portrait)
    assert layout_change(still, layout(portrait // 2)) < 0.1  # the light goes down
    assert layout_change(still, layout(np.roll(portrait, 10, axis=1))) < 0.35  # it moves
    assert layout_change(still, layout(np.ascontiguousarray(portrait[::-1]))) > 0.5
    black, grey = (np.full((90, 160, 3), level, np.uint8) for level in (0, 90))
    assert layout_change(layout(black), layout(grey)) < 0.1
    assert layout_change(still, layout(black)) > 0.5


# --- several faces ------------------------------------------------------------------------


def test_a_change_in_one_tile_of_a_mosaic_ends_no_other_track() -> None:
    """Three of four tiles switch to other content; the face in the fourth goes on."""
    frames = film(20, cut=10)
    for frame in frames:
        frame.image[120:, 160:] = SCENES[0][120:, 160:]
    script = {n: [face(x=200, y=150), face(x=20, y=20)] for n in range(20)}
    samples = by_number(run(FaceTracker(Scripted(script), FaceConfig()), frames))
    lengths = sorted(len(s) for s in samples.values())
    assert lengths == [10, 10, 20]
    whole = next(s for s in samples.values() if len(s) == 20)
    assert whole[0].details.box[0] > 0.5


@pytest.mark.parametrize(("moves", "count"), [(False, 0), (True, 1)])
def test_an_unsure_find_that_never_moves_is_a_thing(moves: bool, count: int) -> None:
    """While the rest of the picture changes: a clock on a wall, not a face."""
    rng = np.random.default_rng(3)
    place = SCENES[0][75:145, 95:165].copy()
    frames = film(16)
    shade = np.linspace(0, 150, SIZE[1]).astype(np.uint8)[:, None]  # one layout: no cuts
    for frame in frames:
        frame.image[2:] = shade + rng.integers(0, 100, (SIZE[0] - 2, SIZE[1], 3), dtype=np.uint8)
        patch = rng.integers(0, 256, place.shape, dtype=np.uint8) if moves else place
        frame.image[75:145, 95:165] = patch
    unsure = replace(face(score=0.86), sure=False)
    script = {n: [unsure] for n in range(16)}
    assert len(by_number(run(FaceTracker(Scripted(script), FaceConfig()), frames))) == count


def test_numbers_count_in_order_of_appearance_then_from_left_to_right() -> None:
    def script(n: int) -> list[Detection]:
        late = [face(x=10, y=20)] if n >= 6 else []
        return [*late, face(x=220), face(x=120)]

    samples = track(script, 20)
    assert [round(samples[n][-1].details.box[0] * 320) for n in (1, 2, 3)] == [120, 220, 10]


def test_faces_that_pass_each_other_keep_their_numbers() -> None:
    samples = track(lambda n: [face(x=10 + 9 * n, y=40), face(x=250 - 9 * n, y=110)], 26)
    assert list(samples) == [1, 2]
    assert {round(s.details.box[1] * 240) for s in samples[1]} == {40}
    assert {round(s.details.box[1] * 240) for s in samples[2]} == {110}


def test_no_more_faces_than_configured_the_largest_first() -> None:
    finds = [face(10, 10, 30), face(100, 10, 80), face(200, 100, 60)]
    samples = track(lambda n: finds, 12, max_faces=2)
    assert sorted(round(s[0].details.box[2] * 320) for s in samples.values()) == [60, 80]


# --- laws ---------------------------------------------------------------------------------

moving_faces = st.lists(
    st.tuples(st.floats(20, 260), st.floats(-14, 14), st.floats(-2, 2), st.floats(0.55, 1)),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=40)
@given(faces=moving_faces, every=st.integers(1, 4), count=st.integers(9, 40))
def test_constant_motion_keeps_every_number(faces: list, every: int, count: int) -> None:
    """Each face stays in a row of its own and bounces back and forth slowly."""

    def script(n: int) -> list[Detection]:
        return [
            face(x + speed * n / every, 10 + 75 * row + climb * np.sin(n), 50, score)
            for row, (x, speed, climb, score) in enumerate(faces)
        ]

    samples = track(script, count, detect_every=every)
    assert sorted(samples) == list(range(1, len(faces) + 1))
    for seen in samples.values():
        assert pictures(seen) == list(range(count))
        rows = {round((s.details.box[1] * 240 - 10) / 75) for s in seen}
        assert len(rows) == 1


@st.composite
def scripts(draw: st.DrawFn) -> dict[int, list[Detection]]:
    """Faces that come and go, with misses, and finds that are none."""
    count = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    script: dict[int, list[Detection]] = {n: [] for n in range(count)}
    for row in range(draw(st.integers(0, 3))):
        start, end = sorted(rng.integers(0, count + 1, 2))
        x, speed, misses = rng.uniform(0, 250), rng.uniform(-5, 5), rng.choice([0, 0.2, 0.6])
        for n in range(start, end):
            if rng.random() >= misses:
                script[n].append(face(x + speed * n, 10 + 75 * row, 50, rng.uniform(0.3, 1)))
    for n in range(count):
        if rng.random() < 0.1:
            x, y, width, score = rng.uniform((0, 0, 20, 0.3), (200, 200, 90, 1))
            script[n].append(face(x, y, width, score))
    return script


configs = st.builds(
    FaceConfig,
    detect_every=st.integers(1, 4),
    between=st.sampled_from(Between),
    confirmations=st.integers(1, 4),
    hold_seconds=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    max_faces=st.integers(1, 4),
)


@settings(deadline=None, max_examples=80)
@given(script=scripts(), config=configs, seed=st.integers(0, 2**32 - 1))
def test_progress_is_kept_and_packets_do_not_matter(
    script: dict, config: FaceConfig, seed: int
) -> None:
    frames = film(len(script))
    tracker = FaceTracker(Scripted(script), config)
    promised, whole, last = 0, [], -1
    held = max(
        config.hold_seconds * NS + STEP,
        (config.detect_every * config.confirmations + 1) * STEP,
    )
    for frame in [*frames, None]:
        for item in tracker.feed(frame) if frame else tracker.flush():
            if isinstance(item, Watermark):
                assert item.track is Modality.FACE
                assert item.upto_ns > promised
                promised = item.upto_ns
            else:
                assert item.span.start_ns >= max(promised, last)
                last = item.span.start_ns
                whole.append(item)
        if frame:
            assert frame.at.end_ns - promised <= held
    assert promised == len(script) * STEP

    # The same film with progress in between, at random, after a reset.
    rng = np.random.default_rng(seed)
    tracker.reset()
    mixed: list[Frame | Watermark] = []
    for frame in frames:
        mixed.append(frame)
        if rng.random() < 0.5:
            mixed.append(Watermark(Track.VIDEO, frame.at.end_ns))
    again = [s for s in run(tracker, mixed) if isinstance(s, Sample)]
    assert len(again) == len(whole)
    for one, other in zip(whole, again, strict=True):
        assert (one.subject, one.span, one.quality) == (other.subject, other.span, other.quality)
        assert one.details == other.details
        assert np.array_equal(one.data, other.data)


# --- live ---------------------------------------------------------------------------------

LIVE = FaceConfig(between=Between.FLOW, detect_every=3, hold_seconds=2.0)


def at_times(times_ns: Sequence[int], length_ns: int = NS // 25) -> list[Frame]:
    """The same scene, shown at these times; pictures are numbered as in `film`."""
    return [
        Frame(f.image, Span(at, at + length_ns))
        for f, at in zip(film(len(times_ns)), times_ns, strict=True)
    ]


@settings(deadline=None, max_examples=40)
@given(script=scripts(), gaps=st.lists(st.integers(NS // 25, NS), min_size=60, max_size=60))
def test_live_every_picture_is_answered_at_once(script: dict, gaps: list[int]) -> None:
    """Whatever is found, lost or not yet sure: no picture waits for the next."""
    tracker = FaceTracker(Scripted(script), LIVE)
    for frame in at_times(list(itertools.accumulate(gaps))[: len(script)]):
        *samples, last = tracker.feed(frame)
        assert last == Watermark(Modality.FACE, frame.at.end_ns)
        assert all(isinstance(s, Sample) and s.span == frame.at for s in samples)
    assert not [s for s in tracker.flush() if isinstance(s, Sample)]


@pytest.mark.parametrize(("fps", "second"), [(25, 3), (12, 2), (5, 1), (2, 1), (1, 1)])
def test_live_a_face_counts_from_its_second_look_on(fps: int, second: int) -> None:
    frames = at_times([n * NS // fps for n in range(8)])
    tracker = FaceTracker(detector := Scripted({n: [face()] for n in range(8)}), LIVE)
    samples = by_number(run(tracker, frames))
    assert list(samples) == [1]
    assert [s.span for s in samples[1]] == [f.at for f in frames[second:]]
    assert detector.looked[:2] == [0, second]


def test_live_a_still_face_keeps_its_number_through_misses_and_pauses() -> None:
    rng = np.random.default_rng(5)
    times = np.cumsum(rng.uniform(0.3, 1.0, 40) * NS).astype(np.int64).tolist()
    script = {n: [face(x=100 + rng.normal(0, 2))] for n in range(40) if n % 5 != 4}
    samples = by_number(run(FaceTracker(Scripted(script), LIVE), at_times(times)))
    assert list(samples) == [1]
    assert len(samples[1]) >= 31  # every find but the first


def test_live_a_single_unsure_or_passing_find_is_no_face() -> None:
    frames = at_times([n * NS // 5 for n in range(12)])
    for script in ({4: [face()]}, {n: [face(score=0.4)] for n in range(12)}):
        assert by_number(run(FaceTracker(Scripted(script), LIVE), frames)) == {}


def test_live_two_looks_at_once_are_no_proof() -> None:
    """Where there is nothing for the flow to follow the detector looks at every picture."""
    frames = at_times([n * NS // 25 for n in range(12)])
    for frame in frames:
        frame.image[1:] = 128
        frame.image[0, 1:] = 128
    tracker = FaceTracker(detector := Scripted({3: [face()], 4: [face()]}), LIVE)
    assert by_number(run(tracker, frames)) == {}
    assert {3, 4} <= set(detector.looked)


def test_live_after_a_reset_the_stream_is_new() -> None:
    frames = at_times([n * NS // 12 for n in range(9)])
    tracker = FaceTracker(Scripted({n: [face()] for n in range(9)}), LIVE)
    once, again = (
        [(s.subject, s.span) for s in run(tracker, frames) if isinstance(s, Sample)]
        for _ in range(2)
        if not tracker.reset()  # type: ignore[func-returns-value]
    )
    assert once == again


def test_in_an_empty_stretch_progress_comes_with_every_picture() -> None:
    tracker = FaceTracker(Scripted({}))
    for frame in film(30):
        assert list(tracker.feed(frame)) == [Watermark(Modality.FACE, frame.at.end_ns)]
    assert list(tracker.feed(Watermark(Track.VIDEO, 9 * NS))) == [Watermark(Modality.FACE, 9 * NS)]
    assert list(tracker.feed(Watermark(Track.AUDIO, 99 * NS))) == []


def test_after_a_face_left_progress_catches_up_within_the_hold() -> None:
    tracker = FaceTracker(Scripted({n: [face()] for n in range(9)}), FaceConfig(hold_seconds=0.5))
    upto = 0
    for frame in film(24):
        upto = max([upto, *(i.upto_ns for i in tracker.feed(frame) if isinstance(i, Watermark))])
        assert frame.at.end_ns - upto <= NS // 2
        if frame.at.end_ns > 9 * STEP + NS // 2:
            assert upto == frame.at.end_ns


def test_a_film_that_changes_its_size_or_pauses_does_not_confuse() -> None:
    frames = film(8)
    small = [Frame(f.image[::2, ::2].copy(), f.at) for f in film(20)[8:]]
    for f in small:
        f.image[0, 0, :2] = divmod(f.at.start_ns // STEP, 256)
    script = {n: [face()] if n < 8 else [face(50, 40, 30)] for n in range(20)}
    samples = by_number(run(FaceTracker(Scripted(script)), frames + small))
    assert sum(map(len, samples.values())) == 20

    later = [Frame(f.image, Span(f.at.start_ns + 9 * NS, f.at.end_ns + 9 * NS)) for f in frames]
    samples = by_number(run(FaceTracker(Scripted(script)), frames + later))
    assert list(samples) == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"detect_every": 0},
        {"confirmations": 0},
        {"max_faces": 0},
        {"min_score": 1.5},
        {"hold_seconds": -1.0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FaceConfig(**wrong)


# --- real films ---------------------------------------------------------------------------


def follow(path: Path, detector: Detector) -> tuple[dict[int, list[Sample]], int]:
    """Return each number's samples, and how many pictures there were."""
    with closing(open_source(path)) as source:
        items = [
            p
            for p in source.packets()
            if isinstance(p, Frame) or (isinstance(p, Watermark) and p.track is Track.VIDEO)
        ]
    samples = by_number(run(FaceTracker(detector), items))
    return samples, sum(isinstance(i, Frame) for i in items)


def test_one_person_is_one_track(media: Path) -> None:
    samples, count = follow(media / "talking.mp4", HaarDetector())
    assert list(samples) == [1]
    assert len(samples[1]) == count
    assert np.mean([s.quality for s in samples[1]]) > 0.8


def test_two_people_are_two_tracks_each_on_its_side(media: Path) -> None:
    samples, count = follow(media / "two_people.mp4", HaarDetector())
    assert list(samples) == [1, 2]
    assert all(len(s) == count for s in samples.values())
    sides = [{s.details.box[0] > 0.4 for s in samples[n]} for n in (1, 2)]
    assert sides in ([{False}, {True}], [{True}, {False}])


def test_where_nobody_is_nobody_is_seen(media: Path) -> None:
    samples, _ = follow(media / "comes_and_goes.mp4", HaarDetector())
    assert list(samples) == [1, 2]
    assert samples[1][-1].span.end == pytest.approx(1.6, abs=0.15)
    assert samples[2][0].span.start == pytest.approx(5.2, abs=0.3)
    assert samples[2][-1].span.end == pytest.approx(7.0, abs=0.1)


TALKING_HEADS = ("ravdess_01-01-01-01-01-01-01.mp4", "grid_lbax4n.mpg")


def test_real_talking_heads(detector: Detector, shared: Path) -> None:
    for clip in TALKING_HEADS:
        samples, count = follow(shared / "clips" / clip, detector)
        assert {n: len(s) for n, s in samples.items()} == {1: count}, clip


def test_real_clips_without_faces(detector: Detector, shared: Path) -> None:
    samples, _ = follow(shared / "clips" / "no_face.mp4", detector)
    assert samples == {}
    samples, _ = follow(shared / "clips" / "face_then_none.mov", detector)
    assert list(samples) == [1]
    assert samples[1][-1].span.end == pytest.approx(2.4, abs=0.3)
    gaps = [b.span.start_ns - a.span.end_ns for a, b in itertools.pairwise(samples[1])]
    assert max(gaps) == 0
