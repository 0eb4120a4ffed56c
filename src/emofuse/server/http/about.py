"""The server itself: health, models, metrics, login."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ... import __version__
from ...models.describe import card_mapping
from ..auth.auth import COOKIE, user_of
from ..jobs.manager import FORMATS
from ..options import Choices, choices
from ..state import ServerState
from . import schemas
from .dependencies import State
from .errors import ApiError

router = APIRouter(tags=["about"], responses=schemas.ERRORS)


LIMITATIONS = (
    "Expressions are not feelings: the models report how a face, a voice and words come across to "
    "others, not what a person feels.",
    "Errors are common, more so for faces and voices unlike the training data; see each model's "
    "metrics. Do not use the results to make decisions about people.",
    "A voice is assigned to a face only when the evidence is clear; somebody speaking off camera "
    "may be mistaken for the person in view.",
)


@router.get("/v1/health", summary="Health of the server", responses=schemas.HEALTH)
async def health(request: Request, state: State) -> JSONResponse:
    user = user_of(request.scope)
    about = _health(state) | {"authorised": user is not None}
    if user is not None:
        about["user"] = user.name or None
        about |= _details(state)
    return JSONResponse(about, 503 if about["status"] in ("stopping", "unhealthy") else 200)


@router.post("/v1/login", status_code=204, summary="Exchange the token for a cookie")
async def login(request: Request, state: State, body: schemas.Login) -> Response:
    user = await state.authenticator.attempt(request.scope, body.token)
    if user is None:
        raise ApiError("unauthorised", "this is no token of this server")
    response = Response(status_code=204)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE,
        state.authenticator.cookie_value(user),
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    return response


@router.post("/v1/logout", status_code=204, summary="Delete the cookie")
async def logout() -> Response:
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/v1/models", summary="Models and their limitations", response_model=schemas.Models)
def models(state: State) -> JSONResponse:
    return JSONResponse(_models(state))


@router.get("/v1/options", summary="What the options of an analysis may be on this server")
def options(state: State) -> Choices:
    return choices(state.config, state.models)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    responses=schemas.METRICS,
    response_class=Response,
)
async def metrics(state: State) -> Response:
    assert state.manager is not None
    assert state.pool is not None
    for job_state, number in state.manager.store.counts().items():
        state.metrics.jobs.labels(job_state.value).set(number)
    state.metrics.queue.labels("analyze").set(state.pool.waiting)
    state.metrics.queue.labels("jobs").set(len(state.manager.store.queue()))
    state.metrics.sessions.set(len(state.sessions))
    return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _health(state: ServerState) -> dict[str, Any]:
    """What everybody may see."""
    auth = "token" if state.authenticator.users else "none"
    return {"status": _status(state), "version": __version__, "auth": auth}


def _status(state: ServerState) -> str:
    if state.stopping.is_set():
        return "stopping"
    if not state.ready:
        return "starting"
    return "unhealthy" if state.problems() else "ok"


def _details(state: ServerState) -> dict[str, Any]:
    """What only authorized clients may see."""
    limits = state.settings.limits
    assert state.manager is not None
    assert state.pool is not None
    return {
        "uptime": round(time.monotonic() - state.started, 1),
        "problems": [error.body["error"] for error in state.problems()],
        "queue": {"analyze": state.pool.waiting, "jobs": _waiting_jobs(state)},
        "sessions": len(state.sessions),
        "limits": {
            "analyze": {"bytes": limits.analyze_bytes, "seconds": limits.analyze_seconds},
            "jobs": {"bytes": limits.job_bytes, "seconds": limits.job_seconds},
            "megapixels": limits.megapixels,
            "video_megapixels": limits.video_megapixels,
            "frames": limits.frames,
            "text_bytes": limits.text_bytes,
            "stream": {
                "sessions": limits.sessions_per_client,
                "picture_bytes": limits.picture_bytes,
                "picture_megapixels": limits.picture_megapixels,
                "idle_seconds": limits.session_idle,
            },
        },
        "formats": list(FORMATS),
    }


def _waiting_jobs(state: ServerState) -> int | None:
    """Return how many jobs wait; None if the store cannot be asked now."""
    assert state.manager is not None
    with contextlib.suppress(ApiError):
        return len(state.manager.store.queue())
    return None


def _models(state: ServerState) -> dict[str, Any]:
    config = state.config
    used = {config.models[m] for m in config.modalities}
    cards = [
        card_mapping(card, state.models) | {"in_use": card.id in used}
        for card in state.models.cards()
    ]
    return {
        "models": cards,
        "pipeline": {
            "detector": config.face.detector,
            "asr": state.transcriber,
            "fusion": config.fusion.strategy,
        },
        "limits": list(LIMITATIONS),
    }
