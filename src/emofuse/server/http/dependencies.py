"""What routes are given besides their own parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from ...export import exporters
from ..auth.auth import client_of
from ..jobs.manager import FORMATS, ZIP, JobManager
from ..state import ServerState
from .errors import ApiError


async def _house(request: Request) -> ServerState:
    house: ServerState = request.app.state.house
    return house


Here = Annotated[ServerState, Depends(_house)]
"""The server's house."""


async def _desk(house: Here) -> JobManager:
    assert house.desk is not None
    return house.desk


Desk = Annotated[JobManager, Depends(_desk)]
"""The desk of jobs."""


async def _client(request: Request) -> str:
    return client_of(request.scope)


Client = Annotated[str, Depends(_client)]
"""Who asks."""


async def _taken(house: Here) -> None:
    house.check_open()


OPEN = Depends(_taken)
"""Of routes that begin new work: refuses it when the server is stopping."""


async def _format(
    name: Annotated[str, Query(alias="format", description="json, csv, html or zip")] = "json",
) -> str:
    if name not in FORMATS:
        raise ApiError("bad-argument", f"format is {name[:40]!r}, expected {', '.join(FORMATS)}")
    return name


FormatName = Annotated[str, Depends(_format)]
"""In which format results are wanted: one of `FORMATS`."""


_TYPES = {name: kind.content_type for name, kind in exporters().items()}
_TYPES[ZIP] = "application/zip"


def download(name: str, format_: str) -> dict[str, str]:
    """Return the headers of a result: everything but JSON is for saving.

    Args:
        name: of what was uploaded.
        format_: one of `FORMATS`.
    """
    headers = {"Content-Type": _TYPES[format_]}
    if format_ != "json":
        stem = name.rpartition(".")[0] or name
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in stem)
        headers["Content-Disposition"] = f'attachment; filename="{plain}.emofuse.{format_}"'
    return headers
