"""Small uploads, analyzed at once."""

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
from ...export import file_name, routine_exporters
from ...io.media_types import HEAD
from ..jobs.manager import RENDERED, ZIP, pack
from ..jobs.pool import WorkItem
from ..jobs.tasks import Analysis, Probe, Upload
from ..options import AnalysisOptions
from ..settings import MB
from ..state import ServerState
from . import schemas
from .deepface import AddressRefusedError, FaceRequest, read_request, to_results
from .dependencies import OPEN, Account, Client, FormatName, State, download
from .errors import ApiError
from .uploads import AnalysisRequest, UploadFolder, content_type, read_json, refuse_callback

router = APIRouter(dependencies=[OPEN])


@router.post(
    "/v1/analyze",
    summary="Analyze a small upload at once",
    responses=schemas.TIMELINE,
    openapi_extra=schemas.ANALYSIS_REQUEST,
    tags=["analysis"],
)
async def analyze(
    request: Request, state: State, client: Client, user: Account, format_: FormatName
) -> Response:
    if format_ in RENDERED:
        raise ApiError("bad-argument", f"format is {format_}: send the upload to POST /v1/jobs")
    with state.requests.hold(client, user.requests):
        async with UploadFolder(state.incoming) as incoming:
            parsed = await state.read_request(request, incoming)
            refuse_callback(parsed)
            formats = tuple(routine_exporters()) if format_ == ZIP else (format_,)
            folder = await _analyze(state, request, parsed, incoming, formats)
            if format_ == ZIP:
                await asyncio.to_thread(pack, folder, folder / f"timeline.{ZIP}")
            name = f"timeline.{ZIP}" if format_ == ZIP else file_name(format_)
            data = await asyncio.to_thread((folder / name).read_bytes)
    return Response(data, headers=download(parsed.uploads[0].name, format_))


@router.post(
    "/analyze",
    summary="Emotions of the faces in an image, in DeepFace's format",
    responses=schemas.FACES,
    openapi_extra=schemas.FACE_REQUEST,
    tags=["compatibility"],
)
async def analyze_faces(
    request: Request, state: State, client: Client, user: Account
) -> JSONResponse:
    with state.requests.hold(client, user.requests):
        wanted = await _face_request(request)
        async with UploadFolder(state.incoming) as incoming:
            parsed = await asyncio.to_thread(_image_request, wanted.image, incoming)
            folder = await _analyze(state, request, parsed, incoming, ("json",))
            results = await asyncio.to_thread(_faces, folder / "timeline.json")
    if wanted.enforce_detection and not results:
        raise ApiError(
            "no-face",
            "no face was found in the image; send another, or set enforce_detection to false",
        )
    return JSONResponse({"results": results})


async def _analyze(
    state: ServerState,
    request: Request,
    parsed: AnalysisRequest,
    incoming: UploadFolder,
    formats: tuple[str, ...],
) -> Path:
    """Analyze uploads and return the folder of the results."""
    limits = state.settings.limits
    folder = incoming.home / "results"
    probe = Probe(parsed.uploads, parsed.transcript, limits.analyze_seconds)
    task = Analysis(probe, parsed.options, folder, formats)
    started = time.perf_counter()
    facts = await state.do(request, WorkItem(task, limits.analyze_timeout))
    state.metrics.analyzed(facts, time.perf_counter() - started)
    return folder


async def _face_request(request: Request) -> FaceRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            async with request.form(max_files=1, max_fields=16, max_part_size=64 * MB) as form:
                fields = {k: v if isinstance(v, str) else await v.read() for k, v in form.items()}
        else:
            fields = await read_json(request)
        if not isinstance(fields, dict):
            raise ValueError
        return await asyncio.to_thread(read_request, fields)
    except AddressRefusedError as error:
        raise ApiError("url-refused", str(error)) from None
    except InputError as error:
        raise ApiError("bad-argument", str(error)) from None
    except (ValueError, RecursionError, HTTPException):
        raise ApiError("bad-request", "expected JSON or multipart with an img") from None


def _image_request(data: bytes, incoming: UploadFolder) -> AnalysisRequest:
    found = content_type(data[:HEAD], "img")
    if found.kind is not MediaKind.IMAGE:
        raise ApiError("unsupported-media", f"img is {found.mime}, expected an image")
    path = incoming.inputs / f"0{found.suffix}"
    path.write_bytes(data)
    faces = AnalysisOptions(modalities=(Modality.FACE.value,))
    return AnalysisRequest((Upload(path, "img", found, len(data)),), None, faces)


def _faces(path: Path) -> list[dict[str, Any]]:
    return to_results(json.loads(path.read_text(encoding="utf-8")))
