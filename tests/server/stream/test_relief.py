"""When words give way to pictures."""

from __future__ import annotations

from collections.abc import Iterable

from emofuse.server.stream.relief import WordRelief


def watch(relief: WordRelief, seconds: Iterable[tuple[int, int]]) -> list[bool]:
    """Look at seconds in which pictures came, and were analyzed."""
    received, answered, rests = relief._received, relief._answered, []
    for came, done in seconds:
        received, answered = received + came, answered + done
        rests.append(relief.look(received, answered))
    return rests


def test_words_rest_while_pictures_starve() -> None:
    relief = WordRelief()
    assert watch(relief, [(12, 12)] * 3) == [False] * 3
    assert watch(relief, [(12, 1)] * 4) == [False, True, True, True]
    assert watch(relief, [(12, 11)] * 5) == [True] * 4 + [False]


def test_one_bad_second_is_none() -> None:
    relief = WordRelief()
    assert not any(watch(relief, [(12, 0), (12, 12)] * 20))


def test_pictures_that_come_slowly_are_no_sign() -> None:
    relief = WordRelief()
    assert not any(watch(relief, [(1, 1), (2, 1), (0, 0), (3, 3)] * 10))
    assert not any(watch(relief, [(25, 6)] * 30))  # a slow computer, and still enough


def test_rests_get_longer_and_are_forgiven() -> None:
    relief = WordRelief()

    def rest() -> int:
        """Starve, then count the good seconds until words are back."""
        assert watch(relief, [(12, 0)] * 2)[-1]
        seconds = 1
        while watch(relief, [(12, 12)])[0]:
            seconds += 1
        return seconds

    assert [rest() for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    watch(relief, [(12, 12)] * 60)
    assert rest() == 5
