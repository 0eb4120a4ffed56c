"""The client and a real server."""

from __future__ import annotations

import runpy
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.docs.blocks import ROOT
from tests.server.contract import Contract
from tests.server.generate_client import TYPES, generate
from tests.server.serving import Running, free_port

from emofuse.annotations.edits import Name
from emofuse.client import Client, Job, Picture, ServerError
from emofuse.client.form import Form
from emofuse.core.estimates import Modality
from emofuse.errors import InputError


@pytest.fixture
def remote(server: Running) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def test_a_timeline_comes_back(remote: Client, media: Path) -> None:
    told: list[Job] = []
    timeline = remote.analyze(
        media / "portrait.jpg",
        text="What a “day”!",
        progress=told.append,
        slot=2,
        weights={"face": 3},
        modalities=["face", "text"],
        identity=False,
    )
    assert {str(s) for s in timeline.subjects} >= {"face-1"}
    assert timeline.provenance.settings["slot_seconds"] == 2
    assert timeline.media.name == "portrait.jpg"
    assert told[-1]["state"] == "COMPLETED"
    with pytest.raises(ServerError, match="no-such-job"):  # it is not kept
        remote.job(told[-1])


def test_a_job_step_by_step(remote: Client, media: Path, tmp_path: Path) -> None:
    job = remote.submit(media / "talking.srt", asr="none")
    assert job["options"].get("asr") == "none"
    assert job["id"] in {one["id"] for one in remote.jobs()}
    job = remote.wait(job)
    assert (job["state"], job["progress"], job["error"]) == ("COMPLETED", 1.0, None)
    remote.download(job, "csv", tmp_path / "said.csv")
    assert (tmp_path / "said.csv").read_text(encoding="utf-8").startswith("file,start,end")
    with pytest.raises(InputError, match="overwrite=True"):
        remote.download(job, "csv", tmp_path / "said.csv")
    with pytest.raises(ServerError, match="not-cancellable"):
        remote.cancel(job)
    remote.delete(job)


def test_corrections_by_hand(remote: Client, media: Path) -> None:
    job = remote.wait(remote.submit(media / "portrait.jpg", modalities=["face"]))
    nothing = remote.annotations(job)
    assert nothing.edits == ()
    made = remote.annotate(job, [Name(subject="face-1", name="Anna")], nothing)
    assert made == remote.annotations(job)
    with pytest.raises(ServerError, match="precondition-failed"):
        remote.annotate(job, [Name(subject="face-1", name="Berta")], nothing)
    assert "Anna" in remote.result(job).names.values()
    assert not remote.result(job, edited=False).names
    remote.delete(job)


def test_something_short_at_once(remote: Client, media: Path) -> None:
    before = {job["id"] for job in remote.jobs()}
    timeline = remote.analyze_at_once(media / "talking.srt", modalities=["text"])
    assert {e.modality for e in timeline.estimates} >= {Modality.TEXT}
    assert {job["id"] for job in remote.jobs()} == before


def test_one_observation(remote: Client, media: Path) -> None:
    seen = remote.observe(image=media / "portrait.jpg", text="I am so happy.")
    assert seen["fused"] is not None
    assert set(seen["fused"].get("weights") or ()) == {"face", "text"}
    again = remote.fuse(seen, {"text": 1})
    assert again["fused"] is not None
    assert again["fused"]["label"] == seen["text"]["label"]


def test_what_the_server_tells_of_itself(remote: Client) -> None:
    health = remote.health()
    assert (health["status"], health["auth"]) == ("ok", "none")
    assert {m["modality"] for m in remote.models()["models"]} >= {"face", "speech", "text"}


def test_the_example_plays_a_clip_live(
    server: Running,
    media: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("websockets")
    monkeypatch.setattr(sys, "argv", ["", str(media / "two_people.mp4"), server.url])
    runpy.run_path(str(ROOT / "examples" / "stream_client.py"), run_name="__main__")
    first, *said, last = capsys.readouterr().out.splitlines()
    assert "session.created" in first
    assert {"face", "fused"} <= {line.split()[2] for line in said if " s  " in line}
    assert "session.closed" in last


def test_live_messages_are_as_described(remote: Client, contract: Contract, media: Path) -> None:
    pytest.importorskip("websockets")
    photo = (media / "portrait.jpg").read_bytes()
    packets = [Picture(0.0, b"no picture"), *(Picture(n / 5, photo) for n in range(1, 6))]
    said = list(remote.live(packets, audio=False))
    for message in said:
        contract.check_message(message)
    faces = [m for m in said if m["type"] == "measurement" and m["kind"] == "face"]
    assert faces[-1].get("number") == 5
    assert [m["error"]["code"] for m in said if m["type"] == "error"] == ["bad-message"]
    assert said[-1]["type"] == "session.closed"


def test_a_live_session_that_fails(remote: Client) -> None:
    pytest.importorskip("websockets")

    def broken() -> Iterator[Picture]:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):  # where it is read, not in a thread
        list(remote.live(broken(), audio=False))
    with pytest.raises(ServerError, match="rate is 1") as refused:
        list(remote.live([], rate=1))
    assert (refused.value.code, refused.value.status) == ("bad-argument", 422)
    with pytest.raises(ServerError, match="is the server running"):
        list(Client(f"http://127.0.0.1:{free_port()}").live([]))


def test_the_types_are_those_of_the_server(contract: Contract) -> None:
    pytest.importorskip("datamodel_code_generator", reason="needs datamodel-code-generator")
    made = generate(contract.described)
    assert made == TYPES.read_text(encoding="utf-8"), "run `make client`"


def test_a_server_that_is_busy_is_asked_again_and_another_is_told() -> None:
    answers = [(503, b"{}"), (200, b'{"id": "1", "state": "COMPLETED"}'), (200, b"<html>")]

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.pop(0)
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Odd) as odd:
        threading.Thread(target=odd.serve_forever, daemon=True).start()
        with Client(f"http://127.0.0.1:{odd.server_port}") as client:
            assert client.wait("1")["state"] == "COMPLETED"
            with pytest.raises(ServerError, match="is that a server of emofuse"):
                client.choices()
        odd.shutdown()
    assert not answers


def test_refusals_have_the_servers_words(remote: Client, media: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="slot: got '900'") as error:
        remote.submit(media / "portrait.jpg", slot=900)
    assert (error.value.code, error.value.status) == ("bad-argument", 422)
    with pytest.raises(InputError, match="no such file"):
        remote.submit(tmp_path / "gone.mp4")
    with (
        Client(f"http://127.0.0.1:{free_port()}") as nobody,
        pytest.raises(ServerError, match="is the server running") as error,
    ):
        nobody.choices()
    assert error.value.code == "unreachable"
    assert remote.choices()["defaults"]["slot"] == 0.5


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerError, match=r"within 0\.1 s.*Client\(timeout="):
            Client(address, timeout=0.1).choices()


def test_a_form_is_as_long_as_it_says(tmp_path: Path) -> None:
    odd = tmp_path / 'a"b\nc.txt'
    odd.write_bytes(b"x" * (1 << 20) + b"y")
    form = Form({"text": "grün", "asr": None}, [("file", odd)])
    body = b"".join(form)
    assert len(form) == len(body)
    assert b'filename="a%22b c.txt"' in body
    assert b"asr" not in body
    assert body == b"".join(form)  # it can be sent again
