"""Something small, analyzed at once."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ...core.estimates import Modality
from ...core.media import MediaKind
from ...errors import InputError
from ...export import exporters
from ...io.media_types import HEAD
from ..jobs.manager import ZIP, pack
from ..jobs.pool import WorkItem
from ..jobs.tasks import Analysis, Probe, Upload
from ..settings import MB
from ..state import ServerState
from . import schemas
from .deepface import AddressRefusedError, FaceRequest, read_request, to_results
from .dependencies import OPEN, Client, FormatName, Here, download
from .errors import ApiError
from .uploads import Arrival, Order, content_type

router = APIRouter(dependencies=[OPEN])


@router.post(
    "/v1/analyze",
    summary="Analyze something small at once",
    responses=schemas.TIMELINE,
    openapi_extra=schemas.ORDER,
    tags=["analysis"],
)
async def analyze(request: Request, house: Here, client: Client, format_: FormatName) -> Response:
    with house.requests.hold(client):
        async with Arrival(house.incoming) as arrival:
            order = await house.order(request, arrival)
            formats = tuple(exporters()) if format_ == ZIP else (format_,)
            folder = await _analyze(house, request, order, arrival, formats)
            if format_ == ZIP:
                await asyncio.to_thread(pack, folder, folder / f"timeline.{ZIP}")
            data = await asyncio.to_thread((folder / f"timeline.{format_}").read_bytes)
    return Response(data, headers=download(order.uploads[0].name, format_))


@router.post(
    "/analyze",
    summary="The same in DeepFace's shape: emotions of the faces in a picture",
    responses=schemas.FACES,
    openapi_extra=schemas.FACE_REQUEST,
    tags=["compatibility"],
)
async def analyze_faces(request: Request, house: Here, client: Client) -> JSONResponse:
    with house.requests.hold(client):
        wanted = await _face_request(request)
        async with Arrival(house.incoming) as arrival:
            order = await asyncio.to_thread(_picture, wanted.image, arrival)
            folder = await _analyze(house, request, order, arrival, ("json",))
            results = await asyncio.to_thread(_faces, folder / "timeline.json")
    if wanted.enforce_detection and not results:
        raise ApiError(
            "no-face",
            "there is no face in the picture; send another, or set enforce_detection to false",
        )
    return JSONResponse({"results": results})


async def _analyze(
    house: ServerState,
    request: Request,
    order: Order,
    arrival: Arrival,
    formats: tuple[str, ...],
) -> Path:
    """Have an order analyzed and return the folder of its results."""
    limits = house.settings.limits
    folder = arrival.home / "results"
    probe = Probe(order.uploads, order.transcript, limits.analyze_seconds)
    task = Analysis(probe, order.modalities, order.transcribe, folder, formats)
    started = time.perf_counter()
    facts = await house.do(request, WorkItem(task, limits.analyze_timeout))
    house.metrics.analyzed(facts, time.perf_counter() - started)
    return folder


async def _face_request(request: Request) -> FaceRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            async with request.form(max_files=1, max_fields=16, max_part_size=64 * MB) as form:
                fields = {k: v if isinstance(v, str) else await v.read() for k, v in form.items()}
        else:
            fields = await request.json()
        if not isinstance(fields, dict):
            raise ValueError
        return read_request(fields)
    except AddressRefusedError as error:
        raise ApiError("url-refused", str(error)) from None
    except InputError as error:
        raise ApiError("bad-argument", str(error)) from None
    except (ValueError, RecursionError, HTTPException):
        raise ApiError("bad-request", "expected JSON or multipart with an img") from None


def _picture(data: bytes, arrival: Arrival) -> Order:
    found = content_type(data[:HEAD], "img")
    if found.kind is not MediaKind.IMAGE:
        raise ApiError("unsupported-media", f"img is {found.mime}, expected a picture")
    path = arrival.inputs / f"0{found.suffix}"
    path.write_bytes(data)
    return Order((Upload(path, "img", found, len(data)),), None, (Modality.FACE,), False)


def _faces(path: Path) -> list[dict[str, Any]]:
    return to_results(json.loads(path.read_text(encoding="utf-8")))
