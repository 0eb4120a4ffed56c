"""A face, a voice and words as one observation, and its fusion with other weights."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from ...analyzer import Analyzer
from ...core.observation import Observation
from ...errors import EmofuseError, InputError
from ...observe import Observer
from ..jobs.pool import WorkItem
from ..jobs.tasks import Observe, Probe
from ..state import ServerState
from . import schemas
from .dependencies import OPEN, Account, Client, State
from .errors import ApiError, from_emofuse
from .uploads import UploadFolder, refuse_callback

router = APIRouter(dependencies=[OPEN])


@router.post(
    "/v1/observe",
    summary="Take an image, sound and words as one observation",
    responses=schemas.OBSERVATION,
    openapi_extra=schemas.ANALYSIS_REQUEST,
    tags=["analysis"],
)
async def observe(
    request: Request,
    state: State,
    client: Client,
    user: Account,
    face_crop: Annotated[bool, Query(description="the image is nothing but a face")] = False,
) -> Response:
    with state.requests.hold(client, user.requests):
        async with UploadFolder(state.incoming) as incoming:
            parsed = await state.read_request(request, incoming)
            refuse_callback(parsed)
            limits = state.settings.limits
            probe = Probe(parsed.uploads, parsed.transcript, limits.analyze_seconds)
            out = incoming.home / "results"
            task = Observe(probe, parsed.options, face_crop, out)
            await state.do(request, WorkItem(task, limits.analyze_timeout))
            data = await asyncio.to_thread((out / "observation.json").read_bytes)
    return Response(data, media_type="application/json")


@router.post(
    "/v1/fuse",
    summary="Fuse an observation again, with other weights; nothing is uploaded",
    responses=schemas.OBSERVATION,
    openapi_extra=schemas.FUSE_REQUEST,
    tags=["analysis"],
)
async def fuse(request: Request, state: State) -> JSONResponse:
    try:
        body = json.loads(await request.body())
        if not isinstance(body, dict) or set(body) - {"observation", "weights"}:
            raise ValueError('expected {"observation": …, "weights": {"face": 0.6, …}}')
        found = Observation.of_mapping(body["observation"])
        weights = body.get("weights")
        if not isinstance(weights, dict | None):
            raise ValueError("weights are no object of modality and number")
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise ApiError("bad-argument", f"the body cannot be used: {str(error)[:300]}") from None
    return JSONResponse(await asyncio.to_thread(_fused, state, found, weights))


def _fused(state: ServerState, found: Observation, weights: Any) -> dict[str, Any]:
    try:
        observer = Observer(Analyzer(state.config, state.models))
        return observer.fuse(found, weights).to_mapping()
    except InputError as error:
        raise ApiError("bad-argument", str(error)) from None
    except EmofuseError as error:
        raise from_emofuse(error) from None
