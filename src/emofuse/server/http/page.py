"""The page and its files."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
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

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        if _swagger() is None:
            raise ApiError(
                "not-found",
                "the page of the API needs the package fastapi-offline: pip install 'emofuse[web]'",
            )
        return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})

    if (swagger := _swagger()) is not None:
        app.mount("/static/swagger", _Static(directory=swagger, check_dir=False), name="swagger")
    app.mount("/static/viewer", _Static(directory=VIEWER, check_dir=False), name="viewer")
    app.mount("/static", _Static(directory=STATIC, check_dir=False), name="static")


def _swagger() -> Path | None:
    """Return the folder of Swagger UI, as the package fastapi-offline carries it."""
    found = find_spec("fastapi_offline")  # not imported: only its files are wanted
    return None if found is None or not found.origin else Path(found.origin).parent / "static"


class _Static(StaticFiles):
    """Files that are asked for again after every update."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response
