"""Who may use the server: the operator, and named users with tokens and quotas of their own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from pathlib import Path

from ...config.loader import Flag, read, read_file
from ...errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may use the server.

    Args:
        name: empty for the operator, who sees all jobs; others see their own.
        sha256: of the token, in hexadecimal; the token itself is not kept.
        jobs: unfinished jobs; None: as many as any client may have, likewise below.
        requests: requests in progress.
        sessions: live sessions.
        store_mb: disk space for all jobs, in MB.
        visitor: whether it is anybody, on a public server.

    Raises:
        InputError: if a value is out of range.
    """

    name: str = ""
    sha256: str = ""
    jobs: int | None = None
    requests: int | None = None
    sessions: int | None = None
    store_mb: int | None = None
    visitor: bool = False

    def __post_init__(self) -> None:
        for name in ("jobs", "requests", "sessions", "store_mb"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InputError(f"{name} must be >= 0, got {value}")

    @property
    def key(self) -> str:
        """What their jobs and requests count for; no address looks like it."""
        return f"user:{self.name}"


OPERATOR = User()
"""Who has the server's own token, or works on its machine where there is none."""


VISITOR = User(visitor=True)
"""Everybody, on a public server: sees the jobs whose ids they know, and cannot list any."""


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_users(path: Path) -> tuple[User, ...]:
    """Read named users: a TOML or YAML file with a table for each name.

    Raises:
        InputError: if it cannot be read or says something that cannot be.
    """
    allowed = [f.name for f in fields(User) if f.name not in ("name", "visitor")]
    users = []
    for name, values in read_file(path).items():
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{path}: {name!r} is no name; expected up to 32 letters, digits, - and _"
            )
        if not isinstance(values, dict) or set(values) - set(allowed):
            raise InputError(
                f"{path}: {name} has {values!r}, expected some of {', '.join(allowed)}"
            )
        given = {key: Flag(f"{path}: {name}.{key}", value) for key, value in values.items()}
        user = read(User, None, given | {"name": Flag(f"{path}: {name}", name)})
        if not _DIGEST.fullmatch(user.sha256):
            raise InputError(
                f"{path}: {name}.sha256 must be the SHA-256 of the token in 64 hexadecimal "
                "digits; docs/security.md says how to make one"
            )
        users.append(user)
    if len({user.sha256 for user in users}) < len(users):
        raise InputError(f"{path}: two users have the same token")
    return tuple(users)
