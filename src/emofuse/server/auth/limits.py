"""How much one client may have in progress, and how often it may try a token."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..http.errors import ApiError

_FORGET = 60.0  # seconds after which failed logins are forgotten
_MAX_FAILURES = 10  # wrong tokens from one network before others from there wait
_MAX_CLIENTS = 10_000  # networks whose attempts are remembered

Found = TypeVar("Found")


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

    def check(self, client: str, most: int | None = None) -> None:
        """Check that there is a slot left.

        Args:
            client: for whom.
            most: this client's own limit.

        Raises:
            ApiError: if there is none.
        """
        mine = self._taken[client]
        limit = self._per_client if most is None else most
        if mine >= limit or len(self) >= self._total:
            whose = f"{mine} of your {self._what}" if mine >= limit else self._what
            raise ApiError(
                self._code, f"too many: {whose} are in progress; try again later", retry_after=1
            )

    @contextmanager
    def hold(self, client: str, most: int | None = None) -> Iterator[None]:
        """Hold one slot.

        Args:
            client: for whom.
            most: this client's own limit.

        Raises:
            ApiError: if there is none left.
        """
        self.check(client, most)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class LoginThrottle:
    """Slows down clients that guess tokens, and never locks out who has the right one.

    After ten wrong tokens from a network, every further one that comes from there waits before
    it is looked at, except those that were right before; wrong ones are then told to wait.

    Args:
        delay: seconds to wait.
    """

    def __init__(self, delay: float = 1.0) -> None:
        self._delay = delay
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def attempt(
        self, address: str, token: str, find: Callable[[], Found | None]
    ) -> Found | None:
        """Look at a token.

        Args:
            address: where it comes from.
            token: its digest.
            find: tells whose it is.

        Raises:
            ApiError: ``too-many-attempts`` if it is wrong and many were before.
        """
        network = network_of(address)
        if self._failures(network) >= _MAX_FAILURES and (network, token) not in self._right:
            await asyncio.sleep(self._delay)
        found = find()
        if found is not None:
            self._right[network, token] = None
            _keep(self._right)
            return found
        many = self._failures(network) >= _MAX_FAILURES
        self._wrong.setdefault(network, deque(maxlen=_MAX_FAILURES)).append(time.monotonic())
        _keep(self._wrong)
        if many:
            told = "too many wrong tokens came from your network; try again later"
            raise ApiError("too-many-attempts", told, retry_after=round(_FORGET))
        return None

    def _failures(self, network: str) -> int:
        now = time.monotonic()
        return sum(t > now - _FORGET for t in self._wrong.get(network, ()))


def _keep(remembered: OrderedDict[Any, Any]) -> None:
    """Forget the oldest when too much is remembered."""
    while len(remembered) > _MAX_CLIENTS:
        remembered.popitem(last=False)


def network_of(address: str) -> str:
    """Return what an attacker surely has if he has an address: of IPv6 a whole /64.

    >>> network_of("2001:db8::1234"), network_of("10.0.0.1"), network_of("local")
    ('2001:db8::/64', '10.0.0.1', 'local')
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback:
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
