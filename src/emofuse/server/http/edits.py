"""What was corrected by hand in the result of a job."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from ...annotations.log import Annotations, EditConflictError, explain
from ...errors import InputError
from ...export.summary import summarise, to_mapping
from ..jobs import edited
from . import schemas
from .dependencies import Manager, Owner
from .errors import ApiError, from_emofuse

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], responses=schemas.ERRORS)


async def _found(manager: Manager, owner: Owner, job_id: str) -> Path:
    manager.store.get(job_id, owner)
    _, path, _ = manager.result(job_id, "json")
    return path


Found = Annotated[Path, Depends(_found)]
"""The result of the job as it was found: its JSON file."""


@router.get("/annotations", summary="Get the edits of a result", responses=schemas.ANNOTATIONS)
async def get_annotations(path: Found) -> Response:
    try:
        return _answer(await asyncio.to_thread(edited.annotations_of, path))
    except InputError as e:
        raise from_emofuse(e) from None


@router.post(
    "/annotations",
    summary="Add edits to a result; If-Match has the etag of those that they were made on",
    responses=schemas.ANNOTATIONS,
    openapi_extra=schemas.EDITS_REQUEST,
)
async def add_edits(
    request: Request,
    path: Found,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    if if_match is None:
        raise ApiError(
            "precondition-required",
            "got no If-Match; send the ETag of GET …/annotations, so that nobody's edits are lost",
        )
    try:
        new = schemas.NewEdits.model_validate_json(await request.body())
    except ValidationError as e:
        raise ApiError("bad-argument", explain(e)) from None
    etag = None if if_match == "*" else if_match.removeprefix("W/").strip('"')
    try:
        kept = await asyncio.to_thread(edited.add, path, new.edits, etag)
    except EditConflictError as e:
        raise ApiError("precondition-failed", str(e)) from None
    except InputError as e:
        raise from_emofuse(e) from None
    return _answer(kept)


@router.get(
    "/summary",
    summary="What a result says in short, edits by hand included",
    responses=schemas.SUMMARY,
)
async def get_summary(path: Found) -> Response:
    try:
        timeline = await asyncio.to_thread(edited.timeline_of, path)
    except InputError as e:
        raise from_emofuse(e) from None
    return JSONResponse(to_mapping(summarise(timeline)) | {"duration": timeline.duration_ns / 1e9})


def _answer(annotations: Annotations) -> Response:
    body = json.loads(annotations.to_json())
    return JSONResponse(
        body, headers={"ETag": f'"{annotations.etag}"', "Cache-Control": "no-store"}
    )
