"""The page and its files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from .errors import ApiError

STATIC = Path(__file__).parents[1] / "static"
"""The page's files."""

VIEWER = Path(str(files("emofuse.export"))) / "viewer"
"""What shows a result, here as in the pages that are written."""


def add_page(app: FastAPI) -> None:
    """Add the page's routes."""

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        if not (STATIC / "index.html").is_file():
            raise ApiError("not-found", "this server has no page; the API is under /v1")
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static/viewer", _Static(directory=VIEWER, check_dir=False), name="viewer")
    app.mount("/static", _Static(directory=STATIC, check_dir=False), name="static")


class _Static(StaticFiles):
    """Files that are asked for again after every update."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response
