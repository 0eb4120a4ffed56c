"""Dependencies that the routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from ...export import exporters, result_name
from ..auth.auth import client_of, user_of
from ..auth.users import User
from ..jobs.manager import FORMATS, RENDERED, ZIP, JobManager
from ..state import ServerState
from .errors import ApiError


async def _state(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state


State = Annotated[ServerState, Depends(_state)]
"""The server's state."""


async def _manager(state: State) -> JobManager:
    assert state.manager is not None
    return state.manager


Manager = Annotated[JobManager, Depends(_manager)]
"""The manager of jobs."""


async def _client(request: Request) -> str:
    return client_of(request.scope)


Client = Annotated[str, Depends(_client)]
"""Whom the request counts for."""


async def _user(request: Request) -> User:
    user = user_of(request.scope)
    assert user is not None  # the guard lets nobody else through
    return user


Account = Annotated[User, Depends(_user)]
"""Whose the request is."""


async def _owner(user: Account) -> str | None:
    return user.key if user.name else None


Owner = Annotated[str | None, Depends(_owner)]
"""Whose jobs the request may see; None: all."""


async def _taken(state: State) -> None:
    state.check_open()


OPEN = Depends(_taken)
"""For routes that start new work: refuses while the server is stopping."""


async def _format(
    name: Annotated[str, Query(alias="format", description="json, csv, html, zip …")] = "json",
) -> str:
    known = (*FORMATS, *RENDERED)
    if name not in known:
        raise ApiError("bad-argument", f"format is {name[:40]!r}, expected {', '.join(known)}")
    return name


FormatName = Annotated[str, Depends(_format)]
"""Format of the result: one of `FORMATS`, or of `RENDERED`."""


_ENDINGS = {
    name: f".{result_name(kind).removeprefix('timeline.')}" for name, kind in exporters().items()
}
_TYPES = {name: kind.content_type for name, kind in exporters().items()}
_TYPES[ZIP] = "application/zip"


def download(name: str, format_: str) -> dict[str, str]:
    """Return the headers of a result: everything but JSON is an attachment.

    Args:
        name: of what was uploaded.
        format_: one of `FORMATS`.
    """
    headers = {"Content-Type": _TYPES[format_]}
    if format_ != "json":
        stem = name.rpartition(".")[0] or name
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in stem)
        headers["Content-Disposition"] = f'attachment; filename="{plain}.emofuse{_ending(format_)}"'
    return headers


def _ending(format_: str) -> str:
    """Return how the names of files of a format end."""
    return _ENDINGS.get(format_, f".{format_}")
