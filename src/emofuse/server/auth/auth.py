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
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.errors import ApiError
from ..jobs.worker import bug
from ..metrics import Metrics
from ..settings import LOOPBACK_NAMES, MB, Settings
from .limits import LoginThrottle

COOKIE = "emofuse"
"""Name of the login cookie."""

OPEN = frozenset({"/v1/health", "/v1/login", "/v1/logout"})
"""Routes that never need a token."""

GUARDED = ("/v1/", "/metrics", "/analyze")
"""What is not the page."""

_DRAIN_SECONDS = 3.0
_DRAIN_BYTES = 256 * MB

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; connect-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Plotly sets inline styles; nothing else comes from anywhere but this server."""

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
    """Says who may ask.

    Args:
        settings: names, origins, token.
        throttle: remembers who tried in vain.
    """

    settings: Settings
    throttle: LoginThrottle

    def check(self, scope: ScopeMap) -> None:
        """Check where a request comes from and, where it matters, whose it is.

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
        """Whether a request has what it needs: the token, or none where none is needed."""
        token = self.settings.token
        if not token:
            return _came_over_loopback(scope)
        headers = Headers(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return hmac.compare_digest(_cookie(headers), self.cookie_value)

    def is_token(self, given: str) -> bool:
        """Whether a text is the token; takes as long whatever is wrong with it."""
        token = self.settings.token
        return bool(token) and hmac.compare_digest(given.encode(), token.encode())

    @property
    def cookie_value(self) -> str:
        """What the login cookie holds: proves the token without holding it."""
        key = self.settings.token.encode()
        return hmac.new(key, b"emofuse login cookie, version 1", hashlib.sha256).hexdigest()

    def _what_is_needed(self) -> str:
        if self.settings.token:
            return "this server wants its token: send  Authorization: Bearer TOKEN"
        return (
            "this server has no token and therefore answers on the loopback interface only; "
            "start it with EMOFUSE_TOKEN to be reached from elsewhere"
        )

    def _check_host(self, headers: Headers) -> None:
        known, host = self.settings.known_hosts, headers.get("host", "")
        if known is not None and _host_name(host) not in known:
            raise ApiError(
                "foreign-host",
                f"this server does not go by the name {host[:80]!r}; name it in EMOFUSE_HOSTS "
                "if it should",
            )

    def _check_origin(self, scope: ScopeMap, headers: Headers, guarded: bool) -> None:
        origin = headers.get("origin")
        if origin is None:
            # A page elsewhere can still embed what needs no Origin, such as a picture.
            if guarded and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                raise _foreign("another web page")
            return
        if origin in self.settings.origins:
            return
        parts = urlsplit(origin)
        if not parts.netloc or parts.netloc.lower() != headers.get("host", "").lower():
            raise _foreign(f"a page of {origin[:80]!r}")


class Guard:
    """The outermost layer of the application, written as plain ASGI so that it can stream.

    Args:
        app: what is guarded.
        authenticator: says who may ask.
        metrics: is told of every request.
        most: says of a path how many bytes a request to it may have.
        patience: longest that an upload may stand still, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        metrics: Metrics,
        most: Callable[[str], int],
        patience: float,
    ) -> None:
        self._app, self._keeper, self._metrics = app, authenticator, metrics
        self._most, self._patience = most, patience

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
        body = _Body(receive, self._most(scope["path"]), self._patience, scope["path"])

        async def answer(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                _add_headers(scope, message)
            await send(message)

        try:
            self._keeper.check(scope)
            body.check_declared(Headers(scope=scope).get("content-length"))
            await self._app(scope, body, answer)
        except ApiError as error:
            if error.code != "too-slow":
                await body.drain()
            await self.refuse(error)(scope, receive, answer)
        except Exception:
            if begun:  # too late for another answer: the connection breaks off
                raise
            await self.refuse(bug())(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, scope["method"], str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._keeper.check(scope)
        except ApiError as error:
            await deny(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def refuse(self, error: ApiError) -> JSONResponse:
        """Make the answer that an error is."""
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
    """A request's body as it arrives: not too much, and not too slowly."""

    def __init__(self, receive: Receive, most: int, patience: float, path: str) -> None:
        self._receive, self._most, self._patience, self._path = receive, most, patience, path
        self._seen, self._ended = 0, False

    async def __call__(self) -> Message:
        if self._ended:  # what comes now is that the client has gone
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._patience)
        except asyncio.TimeoutError:
            raise ApiError(
                "too-slow", f"no byte of the upload came for {self._patience:g} s"
            ) from None
        self._seen += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._seen > self._most:
            raise self._too_large()
        return message

    def check_declared(self, length: str | None) -> None:
        """Refuse early what says itself that it is too much.

        Raises:
            ApiError: ``too-large``, or ``bad-request`` if the length is none.
        """
        if length is None:
            return
        if not length.isdecimal():
            raise ApiError("bad-request", f"Content-Length is {length[:40]!r}, expected a number")
        if int(length) > self._most:
            raise self._too_large()

    async def drain(self) -> None:
        """Read on a little: who still sends would not see the answer otherwise."""
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
            f"the upload is larger than {self._most / MB:g} MB, the most that {self._path} takes"
            + hint,
        )


def client_of(scope: ScopeMap) -> str:
    """Return whom a request counts for: the address that it comes from."""
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
    """Return the name in a `Host` header: without port and brackets, in small letters."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _foreign(who: str) -> ApiError:
    return ApiError(
        "foreign-origin",
        f"the request comes from {who}, and this server answers its own page and programs only; "
        "name the page's origin in EMOFUSE_ORIGINS if it should",
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
