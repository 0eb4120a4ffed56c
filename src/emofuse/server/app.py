"""The application: routes, access control, and the shape of errors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import cache, partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from .. import __version__
from ..analyzer import read_config
from ..streaming import live_config
from .auth.auth import Guard
from .http import about, analysis, edits, jobs, observation
from .http.errors import ApiError
from .http.openapi import describe, operation_id
from .http.page import add_page
from .settings import Settings, read_settings
from .state import ServerState
from .stream import add_stream

_DESCRIPTION = (
    "Everything is analyzed on the machine that runs the server, and nothing is fetched from "
    "elsewhere. `docs/api.md` says what the answers mean, and describes the WebSocket "
    "`/v1/stream`. Every error is a JSON object with a stable `code` and a `message` for people."
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application, for uvicorn, gunicorn or tests.

    Args:
        settings: how it runs; default: from the environment.

    Raises:
        InputError: if the settings or the analysis configuration are wrong.
    """
    settings = settings or read_settings()
    models = settings.model_flags
    live = read_config(settings.config, models, base=live_config())
    state = ServerState(settings, read_config(settings.config, models), live)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with state.open():
            yield

    app = FastAPI(
        title="emofuse",
        version=__version__,
        summary="Emotion recognition from face, voice and words.",
        description=_DESCRIPTION,
        generate_unique_id_function=operation_id,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.server = state
    for routes in (analysis, observation, jobs, edits, about):
        app.include_router(routes.router)
    app.openapi = cache(partial(describe, app, bool(state.authenticator.users)))  # type: ignore[method-assign]
    add_stream(app, state)
    add_page(app)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_middleware(
        Guard,
        authenticator=state.authenticator,
        metrics=state.metrics,
        max_bytes=state.max_bytes,
        limits=settings.limits,
    )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Range"],
            expose_headers=["Location", "Retry-After", "Content-Disposition", "ETag"],
        )
    return app


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Turn an error of the framework into one of the API."""
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "bad-request")
    texts = {
        "not-found": f"{request.url.path[:80]!r} does not exist",
        "method-not-allowed": f"{request.url.path} does not allow {request.method}",
    }
    said = ApiError(code, texts.get(code, str(error.detail)))
    status = error.status_code if error.status_code in (404, 405) else said.status
    return JSONResponse(said.body, status, {**said.headers, **(error.headers or {})})


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    said = ApiError("bad-argument", f"{where}: {first['msg']}, got {str(first['input'])[:40]!r}")
    return JSONResponse(said.body, said.status, said.headers)
