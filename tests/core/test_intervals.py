"""Where settings may lie, and what is said of those that lie elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from emofuse.core.intervals import Interval, check_within
from emofuse.errors import InputError


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "said"),
    [
        (Interval(0, 1), (0, 0.5, 1), (-0.1, 1.1), "in [0, 1]"),
        (Interval(0, 60, "s", above=True), (0.1, 60), (0, 61), "in (0, 60] s"),
        (Interval(0, 1, below=True), (0, 0.9), (1,), "in [0, 1)"),
        (Interval(0, 1, above=True, below=True), (0.5,), (0, 1), "between 0 and 1"),
    ],
    ids=str,
)
def test_an_interval_holds_what_it_says(
    interval: Interval, inside: tuple[float, ...], outside: tuple[float, ...], said: str
) -> None:
    assert all(x in interval for x in inside)
    assert not any(x in interval for x in (*outside, float("nan"), float("inf")))
    assert str(interval) == said


def test_the_first_field_outside_is_named() -> None:
    config = SimpleNamespace(seconds=3.0, lag=-1.0)
    check_within(config, "smoothing", ["seconds"], Interval(0, 60, "s"))
    with pytest.raises(InputError, match=r"^smoothing\.lag must lie in \[0, 60\] s, got -1\.0$"):
        check_within(config, "smoothing", ["seconds", "lag"], Interval(0, 60, "s"))
