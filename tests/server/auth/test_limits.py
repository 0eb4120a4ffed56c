import pytest

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


def test_guessing_gets_slow() -> None:
    throttle = LoginThrottle()
    for _ in range(10):
        throttle.check("a")
        throttle.wrong("a")
    with pytest.raises(ApiError) as error:
        throttle.check("a")
    assert error.value.code == "too-many-attempts"
    assert 1 <= (error.value.retry_after or 0) <= 60
    throttle.check("b")
