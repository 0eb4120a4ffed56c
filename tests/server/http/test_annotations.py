"""Edits by hand of a job's result, over HTTP."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import httpx
import pytest
from tests.server.serving import PATIENCE, Running, wait_for

from emofuse.annotations.edits import Mark, Name, SetLabel


@pytest.fixture(scope="module")
def job(server: Running) -> str:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        made = client.post("/v1/jobs", json={"text": "What a wonderful day. I am so sad now."})
        return str(wait_for(client, made.json()["id"])["id"])


def body(*edits) -> str:
    return json.dumps({"edits": [edit.model_dump(mode="json") for edit in edits]})


def test_two_editors_lose_nothing(client: httpx.Client, job: str) -> None:
    address = f"/v1/jobs/{job}/annotations"
    first = client.get(address)
    assert first.json()["edits"] == []
    label = SetLabel(subject="speaker-1", start=0, end=60, label="fear", author="Eve")
    mine = {"If-Match": first.headers["etag"]}
    kept = client.post(address, content=body(label), headers=mine)
    assert kept.status_code == 200
    assert kept.headers["etag"] != first.headers["etag"]
    late = client.post(address, content=body(Mark(at=1)), headers=mine)
    assert late.status_code == 412
    assert "changed by somebody else meanwhile" in late.json()["error"]["message"]
    now = {"If-Match": kept.headers["etag"]}
    again = client.post(address, content=body(Mark(at=1)), headers=now)
    assert [edit["kind"] for edit in again.json()["edits"]] == ["label", "mark"]
    assert client.get(address).json() == again.json()

    rows = list(csv.DictReader(io.StringIO(client.get(f"/v1/jobs/{job}/result?format=csv").text)))
    by_hand = {row["label"] for row in rows if row["source"] == "hand"}
    assert by_hand == {"fear"}
    found = client.get(f"/v1/jobs/{job}/result?format=csv&source=machine").text
    assert "hand" not in found
    packed = client.get(f"/v1/jobs/{job}/result?format=zip").content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert "hand" in archive.read("timeline.csv").decode()
        assert "Eve" in archive.read("timeline.html").decode()
    told = client.get(f"/v1/jobs/{job}/summary").json()
    assert told["people"][0]["shares"] == {"fear": 1.0}


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (body(Mark(at=1)), {}, 428, "send the ETag"),
        (body(Name(subject="face-9", name="x")), {"If-Match": "*"}, 422, "there is no face-9"),
        ("{", {"If-Match": "*"}, 422, "not valid JSON"),
        ('{"edits": [{"kind": "jump"}]}', {"If-Match": "*"}, 422, "edits.0"),
        ('{"edits": []}', {"If-Match": "*"}, 422, "edits"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    client: httpx.Client, job: str, content: str, headers: dict[str, str], status: int, message: str
) -> None:
    before = client.get(f"/v1/jobs/{job}/annotations").json()
    said = client.post(f"/v1/jobs/{job}/annotations", content=content, headers=headers)
    assert said.status_code == status, said.text
    assert message in said.json()["error"]["message"]
    assert client.get(f"/v1/jobs/{job}/annotations").json() == before


def test_a_job_that_is_not_there_has_no_edits(client: httpx.Client) -> None:
    assert client.get("/v1/jobs/nothing/annotations").status_code == 404
