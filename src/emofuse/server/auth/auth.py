"""What every request passes: whose it is, where it comes from, how much it brings."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
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
from ..settings import LOOPBACK_NAMES, MB, Limits, Settings
from .limits import LoginThrottle, network_of
from .users import OPERATOR, VISITOR, User, digest

COOKIE = "emofuse"
"""Name of the login cookie."""

OPEN = frozenset({"/v1/health", "/v1/login", "/v1/logout"})
"""Routes that never need a token."""

OPERATORS_ONLY = frozenset({"/metrics"})
"""Routes that tell of all users."""

GUARDED = ("/v1/", "/metrics", "/analyze")
"""Everything but the page."""

_USER = "emofuse.user"  # where a request's scope has the user

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


@dataclass(slots=True)
class Authenticator:
    """Decides who may use the server.

    Args:
        settings: names, origins, token.
        users: who has a token of their own.
        throttle: remembers failed attempts.
    """

    settings: Settings
    users: tuple[User, ...] = ()
    throttle: LoginThrottle = field(default_factory=LoginThrottle)
    _key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        token = self.settings.token
        if token:
            self.users = (replace(OPERATOR, sha256=digest(token)), *self.users)
        # Without a token of the server's own a restart ends the logins.
        self._key = token.encode() if token else secrets.token_bytes(32)

    async def check(self, scope: ScopeMap) -> None:
        """Check where a request comes from and whose it is; notes the user in the scope.

        Raises:
            ApiError: ``foreign-host``, ``foreign-origin``, ``unauthorised`` or
                ``too-many-attempts``.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        path = str(scope["path"])
        guarded = path.startswith(GUARDED)
        self._check_origin(scope, headers, guarded)
        if not guarded:
            return
        user = await self._identify(scope, headers)
        if user is None and path not in OPEN:
            raise ApiError("unauthorised", self._what_is_needed())
        if user is not None and (user.name or user.visitor) and path in OPERATORS_ONLY:
            raise ApiError("operators-only", f"{path} is for the operator's token alone")
        scope[_USER] = user

    async def _identify(self, scope: ScopeMap, headers: Headers) -> User | None:
        """Tell whose a request is: by token or cookie, or because it is local or public."""
        if self.settings.public:
            return VISITOR
        if not self.users:
            return OPERATOR if _came_over_loopback(scope) else None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (given := given.strip()):
            return await self.attempt(scope, given)
        name, _, proof = _cookie(headers).partition(".")
        for user in self.users:
            if user.name == name and hmac.compare_digest(proof, self._proof(user)):
                return user
        return None

    async def attempt(self, scope: ScopeMap, token: str) -> User | None:
        """Tell whose a token is; None if it is nobody's.

        Raises:
            ApiError: ``too-many-attempts``.
        """
        given = digest(token)

        def find() -> User | None:
            same = [user for user in self.users if hmac.compare_digest(user.sha256, given)]
            return same[0] if same else None

        return await self.throttle.attempt(address_of(scope), given, find)

    def cookie_value(self, user: User) -> str:
        """The login cookie's value: proves knowledge of the token without containing it."""
        return f"{user.name}.{self._proof(user)}"

    def _proof(self, user: User) -> str:
        text = f"emofuse login cookie, version 2:{user.name}:{user.sha256}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _what_is_needed(self) -> str:
        if self.users:
            return "this server requires a token: send  Authorization: Bearer TOKEN"
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
        limits: how long an upload may stall, and how slow it may be.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        metrics: Metrics,
        max_bytes: Callable[[str], int],
        limits: Limits,
    ) -> None:
        self._app, self._authenticator, self._metrics = app, authenticator, metrics
        self._max_bytes, self._limits = max_bytes, limits

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
        body = _Body(receive, self._max_bytes(scope["path"]), self._limits, scope["path"])

        async def answer(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                _add_headers(scope, message)
            await send(message)

        try:
            await self._authenticator.check(scope)
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
            await self._authenticator.check(scope)
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
    """A request's body as it arrives: its size, its stalls and its slowness are limited."""

    def __init__(self, receive: Receive, max_bytes: int, limits: Limits, path: str) -> None:
        self._receive, self._max_bytes, self._path = receive, max_bytes, path
        self._patience, self._rate = limits.upload_patience, limits.upload_rate
        self._seen, self._ended, self._waited = 0, False, 0.0

    async def __call__(self) -> Message:
        if self._ended:  # what comes now is that the client disconnected
            return await self._receive()
        left = self._patience + self._seen / self._rate - self._waited
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), min(self._patience, left))
        except asyncio.TimeoutError:
            raise self._too_slow(left) from None
        self._waited += time.monotonic() - began  # our own work in between is not the client's
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

    def _too_slow(self, left: float) -> ApiError:
        if left >= self._patience:
            return ApiError("too-slow", f"the upload stalled for {self._patience:g} s")
        told = f"the upload is slower than {self._rate:g} bytes a second"
        return ApiError("too-slow", told)

    def _too_large(self) -> ApiError:
        hint = "; use POST /v1/jobs" if self._path == "/v1/analyze" else ""
        return ApiError(
            "too-large",
            f"the upload is larger than {self._max_bytes / MB:g} MB, the limit of {self._path}"
            + hint,
        )


def address_of(scope: ScopeMap) -> str:
    """Return the address that a request comes from; a trusted proxy's word counts."""
    client = scope.get("client")
    return str(client[0]) if client else "local"


def user_of(scope: ScopeMap) -> User | None:
    """Return whose a request is; None if it was not authorized."""
    user = scope.get(_USER)
    return user if isinstance(user, User) else None


def client_of(scope: ScopeMap) -> str:
    """Return whom a request counts for: a named user, or the network it comes from."""
    user = user_of(scope)
    return user.key if user is not None and user.name else network_of(address_of(scope))


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
