"""The server itself: its health, its models, its figures, who may come in."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ... import __version__
from ...models.describe import card_mapping
from ..auth.auth import COOKIE
from ..jobs.manager import FORMATS
from ..state import ServerState
from . import schemas
from .dependencies import Client, Here
from .errors import ApiError

router = APIRouter(tags=["about"])


LIMITS_OF_ALL = (
    "Expressions are not feelings: the models say what a face, a voice and words look and sound "
    "like to others, not what somebody feels.",
    "Errors are common, and more so for faces and voices unlike those the models were trained on; "
    "see each model's figures. Do not use the results to decide about people.",
    "A voice is given to a face only where that is plain; somebody who speaks off camera may be "
    "taken for the one who is seen.",
)


@router.get("/v1/health", summary="Whether the server is well")
async def health(request: Request, house: Here) -> JSONResponse:
    admitted = house.authenticator.admits(request.scope)
    about = _health(house) | {"authorised": admitted}
    if admitted:
        about |= _details(house)
    return JSONResponse(about, 503 if house.stopping.is_set() else 200)


@router.post("/v1/login", status_code=204, summary="Trade the token for a cookie")
async def login(request: Request, house: Here, client: Client, body: schemas.Login) -> Response:
    house.authenticator.throttle.check(client)
    if not house.authenticator.is_token(body.token):
        house.authenticator.throttle.wrong(client)
        raise ApiError("unauthorised", "this is not the server's token")
    response = Response(status_code=204)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, house.authenticator.cookie_value, httponly=True, samesite="strict", secure=secure
    )
    return response


@router.post("/v1/logout", status_code=204, summary="Drop the cookie")
async def logout() -> Response:
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/v1/models", summary="Which models run, and what they cannot do")
def models(house: Here) -> JSONResponse:
    return JSONResponse(_models(house))


@router.get("/metrics", summary="Figures for Prometheus")
async def metrics(house: Here) -> Response:
    assert house.desk is not None
    assert house.pool is not None
    for state, number in house.desk.store.counts().items():
        house.metrics.jobs.labels(state.value).set(number)
    house.metrics.queue.labels("analyze").set(house.pool.waiting)
    house.metrics.queue.labels("jobs").set(len(house.desk.store.queue()))
    house.metrics.sessions.set(len(house.sessions))
    return Response(house.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _health(house: ServerState) -> dict[str, Any]:
    """What everybody may know."""
    status = "stopping" if house.stopping.is_set() else "ok" if house.ready else "starting"
    auth = "token" if house.settings.token else "none"
    return {"status": status, "version": __version__, "auth": auth}


def _details(house: ServerState) -> dict[str, Any]:
    """What those may know who are let in."""
    limits = house.settings.limits
    assert house.desk is not None
    assert house.pool is not None
    return {
        "uptime": round(time.monotonic() - house.started, 1),
        "queue": {"analyze": house.pool.waiting, "jobs": len(house.desk.store.queue())},
        "sessions": len(house.sessions),
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


def _models(house: ServerState) -> dict[str, Any]:
    config = house.config
    used = {config.models[m] for m in config.modalities}
    cards = [
        card_mapping(card, house.models) | {"in_use": card.id in used}
        for card in house.models.cards()
    ]
    return {
        "models": cards,
        "pipeline": {
            "detector": config.face.detector,
            "asr": house.transcriber,
            "fusion": config.fusion.strategy.value,
        },
        "limits": list(LIMITS_OF_ALL),
    }
