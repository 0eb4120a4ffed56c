"""The client and a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import fences
from tests.server.serving import Running, free_port

from emofuse.client import Client, Job, ServerError, _Form
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
    assert told[-1].state == "COMPLETED"
    with pytest.raises(ServerError, match="no-such-job"):  # it is not kept
        remote.job(told[-1])


def test_a_job_step_by_step(remote: Client, media: Path, tmp_path: Path) -> None:
    job = remote.submit(media / "talking.srt", asr="none")
    assert job.options["asr"] == "none"
    assert job.id in {one.id for one in remote.jobs()}
    job = remote.wait(job)
    assert (job.state, job.progress, job.error) == ("COMPLETED", 1.0, None)
    remote.download(job, "csv", tmp_path / "said.csv")
    assert (tmp_path / "said.csv").read_text(encoding="utf-8").startswith("file,start,end")
    with pytest.raises(InputError, match="overwrite=True"):
        remote.download(job, "csv", tmp_path / "said.csv")
    with pytest.raises(ServerError, match="not-cancellable"):
        remote.cancel(job)
    remote.delete(job)


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


def test_a_form_is_as_long_as_it_says(tmp_path: Path) -> None:
    odd = tmp_path / 'a"b\nc.txt'
    odd.write_bytes(b"x" * (1 << 20) + b"y")
    form = _Form([("text", "grün")], [("file", odd)])
    body = b"".join(form)
    assert len(form) == len(body)
    assert b'filename="a%22b c.txt"' in body
    assert body == b"".join(form)  # it can be sent again


def test_the_documented_lines(
    server: Running, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openpyxl", reason="pip install 'emofuse[xlsx]'")
    for name, source in (("interview.mp4", "portrait.jpg"), ("interview.srt", "talking.srt")):
        shutil.copy(media / source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in fences("python") if "from emofuse.client" in block.code]
    exec(block.code.replace("http://127.0.0.1:8000", server.url), {})
    assert (tmp_path / "interview.xlsx").stat().st_size > 1000
