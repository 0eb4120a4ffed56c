"""How much one client may have in progress, and how often it may guess."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..http.errors import ApiError

_FORGET = 60.0  # seconds after which failed logins are forgotten
_GUESSES = 10  # wrong tokens of one client before it has to wait
_CLIENTS = 10_000  # clients whose guesses are remembered


class Slots:
    """Bounds how many things are in progress: for one client, and for all.

    Args:
        each: most of one client.
        all_: most of all together.
        code: of the error beyond that.
        what: the things, for its message.
    """

    def __init__(self, each: int, all_: int, code: str, what: str) -> None:
        self._each, self._all, self._code, self._what = each, all_, code, what
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(self._taken.values())

    def check(self, client: str) -> None:
        """Check that there is a slot left.

        Raises:
            ApiError: if there is none.
        """
        mine = self._taken[client]
        if mine >= self._each or len(self) >= self._all:
            whose = f"{mine} {self._what} of yours" if mine >= self._each else self._what
            raise ApiError(
                self._code, f"too many: {whose} are in progress; try again later", retry_after=1
            )

    @contextmanager
    def hold(self, client: str) -> Iterator[None]:
        """Hold one slot.

        Raises:
            ApiError: if there is none left.
        """
        self.check(client)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class LoginThrottle:
    """Slows down who tries tokens."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[float]] = {}

    def check(self, client: str) -> None:
        """Check that a client may try.

        Raises:
            ApiError: ``too-many-attempts``.
        """
        now = time.monotonic()
        recent = [t for t in self._wrong.get(client, ()) if t > now - _FORGET]
        if len(recent) >= _GUESSES:
            wait = max(1, round(recent[0] + _FORGET - now))
            raise ApiError(
                "too-many-attempts", "too many wrong tokens; wait a while", retry_after=wait
            )

    def wrong(self, client: str) -> None:
        """Note that a client tried in vain."""
        now = time.monotonic()
        if client not in self._wrong and len(self._wrong) >= _CLIENTS:
            self._wrong = {c: t for c, t in self._wrong.items() if t[-1] > now - _FORGET}
        self._wrong[client] = [*self._wrong.get(client, [])[1 - _GUESSES :], now]
