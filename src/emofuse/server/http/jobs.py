"""Analyses in the background."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from ..jobs.manager import ZIP, JobManager, pack
from ..jobs.pool import WorkItem
from ..jobs.store import Job, JobState
from ..jobs.tasks import Export, Probe
from ..state import ServerState
from . import schemas
from .dependencies import OPEN, Account, Client, FormatName, Manager, Owner, State, download
from .errors import ApiError
from .uploads import UploadFolder

_PROBE_TIMEOUT = 30.0

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=schemas.ERRORS)


@router.post(
    "",
    status_code=202,
    summary="Start an analysis in the background",
    response_model=schemas.Job,
    responses={
        202: {
            "description": "the job",
            "headers": {"Location": {"schema": {"type": "string"}, "description": "its address"}},
        },
        **schemas.UPLOAD_ERRORS,
    },
    dependencies=[OPEN],
    openapi_extra=schemas.ANALYSIS_REQUEST,
)
async def create_job(
    request: Request, state: State, manager: Manager, client: Client, user: Account
) -> Response:
    manager.check_quota(client, user, int(request.headers.get("content-length") or 0))
    with state.requests.hold(client, user.requests):
        async with UploadFolder(state.incoming) as incoming:
            parsed = await state.read_request(request, incoming)
            if parsed.callback is not None:
                state.callbacks.check(parsed.callback)
            probe = Probe(
                parsed.uploads,
                parsed.transcript,
                state.settings.limits.job_seconds,
            )
            facts = await state.do(request, WorkItem(probe, _PROBE_TIMEOUT))
            job = Job(
                id=incoming.id,
                client=client,
                uploads=parsed.uploads,
                transcript=parsed.transcript,
                options=parsed.options,
                callback=parsed.callback,
                facts=facts,
                created=time.time(),
            )
            manager.check_quota(client, user, job.bytes)  # others may have been faster
            home = manager.store.home(job.id)
            await incoming.keep(home)
            try:
                await manager.add(job)
            except ApiError:
                await asyncio.to_thread(shutil.rmtree, home, True)
                raise
    location = {"Location": f"/v1/jobs/{job.id}"}
    return JSONResponse(manager.view(manager.store.get(job.id)), 202, location)


@router.get("", summary="List jobs, newest first", response_model=schemas.Jobs)
async def list_jobs(
    manager: Manager,
    owner: Owner,
    user: Account,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    if user.visitor:  # strangers do not see each other's
        return JSONResponse({"jobs": []})
    jobs, queue = manager.store.latest(state, limit, owner), [i for i, _ in manager.store.queue()]
    return JSONResponse({"jobs": [manager.view(job, queue) for job in jobs]})


@router.get(
    "/{job_id}", summary="Get a job", response_model=schemas.Job, responses=schemas.JOB_ERRORS
)
async def get_job(manager: Manager, owner: Owner, job_id: str) -> Response:
    return JSONResponse(manager.view(manager.store.get(job_id, owner)))


@router.get(
    "/{job_id}/events",
    summary="Progress of a job as server-sent events",
    responses=schemas.EVENTS,
    response_class=StreamingResponse,
)
async def job_events(
    state: State, manager: Manager, client: Client, owner: Owner, job_id: str
) -> Response:
    manager.store.get(job_id, owner)
    state.listeners.check(client)
    stream = await manager.events(job_id)

    async def held() -> AsyncIterator[str]:
        with state.listeners.hold(client):
            async for event in stream:
                yield event

    return StreamingResponse(held(), media_type="text/event-stream")


@router.get("/{job_id}/result", summary="Result of a job", responses=schemas.RESULT)
async def job_result(
    request: Request,
    state: State,
    manager: Manager,
    client: Client,
    user: Account,
    owner: Owner,
    job_id: str,
    format_: FormatName,
    source: Annotated[
        Literal["edited", "machine"],
        Query(description="with what was corrected by hand, or as it was found"),
    ] = "edited",
) -> Response:
    manager.store.get(job_id, owner)
    is_edited = source == "edited"
    job, path, export = await asyncio.to_thread(manager.result, job_id, format_, edited=is_edited)
    if export is not None:
        with state.requests.hold(client, user.requests):
            await _write(state, manager, request, export)
    if format_ == ZIP and not path.exists():
        await asyncio.to_thread(pack, path.parent, path)
    if not path.is_file():
        raise ApiError("no-such-job", "the result is no longer in the state folder")
    return FileResponse(path, headers=download(job.uploads[0].name, format_))


async def _write(state: ServerState, manager: JobManager, request: Request, export: Export) -> None:
    """Have a result written; a film takes its time, and that of the workers for jobs."""
    limits = state.settings.limits
    if export.media is None:
        await state.do(request, WorkItem(export, limits.analyze_timeout))
    else:
        await state.do(request, WorkItem(export, limits.job_timeout), manager.pool)


@router.get(
    "/{job_id}/media",
    summary="Uploaded file of a job; supports Range requests",
    responses=schemas.MEDIA,
    response_class=FileResponse,
    operation_id="job_media",
)
@router.get("/{job_id}/media/{number}", include_in_schema=False)
async def job_media(
    request: Request, manager: Manager, owner: Owner, job_id: str, number: int = 0
) -> Response:
    job = manager.store.get(job_id, owner)
    if not 0 <= number < len(job.uploads):
        raise ApiError("not-found", f"the job has {len(job.uploads)} files, numbered from 0")
    upload = job.uploads[number]
    if not upload.path.is_file():
        raise ApiError("not-found", "the upload is no longer in the state folder")
    _check_range(request.headers.get("range"), upload.bytes)
    return FileResponse(upload.path, media_type=upload.type.mime)


_RANGE = re.compile(r"bytes=(\s*(\d{1,18}-\d{0,18}|-\d{1,18})\s*(,|$)){1,8}")


def _check_range(wanted: str | None, size: int) -> None:
    """Refuse a range that there is not; the framework would do so in plain text."""
    if wanted is None:
        return
    if not _RANGE.fullmatch(wanted):
        raise ApiError("bad-request", f"Range is {wanted[:40]!r}, expected e.g. bytes=0-999")
    for start, end in re.findall(r"(\d*)-(\d*)", wanted):
        if start and (int(start) >= size or (end and int(end) < int(start))):
            raise ApiError("bad-range", f"Range is {wanted[:40]!r}, and the file has {size} bytes")


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    response_model=schemas.Job,
    responses=schemas.CANCEL_ERRORS,
)
async def cancel_job(manager: Manager, owner: Owner, job_id: str) -> Response:
    manager.store.get(job_id, owner)
    return JSONResponse(manager.view(await manager.cancel(job_id)), 202)


@router.delete(
    "/{job_id}",
    status_code=204,
    summary="Cancel a job if needed and delete it with its files",
    responses=schemas.JOB_ERRORS,
)
async def delete_job(manager: Manager, owner: Owner, job_id: str) -> Response:
    manager.store.get(job_id, owner)
    await manager.delete(job_id)
    return Response(status_code=204)
