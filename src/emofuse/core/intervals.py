"""Ranges of settings, and the one sentence that refuses what lies outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers between two ends.

    Args:
        low: lower end.
        high: upper end.
        unit: of both, e.g. ``"s"``.
        above: the lower end itself is out.
        below: the upper end itself is out.
    """

    low: float
    high: float
    unit: str = ""
    above: bool = False
    below: bool = False

    def __contains__(self, x: float) -> bool:
        # Comparisons that nan fails, so that it is never inside.
        over = self.low < x if self.above else self.low <= x
        return over and (x < self.high if self.below else x <= self.high)

    def __str__(self) -> str:
        if self.above and self.below:
            text = f"between {self.low:g} and {self.high:g}"
        else:
            left, right = "(" if self.above else "[", ")" if self.below else "]"
            text = f"in {left}{self.low:g}, {self.high:g}{right}"
        return f"{text} {self.unit}".rstrip()


def check_within(config: object, section: str, names: Iterable[str], interval: Interval) -> None:
    """Check some fields of a configuration.

    Args:
        config: has the fields.
        section: what users call the configuration, e.g. ``"smoothing"``.
        names: of the fields, all numbers.
        interval: where they must lie.

    Raises:
        InputError: names the first that lies outside, what it is and where it must lie.

    Example:
        >>> check_within(Interval(0, 1), "range", ("low", "high"), Interval(0, 1))
    """
    for name in names:
        value = getattr(config, name)
        if value not in interval:
            raise InputError(f"{section}.{name} must lie {interval}, got {value}")
