"""What every request passes: whose it is, where it comes from, how much it brings."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.errors import ApiError, from_os
from ..jobs.worker import internal_error
from ..metrics import Metrics
from ..settings import LOOPBACK_NAMES, MB, Settings
from .limits import LoginThrottle

COOKIE = "emofuse"
"""Name of the login cookie."""

OPEN = frozenset({"/v1/health", "/v1/login", "/v1/logout"})
"""Routes that never need a token."""

GUARDED = ("/v1/", "/metrics", "/analyze")
"""Everything but the page."""

_GONE = 499  # the status that counts for a client that left, as proxies have it

_DRAIN_SECONDS = 3.0
_DRAIN_BYTES = 256 * MB

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; connect-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Inline styles are allowed; everything else comes from this server alone."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self)",
}

ScopeMap = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Decides who may use the server.

    Args:
        settings: names, origins, token.
        throttle: remembers failed attempts.
    """

    settings: Settings
    throttle: LoginThrottle

    def check(self, scope: ScopeMap) -> None:
        """Check where a request comes from and, if needed, its token.

        Raises:
            ApiError: ``foreign-host``, ``foreign-origin`` or ``unauthorised``.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        path = str(scope["path"])
        guarded = path.startswith(GUARDED)
        self._check_origin(scope, headers, guarded)
        if not guarded or path in OPEN:
            return
        self.throttle.check(client_of(scope))
        if not self.admits(scope):
            if headers.get("authorization"):
                self.throttle.wrong(client_of(scope))
            raise ApiError("unauthorised", self._what_is_needed())

    def admits(self, scope: ScopeMap) -> bool:
        """Whether a request is authorized: by the token or the cookie, or because it is local."""
        token = self.settings.token
        if not token:
            return _came_over_loopback(scope)
        headers = Headers(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return hmac.compare_digest(_cookie(headers), self.cookie_value)

    def is_token(self, given: str) -> bool:
        """Whether this is the token, compared in constant time."""
        token = self.settings.token
        return bool(token) and hmac.compare_digest(given.encode(), token.encode())

    @property
    def cookie_value(self) -> str:
        """The login cookie's value: proves knowledge of the token without containing it."""
        key = self.settings.token.encode()
        return hmac.new(key, b"emofuse login cookie, version 1", hashlib.sha256).hexdigest()

    def _what_is_needed(self) -> str:
        if self.settings.token:
            return "this server requires its token: send  Authorization: Bearer TOKEN"
        return (
            "this server has no token and so answers on the loopback interface only; to reach it "
            "from elsewhere, start it with EMOFUSE_TOKEN"
        )

    def _check_host(self, headers: Headers) -> None:
        known, host = self.settings.known_hosts, headers.get("host", "")
        if known is not None and _host_name(host) not in known:
            raise ApiError(
                "foreign-host",
                f"{host[:80]!r} is not a name of this server; if it should be, add it to "
                "EMOFUSE_HOSTS",
            )

    def _check_origin(self, scope: ScopeMap, headers: Headers, guarded: bool) -> None:
        origin = headers.get("origin")
        if origin is None:
            # Another site's page can still embed what needs no Origin, such as an image.
            if guarded and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                raise _foreign("another web page")
            return
        if origin in self.settings.origins:
            return
        parts = urlsplit(origin)
        if not parts.netloc or parts.netloc.lower() != headers.get("host", "").lower():
            raise _foreign(f"a page of {origin[:80]!r}")


