"""Connections before they are requests: how many an address has, how long a header takes.

uvicorn limits neither. A proxy in front usually does; its own connections are not counted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from .auth.limits import network_of
from .http.errors import ApiError
from .settings import Limits

_REFUSED = ApiError("busy", "too many connections are open from your address", retry_after=5)


class Connections:
    """The open connections of a server, by network.

    Args:
        most: from one network.
        proxies: networks whose connections are not counted.
    """

    def __init__(self, most: int, proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._most, self._proxies = most, proxies
        self._open: dict[str, set[asyncio.BaseTransport]] = {}

    def admit(self, transport: asyncio.BaseTransport) -> bool:
        """Count a new connection, unless there are too many."""
        peer = transport.get_extra_info("peername")
        if not isinstance(peer, tuple):  # a Unix socket
            return True
        if self._is_proxy(peer[0]):
            return True
        network = network_of(peer[0])
        # A WebSocket takes its connection over; so ask the connections themselves.
        still = {other for other in self._open.get(network, ()) if not other.is_closing()}
        admitted = len(still) < self._most
        if admitted:
            still.add(transport)
        self._open[network] = still
        if len(self._open) > self._most:
            self._forget()
        return admitted

    def _is_proxy(self, address: str) -> bool:
        ip = ip_address(address.partition("%")[0])
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._proxies)

    def _forget(self) -> None:
        self._open = {
            network: held
            for network, held in self._open.items()
            if not all(transport.is_closing() for transport in held)
        }


class GuardedProtocol(H11Protocol):
    """HTTP of uvicorn that closes connections which send no request, or too many of them.

    Args:
        connections: counts them.
        limits: how long a header may take.
        uvicorn: what uvicorn gives.
    """

    def __init__(self, connections: Connections, limits: Limits, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._counted, self._seconds = connections, limits.header_seconds
        self._waiting: asyncio.TimerHandle | None = None
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection, or begin to wait for its first header."""
        super().connection_made(transport)
        if not self._counted.admit(transport):
            transport.write(_response(_REFUSED))
            transport.close()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take data, and see whether a header is being waited for."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave the connection to the WebSocket."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._upgraded = True
        self._watch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        between = self.cycle is None or self.cycle.response_complete
        if self._upgraded or not between:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self._seconds, self.transport.abort)


def _response(error: ApiError) -> bytes:
    body = json.dumps(error.body).encode()
    head = (
        f"HTTP/1.1 {error.status} Too Many Requests\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: {error.retry_after}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
