"""What the four streams see of real clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emofuse.errors import InputError
from emofuse.face.detect import Detection
from emofuse.face.detectors import make_detector
from emofuse.group.streams import (
    Clip,
    Crop,
    Stream,
    StreamPreparation,
    even,
    make_clip,
    read_clip,
    read_frames,
)
from emofuse.models.store import Store

SMALL = StreamPreparation(keyframes=4, faces=4, resize=40, side=32)


@pytest.fixture(scope="module")
def detector():
    return make_detector("compact", Store())


def test_clip_with_faces_and_sound_has_all_streams(media, detector):
    clip = read_clip(media / "talking.mp4", SMALL, detector)
    assert clip.streams == tuple(Stream)
    assert {s: getattr(clip, s.value).shape for s in Stream} == {
        s: SMALL.shape(s, SMALL.resize) for s in Stream
    }


def test_photo_has_no_sound_and_no_motion(media, detector):
    clip = read_clip(media / "portrait.jpg", SMALL, detector)
    assert clip.streams == (Stream.VISUAL, Stream.FACES)
    assert (clip.visual == clip.visual[0]).all()


def test_known_boxes_are_not_searched_for(media):
    class Nobody:
        def detect(self, image):
            raise AssertionError("the boxes are known")

    box = Detection((100.0, 100.0, 80.0, 100.0), 1.0)
    clip = read_clip(media / "portrait.jpg", SMALL, Nobody(), boxes=[box])
    assert clip.faces.shape == (4, 40, 40, 3)


def test_sound_alone_is_heard(media, detector):
    assert read_clip(media / "speech.ogg", SMALL, detector).streams == (Stream.AUDIO,)


def test_no_face_three_frames_no_sound():
    frames = [np.full((48, 64, 3), level, np.uint8) for level in (10, 120, 240)]
    clip = make_clip(SMALL, frames, [], frames, np.zeros(16_000, np.float32))
    assert clip.streams == (Stream.VISUAL, Stream.FLOW)
    assert sorted(set(clip.visual[:, 0, 0, 0].tolist())) == [10, 120, 240]


def test_of_two_hundred_faces_the_surest_are_kept_in_the_order_of_time():
    picture = np.zeros((400, 400, 3), np.uint8)
    faces = []
    for k in range(200):
        picture = np.full((40, 40, 3), k, np.uint8)
        faces.append((picture, Detection((5, 5, 20, 20), 0.99 if k % 50 == 7 else 0.85)))
    clip = make_clip(SMALL, [], faces)
    assert clip.faces[:, 20, 20, 0].tolist() == [7, 57, 107, 157]


def test_unsure_faces_are_left_out():
    picture = np.zeros((40, 40, 3), np.uint8)
    clip = make_clip(SMALL, [picture], [(picture, Detection((5, 5, 20, 20), 0.5))])
    assert clip.faces is None


def test_flow_measures_motion_to_the_right():
    rng = np.random.default_rng(0)
    wide = np.repeat(rng.integers(0, 255, (64, 90, 1), np.uint8), 3, axis=2)
    wide = np.kron(wide, np.ones((4, 4, 1), np.uint8))[:256]
    frames = [wide[:, 8 * (8 - k) : 8 * (8 - k) + 256] for k in range(8)]
    config = replace(SMALL, resize=256, side=224)
    flow = make_clip(config, [], [], frames).flow
    x = np.median(flow[..., 0]) - 128
    assert x == pytest.approx(8 * 127 / 20, abs=4)  # 8 pixels from frame to frame
    assert abs(np.median(flow[..., 1]) - 128) <= 2
    crops = (Crop(), Crop(mirror=True))
    seen = config.batch(Stream.FLOW, [config.see(Clip(flow=flow), Stream.FLOW, c) for c in crops])
    assert np.median(seen[1, 0]) == pytest.approx(-np.median(seen[0, 0]), abs=0.1)


def test_pack_and_unpack_are_exact(media, detector):
    clip = read_clip(media / "talking.mp4", SMALL, detector)
    again = SMALL.unpack(SMALL.pack(replace(clip, flow=None)))
    assert again.flow is None
    assert all((getattr(again, n) == getattr(clip, n)).all() for n in ("visual", "audio", "faces"))
    with pytest.raises(InputError, match="other sizes"):
        replace(SMALL, resize=44).unpack(SMALL.pack(clip))


def test_missing_streams_are_zero_in_the_batch():
    frames = [np.full((48, 64, 3), level, np.uint8) for level in (10, 240)]
    rows = [
        SMALL.row(make_clip(SMALL, frames, [])),
        SMALL.row(make_clip(SMALL, [], [], frames)),
    ]
    assert SMALL.here(rows).tolist() == [[True, False, False, False], [False, False, True, False]]
    seen = SMALL.collate(Stream.VISUAL, rows)
    assert seen.shape == (2, *SMALL.input_shape(Stream.VISUAL))
    assert seen[0].any()
    assert not seen[1].any()


def test_crops_are_where_they_are_asked_for():
    frames = [np.tile(np.arange(40, dtype=np.uint8)[None, :, None], (40, 1, 3))]
    clip = make_clip(SMALL, frames, [])
    left, right = (SMALL.see(clip, Stream.VISUAL, Crop(0, place)) for place in (0, 1))
    assert (left[..., 0] == np.arange(32)).all()
    assert (right[..., 0] == np.arange(8, 40)).all()


def test_long_films_are_refused_in_words(media, monkeypatch):
    monkeypatch.setattr("emofuse.group.streams.LONGEST", 1.0)
    with pytest.raises(InputError, match="cut it into scenes"):
        read_frames(media / "talking.mp4")


def test_even_spacing():
    assert even([None] * 5, 8) == [0, 1, 2, 3, 4]
    assert even([None] * 100, 4) == [12, 37, 62, 87]


@pytest.mark.parametrize(
    "wrong",
    [{"side": 300}, {"keyframes": 0}, {"flow_frames": 1}, {"streams": ()}, {"widths": (1,)}],
)
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="need"):
        StreamPreparation(**wrong)
