import asyncio

import pytest
from tests.server.asynchronous import run

from emofuse.server.auth.limits import LoginThrottle, Slots
from emofuse.server.http.errors import ApiError


def test_slots_are_given_back() -> None:
    slots = Slots(2, 3, "busy", "requests")
    with slots.hold("a"), slots.hold("a"):
        with pytest.raises(ApiError) as mine, slots.hold("a"):
            pass
        assert mine.value.code == "busy"
        with slots.hold("b"):  # others are not affected
            assert len(slots) == 3
            with pytest.raises(ApiError) as all_, slots.hold("c"):
                pass
            assert all_.value.status == 429
    assert len(slots) == 0
    with pytest.raises(ZeroDivisionError), slots.hold("a"):
        raise ZeroDivisionError
    assert len(slots) == 0


def test_guessing_gets_slow_and_who_knows_the_token_is_never_locked_out() -> None:
    async def attack() -> None:
        throttle = LoginThrottle(delay=0.0)

        async def guess(address: str, token: str) -> str | None:
            return await throttle.attempt(
                address, token, lambda: "me" if token == "right" else None
            )

        for number in range(10):
            assert await guess("2001:db8::1", f"{number}") is None
        for address in ("2001:db8::1", "2001:db8::ffff"):  # one attacker has both
            with pytest.raises(ApiError) as error:
                await guess(address, "wrong")
            assert error.value.code == "too-many-attempts"
            assert 1 <= (error.value.retry_after or 0) <= 60
            assert await guess(address, "right") == "me"
        assert await guess("2001:db8:1::1", "wrong") is None  # somebody else

    run(attack())


def test_only_guesses_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def attack() -> None:
        throttle = LoginThrottle()
        assert await throttle.attempt("a", "right", lambda: "me") == "me"
        for _ in range(10):
            assert await throttle.attempt("a", "wrong", lambda: None) is None
        assert waits == []
        assert await throttle.attempt("a", "right", lambda: "me") == "me"  # was right before
        assert waits == []
        assert await throttle.attempt("a", "new and right", lambda: "you") == "you"
        assert waits == [1.0]

    monkeypatch.setattr(asyncio, "sleep", sleep)
    run(attack())


def test_what_is_remembered_of_guesses_is_bounded() -> None:
    async def attack() -> None:
        throttle = LoginThrottle(delay=0.0)
        for number in range(10_050):
            await throttle.attempt(f"10.0.{number >> 8}.{number & 255}", "x", lambda: None)
        assert len(throttle._wrong) == 10_000

    run(attack())
