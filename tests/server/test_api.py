"""The REST API of a real server, as docs/api.md says."""

import base64
import csv
import io
import json
import re
import socket
import struct
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from tests.server.serving import LIMITS, Running, news, refused, wait_for
from tests.sources.derive import film, tone

from emofuse.export import result_name, routine_exporters
from emofuse.export.json import read_json


def send(client: httpx.Client, *files: Path, to: str = "/v1/analyze", **fields: Any) -> Any:
    return client.post(
        to, files=[("file", (f.name, f.read_bytes())) for f in files], data=fields or None
    )


def png(width: int, height: int, path: Path) -> Path:
    """Write the head of a picture of any size; there are no pixels in it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def wav(seconds: float, path: Path, rate: int = 8000) -> Path:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.zeros(round(seconds * rate), np.int16).tobytes())
    return path


# ------------------------------------------------------------------------ analysis


def test_a_video_with_words(client: httpx.Client, media: Path, tmp_path: Path) -> None:
    files = {
        "file": ("../../häppy.mp4", (media / "talking.mp4").read_bytes(), "image/png"),
        "transcript": ("said.srt", (media / "talking.srt").read_bytes()),
    }
    response = client.post("/v1/analyze", files=files)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    (tmp_path / "timeline.json").write_bytes(response.content)
    timeline = read_json(tmp_path / "timeline.json")  # the very format that files have
    assert (timeline.media.name, timeline.media.path) == ("häppy.mp4", None)
    assert timeline.media.text == "said.srt"
    assert {e.modality.value for e in timeline} == {"face", "speech", "text", "fused"}
    assert timeline.duration_ns == pytest.approx(5e9, abs=1e8)


def test_a_picture_a_sound_and_words_are_one_moment(client: httpx.Client, media: Path) -> None:
    response = send(client, media / "portrait.jpg", media / "speech.ogg", text="I am so happy!")
    assert response.status_code == 200, response.text
    timeline = response.json()
    assert timeline["media"]["kind"] == "image"
    assert timeline["duration"] == pytest.approx(7.37, abs=0.1)
    fused = [e for e in timeline["estimates"] if e["modality"] == "fused"]
    shares = [set(e["fusion"]["weights"]) for e in fused if e["subject"] == "face-1"]
    assert {"face", "speech", "text"} in shares
    assert all("face" in s for s in shares)


def test_words_alone(client: httpx.Client) -> None:
    as_json = client.post("/v1/analyze", json={"text": "What a wonderful day!"})
    as_form = client.post("/v1/analyze", files={"text": (None, "What a wonderful day!")})
    assert as_json.status_code == as_form.status_code == 200
    assert as_json.json()["estimates"] == as_form.json()["estimates"]
    (words,) = [e for e in as_json.json()["estimates"] if e["modality"] == "text"]
    assert words["label"] == "happy"


def test_formats(client: httpx.Client, media: Path) -> None:
    table = send(client, media / "portrait.jpg", to="/v1/analyze?format=csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="portrait.emofuse.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert {row["modality"] for row in rows} == {"face", "fused"}
    packed = send(client, media / "portrait.jpg", to="/v1/analyze?format=zip")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert set(archive.namelist()) == {
            result_name(kind) for kind in routine_exporters().values()
        }
        assert b"<html" in archive.read("timeline.html")
    refused(send(client, media / "portrait.jpg", to="/v1/analyze?format=exe"), 422, "bad-argument")


def test_modalities_can_be_chosen(client: httpx.Client, media: Path) -> None:
    response = send(client, media / "talking.mp4", modalities="speech", asr="none")
    assert {e["modality"] for e in response.json()["estimates"]} == {"speech", "fused"}


def test_group_is_told_when_asked_for(client: httpx.Client, media: Path) -> None:
    told = send(client, media / "portrait.jpg", modalities="face", group="yes").json()
    (group,) = [e for e in told["estimates"] if e["subject"] == "group-1"]
    assert set(group["probabilities"]) == {"positive", "neutral", "negative"}
    assert told["summary"]["group"]["faces"] == 1
    without = send(client, media / "portrait.jpg", modalities="face").json()
    assert without["summary"]["group"] is None
    refused(send(client, media / "portrait.jpg", group="maybe"), 422, "bad-argument")


def test_deepface_shape(client: httpx.Client, media: Path) -> None:
    data = (media / "portrait.jpg").read_bytes()
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    as_json = client.post("/analyze", json={"img": uri, "actions": ["emotion"]})
    as_form = client.post("/analyze", files={"img": ("x.jpg", data)}, data={"actions": "emotion"})
    assert as_json.status_code == 200, as_json.text
    assert as_json.json() == as_form.json()
    (face,) = as_json.json()["results"]
    assert face["dominant_emotion"] == max(face["emotion"], key=face["emotion"].get)
    assert sum(face["emotion"].values()) == pytest.approx(100, abs=0.1)
    assert all(0 <= face["region"][k] <= 200 for k in "xywh")
    assert 0 < face["face_confidence"] <= 1


def test_deepface_refusals(client: httpx.Client, tmp_path: Path) -> None:
    for address in ("http://example.org/me.jpg", "/etc/passwd", "file:///etc/passwd"):
        refused(client.post("/analyze", json={"img": address}), 422, "url-refused")
    refused(client.post("/analyze", json={"img_path": "me.jpg"}), 422, "url-refused")
    refused(client.post("/analyze", json={}), 422, "bad-argument")
    refused(client.post("/analyze", content=b"{"), 400, "bad-request")
    data = io.BytesIO()
    import PIL.Image

    PIL.Image.new("RGB", (64, 64)).save(data, "PNG")
    nobody = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    refused(client.post("/analyze", json={"img": nobody}), 422, "no-face")
    lenient = client.post("/analyze", json={"img": nobody, "enforce_detection": False})
    assert lenient.json() == {"results": []}
    aged = client.post("/analyze", json={"img": nobody, "actions": ["age"]})
    assert "age" in refused(aged, 422, "bad-argument")


# ------------------------------------------------------------------------ refusals


def test_what_is_no_medium(client: httpx.Client, media: Path, tmp_path: Path) -> None:
    fake = tmp_path / "clip.mp4"
    fake.write_bytes(b"\x7fELF" + bytes(100))
    assert "clip.mp4" in refused(send(client, fake), 415, "unsupported-media")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((media / "talking.mp4").read_bytes()[:600])
    assert "broken.mp4" in refused(send(client, broken), 422, "unusable")
    empty = client.post("/v1/analyze", files={"text": (None, "  ")})
    refused(empty, 400, "bad-request")
    refused(client.post("/v1/analyze", content=b"x" * 10), 400, "bad-request")
    torn = {"content-type": "multipart/form-data; boundary=x"}
    refused(client.post("/v1/analyze", content=b"--y\r\n", headers=torn), 400, "bad-request")
    noisy = {"content-type": "multipart/form-data"}
    refused(client.post("/v1/analyze", content=b"--y\r\n", headers=noisy), 400, "bad-request")
    address = client.post("/v1/analyze", files={"file": (None, "http://example.org/a.mp4")})
    refused(address, 422, "url-refused")
    odd = client.post("/v1/analyze", files={"flie": ("a.mp4", b"x")})
    assert "flie" in refused(odd, 422, "bad-argument")


def test_bombs_and_lies(client: httpx.Client, tmp_path: Path) -> None:
    bomb = png(5000, 5000, tmp_path / "bomb.png")
    assert "5000 × 5000" in refused(send(client, bomb), 413, "too-many-pixels")
    beyond = png(2**31 - 1, 2**31 - 1, tmp_path / "absurd.png")
    refused(send(client, beyond), 413, "too-many-pixels")
    long = wav(25, tmp_path / "long.wav")
    refused(send(client, long), 413, "too-long")
    assert send(client, long, to="/v1/jobs").status_code == 202  # jobs may be longer
    lying = tmp_path / "lying.wav"  # says that it is 2 GB and holds 25 s
    data = bytearray(long.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 2_000_000_000)
    lying.write_bytes(data)
    assert send(client, lying).status_code in (200, 413, 422)
    texts = tmp_path / "long.txt"
    texts.write_text("word " * 10_000)
    refused(send(client, texts), 413, "too-large")
    field = client.post("/v1/analyze", files={"text": (None, "word " * 10_000)})
    refused(field, 413, "too-large")


def test_video_of_too_many_pixels_or_pictures(client: httpx.Client, tmp_path: Path) -> None:
    import av

    def movie(width: int, height: int, pictures: int, rate: int) -> Path:
        path = tmp_path / f"{width}.mp4"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("mpeg4", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            black = np.zeros((height, width, 3), np.uint8)
            for _ in range(pictures):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(black, "rgb24")))
            out.mux(stream.encode(None))
        return path

    refused(send(client, movie(1280, 720, 2, 25)), 413, "too-many-pixels")
    refused(send(client, movie(32, 32, 2100, 500)), 413, "too-many-frames")


def test_pictures_of_an_unknown_codec_are_left_out(client: httpx.Client, tmp_path: Path) -> None:
    path = film(
        tmp_path / "a.avi", [0, 0.1, 0.2], sound=tone(1, 16000), video="mjpeg", audio="pcm_s16le"
    )
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"\0XQZ"))
    answer = send(client, path)
    assert answer.status_code == 200, answer.text
    assert answer.json()["media"]["video"] is None


def test_uploads_that_are_too_large(client: httpx.Client, server: Running) -> None:
    large = b"\xff\xd8\xff" + bytes(3_000_000)
    assert "/v1/jobs" in refused(
        client.post("/v1/analyze", files={"file": large}), 413, "too-large"
    )

    def trickle() -> Any:  # says nothing of its length
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        for _ in range(40):
            yield bytes(100_000)

    chunked = client.post(
        "/v1/analyze",
        content=trickle(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    refused(chunked, 413, "too-large")
    assert list((server.state / "incoming").glob("*")) == []


def test_uploads_that_stall(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        line.sendall(
            b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")


def test_combinations(client: httpx.Client, media: Path) -> None:
    video, photo = media / "talking.mp4", media / "portrait.jpg"
    for files in ([video, photo], [photo, photo], [video, video], [video, media / "speech.ogg"]):
        refused(send(client, *files), 422, "bad-combination")
    two_texts = {"file": ("a.srt", (media / "talking.srt").read_bytes()), "text": (None, "Hi.")}
    refused(client.post("/v1/analyze", files=two_texts), 422, "bad-combination")
    wrong = {"file": ("a.mp4", video.read_bytes()), "transcript": ("t.srt", photo.read_bytes())}
    refused(client.post("/v1/analyze", files=wrong), 415, "unsupported-media")


def test_one_client_does_not_take_everything(client: httpx.Client, media: Path) -> None:
    import concurrent.futures

    def ask(_: int) -> httpx.Response:
        return send(client, media / "speech.ogg")

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert {a.status_code for a in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            refused(answer, 429, "busy")
            assert int(answer.headers["retry-after"]) >= 1


# ---------------------------------------------------------------------------- jobs


@pytest.fixture
def done(client: httpx.Client, media: Path) -> dict[str, Any]:
    """A job that is finished."""
    known = [j for j in client.get("/v1/jobs").json()["jobs"] if j["transcript"] == "talking.srt"]
    job = known[0] if known else None
    if job is None:
        files = {
            "file": ("clip.mp4", (media / "talking.mp4").read_bytes()),
            "transcript": ("talking.srt", (media / "talking.srt").read_bytes()),
        }
        response = client.post("/v1/jobs", files=files)
        assert response.status_code == 202, response.text
        job = response.json()
        assert response.headers["location"] == job["links"]["self"]
    return wait_for(client, job["id"])


def test_a_job_from_start_to_end(client: httpx.Client, done: dict[str, Any], media: Path) -> None:
    assert (done["state"], done["progress"], done["attempts"]) == ("COMPLETED", 1.0, 1)
    assert done["media"] == {
        "name": "clip.mp4",
        "kind": "video",
        "type": "video/mp4",
        "bytes": (media / "talking.mp4").stat().st_size,
        "duration": pytest.approx(5.0, abs=0.1),
        "width": 320,
        "height": 240,
    }
    assert done["created"] <= done["started"] <= done["finished"] < done["expires"]
    assert client.get(done["links"]["self"]).json() == done
    for format_ in done["formats"]:
        result = client.get(done["links"]["result"], params={"format": format_})
        assert result.status_code == 200
        assert result.content
    timeline = client.get(done["links"]["result"]).json()
    assert timeline["media"]["name"] == "clip.mp4"
    assert {e["modality"] for e in timeline["estimates"]} == {"face", "speech", "text", "fused"}
    refused(client.post(done["links"]["cancel"]), 409, "not-cancellable")


def test_a_film_with_its_result(client: httpx.Client, done: dict[str, Any], tmp_path: Path) -> None:
    assert "mp4" in done["formats"]
    answer = client.get(done["links"]["result"], params={"format": "mp4"})
    assert answer.headers["content-type"] == "video/mp4"
    assert 'filename="clip.emofuse.annotated.mp4"' in answer.headers["content-disposition"]
    (tmp_path / "film.mp4").write_bytes(answer.content)
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert {stream.type for stream in film.streams} == {"video", "audio"}
        assert film.duration == pytest.approx(5e6, rel=0.05)


def test_formats_on_request(client: httpx.Client, done: dict[str, Any], media: Path) -> None:
    for source in ("machine", "edited"):
        asked = {"format": "rttm", "source": source}
        assert client.get(done["links"]["result"], params=asked).text.startswith("SPEAKER")
    photo = client.post(
        "/v1/jobs", files={"file": ("a.jpg", (media / "portrait.jpg").read_bytes())}
    ).json()
    assert "mp4" not in photo["formats"]
    wait_for(client, photo["id"])
    refused(client.get(photo["links"]["result"] + "?format=mp4"), 422, "unusable")
    refused(send(client, media / "talking.mp4", to="/v1/analyze?format=mp4"), 422, "bad-argument")


def test_media_for_players(client: httpx.Client, done: dict[str, Any], media: Path) -> None:
    clip = (media / "talking.mp4").read_bytes()
    whole = client.get(done["links"]["media"])
    assert whole.content == clip
    assert whole.headers["content-type"] == "video/mp4"
    part = client.get(done["links"]["media"], headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, clip[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(clip)}"
    refused(client.get(done["links"]["media"] + "/1"), 404, "not-found")
    for wanted in ("bytes=9-1", "bytes=999999999-", "bytes=0-1,9-1"):
        answer = client.get(done["links"]["media"], headers={"range": wanted})
        refused(answer, 416, "bad-range")
    for wanted in ("lines=1-2", "bytes=", "bytes=-", "bytes=" + "9" * 5000 + "-", "bytes=1"):
        answer = client.get(done["links"]["media"], headers={"range": wanted})
        refused(answer, 400, "bad-request")
    assert client.get(done["links"]["media"], headers={"range": "bytes=-5"}).content == clip[-5:]


def test_progress_grows(client: httpx.Client, media: Path) -> None:
    job = send(client, media / "two_people.mp4", to="/v1/jobs", modalities="face").json()
    events = list(news(client, job["id"]))
    assert [name for name, _ in events][-1] == "end"
    assert {name for name, _ in events[:-1]} <= {"progress"}
    progress = [j["progress"] for _, j in events]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_cancel_and_delete(client: httpx.Client, server: Running, media: Path) -> None:
    jobs = [send(client, media / "talking.mp4", to="/v1/jobs").json() for _ in range(3)]
    full = send(client, media / "talking.mp4", to="/v1/jobs")
    refused(full, 429, "too-many-jobs")
    assert "retry-after" in full.headers
    waiting = jobs[1]
    cancelled = client.post(waiting["links"]["cancel"])
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "CANCELLED")
    refused(client.get(waiting["links"]["result"]), 410, "job-cancelled")
    assert client.get("/v1/jobs", params={"state": "CANCELLED"}).json()["jobs"]
    started = time.monotonic()
    for job in jobs:
        assert client.delete(job["links"]["self"]).status_code == 204
        refused(client.get(job["links"]["self"]), 404, "no-such-job")
    assert time.monotonic() - started < 30
    homes = [server.state / "jobs" / job["id"] for job in jobs]
    deadline = time.monotonic() + 30
    while any(home.exists() for home in homes):  # a running one lets go within seconds
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_results_that_are_not_there(client: httpx.Client, media: Path) -> None:
    job = send(client, media / "talking.mp4", to="/v1/jobs").json()
    early = client.get(job["links"]["result"])
    assert early.status_code in (200, 409)
    if early.status_code == 409:
        refused(early, 409, "not-finished")
    client.delete(job["links"]["self"])
    for path in ("", "/events", "/result", "/media"):
        refused(client.get(f"/v1/jobs/{'0' * 16}{path}"), 404, "no-such-job")
    refused(client.get("/v1/jobs/..%2f..%2fetc"), 404, "not-found")


# --------------------------------------------------------------------------- guard


def test_foreign_pages_get_nothing(client: httpx.Client, server: Running, media: Path) -> None:
    photo = {"file": ("a.jpg", (media / "portrait.jpg").read_bytes())}
    for origin in ("http://evil.example", "null", f"http://localhost.evil.example:{server.port}"):
        for path in ("/v1/health", "/v1/jobs", "/metrics"):
            refused(client.get(path, headers={"origin": origin}), 403, "foreign-origin")
        answer = client.post("/v1/analyze", files=photo, headers={"origin": origin})
        refused(answer, 403, "foreign-origin")
        assert "access-control-allow-origin" not in answer.headers
    embedded = client.get("/v1/models", headers={"sec-fetch-site": "cross-site"})
    refused(embedded, 403, "foreign-origin")
    own = client.get("/v1/jobs", headers={"origin": server.url, "sec-fetch-site": "same-origin"})
    assert own.status_code == 200


def test_foreign_names_get_nothing(client: httpx.Client, server: Running) -> None:
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", ""):
        refused(client.get("/v1/jobs", headers={"host": host}), 403, "foreign-host")
        refused(client.get("/", headers={"host": host}), 403, "foreign-host")
    for host in ("localhost", f"localhost:{server.port}", "[::1]:1", "127.0.0.1"):
        assert client.get("/v1/health", headers={"host": host}).status_code == 200


def test_unknown_routes_and_methods(client: httpx.Client) -> None:
    refused(client.get("/v2/analyze"), 404, "not-found")
    refused(client.get("/static/../settings.py"), 404, "not-found")
    refused(client.get("/static/%2e%2e/settings.py"), 404, "not-found")
    refused(client.put("/v1/jobs"), 405, "method-not-allowed")
    refused(client.get("/v1/jobs", params={"limit": 0}), 422, "bad-argument")
    refused(client.get("/v1/jobs", params={"state": "GONE"}), 422, "bad-argument")


# --------------------------------------------------------------------------- about


def test_health(client: httpx.Client) -> None:
    health = client.get("/v1/health").json()
    assert (health["status"], health["auth"], health["authorised"]) == ("ok", "none", True)
    assert health["limits"]["analyze"] == {
        "bytes": LIMITS["EMOFUSE_ANALYZE_BYTES"],
        "seconds": LIMITS["EMOFUSE_ANALYZE_SECONDS"],
    }


def test_models_come_with_licences_and_limits(client: httpx.Client) -> None:
    about = client.get("/v1/models").json()
    used = [card for card in about["models"] if card["in_use"]]
    assert {card["modality"] for card in used} == {"face", "speech", "text"}
    assert all(card["licence"] and card["labels"] for card in used)
    assert all(card["notes"] for card in used)
    assert about["limits"]


def test_metrics(client: httpx.Client) -> None:
    client.get("/v1/health")
    text = client.get("/metrics").text
    assert 'emofuse_http_requests_total{method="GET",route="/v1/health",status="200"}' in text
    assert 'emofuse_jobs{state="QUEUED"}' in text


def test_openapi_describes_everything(client: httpx.Client) -> None:
    described = client.get("/v1/openapi.json").json()
    operations = [o for path in described["paths"].values() for o in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert {"create_job", "job_result", "add_edits"} <= set(names)
    for operation in operations:
        assert all(status.isdecimal() for status in operation["responses"])
        assert {"401", "500", "503"} <= set(operation["responses"])
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert {} in described["security"]  # this server needs no token
    assert described["paths"]["/v1/health"]["get"]["security"] == []
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert named <= set(described["components"]["schemas"])
    result = described["paths"]["/v1/jobs/{job_id}/result"]["get"]["responses"]["200"]["content"]
    assert result["application/json"]["schema"] == {"$ref": "#/components/schemas/Timeline"}
    assert "text/csv" in result


def test_openapi_names_every_route(client: httpx.Client) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    documented = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for path in paths:
        assert path.replace("{job_id}", "{id}") in documented
    assert {"/v1/analyze", "/v1/jobs", "/v1/jobs/{job_id}/events", "/analyze"} <= set(paths)


def test_the_page_is_let_do_nothing_elsewhere(client: httpx.Client) -> None:
    script = client.get("/static/viewer/viewer.js")
    assert script.status_code == 200
    policy = script.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert script.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_left_lying_about(client: httpx.Client, server: Running) -> None:
    assert list((server.state / "incoming").glob("*")) == []
    kept = {job["id"] for job in client.get("/v1/jobs?limit=500").json()["jobs"]}
    assert {home.name for home in (server.state / "jobs").glob("*")} == kept
    assert "Traceback" not in server.log, server.log


def test_a_client_that_hangs_up_stops_its_analysis(client: httpx.Client, media: Path) -> None:
    with pytest.raises(httpx.ReadTimeout):
        send_impatiently(client, media / "talking.mp4")
    deadline = time.monotonic() + 60
    while json.loads(client.get("/v1/health").text)["queue"]["analyze"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def send_impatiently(client: httpx.Client, path: Path) -> None:
    files = {"file": (path.name, path.read_bytes())}
    client.post("/v1/analyze", files=files, timeout=httpx.Timeout(60, read=0.05))


# ------------------------------------------------------------------------ observations


def test_a_face_a_voice_and_words_as_one_observation(client: httpx.Client, media: Path) -> None:
    files = media / "portrait.jpg", media / "speech.ogg"
    answer = send(client, *files, to="/v1/observe", text="I love it!", weights="face=.6,speech=.4")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert set(found) == {"face", "speech", "text", "fused", "notes"}
    assert found["text"]["label"] == "happy"
    assert set(found["fused"]["weights"]) == {"face", "speech"}
    only_words = client.post("/v1/fuse", json={"observation": found, "weights": {"text": 1}})
    assert only_words.json()["fused"]["label"] == "happy"
    again = client.post(
        "/v1/fuse", json={"observation": found, "weights": {"face": 6, "speech": 4}}
    )
    for label, p in found["fused"]["probabilities"].items():
        assert again.json()["fused"]["probabilities"][label] == pytest.approx(p, abs=1e-4)


def test_an_observation_is_of_no_video(client: httpx.Client, media: Path) -> None:
    refused(send(client, media / "talking.mp4", to="/v1/observe"), 422, "bad-combination")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"observation": 3},
        {"observation": {"nose": {"probabilities": {"happy": 1}}}},
        {"observation": {"face": {"probabilities": {"happy": 2}}}},
        {"observation": {"face": {"probabilities": {"happy": 1}}}, "weights": {"face": -1}},
        {"observation": {"face": {"probabilities": {"happy": 1}}}, "weights": 1},
        {"observation": {}, "more": 1},
    ],
)
def test_what_cannot_be_fused_is_refused(client: httpx.Client, body: Any) -> None:
    refused(client.post("/v1/fuse", json=body), 422, "bad-argument")


def test_weights_that_are_none(client: httpx.Client) -> None:
    refused(
        client.post("/v1/observe", files={"text": (None, "x"), "weights": (None, "nose=1")}),
        422,
        "bad-argument",
    )
