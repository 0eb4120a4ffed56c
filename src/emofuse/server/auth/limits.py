"""How much one client may have in progress, and how often it may try a token."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..http.errors import ApiError

_FORGET = 60.0  # seconds after which failed logins are forgotten
_MAX_FAILURES = 10  # wrong tokens of one client before it has to wait
_MAX_CLIENTS = 10_000  # clients whose failures are remembered


class Slots:
    """Limits how many things are in progress: per client, and in total.

    Args:
        per_client: limit of one client.
        total: limit of all clients together.
        code: of the error when a limit is reached.
        what: the things, for its message.
    """

    def __init__(self, per_client: int, total: int, code: str, what: str) -> None:
        self._per_client, self._total, self._code, self._what = per_client, total, code, what
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(self._taken.values())

    def check(self, client: str) -> None:
        """Check that there is a slot left.

        Raises:
            ApiError: if there is none.
        """
        mine = self._taken[client]
        if mine >= self._per_client or len(self) >= self._total:
            whose = f"{mine} of your {self._what}" if mine >= self._per_client else self._what
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
    """Slows down clients that guess tokens."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[float]] = {}

    def check(self, client: str) -> None:
        """Check that a client may try a token.

        Raises:
            ApiError: ``too-many-attempts``.
        """
        now = time.monotonic()
        recent = [t for t in self._wrong.get(client, ()) if t > now - _FORGET]
        if len(recent) >= _MAX_FAILURES:
            wait = max(1, round(recent[0] + _FORGET - now))
            raise ApiError(
                "too-many-attempts", "too many wrong tokens; try again later", retry_after=wait
            )

    def wrong(self, client: str) -> None:
        """Note a failed attempt."""
        now = time.monotonic()
        if client not in self._wrong and len(self._wrong) >= _MAX_CLIENTS:
            self._wrong = {c: t for c, t in self._wrong.items() if t[-1] > now - _FORGET}
        self._wrong[client] = [*self._wrong.get(client, [])[1 - _MAX_FAILURES :], now]
