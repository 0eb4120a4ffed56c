"""Analyzes in the background."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from ..jobs.pool import WorkItem
from ..jobs.store import Job, JobState
from ..jobs.tasks import Probe
from . import schemas
from .dependencies import OPEN, Client, Desk, FormatName, Here, download
from .errors import ApiError
from .uploads import Arrival

_PROBE_TIMEOUT = 30.0

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=schemas.ERRORS)


@router.post(
    "",
    status_code=202,
    summary="Have something analyzed in the background",
    response_model=schemas.Job,
    dependencies=[OPEN],
    openapi_extra=schemas.ORDER,
)
async def create_job(request: Request, house: Here, desk: Desk, client: Client) -> Response:
    desk.check_room(client, int(request.headers.get("content-length") or 0))
    with house.requests.hold(client):
        async with Arrival(house.incoming) as arrival:
            order = await house.order(request, arrival)
            probe = Probe(order.uploads, order.transcript, house.settings.limits.job_seconds)
            facts = await house.do(request, WorkItem(probe, _PROBE_TIMEOUT))
            job = Job(
                id=arrival.id,
                client=client,
                uploads=order.uploads,
                transcript=order.transcript,
                modalities=order.modalities,
                transcribe=order.transcribe,
                facts=facts,
                created=time.time(),
            )
            desk.check_room(client, job.bytes)  # others may have been quicker
            await arrival.keep(desk.store.home(job.id))
            desk.add(job)
    location = {"Location": f"/v1/jobs/{job.id}"}
    return JSONResponse(desk.view(desk.store.get(job.id)), 202, location)


@router.get("", summary="All jobs, newest first", response_model=schemas.Jobs)
async def list_jobs(
    desk: Desk, state: JobState | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    jobs, queue = desk.store.latest(state, limit), [i for i, _ in desk.store.queue()]
    return JSONResponse({"jobs": [desk.view(job, queue) for job in jobs]})


@router.get("/{job_id}", summary="One job", response_model=schemas.Job)
async def get_job(desk: Desk, job_id: str) -> Response:
    return JSONResponse(desk.view(desk.store.get(job_id)))


@router.get(
    "/{job_id}/events", summary="Its progress as server-sent events", responses=schemas.EVENTS
)
async def events(house: Here, desk: Desk, client: Client, job_id: str) -> Response:
    house.listeners.check(client)
    stream = await desk.events(job_id)

    async def held() -> AsyncIterator[str]:
        with house.listeners.hold(client):
            async for event in stream:
                yield event

    return StreamingResponse(held(), media_type="text/event-stream")


@router.get("/{job_id}/result", summary="What came of it", responses=schemas.TIMELINE)
async def result(desk: Desk, job_id: str, format_: FormatName) -> Response:
    job, path = await desk.result(job_id, format_)
    if not path.is_file():
        raise ApiError("no-such-job", "the result is not in the state folder any more")
    return FileResponse(path, headers=download(job.uploads[0].name, format_))


@router.get(
    "/{job_id}/media", summary="What was uploaded; answers Range requests", responses=schemas.MEDIA
)
@router.get("/{job_id}/media/{number}", include_in_schema=False)
async def media(desk: Desk, job_id: str, number: int = 0) -> Response:
    job = desk.store.get(job_id)
    if not 0 <= number < len(job.uploads):
        raise ApiError("not-found", f"the job has {len(job.uploads)} files, counted from 0")
    upload = job.uploads[number]
    if not upload.path.is_file():
        raise ApiError("not-found", "the upload is not in the state folder any more")
    return FileResponse(upload.path, media_type=upload.type.mime)


@router.post("/{job_id}/cancel", status_code=202, summary="Stop it", response_model=schemas.Job)
async def cancel(desk: Desk, job_id: str) -> Response:
    return JSONResponse(desk.view(desk.cancel(job_id)), 202)


@router.delete(
    "/{job_id}", status_code=204, summary="Stop it if need be, and remove it with its files"
)
async def delete(desk: Desk, job_id: str) -> Response:
    await desk.delete(job_id)
    return Response(status_code=204)
