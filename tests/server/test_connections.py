"""Attacks on connections, before and while they are requests, on a real server."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from tests.server.serving import PATIENCE, Running, refused


@contextlib.contextmanager
def connections(server: Running, number: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE))
            for _ in range(number)
        ]


def rest_of(line: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while data := line.recv(4096):
            read += data
    return read


def test_connections_that_send_no_request_are_closed(server: Running) -> None:
    with connections(server, 3) as (silent, half, second):
        half.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
        second.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert second.recv(4096).startswith(b"HTTP/1.1 200")
        second.sendall(b"GET /v1/he")
        with contextlib.suppress(ConnectionError):  # a byte now and then does not help
            while not _has_answer(silent):
                half.sendall(b"x")
        assert rest_of(silent) == rest_of(half) == b""
        assert b"HTTP/1.1 2" not in rest_of(second)


def test_one_address_does_not_take_all_connections(server: Running, client: httpx.Client) -> None:
    with connections(server, 130) as lines:
        answers = [rest_of(line) for line in lines]  # those that were let in are closed silently
    told = [answer for answer in answers if answer]
    assert 30 <= len(told) < 130
    assert all(a.startswith(b"HTTP/1.1 429") and b'"busy"' in a for a in told)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:  # and when they are gone, it is as before
        with contextlib.suppress(httpx.TransportError):
            if client.get("/v1/health").status_code == 200:
                return
    raise AssertionError("the server does not recover")


def _has_answer(line: socket.socket) -> bool:
    """Whether there is something to read, be it the end."""
    line.settimeout(0.1)
    try:
        line.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    finally:
        line.settimeout(PATIENCE)
    return True


HEAD = (
    b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'


def test_uploads_that_trickle(server: Running) -> None:
    with connections(server, 1) as (line,):
        line.sendall(HEAD + PART)
        with contextlib.suppress(ConnectionError):
            while not _has_answer(line):
                line.sendall(b"x")
        assert line.recv(4096).startswith(b"HTTP/1.1 408")


def test_an_aborted_upload_is_no_error_of_ours(server: Running, client: httpx.Client) -> None:
    before, folders = aborted(client), incoming(server)
    for body in (b"", PART):
        with connections(server, 1) as (line,):
            line.sendall(HEAD + body)
    deadline = time.monotonic() + PATIENCE
    while aborted(client) < before + 2 or incoming(server) - folders:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "unexpected error" not in server.log


def incoming(server: Running) -> set[Path]:
    """The folders of requests that are being answered."""
    return set((server.state / "incoming").glob("*"))


def aborted(client: httpx.Client) -> float:
    """How many uploads were aborted so far."""
    counter = 'emofuse_http_requests_total{method="POST",route="/v1/analyze",status="499"} '
    _, _, rest = client.get("/metrics").text.partition(counter)
    return float(rest.split("\n")[0] or 0)


def test_json_is_bounded(client: httpx.Client) -> None:
    head = {"content-type": "application/json"}
    deep = b'{"text": ' + b"[" * 50_000
    refused(client.post("/v1/analyze", content=deep, headers=head), 400, "bad-request")
    refused(client.post("/analyze", content=deep, headers=head), 400, "bad-request")
    long = b'{"text": "' + b"x" * 1_000_000 + b'"}'
    refused(client.post("/v1/jobs", content=long, headers=head), 413, "too-large")
