"""Several users with tokens of their own: nobody sees another's jobs."""

from pathlib import Path

import pytest
from tests.server.auth.test_auth import TOKEN, Client
from tests.server.jobs.test_store import put
from tests.server.serving import refused

from emofuse.errors import InputError
from emofuse.server.auth.users import digest, read_users
from emofuse.server.jobs.manager import JobManager
from emofuse.server.jobs.store import JobStore
from emofuse.server.settings import Settings

ANNA, BERT = "annas-token-0123456789", "berts-token-0123456789"


def write_users(folder: Path) -> Path:
    path = folder / "users.toml"
    path.write_text(
        f'[anna]\nsha256 = "{digest(ANNA)}"\njobs = 1\nstore_mb = 1\n\n'
        f'[bert]\nsha256 = "{digest(BERT)}"\n'
    )
    return path


@pytest.fixture
def team(tmp_path: Path) -> Client:
    """A server for anna, bert and an operator; one job of each user waits."""
    users = write_users(tmp_path)
    settings = Settings(host="0.0.0.0", token=TOKEN, users=users, state=tmp_path / "state")
    client = Client(settings, "http://10.0.0.1:8000")
    state = client._app.state.server
    store = JobStore(settings.folder)
    put(store, "annas", "user:anna")
    put(store, "berts", "user:bert")
    state.manager = JobManager(store, None, settings, state.metrics)  # type: ignore[arg-type]
    return client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_everybody_sees_their_own_jobs_and_the_operator_all(team: Client) -> None:
    for token, seen in ((ANNA, ["annas"]), (BERT, ["berts"]), (TOKEN, ["berts", "annas"])):
        jobs = team("GET", "/v1/jobs", headers=bearer(token)).json()["jobs"]
        assert [job["id"] for job in jobs] == seen


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/result"),
        ("GET", "/media"),
        ("GET", "/media/0"),
        ("GET", "/annotations"),
        ("POST", "/annotations"),
        ("GET", "/summary"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    ],
)
def test_nobody_touches_anothers_job(team: Client, method: str, path: str) -> None:
    answer = team(method, f"/v1/jobs/berts{path}", headers=bearer(ANNA))
    message = refused(answer, 404, "no-such-job")
    unknown = team(method, f"/v1/jobs/nobodys{path}", headers=bearer(ANNA))
    assert refused(unknown, 404, "no-such-job") == message.replace("berts", "nobodys")
    assert team("GET", "/v1/jobs/berts", headers=bearer(BERT)).json()["state"] == "QUEUED"


def test_every_route_of_jobs_is_among_them(team: Client) -> None:
    paths = team("GET", "/v1/openapi.json", headers=bearer(TOKEN)).json()["paths"]
    tested = {"", "/events", "/result", "/media", "/cancel", "/annotations", "/summary"}
    assert {p.removeprefix("/v1/jobs/{job_id}") for p in paths if "{job_id}" in p} == tested


def test_quotas_are_each_users_own(team: Client) -> None:
    text = {"text": "Hello."}
    refused(team("POST", "/v1/jobs", json=text, headers=bearer(ANNA)), 429, "too-many-jobs")
    team("POST", "/v1/jobs/annas/cancel", headers=bearer(ANNA))
    form = {"file": ("a.txt", b"word " * 250_000)}
    answer = team("POST", "/v1/jobs", files=form, headers=bearer(ANNA))
    refused(answer, 507, "storage-full")


def test_cookies_are_each_users_own(team: Client) -> None:
    assert team("POST", "/v1/login", json={"token": ANNA}).status_code == 204
    assert [job["id"] for job in team("GET", "/v1/jobs").json()["jobs"]] == ["annas"]
    cookie = team.cookies["emofuse"]
    team.cookies.set("emofuse", cookie.replace("anna", "bert"))
    refused(team("GET", "/v1/jobs"), 401, "unauthorised")


def test_what_tells_of_all_is_for_the_operator(team: Client) -> None:
    refused(team("GET", "/metrics", headers=bearer(ANNA)), 403, "operators-only")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["a b"]\nsha256 = "0"', "no name"),
        ('[anna]\nsha256 = "0"', "64 hexadecimal"),
        ('[anna]\ntoken = "plain"', "expected some of"),
        (f'[anna]\nsha256 = "{digest(ANNA)}"\njobs = -1', "jobs must be"),
        (f'[a]\nsha256 = "{digest(ANNA)}"\n[b]\nsha256 = "{digest(ANNA)}"', "same token"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "users.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_users(path)
