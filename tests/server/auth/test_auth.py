"""Who is let in where a token is set. The application runs in this process, without its workers."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.asynchronous import run
from tests.server.serving import refused

from emofuse.server.app import create_app
from emofuse.server.auth.limits import LoginThrottle
from emofuse.server.settings import Settings

TOKEN = "a-token-that-is-long-enough"


class Client:
    """Asks an application that stands on a given address."""

    def __init__(self, settings: Settings, url: str, ip: str = "10.0.0.9") -> None:
        self._app, self._url, self._ip = create_app(settings), url, ip
        self.cookies = httpx.Cookies()

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(self._ip, 1234))
            async with httpx.AsyncClient(
                transport=transport, base_url=self._url, cookies=self.cookies
            ) as client:
                response = await client.request(method, path, **more)
                self.cookies = client.cookies
                return response

        return run(ask())


@pytest.fixture
def guarded(tmp_path: Path) -> Client:
    settings = Settings(host="0.0.0.0", token=TOKEN, state=tmp_path / "state")
    return Client(settings, "http://10.0.0.1:8000")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/jobs", "/metrics", "/v1/openapi.json"])
def test_without_the_token_nothing_is_told(guarded: Client, path: str) -> None:
    answer = guarded("GET", path)
    refused(answer, 401, "unauthorised")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "header", [TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
)
def test_wrong_tokens(guarded: Client, header: str) -> None:
    answer = guarded("POST", "/analyze", json={}, headers={"authorization": header})
    refused(answer, 401, "unauthorised")


def test_the_token_opens(guarded: Client) -> None:
    answer = guarded("GET", "/v1/openapi.json", headers={"authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200


def test_health_and_page_are_open_and_tell_little(guarded: Client) -> None:
    health = guarded("GET", "/v1/health").json()
    assert set(health) == {"status", "version", "auth", "authorised"}
    assert (health["auth"], health["authorised"]) == ("token", False)
    assert guarded("GET", "/static/viewer/viewer.js").status_code == 200


def test_logging_in_sets_a_cookie_that_is_not_the_token(guarded: Client) -> None:
    refused(guarded("POST", "/v1/login", json={"token": "wrong"}), 401, "unauthorised")
    answer = guarded("POST", "/v1/login", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert guarded("GET", "/v1/openapi.json").status_code == 200
    assert guarded("POST", "/v1/logout").status_code == 204
    refused(guarded("GET", "/v1/openapi.json"), 401, "unauthorised")


def test_a_cookie_does_not_help_a_foreign_page(guarded: Client) -> None:
    guarded("POST", "/v1/login", json={"token": TOKEN})
    answer = guarded("GET", "/v1/openapi.json", headers={"origin": "http://evil.example"})
    refused(answer, 403, "foreign-origin")


def test_guessing_is_slowed_down(guarded: Client) -> None:
    guarded._app.state.server.authenticator.throttle = LoginThrottle(delay=0.0)
    for _ in range(10):
        refused(guarded("POST", "/v1/login", json={"token": "guess"}), 401, "unauthorised")
    answer = guarded("POST", "/v1/login", json={"token": "guess"})
    refused(answer, 429, "too-many-attempts")
    assert int(answer.headers["retry-after"]) > 0
    wrong = {"authorization": "Bearer guess-of-a-token"}
    refused(guarded("GET", "/v1/health", headers=wrong), 429, "too-many-attempts")
    refused(guarded("GET", "/v1/models", headers=wrong), 429, "too-many-attempts")
    # Who has the token gets in, from the very same address.
    assert guarded("POST", "/v1/login", json={"token": TOKEN}).status_code == 204


def test_without_token_only_loopback_is_served_however_it_was_bound(tmp_path: Path) -> None:
    """Somebody may bind the application elsewhere by other means, such as gunicorn's."""
    settings = Settings(state=tmp_path / "state", hosts=("10.0.0.1",))
    bound_elsewhere = Client(settings, "http://10.0.0.1:8000")
    message = refused(bound_elsewhere("GET", "/v1/jobs"), 401, "unauthorised")
    assert "EMOFUSE_TOKEN" in message
    here = Client(settings, "http://127.0.0.1:8000", "127.0.0.1")
    assert here("GET", "/v1/openapi.json").status_code == 200


def test_origins_that_are_named_may_ask(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", origins=("https://lab.example",))
    client = Client(settings, "http://127.0.0.1:8000", "127.0.0.1")
    friend, foe = {"origin": "https://lab.example"}, {"origin": "https://lab.example.evil"}
    answer = client("GET", "/v1/openapi.json", headers=friend)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://lab.example"
    answer = client("GET", "/v1/openapi.json", headers=foe)
    refused(answer, 403, "foreign-origin")
    assert "access-control-allow-origin" not in answer.headers


def test_every_route_declares_its_errors(tmp_path: Path) -> None:
    app = create_app(Settings(state=tmp_path / "state"))
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            declared = operation["responses"]
            assert {"400", "401", "403", "429", "500", "503"} <= set(declared), (method, path)
            schema = declared["401"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Error"}, (method, path)
