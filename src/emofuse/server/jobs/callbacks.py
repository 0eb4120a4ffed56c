"""Telling a client's own server that a job has ended: off unless the operator allows it.

The address comes from a stranger. Its name is resolved once, and what is connected to is what was
checked: neither this machine nor its network, whatever the name leads to later. Redirects are not
followed, nothing of the answer but its status counts, and what is sent is signed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ... import __version__
from ..http.errors import ApiError

MOST_CHARACTERS = 2000
"""Of a callback's URL."""

SIGNATURE = "X-Emofuse-Signature"
"""The header with ``sha256=`` and the HMAC-SHA256 of the body, in hex."""

_PAUSES = (1.0, 5.0, 25.0, 125.0)  # seconds between tries
_SECONDS, _WHOLE_SECONDS = 5.0, 15.0  # for each step of the network, and for all of them
_THREADS, _MOST_WAITING = 4, 1000
_WEB_PORTS = (80, 443)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

log = logging.getLogger("emofuse.server")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Sleep = Callable[[float], Awaitable[None]]


class _Refused(Exception):  # noqa: N818 — it is no error of ours
    """A callback that is not worth another try."""


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """Who may be called.

    Args:
        secret: signs what is sent; empty: nobody is called.
        hosts: names that may be called, wherever they are; empty: any on the public internet.
    """

    secret: str
    hosts: tuple[str, ...] = ()

    def check(self, url: str) -> None:
        """Check an address that a client gives, without resolving it.

        Raises:
            ApiError: ``bad-argument``.
        """
        if not self.secret:
            told = "this server calls nobody back: leave it out, or set EMOFUSE_CALLBACK_SECRET"
            raise ApiError("bad-argument", f"callback: {told}")
        try:
            self.parse(url)
        except ValueError as error:
            raise ApiError("bad-argument", f"callback: got {url[:80]!r}: {error}") from None

    def parse(self, url: str) -> SplitResult:
        """Take an address apart.

        Raises:
            ValueError: if it may not be called.
        """
        if len(url) > MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(f"expected at most {MOST_CHARACTERS} plain ASCII characters")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address that starts with https:// or http://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected no user name or password in it")
        port = _port(parts)  # raises if it is none
        if self.hosts and parts.hostname not in self.hosts:
            raise ValueError(f"expected one of the hosts {', '.join(self.hosts)}")
        if not self.hosts and port not in _WEB_PORTS and port < 1024:
            raise ValueError("expected port 80, 443, or one from 1024 on")
        if not self.hosts and _is_inner(parts.hostname):
            raise ValueError("expected an address on the public internet")
        return parts

    def resolve(self, parts: SplitResult) -> str:
        """Return the one address that is to be connected to.

        Raises:
            OSError: if the name cannot be resolved.
            _Refused: if it may not be called.
        """
        assert parts.hostname is not None
        found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        inner = [address for address in addresses if _is_inner(address)]
        if inner and not self.hosts:
            raise _Refused(f"{parts.hostname} is {inner[0]}, which is not on the public internet")
        return addresses[0]


def _is_inner(text: str) -> bool:
    """Whether a text is an address, and none of the public internet."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return not is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also where it hides an IPv4 address.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("1.1.1.1", "10.0.0.1", "::ffff:127.0.0.1")]
    [True, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        hidden = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            hidden = address.teredo[1]
        if address in _NAT64:
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if hidden is not None:
            return is_public(hidden)
    return address.is_global and not address.is_multicast


def signature(secret: str, body: bytes) -> str:
    """Return the value of the header `SIGNATURE`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Callbacks:
    """Calls back, several at once, each again and again until it is taken or given up.

    Args:
        policy: who may be called.
        sleep: waits between tries.
    """

    def __init__(self, policy: CallbackPolicy, sleep: Sleep = asyncio.sleep) -> None:
        self._policy, self._sleep = policy, sleep
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="emofuse-callback")
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, url: str, job: Mapping[str, Any], told: Callable[[str], None]) -> None:
        """Tell a server that a job has ended, in the background.

        Args:
            url: whom.
            job: as the API shows it.
            told: called with its id, in a thread, once it is delivered or given up; not if the
                server stops before.
        """
        if not self._policy.secret:  # it was allowed when the job was sent
            return
        if len(self._tasks) >= _MOST_WAITING:
            log.warning("job %s: too many callbacks wait; the next start tries it", job["id"])
            return
        task = asyncio.create_task(self._tell(url, job, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Call nobody any more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _tell(self, url: str, job: Mapping[str, Any], told: Callable[[str], None]) -> None:
        await self._insist(url, job)
        await asyncio.to_thread(told, job["id"])

    async def _insist(self, url: str, job: Mapping[str, Any]) -> None:
        # A job ends once: whoever is told again after a restart knows it by the same id.
        body = json.dumps(
            {"event": "job.ended", "id": f"{job['id']}-ended", "time": time.time(), "job": job},
            ensure_ascii=False,
        ).encode()
        loop = asyncio.get_running_loop()
        for pause in (*_PAUSES, None):
            try:
                await loop.run_in_executor(self._threads, self._call, url, body)
                return
            except (_Refused, ValueError) as error:
                log.warning("job %s: its callback is given up: %s", job["id"], error)
                return
            except (OSError, http.client.HTTPException) as error:
                told: Exception = error
            if pause is not None:
                await self._sleep(pause)
        log.warning("job %s: its callback is given up: %s", job["id"], told)

    def _call(self, url: str, body: bytes) -> None:
        """Send once.

        Raises:
            OSError: if nobody takes it now.
            _Refused: if nobody ever will.
        """
        parts = self._policy.parse(url)
        connection = _connect(parts, self._policy.resolve(parts))
        with contextlib.closing(connection), _over_after(_WHOLE_SECONDS, connection.sock):
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            headers = {
                "Content-Type": "application/json",
                "User-Agent": f"emofuse/{__version__}",
                "Connection": "close",
                SIGNATURE: signature(self._policy.secret, body),
            }
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        if 200 <= status < 300:
            return
        if status in (408, 425, 429) or status >= 500:
            raise OSError(f"{parts.hostname} answered {status}")
        raise _Refused(f"{parts.hostname} answered {status}")


@contextlib.contextmanager
def _over_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """End a connection after some time, however slowly the other side drips its answer."""

    def end() -> None:
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _connect(parts: SplitResult, address: str) -> http.client.HTTPConnection:
    """Connect to a checked address; for all else the host keeps its name."""
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, _port(parts), timeout=_SECONDS)
    connection.sock = socket.create_connection((address, _port(parts)), timeout=_SECONDS)
    if parts.scheme == "https":
        try:
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
        except BaseException:
            connection.close()
            raise
    return connection


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
