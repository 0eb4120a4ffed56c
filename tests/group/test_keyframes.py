"""Keyframes of made videos in which the right ones are known."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import pytest

from emofuse.core.estimates import Probabilities
from emofuse.core.media import Frame
from emofuse.core.time import NS, Span
from emofuse.corpora.labels import taxonomy
from emofuse.errors import InputError, ModelError
from emofuse.group.keyframes import Keyframes, find_keyframes, select_keyframes
from emofuse.group.scores import make_scorer
from emofuse.group.streams import read_frames

FPS = 4
SIDE = 64


def by_brightness(image: np.ndarray) -> Probabilities | None:
    """Score the left half of a picture: black is nothing to go by, white is surely positive."""
    level = float(image[:, : SIDE // 2].mean()) / 255
    if level < 0.05:
        return None
    return Probabilities(taxonomy("valence"), np.array([level, (1 - level) / 2, (1 - level) / 2]))


def picture(score: float, right: float = 0.0) -> np.ndarray:
    """A picture that `by_brightness` gives a score; its right half only makes it differ."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:, : SIDE // 2] = round(255 * score)
    image[:, SIDE // 2 :] = round(255 * right)
    return image


def choose(
    pictures: Sequence[np.ndarray], count: int, duration_ns: int | None = None
) -> tuple[int, ...]:
    keyframes = Keyframes(by_brightness, count, duration_ns=duration_ns)
    for i, image in enumerate(pictures):
        keyframes.add(Frame(image, Span(i * NS // FPS, (i + 1) * NS // FPS)))
    return tuple(k.index for k in keyframes.chosen())


def test_best_frame_of_each_second_is_taken():
    seconds = [[0.6, 0.9, 0.7, 0.6], [0.7, 0.6, 0.6, 0.8], [0.95, 0.6, 0.6, 0.6]]
    assert choose([picture(s) for second in seconds for s in second], 3, 3 * NS) == (1, 7, 8)


def test_frames_below_the_threshold_come_last():
    scores = [0.38, 0.45, 0.4, 0.36, 0.6, 0.9, 0.7, 0.6]
    pictures = [picture(s) for s in scores]
    assert choose(pictures, 1) == (5,)
    assert choose(pictures, 4) == (4, 5, 6, 7)
    assert choose(pictures, 5) == (1, 4, 5, 6, 7)


def test_slot_takes_the_candidate_that_differs_most_and_not_the_best():
    # Two slots of two seconds; in each a sure still frame and a less sure one that moves.
    still, moving = (
        [picture(0.9)] * 4,
        [picture(0.6), picture(0.6), picture(0.7, right=1.0), picture(0.6)],
    )
    assert choose(still + moving + moving + still, 2, 4 * NS) == (6, 10)
    # Of three slots the middle one holds both that move: the earlier of equals.
    assert choose(still + moving + moving + still, 3, 4 * NS) == (0, 6, 12)


def test_without_a_known_length_slots_grow_with_the_clip():
    rng = np.random.default_rng(5)
    pictures = [picture(s, r) for s, r in rng.uniform(0.4, 1, (32 * FPS, 2))]
    chosen = choose(pictures, 4)
    assert [index // (8 * FPS) for index in chosen] == [0, 1, 2, 3]
    assert chosen == choose(pictures, 4, 32 * NS)


def test_memory_stays_bounded():
    keyframes = Keyframes(by_brightness, 4)
    rng = np.random.default_rng(1)
    for i in range(100 * FPS):
        image = picture(rng.uniform(0.2, 1), rng.uniform())
        keyframes.add(Frame(image, Span(i * NS // FPS, (i + 1) * NS // FPS)))
        lists = (keyframes._candidates, keyframes._others, keyframes._dropped, keyframes._second)
        held = {id(k) for some in (*lists, keyframes._slots.values()) for k in some}
        assert len(held) <= 5 * 4 + FPS


def test_few_frames_are_all_taken():
    assert choose([picture(0.9), picture(0.0), picture(0.4)], 16) == (0, 1, 2)
    assert choose([], 16) == ()


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="count >= 1"):
        Keyframes(by_brightness, 0)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 4 s whose frames 2, 10, 17 and 28 (of 8 a second) are the brightest."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=8, options={"qp": "0"})
        stream.width = stream.height = SIDE
        for i in range(32):
            shown = av.VideoFrame.from_ndarray(picture(0.9 if i in (2, 10, 17, 28) else 0.55))
            out.mux(stream.encode(shown))
        out.mux(stream.encode())
    return path


def test_film_is_read_once_and_as_its_frames(film):
    found = find_keyframes(film, by_brightness, count=4)
    assert [k.index for k in found] == [2, 10, 17, 28]
    assert [round(k.at.start, 3) for k in found] == [0.25, 1.25, 2.125, 3.5]
    select = select_keyframes(by_brightness)
    assert list(select(read_frames(film), 4)) == [2, 10, 17, 28]


def test_embedded_model_scores_frames_with_faces(media):
    found = find_keyframes(media / "comes_and_goes.mp4", make_scorer(), count=3)
    assert len(found) == 3
    for keyframe in found:  # nobody is there from 1.6 s to 5.2 s
        assert keyframe.mood is not None
        assert keyframe.at.start < 1.6 or keyframe.at.start > 5.1


def test_what_has_no_frames_is_refused(media):
    with pytest.raises(InputError, match="has no pictures"):
        find_keyframes(media / "speech.ogg", by_brightness)
    with pytest.raises(InputError, match="is a picture"):
        find_keyframes(media / "portrait.jpg", by_brightness)


def test_model_that_does_not_look_at_pictures_is_refused():
    scorer = make_scorer("speech-v4")
    with pytest.raises(ModelError, match="does not look at pictures"):
        scorer(np.zeros((64, 64, 3), np.uint8))
