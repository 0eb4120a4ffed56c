"""When text gives way to frames."""

from __future__ import annotations

from collections.abc import Iterable

from emofuse.server.stream.load_shedding import LoadShedder


def update(shedder: LoadShedder, seconds: Iterable[tuple[int, int]]) -> list[bool]:
    """Tell of seconds as (frames received, frames analyzed); return when text was paused."""
    received, analyzed, paused = shedder._received, shedder._analyzed, []
    for came, done in seconds:
        received, analyzed = received + came, analyzed + done
        paused.append(shedder.update(received, analyzed))
    return paused


def test_text_is_paused_while_frames_starve() -> None:
    shedder = LoadShedder()
    assert update(shedder, [(12, 12)] * 3) == [False] * 3
    assert update(shedder, [(12, 1)] * 4) == [False, True, True, True]
    assert update(shedder, [(12, 11)] * 5) == [True] * 4 + [False]


def test_one_bad_second_is_not_enough() -> None:
    shedder = LoadShedder()
    assert not any(update(shedder, [(12, 0), (12, 12)] * 20))


def test_frames_that_come_slowly_are_not_starving() -> None:
    shedder = LoadShedder()
    assert not any(update(shedder, [(1, 1), (2, 1), (0, 0), (3, 3)] * 10))
    assert not any(update(shedder, [(25, 6)] * 30))  # a slow computer, but fast enough


def test_pauses_double_and_are_short_again_after_a_good_minute() -> None:
    shedder = LoadShedder()

    def pause() -> int:
        """Starve, then count the good seconds until text is back."""
        assert update(shedder, [(12, 0)] * 2)[-1]
        seconds = 1
        while update(shedder, [(12, 12)])[0]:
            seconds += 1
        return seconds

    assert [pause() for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    update(shedder, [(12, 12)] * 60)
    assert pause() == 5
