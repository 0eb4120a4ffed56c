"""Live sessions with the real server: JPEG pictures and PCM of a clip in, measurements out."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

websockets = pytest.importorskip("websockets", reason="needs the extra: emofuse[web]")
from tests.server.contract import Contract  # noqa: E402
from tests.server.serving import PATIENCE, Running  # noqa: E402
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

Message = dict[str, Any]
Packet = tuple[int, float, bytes]


def packets(path: Path, fps: float = 5.0) -> list[Packet]:
    """Read (kind, seconds, data) of a clip in order of time: JPEGs, and PCM of 16 kHz."""
    to_pcm = av.AudioResampler("s16", "mono", 16_000)
    found: list[Packet] = []
    due = samples = 0
    with av.open(str(path)) as clip:
        for frame in clip.decode(video=0):
            if frame.time is not None and frame.time >= due:
                due += 1 / fps
                jpeg = io.BytesIO()
                frame.to_image().save(jpeg, "JPEG", quality=90)
                found.append((1, frame.time, jpeg.getvalue()))
    with av.open(str(path)) as clip:
        for frame in clip.decode(audio=0):
            for sound in to_pcm.resample(frame):
                found.append((2, samples / 16_000, sound.to_ndarray().tobytes()))
                samples += sound.samples
    return sorted(found, key=lambda packet: packet[1])


def message(kind: int, seconds: float, data: bytes, number: int = 0) -> bytes:
    return struct.pack("<BBHIQ", kind, 1, 0, number, round(seconds * 1e6)) + data


def open_stream(server: Running, query: str = "", **more: Any) -> ClientConnection:
    url = server.url.replace("http", "ws") + "/v1/stream" + query
    return connect(url, open_timeout=PATIENCE, **more)


def created(socket: ClientConnection) -> Message:
    first: Message = json.loads(socket.recv(PATIENCE))
    assert first["type"] == "session.created"
    return first


def rest(socket: ClientConnection) -> Iterator[Message]:
    """Yield messages until the session is closed."""
    while True:
        said = json.loads(socket.recv(PATIENCE))
        yield said
        if said["type"] == "session.closed":
            return


@pytest.fixture(scope="module")
def clip(media: Path) -> list[Packet]:
    return packets(media / "talking.mp4")


def play(socket: ClientConnection, clip: list[Packet]) -> None:
    """Send a clip as fast as its own time goes, then say that this was all."""
    started = time.monotonic()
    for number, (kind, seconds, data) in enumerate(clip):
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        socket.send(message(kind, seconds, data, number))
    socket.send(json.dumps({"type": "session.close"}))


def test_a_clip_played_live(server: Running, contract: Contract, clip: list[Packet]) -> None:
    with open_stream(server) as socket:
        about = created(socket)
        assert set(about["models"]) >= {"face", "speech", "fused"}
        player = threading.Thread(target=play, args=(socket, clip), daemon=True)
        player.start()
        said = list(rest(socket))
        player.join()
    for each in (about, *said):
        contract.check_message(each)
    measured = [m for m in said if m["type"] == "measurement"]
    times = {number: seconds for number, (kind, seconds, _) in enumerate(clip) if kind == 1}

    faces = [m for m in measured if m["kind"] == "face"]
    assert faces
    assert all(m["time"] == pytest.approx(times[m["number"]], abs=1e-5) for m in faces)
    assert [m["number"] for m in faces] == sorted({m["number"] for m in faces})
    seen = [e for m in faces for e in m["estimates"]]
    assert seen
    assert max(len(m["estimates"]) for m in faces) == 1  # there is one face in the clip
    for e in seen:
        x, y, w, h = e["details"]["box"]
        assert 0.2 < x + w / 2 < 0.8
        assert 0.2 < y + h / 2 < 0.8
        assert e["label"] == max(e["probabilities"], key=e["probabilities"].get)
        assert sum(e["probabilities"].values()) == pytest.approx(1, abs=0.01)

    voices = [e for m in measured if m["kind"] == "speech" for e in m["estimates"]]
    assert voices
    assert all(e["modality"] == "speech" for e in voices)
    fused = [e for m in measured if m["kind"] == "fused" for e in m["estimates"]]
    assert {"face", "speech"} <= {name for e in fused for name in e["fusion"]["weights"]}
    starts = [e["start"] for e in fused]
    assert starts == sorted(starts)
    assert any(m["kind"] == "provisional" for m in measured)
    assert all(m["latency_ms"] >= 0 for m in measured)

    end = said[-1]
    assert end["reason"] == "closed"
    stats = end["stats"]
    assert stats["received"]["pictures"] == len(times)
    assert stats["received"]["seconds"] == pytest.approx(5.0, abs=0.1)
    assert len(faces) == stats["analyzed"]["pictures"]
    assert any(m["type"] == "stats" for m in said)


def test_every_picture_is_answered_before_the_next_however_unevenly_they_come(
    server: Running, clip: list[Packet]
) -> None:
    gaps = [0.2] * 5 + [0.083, 0.05, 0.9, 0.083, 1.0, 0.03, 0.03]
    pictures = [data for kind, _, data in clip if kind == 1]
    faces = []
    with open_stream(server, "?audio=0") as socket:
        created(socket)
        for number, seconds in enumerate(itertools.accumulate(gaps)):
            socket.send(message(1, seconds, pictures[number], number))
            while (said := json.loads(socket.recv(PATIENCE))).get("kind") != "face":
                assert said["type"] in ("measurement", "stats", "identity", "voice")
            assert said["number"] == number
            faces.append([e["subject"] for e in said["estimates"]])
    assert faces[1:] == [["face-1"]] * (len(gaps) - 1)


def test_pictures_alone(server: Running, clip: list[Packet]) -> None:
    pictures = [packet for packet in clip if packet[0] == 1][:8]
    with open_stream(server, "?audio=0") as socket:
        assert "speech" not in created(socket)["models"]
        play(socket, pictures)
        said = list(rest(socket))
    kinds = {m["kind"] for m in said if m["type"] == "measurement"}
    assert {"face", "fused", "provisional"} == kinds


def test_sound_alone_at_another_rate(server: Running, media: Path) -> None:
    to_pcm = av.AudioResampler("s16", "mono", 44_100)
    with av.open(str(media / "speech.ogg")) as file:
        pieces = [
            s.to_ndarray().tobytes() for f in file.decode(audio=0) for s in to_pcm.resample(f)
        ]
    with open_stream(server, "?video=0&asr=0&rate=44100") as socket:
        assert set(created(socket)["models"]) == {"speech", "fused"}
        samples = 0
        for pcm in pieces:
            socket.send(message(2, samples / 44_100, pcm))
            samples += len(pcm) // 2
            time.sleep(len(pcm) / 2 / 44_100 / 2)  # twice as fast as it was spoken
        socket.send('{"type": "session.close"}')
        said = list(rest(socket))
    assert {m["kind"] for m in said if m["type"] == "measurement"} >= {"speech", "fused"}
    assert said[-1]["stats"]["received"]["seconds"] == pytest.approx(samples / 44_100, abs=0.01)


BAD = {
    "no JSON": "hello",
    "no type": "{}",
    "unknown type": '{"type": "dance"}',
    "short": b"\x01\x01",
    "kind": struct.pack("<BBHIQ", 7, 1, 0, 0, 0) + b"x",
    "version": struct.pack("<BBHIQ", 1, 2, 0, 0, 0) + b"x",
    "big-endian": struct.pack(">BBHIQ", 1, 1, 0, 0, 10**6) + b"x",
    "no JPEG": message(1, 0.1, b"\xff\xd8\xff" + bytes(100)),
    "a PNG": message(1, 0.2, b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "half a sample": message(2, 0.1, b"\0\0\0"),
    "too much sound": message(2, 0.1, bytes(40_000)),
    "beyond time": message(2, 1e9, bytes(320)),
}


def test_bad_messages_are_told_and_the_session_goes_on(server: Running, clip: list[Packet]) -> None:
    with open_stream(server) as socket:
        created(socket)
        for bad in BAD.values():
            socket.send(bad)
            said = next(m for m in said_by(socket) if m["type"] == "error")
            assert (said["error"]["code"], said["fatal"]) == ("bad-message", False)
        play(socket, clip[:12])
        assert list(rest(socket))[-1]["reason"] == "closed"


def said_by(socket: ClientConnection) -> Iterator[Message]:
    while True:
        yield json.loads(socket.recv(PATIENCE))


def test_too_many_bad_messages_end_it(server: Running) -> None:
    with open_stream(server, "?audio=0") as socket:
        created(socket)
        for _ in range(21):
            socket.send("nonsense")
        assert list(rest(socket))[-1]["reason"] == "too-many-errors"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_pictures_of_too_many_pixels(server: Running) -> None:
    import PIL.Image

    data = io.BytesIO()
    PIL.Image.new("RGB", (4000, 3000)).save(data, "JPEG")
    with open_stream(server, "?audio=0") as socket:
        created(socket)
        socket.send(message(1, 0.0, data.getvalue()))
        error = next(m for m in said_by(socket) if m["type"] == "error")
        assert error["error"]["code"] == "too-many-pixels"


def test_who_is_silent_is_let_go(server: Running) -> None:
    with open_stream(server, "?audio=0") as socket:
        assert created(socket)["idle_seconds"] == 4
        assert list(rest(socket))[-1]["reason"] == "idle"


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {"Origin": "http://evil.example"}, 403, "foreign-origin"),
        ("", {"Origin": "null"}, 403, "foreign-origin"),
        ("?rate=1", {}, 422, "bad-argument"),
        ("?rate=x", {}, 422, "bad-argument"),
        ("?video=0&audio=0", {}, 422, "bad-argument"),
        ("?colour=red", {}, 422, "bad-argument"),
    ],
)
def test_sessions_that_do_not_open(
    server: Running, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        open_stream(server, query, additional_headers=headers)
    response = refusal.value.response
    assert response.status_code == status
    assert json.loads(response.body or b"{}")["error"]["code"] == code


def test_own_page_may_stream(server: Running) -> None:
    with open_stream(server, "?audio=0", origin=server.url) as socket:
        created(socket)


def test_a_client_has_two_sessions_at_most(server: Running) -> None:
    with open_stream(server, "?audio=0") as one, open_stream(server, "?audio=0") as two:
        created(one)
        created(two)
        with pytest.raises(InvalidStatus) as refusal:
            open_stream(server, "?audio=0")
        assert refusal.value.response.status_code == 429
        assert int(refusal.value.response.headers["Retry-After"]) >= 1


def test_the_documented_client_is_the_one_that_is_shipped() -> None:
    root = Path(__file__).parents[3]
    example = (root / "examples" / "stream_client.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in (root / "docs" / "api.md").read_text(encoding="utf-8")


def progressive(scans: int) -> bytes:
    """Make a JPEG that goes over its pixels again and again."""
    import PIL.Image

    data = io.BytesIO()
    PIL.Image.new("RGB", (640, 480), "teal").save(data, "JPEG", progressive=True)
    head, first, *others = data.getvalue().split(b"\xff\xda")
    return b"\xff\xda".join([head, *[first] * scans, *others])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_pictures_may_be_png_and_webp(server: Running, media: Path, kind: str) -> None:
    import PIL.Image

    data = io.BytesIO()
    PIL.Image.open(media / "portrait.jpg").save(data, kind)
    with open_stream(server, "?audio=0") as socket:
        created(socket)
        socket.send(message(1, 0.1, data.getvalue(), 7))
        assert next(m for m in said_by(socket) if m.get("kind") == "face")["number"] == 7


def test_a_picture_of_many_scans_costs_nothing(server: Running, clip: list[Packet]) -> None:
    with open_stream(server, "?audio=0") as socket:
        created(socket)
        socket.send(message(1, 0.1, progressive(1000)))
        error = next(m for m in said_by(socket) if m["type"] == "error")
        assert error["error"]["code"] == "bad-message"
        assert "scans" in error["error"]["message"]
        socket.send(message(1, 0.2, clip[0][2] if clip[0][0] == 1 else clip[1][2], 8))
        assert next(m for m in said_by(socket) if m.get("kind") == "face")["number"] == 8


@pytest.mark.parametrize("kind", [1, 2])
def test_times_that_have_not_come_are_refused(server: Running, kind: int) -> None:
    month = 29 * 86400.0
    with open_stream(server) as socket:
        created(socket)
        socket.send(message(kind, month, bytes(320)))
        error = next(m for m in said_by(socket) if m["type"] == "error")
        assert error["error"]["code"] == "bad-message"
        assert "real time" in error["error"]["message"]


def test_more_sound_than_time_is_refused(server: Running) -> None:
    with open_stream(server, "?video=0&asr=0") as socket:
        created(socket)
        for second in range(PATIENCE_SECONDS):
            socket.send(message(2, float(second), bytes(32_000)))
        errors = [m for m in rest(socket) if m["type"] == "error"]
        assert errors
        assert all("real time" in m["error"]["message"] for m in errors)


PATIENCE_SECONDS = 150  # more than the machine takes to read as many messages


def test_who_leaves_before_the_session_is_there_leaves_nothing(server: Running) -> None:
    process = psutil.Process(server.process.pid)
    with open_stream(server) as socket:
        created(socket)  # the models are loaded, and the threads that always stay are there
    settled = at_rest(process)
    left = 0
    while left < 12:
        with contextlib.suppress(InvalidStatus):  # those before are still being cleared away
            open_stream(server).socket.close()  # without a word
            left += 1
    assert at_rest(process) <= settled + 6  # the pool of helping threads may fill up


def at_rest(process: psutil.Process) -> int:
    """Wait until no session is open, and return how many threads there are."""
    deadline = time.monotonic() + PATIENCE
    counts = [process.num_threads()]
    while len(counts) < 10 or len(set(counts[-10:])) > 1:
        assert time.monotonic() < deadline, counts
        time.sleep(0.05)
        counts.append(process.num_threads())
    return counts[-1]
