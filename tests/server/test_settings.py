from pathlib import Path

import pytest

from emofuse.errors import InputError
from emofuse.server.settings import Settings, read_settings

TOKEN = "a-token-that-is-long-enough"


def test_defaults_stay_on_this_machine() -> None:
    settings = read_settings({}, {})
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 8000, "")
    assert settings.is_local
    assert settings.known_hosts == {"127.0.0.1", "localhost", "::1"}


def test_environment_is_overridden_by_flags() -> None:
    environment = {
        "EMOFUSE_HOST": "localhost",
        "EMOFUSE_PORT": "9000",
        "EMOFUSE_TOKEN": "1234567890123456",  # stays a text
        "EMOFUSE_HOSTS": "emo.example, other.example",
        "EMOFUSE_STATE": "/srv/emofuse",
        "EMOFUSE_JOB_BYTES": "1000",
        "EMOFUSE_KEEP_HOURS": "0.5",
        "PORT": "1",  # EMOFUSE_PORT goes before it
    }
    settings = read_settings({"port": 9001, "host": None}, environment)
    assert settings.host == "localhost"
    assert settings.port == 9001
    assert settings.token == "1234567890123456"
    assert settings.hosts == ("emo.example", "other.example")
    assert settings.folder == Path("/srv/emofuse")
    assert settings.limits.job_bytes == 1000
    assert settings.keep_hours == 0.5


def test_platforms_that_start_a_procfile_name_the_port() -> None:
    assert read_settings({}, {"PORT": "5000"}).port == 5000


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_elsewhere_a_token_is_needed(host: str) -> None:
    with pytest.raises(InputError, match="EMOFUSE_TOKEN"):
        read_settings({"host": host}, {})
    settings = read_settings({"host": host}, {"EMOFUSE_TOKEN": TOKEN})
    assert not settings.is_local
    assert settings.known_hosts is None


def test_a_public_server_is_asked_for_and_tight() -> None:
    usual = read_settings({}, {})
    public = read_settings({"host": "0.0.0.0"}, {"EMOFUSE_PUBLIC": "yes", "EMOFUSE_JOBS": "5"})
    assert public.limits.job_seconds < usual.limits.job_seconds
    assert public.limits.sessions_per_client == 1
    assert public.keep_hours < usual.keep_hours
    assert public.limits.jobs == 5  # what is set counts
    assert not read_settings({}, {"EMOFUSE_PUBLIC": "no"}).public
    with pytest.raises(InputError, match="lets in everybody"):
        read_settings({}, {"EMOFUSE_PUBLIC": "yes", "EMOFUSE_TOKEN": TOKEN})
    with pytest.raises(InputError, match="EMOFUSE_PUBLIC"):
        read_settings({}, {"EMOFUSE_PUBLIC": "perhaps"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert read_settings({"host": host}, {}).is_local


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EMOFUSE_PORT", "http"),
        ("EMOFUSE_PORT", "70000"),
        ("EMOFUSE_TOKEN", "short"),
        ("EMOFUSE_TOKEN", "fünfzehn-und-mehr"),
        ("EMOFUSE_TOKEN", "abababababababababababab"),
        ("EMOFUSE_PROXIES", "*"),
        ("EMOFUSE_PROXIES", "proxy.example"),
        ("EMOFUSE_WORKERS", "0"),
        ("EMOFUSE_WORKER_MB", "1"),
        ("EMOFUSE_MEGAPIXELS", "-1"),
        ("EMOFUSE_JOBS", "many"),
    ],
)
def test_wrong_values_are_named(name: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"(?i){name}|{name.removeprefix('EMOFUSE_')}"):
        read_settings({}, {name: value})


def test_behind_a_proxy_a_token_is_needed() -> None:
    """The proxy comes over the loopback interface; who asks it may be anybody."""
    with pytest.raises(InputError, match="EMOFUSE_TOKEN"):
        read_settings({}, {"EMOFUSE_PROXIES": "127.0.0.1"})
    variables = {"EMOFUSE_PROXIES": "127.0.0.1,10.0.0.0/8", "EMOFUSE_TOKEN": TOKEN}
    assert len(read_settings({}, variables).proxy_networks) == 2


def test_the_token_is_not_printed() -> None:
    assert TOKEN not in repr(Settings(token=TOKEN))
