"""Who is called back, with what, and how often; nobody inside is."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.asynchronous import run
from tests.server.listener import Listener
from tests.server.serving import PATIENCE, Running, refused

from emofuse.server.http.errors import ApiError
from emofuse.server.jobs.callbacks import SIGNATURE, CallbackPolicy, Callbacks, is_public

SECRET = "a secret that nobody guesses"
OPEN = CallbackPolicy(SECRET)
HERE = CallbackPolicy(SECRET, ("127.0.0.1",))


def call(url: str, policy: CallbackPolicy = HERE) -> list[float]:
    """Call back to the end; returns the pauses that were made."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def go() -> None:
        callbacks = Callbacks(policy, sleep)
        await callbacks._insist(url, {"id": "1", "state": "COMPLETED"})
        await callbacks.close()

    run(go())
    return pauses


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:0:0:0:0:80ff:fffe"),
    ],
)
def test_addresses_inside_are_not_called(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ApiError, match="public internet"):
        OPEN.check(f"http://{host}/")


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_outside_may_be_called(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/", "file:///etc/passwd", "example.org", "http://", "https:///x"),
        *("http://me:pw@example.org/", "http://example.org:22/", "http://example.org:99999/"),
        *("http://exa mple.org/", "http://example.org/\r\nX: 1", "http://exämple.org/"),
        "http://example.org/" + "a" * 3000,
    ],
)
def test_what_is_no_address_to_call(url: str) -> None:
    with pytest.raises(ApiError, match="callback: got") as error:
        OPEN.check(url)
    assert error.value.code == "bad-argument"


def test_it_is_off_unless_allowed() -> None:
    with pytest.raises(ApiError, match="calls nobody back"):
        CallbackPolicy("").check("https://example.org/")
    with pytest.raises(ApiError, match="expected one of the hosts lab"):
        CallbackPolicy(SECRET, ("lab",)).check("https://example.org/")
    OPEN.check("https://example.org:8443/done?x=1")


def test_a_name_that_leads_inside_is_not_called(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = listen()
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("emofuse.server.jobs.callbacks.socket.getaddrinfo", resolve)
    assert call(f"http://rebound.example:{listener.server_port}/", OPEN) == []
    assert asked == ["rebound.example"]
    assert listener.told == []


def test_what_is_sent_is_signed(listen: Callable[..., Listener]) -> None:
    listener = listen()
    assert call(listener.url) == []
    ((path, headers, body),) = listener.told
    assert path == "/done?job=1"
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={expected}"
    assert json.loads(body)["job"] == {"id": "1", "state": "COMPLETED"}


@pytest.mark.parametrize(
    ("statuses", "calls", "pauses"),
    [
        ((503, 429, 204), 3, [1, 5]),
        ((500,) * 9, 5, [1, 5, 25, 125]),
        ((404, 204), 1, []),
        ((302, 204), 1, []),  # nobody is followed elsewhere
    ],
)
def test_how_often(
    listen: Callable[..., Listener], statuses: tuple[int, ...], calls: int, pauses: list[float]
) -> None:
    listener = listen(*statuses)
    assert call(listener.url) == pauses
    assert len(listener.told) == calls


def test_a_job_calls_back(
    serve: Callable[..., Running], listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listener = listen()
    allowed = {"EMOFUSE_CALLBACK_SECRET": SECRET, "EMOFUSE_CALLBACK_HOSTS": "127.0.0.1"}
    server = serve(tmp_path / "state", **allowed).wait()
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        body = {"text": "So be it.", "callback": listener.url, "modalities": ["text"]}
        job = client.post("/v1/jobs", json=body).json()
        assert job["callback"] == listener.url
        assert listener.taken.wait(PATIENCE)
        said = json.loads(listener.told[0][2])
        assert (said["event"], said["job"]["id"]) == ("job.ended", job["id"])
        assert said["job"]["state"] == "COMPLETED"
        assert said["job"]["links"]["result"] == job["links"]["result"]
        refused(client.post("/v1/analyze", json=body), 422, "bad-argument")
        elsewhere = body | {"callback": "http://169.254.169.254/"}
        refused(client.post("/v1/jobs", json=elsewhere), 422, "bad-argument")
    assert SECRET not in server.log
