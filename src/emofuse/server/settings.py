"""Settings of the server, from the environment and the command line."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from ..config.loader import Flag, read
from ..errors import InputError

MB = 1_000_000
_VARIETY = 8  # different characters of a token
_LEAST_WORKER_MB = 256  # with less, a worker ends before it has begun

TOKEN_LENGTH = 16
"""The shortest token that is accepted."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""Names of this machine for a browser that runs on it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of what is accepted. Sizes in bytes, times in seconds.

    Args:
        analyze_bytes: size of a request that is answered at once.
        analyze_seconds: duration of its media.
        analyze_timeout: how long its analysis may take.
        job_bytes: size of a job's request.
        job_seconds: duration of its media.
        job_timeout: how long its analysis may take.
        text_bytes: size of a text or transcript.
        megapixels: size of an image.
        video_megapixels: size of a video's frames.
        frames: how many frames a video may declare.
        upload_patience: how long an upload may stall.
        upload_rate: bytes a second that an upload has to bring on average.
        header_seconds: how long the header of a request may take to come.
        connections_per_address: open connections from one address, whoever it is.
        waiting: queued requests of all clients together.
        waiting_per_client: requests in progress of one client.
        jobs: unfinished jobs, all clients together.
        jobs_per_client: unfinished jobs of one client.
        sessions: live sessions, all clients together.
        sessions_per_client: live sessions of one client.
        picture_bytes: size of a frame of a live session.
        picture_megapixels: size of a frame of a live session, in million pixels.
        frames_per_client: frames of a client's live sessions analyzed in a second.
        session_idle: how long a live session may be idle.

    Raises:
        InputError: if a number is not positive.
    """

    analyze_bytes: int = 32 * MB
    analyze_seconds: float = 60.0
    analyze_timeout: float = 120.0
    job_bytes: int = 2048 * MB
    job_seconds: float = 7200.0
    job_timeout: float = 14400.0
    text_bytes: int = MB
    megapixels: float = 40.0
    video_megapixels: float = 9.0
    frames: int = 500_000
    upload_patience: float = 30.0
    upload_rate: float = 8000.0
    header_seconds: float = 10.0
    connections_per_address: int = 100
    waiting: int = 64
    waiting_per_client: int = 8
    jobs: int = 100
    jobs_per_client: int = 8
    sessions: int = 8
    sessions_per_client: int = 4
    picture_bytes: int = MB
    picture_megapixels: float = 2.1
    frames_per_client: float = 60.0
    session_idle: float = 60.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            if not getattr(self, limit.name) > 0:
                raise InputError(f"{limit.name} must be > 0, got {getattr(self, limit.name)}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server runs.

    Args:
        host: address to listen on; other than the loopback interface it needs a token.
        port: port to listen on; 0 picks a free one.
        token: bearer token that clients must send; empty: none is needed.
        public: lets in everybody without a token, with tight limits (`PUBLIC`); nobody can list
            jobs, and only who knows a job's id, which cannot be guessed, sees it.
        users: file of named users with tokens and quotas of their own; see `auth/users.py`.
        hosts: further names of the server (in the `Host` header); without any, a server that
            is not bound to the loopback interface accepts every name.
        origins: of other web pages that may use the API; none by default.
        proxies: addresses or networks of proxies that are trusted about the client's address.
        state: folder of jobs and uploads; default: the platform's data folder.
        store_mb: disk space for all jobs together, in MB.
        keep_hours: how long a finished job is kept.
        workers: processes that analyze small requests at once.
        job_workers: processes that analyze jobs.
        worker_mb: memory limit of each of these processes, in MB.
        grace: seconds that running analyses get to finish when the server stops.
        config: analysis settings as `emofuse config` prints them; a YAML or TOML file.
        face_model: id of the model that reads faces; None: that of `config`.
        speech_model: likewise of the one that hears voices.
        text_model: likewise of the one that reads words.
        callback_secret: signs what is sent to the address that a job names for its end; empty:
            nobody is called.
        callback_hosts: hosts that may be called, wherever they are; empty: any on the public
            internet.
        limits: of what is accepted.

    Raises:
        InputError: if a value is out of range, or a token is needed and missing or short.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = field(default="", repr=False)
    public: bool = False
    users: Path | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    state: Path | None = None
    store_mb: int = 10240
    keep_hours: float = 24.0
    workers: int = 1
    job_workers: int = 1
    worker_mb: int = 4096
    grace: float = 10.0
    config: Path | None = None
    face_model: str | None = None
    speech_model: str | None = None
    text_model: str | None = None
    callback_secret: str = field(default="", repr=False)
    callback_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"port must lie in 0 … 65535, got {self.port}")
        for name in ("store_mb", "keep_hours", "workers", "job_workers", "worker_mb", "grace"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.worker_mb < _LEAST_WORKER_MB:
            raise InputError(
                f"worker_mb must be >= {_LEAST_WORKER_MB}, got {self.worker_mb}: a worker with its "
                "models takes about 350 MB"
            )
        if self.token and (len(self.token) < TOKEN_LENGTH or not self.token.isascii()):
            raise InputError(
                f"the token has {len(self.token)} characters, expected at least {TOKEN_LENGTH} of "
                "ASCII; make one with  python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if len(set(self.token)) < min(len(self.token), _VARIETY):
            raise InputError("the token can be guessed: it has few different characters")
        if self.callback_hosts and not self.callback_secret:
            raise InputError("EMOFUSE_CALLBACK_HOSTS needs EMOFUSE_CALLBACK_SECRET, which signs")
        if self.callback_secret and len(self.callback_secret) < TOKEN_LENGTH:
            raise InputError(
                f"the secret of callbacks has {len(self.callback_secret)} characters, expected at "
                f"least {TOKEN_LENGTH}"
            )
        networks = self.proxy_networks  # raises if one is none
        if self.public and (self.token or self.users):
            raise InputError(
                "EMOFUSE_PUBLIC lets in everybody, and EMOFUSE_TOKEN or EMOFUSE_USERS do not: "
                "set one of them"
            )
        if not (self.token or self.users or self.public) and not (self.is_local and not networks):
            where = self.host if not self.is_local else "a proxy's behalf"
            raise InputError(
                f"listening on {where} without a token would let in everybody who can reach "
                "it: set EMOFUSE_TOKEN or EMOFUSE_USERS, stay on 127.0.0.1 without a proxy, or "
                "set EMOFUSE_PUBLIC=yes if that is what you want (limits are tight then)"
            )

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of trusted proxies.

        Raises:
            InputError: if one is none; ``*`` would let everybody forge an address.
        """
        try:
            return tuple(ip_network(proxy, strict=False) for proxy in self.proxies)
        except ValueError as error:
            raise InputError(
                f"EMOFUSE_PROXIES: {error}; expected addresses or networks such as 10.0.0.0/8"
            ) from None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Names that a `Host` header may have; None: any."""
        named = frozenset(name.lower() for name in self.hosts)
        if not self.is_local:
            return named | frozenset(LOOPBACK_NAMES) if named else None
        return named | {self.host.lower().strip("[]"), *LOOPBACK_NAMES}

    @property
    def model_flags(self) -> dict[str, Flag]:
        """The models that were chosen, as settings of an analysis."""
        given = {"face": self.face_model, "speech": self.speech_model, "text": self.text_model}
        return {f"models.{m}": Flag(f"--{m}-model", name) for m, name in given.items() if name}

    @property
    def folder(self) -> Path:
        """Where jobs and uploads are."""
        if self.state is not None:
            return self.state
        import platformdirs

        return Path(platformdirs.user_data_dir("emofuse")) / "server"


PUBLIC: Mapping[str, Any] = {
    "keep_hours": 1.0,
    "store_mb": 2048,
    "limits.analyze_bytes": 16 * MB,
    "limits.analyze_seconds": 30.0,
    "limits.job_bytes": 100 * MB,
    "limits.job_seconds": 300.0,
    "limits.job_timeout": 900.0,
    "limits.jobs": 16,
    "limits.jobs_per_client": 2,
    "limits.waiting": 16,
    "limits.waiting_per_client": 2,
    "limits.sessions": 4,
    "limits.sessions_per_client": 1,
    "limits.connections_per_address": 20,
}
"""What a public server has in place of the defaults, unless it is set otherwise."""

_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def read_settings(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings: ``EMOFUSE_PORT=8080`` sets `port`, ``EMOFUSE_JOB_BYTES`` that limit.

    Tuples are written with commas. ``PORT`` works too, because platforms that run a
    `Procfile` set it.

    Args:
        flags: field → value from the command line; these win, and None is ignored.
        environment: default: this process's.

    Raises:
        InputError: if a value is of the wrong type or out of range; the message names the variable.
    """
    environment = os.environ if environment is None else environment
    given: dict[str, Flag] = {}
    for key, example in _keys().items():
        name = f"EMOFUSE_{key.rpartition('.')[2].upper()}"
        text = environment.get(name, "").strip()
        if key == "port" and not text:
            name, text = "PORT", environment.get("PORT", "").strip()
        if text:
            given[key] = Flag(name, _value(text, example))
    for key, value in (flags or {}).items():
        if value is not None:
            given[key] = Flag("--" + key.replace("_", "-"), value)
    if "public" in given and given["public"].value is True:
        given = {key: Flag("EMOFUSE_PUBLIC", value) for key, value in PUBLIC.items()} | given
    return read(Settings, None, given)


def _keys() -> dict[str, Any]:
    """Every setting's dotted key, with its default."""
    plain = Settings()
    own = {f.name: getattr(plain, f.name) for f in fields(Settings) if f.name != "limits"}
    limits = {f"limits.{f.name}": getattr(plain.limits, f.name) for f in fields(Limits)}
    return own | limits


def _value(text: str, example: Any) -> Any:
    """Parse a variable by the type of the default; `read` complains about wrong ones."""
    if isinstance(example, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(example, bool):
        return _YES_NO.get(text.lower(), text)
    if not isinstance(example, (int, float)):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