class Guard:
    """The outermost layer of the application: plain ASGI, so that bodies stream through it.

    Args:
        app: the application to protect.
        authenticator: decides who may use the server.
        metrics: counts requests.
        max_bytes: returns how many bytes a request to a path may have.
        patience: how long an upload may stall, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        metrics: Metrics,
        max_bytes: Callable[[str], int],
        patience: float,
    ) -> None:
        self._app, self._authenticator, self._metrics = app, authenticator, metrics
        self._max_bytes, self._patience = max_bytes, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, begun = time.perf_counter(), 500, False
        body = _Body(receive, self._max_bytes(scope["path"]), self._patience, scope["path"])

        async def answer(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                _add_headers(scope, message)
            await send(message)

        try:
            self._authenticator.check(scope)
            body.check_declared(Headers(scope=scope).get("content-length"))
            await self._app(scope, body, answer)
        except ApiError as error:
            if error.code != "too-slow":
                await body.drain()
            await self.refuse(error)(scope, receive, answer)
        except ClientDisconnect:  # in the middle of an upload: nobody is there to be answered
            status = _GONE
        except Exception as error:
            if begun:  # too late for another response: the connection breaks off
                raise
            full = from_os(error) if isinstance(error, OSError) else None
            await self.refuse(full or internal_error())(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, scope["method"], str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._authenticator.check(scope)
        except ApiError as error:
            await deny(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def refuse(self, error: ApiError) -> JSONResponse:
        """Return the response for an error."""
        self._metrics.refused.labels(error.code).inc()
        return JSONResponse(error.body, error.status, error.headers)


async def deny(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a WebSocket's handshake with an error instead of opening it."""
    await receive()  # websocket.connect
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    response = JSONResponse(error.body, error.status, error.headers)
    head = {"status": error.status, "headers": response.raw_headers}
    await send({"type": "websocket.http.response.start", **head})
    await send({"type": "websocket.http.response.body", "body": response.body})


class _Body:
    """A request's body as it arrives, limited in size and in how long it may stall."""

    def __init__(self, receive: Receive, max_bytes: int, patience: float, path: str) -> None:
        self._receive, self._max_bytes, self._patience, self._path = (
            receive,
            max_bytes,
            patience,
            path,
        )
        self._seen, self._ended = 0, False

    async def __call__(self) -> Message:
        if self._ended:  # what comes now is that the client disconnected
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._patience)
        except asyncio.TimeoutError:
            raise ApiError("too-slow", f"the upload stalled for {self._patience:g} s") from None
        self._seen += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._seen > self._max_bytes:
            raise self._too_large()
        return message

    def check_declared(self, length: str | None) -> None:
        """Refuse a body early if its declared length is too large.

        Raises:
            ApiError: ``too-large``, or ``bad-request`` if the length is not a number.
        """
        if length is None:
            return
        if not length.isdecimal():
            raise ApiError("bad-request", f"Content-Length is {length[:40]!r}, expected a number")
        if int(length) > self._max_bytes:
            raise self._too_large()

    async def drain(self) -> None:
        """Read on a little: a client that is still sending would not see the response otherwise."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        drained = 0
        while not self._ended and drained < _DRAIN_BYTES and time.monotonic() < deadline:
            try:
                message = await asyncio.wait_for(self._receive(), deadline - time.monotonic())
            except (asyncio.TimeoutError, ValueError):
                return
            drained += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)

    def _too_large(self) -> ApiError:
        hint = "; use POST /v1/jobs" if self._path == "/v1/analyze" else ""
        return ApiError(
            "too-large",
            f"the upload is larger than {self._max_bytes / MB:g} MB, the limit of {self._path}"
            + hint,
        )


def client_of(scope: ScopeMap) -> str:
    """Return the client that a request counts for: the address it comes from."""
    client = scope.get("client")
    return str(client[0]) if client else "local"


def _came_over_loopback(scope: ScopeMap) -> bool:
    """Whether a connection arrived on the loopback interface, or on a Unix socket."""
    server = scope.get("server")
    if not server or server[1] is None:
        return True
    try:
        return ipaddress.ip_address(server[0]).is_loopback
    except ValueError:
        return server[0] in LOOPBACK_NAMES


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None and morsel.value.isascii() else ""


def _host_name(host: str) -> str:
    """Return the name in a `Host` header: without port and brackets, in lower case."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _foreign(who: str) -> ApiError:
    return ApiError(
        "foreign-origin",
        f"the request comes from {who}, but this server only serves its own page and programs; "
        "if it should, add the page's origin to EMOFUSE_ORIGINS",
    )


def _add_headers(scope: Scope, message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if not str(scope["path"]).startswith(GUARDED):
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    else:
        headers.setdefault("Content-Security-Policy", "default-src 'none'; sandbox")
        headers.setdefault("Cache-Control", "no-store")
