"""The application: routes, and what lives as long as the server does."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import logging
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from ... import __version__
from ...core.estimates import Modality
from ...core.media import MediaKind
from ...errors import InputError
from ...models.store import Store
from ..analyse import Format
from ..compat import AddressRefusedError, FaceRequest, read_request, to_results
from ..config import read_config
from ..show import card_mapping
from . import schemas
from .errors import ApiError
from .guard import COOKIE, Guard, Keeper, client_of
from .jobs import FORMATS, ZIP, JobDesk, pack
from .limits import Guesses, Slots
from .media_door import HEAD, content_type
from .metrics import Metrics
from .pool import Pool, Ticket
from .settings import MB, Settings, read_settings
from .store import Job, JobState, JobStore
from .tasks import Analysis, Facts, Probe, Upload
from .uploads import Arrival, Order, read_order
from .worker import Cancelled, Equipment

if TYPE_CHECKING:
    from ...analyzer import AnalyzerConfig

log = logging.getLogger("emofuse.server")

STATIC = Path(__file__).with_name("static")
"""The page's files."""

_SMALL = 64 * 1024  # bytes that a request without files may have
_PROBE_TIMEOUT = 30.0
_LISTENERS = 32  # event streams of one client
_LOOK = 0.5  # seconds between looks at whether a client is still there

_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.HTML: "text/html; charset=utf-8",
    ZIP: "application/zip",
}

LIMITS_OF_ALL = (
    "Expressions are not feelings: the models say what a face, a voice and words look and sound "
    "like to others, not what somebody feels.",
    "Errors are common, and more so for faces and voices unlike those the models were trained on; "
    "see each model's figures. Do not use the results to decide about people.",
    "A voice is given to a face only where that is plain; somebody who speaks off camera may be "
    "taken for the one who is seen.",
)


@dataclass(slots=True)
class House:
    """What lives as long as the server does.

    Args:
        settings: how it runs.
        config: how media are analysed.
    """

    settings: Settings
    config: AnalyzerConfig
    models: Store = field(default_factory=Store)
    metrics: Metrics = field(default_factory=Metrics)
    started: float = field(default_factory=time.monotonic)
    ready: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    desk: JobDesk | None = None
    pool: Pool | None = None
    requests: Slots = field(init=False)
    listeners: Slots = field(init=False)
    sessions: Slots = field(init=False)
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        limits = self.settings.limits
        self.requests = Slots(limits.waiting_per_client, limits.waiting, "busy", "requests")
        self.listeners = Slots(_LISTENERS, 16 * _LISTENERS, "busy", "event streams")
        self.sessions = Slots(
            limits.sessions_per_client, limits.sessions, "too-many-sessions", "live sessions"
        )
        self.keeper = Keeper(self.settings, Guesses())

    @property
    def transcriber(self) -> str:
        """What recognises speech, or ``none``."""
        from ...text.transcribe import transcriber_name

        return transcriber_name(self.config.transcribe)

    @property
    def incoming(self) -> Path:
        """Where uploads arrive."""
        return self.settings.folder / "incoming"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start workers and take up unfinished jobs; at the end finish or park them."""
        loop = asyncio.get_running_loop()
        with JobStore(self.settings.folder) as store:
            await asyncio.to_thread(shutil.rmtree, self.incoming, True)
            self.pool = self._make_pool("analyze", self.settings.workers, loop)
            self.pool.start()
            jobs = self._make_pool("jobs", self.settings.job_workers, loop)
            self.desk = JobDesk(store, jobs, self.settings, self.metrics)
            self.desk.open()
            self.ready = True
            try:
                yield
            finally:
                self.end()
                await asyncio.gather(
                    self.desk.close(), asyncio.to_thread(self.pool.close, self.settings.grace)
                )

    def end(self) -> None:
        """Begin to stop: streams and sessions end, nothing new is begun."""
        self.stopping.set()
        if self.desk is not None:
            self.desk.announce_end()

    def _make_pool(self, name: str, size: int, loop: asyncio.AbstractEventLoop) -> Pool:
        counter = self.metrics.restarts.labels(name)

        def restarted() -> None:
            loop.call_soon_threadsafe(counter.inc)

        return Pool(
            size,
            self.settings.limits.waiting + size,
            Equipment(self.config, self.settings.limits, self.settings.worker_mb),
            restarted,
        )

    def check_open(self) -> None:
        """Check that new work is taken.

        Raises:
            ApiError: ``stopping``.
        """
        if self.stopping.is_set():
            raise ApiError("stopping", "the server is shutting down", retry_after=5)

    async def do(self, request: Request, ticket: Ticket) -> Facts:
        """Have a task done; stop it if the client goes away meanwhile.

        Raises:
            ApiError: what is wrong.
        """
        assert self.pool is not None
        result = asyncio.wrap_future(self.pool.submit(client_of(request.scope), ticket))
        try:
            while not result.done():
                await asyncio.wait([result], timeout=_LOOK)
                if not result.done() and await request.is_disconnected():
                    ticket.stop.set()
                    raise ApiError("bad-request", "the client went away")
            return await result
        except Cancelled:
            raise ApiError("stopping", "the server is shutting down", retry_after=5) from None
        finally:
            ticket.stop.set()  # also where this handler is cancelled

    def most_bytes(self, path: str) -> int:
        """Return how many bytes a request to a path may have."""
        limits = self.settings.limits
        return {
            "/v1/analyze": limits.analyze_bytes,
            "/v1/jobs": limits.job_bytes,
            "/analyze": limits.analyze_bytes * 4 // 3 + _SMALL,  # base64
        }.get(path, _SMALL)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application: for uvicorn, gunicorn, or tests.

    Args:
        settings: how it runs; default: from the environment.

    Raises:
        InputError: if the settings or the analysis configuration are wrong.
    """
    settings = settings or read_settings()
    house = House(settings, read_config(settings.config))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with house.open():
            yield

    app = FastAPI(
        title="emofuse",
        version=__version__,
        summary="Reads emotional expression from face, voice and words. See docs/api.md.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.house = house
    _add_analysis(app, house)
    _add_jobs(app, house)
    _add_about(app, house)
    from .stream import add_stream

    add_stream(app, house)
    _add_page(app)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_middleware(
        Guard,
        keeper=house.keeper,
        metrics=house.metrics,
        most=house.most_bytes,
        patience=settings.limits.upload_patience,
    )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Range"],
            expose_headers=["Location", "Retry-After", "Content-Disposition"],
        )
    return app


# ------------------------------------------------------------------------ analysis


FormatQuery = Annotated[str, Query(alias="format", description="json, csv, html or zip")]


def _add_analysis(app: FastAPI, house: House) -> None:
    @app.post(
        "/v1/analyze",
        summary="Analyse something small at once",
        responses=schemas.TIMELINE,
        openapi_extra=schemas.ORDER,
        tags=["analysis"],
    )
    async def analyze(request: Request, format_: FormatQuery = Format.JSON.value) -> Response:
        house.check_open()
        check_format(format_)
        with house.requests.hold(client_of(request.scope)):
            async with Arrival(house.incoming) as arrival:
                order = await _order(house, request, arrival)
                formats = tuple(Format) if format_ == ZIP else (Format(format_),)
                folder = await _analyse(house, request, order, arrival, formats)
                if format_ == ZIP:
                    await asyncio.to_thread(pack, folder, folder / f"timeline.{ZIP}")
                data = await asyncio.to_thread((folder / f"timeline.{format_}").read_bytes)
        return Response(data, headers=_download(order.uploads[0].name, format_))

    @app.post(
        "/analyze",
        summary="The same in DeepFace's shape: emotions of the faces in a picture",
        responses=schemas.FACES,
        openapi_extra=schemas.FACE_REQUEST,
        tags=["compatibility"],
    )
    async def analyze_faces(request: Request) -> JSONResponse:
        house.check_open()
        with house.requests.hold(client_of(request.scope)):
            wanted = await _face_request(request)
            async with Arrival(house.incoming) as arrival:
                order = await asyncio.to_thread(_picture, wanted.image, arrival)
                folder = await _analyse(house, request, order, arrival, (Format.JSON,))
                results = await asyncio.to_thread(_faces, folder / "timeline.json")
        if wanted.enforce_detection and not results:
            raise ApiError(
                "no-face",
                "there is no face in the picture; send another, or set enforce_detection to false",
            )
        return JSONResponse({"results": results})


async def _order(house: House, request: Request, arrival: Arrival) -> Order:
    limits = house.settings.limits
    return await read_order(request, arrival, house.config.modalities, limits.text_bytes)


async def _analyse(
    house: House, request: Request, order: Order, arrival: Arrival, formats: tuple[Format, ...]
) -> Path:
    """Have an order analysed and return the folder of its results."""
    limits = house.settings.limits
    folder = arrival.home / "results"
    probe = Probe(order.uploads, order.words, limits.analyze_seconds)
    task = Analysis(probe, order.modalities, order.transcribe, folder, formats)
    started = time.perf_counter()
    facts = await house.do(request, Ticket(task, limits.analyze_timeout))
    house.metrics.analysed(facts, time.perf_counter() - started)
    return folder


def check_format(name: str) -> None:
    """Check that results can be had in a format.

    Raises:
        ApiError: ``bad-argument``.
    """
    if name not in FORMATS:
        raise ApiError("bad-argument", f"format is {name[:40]!r}, expected {', '.join(FORMATS)}")


def _download(name: str, format_: str) -> dict[str, str]:
    """Headers of a result: everything but JSON is for saving."""
    headers = {"Content-Type": _TYPES[Format(format_) if format_ != ZIP else ZIP]}
    if format_ != Format.JSON.value:
        stem = name.rpartition(".")[0] or name
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in stem)
        headers["Content-Disposition"] = f'attachment; filename="{plain}.emofuse.{format_}"'
    return headers


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
    import json

    return to_results(json.loads(path.read_text(encoding="utf-8")))


# ---------------------------------------------------------------------------- jobs


def _add_jobs(app: FastAPI, house: House) -> None:
    def desk() -> JobDesk:
        assert house.desk is not None
        return house.desk

    @app.post(
        "/v1/jobs",
        status_code=202,
        summary="Have something analysed in the background",
        response_model=schemas.Job,
        responses=schemas.ERRORS,
        openapi_extra=schemas.ORDER,
        tags=["jobs"],
    )
    async def create_job(request: Request) -> Response:
        house.check_open()
        client = client_of(request.scope)
        desk().check_room(client, int(request.headers.get("content-length") or 0))
        with house.requests.hold(client):
            async with Arrival(house.incoming) as arrival:
                order = await _order(house, request, arrival)
                probe = Probe(order.uploads, order.words, house.settings.limits.job_seconds)
                facts = await house.do(request, Ticket(probe, _PROBE_TIMEOUT))
                job = Job(
                    id=arrival.id,
                    client=client,
                    uploads=order.uploads,
                    words=order.words,
                    modalities=order.modalities,
                    transcribe=order.transcribe,
                    facts=facts,
                    created=time.time(),
                )
                desk().check_room(client, job.bytes)  # others may have been quicker
                await arrival.keep(desk().store.home(job.id))
                desk().add(job)
        location = {"Location": f"/v1/jobs/{job.id}"}
        return JSONResponse(desk().view(desk().store.get(job.id)), 202, location)

    @app.get(
        "/v1/jobs",
        summary="All jobs, newest first",
        response_model=schemas.Jobs,
        responses=schemas.ERRORS,
        tags=["jobs"],
    )
    async def list_jobs(
        state: JobState | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> Response:
        jobs, queue = desk().store.latest(state, limit), [i for i, _ in desk().store.queue()]
        return JSONResponse({"jobs": [desk().view(job, queue) for job in jobs]})

    @app.get(
        "/v1/jobs/{job_id}",
        summary="One job",
        response_model=schemas.Job,
        responses=schemas.ERRORS,
        tags=["jobs"],
    )
    async def get_job(job_id: str) -> Response:
        return JSONResponse(desk().view(desk().store.get(job_id)))

    @app.get(
        "/v1/jobs/{job_id}/events",
        summary="Its progress as server-sent events",
        responses=schemas.EVENTS,
        tags=["jobs"],
    )
    async def events(request: Request, job_id: str) -> Response:
        client = client_of(request.scope)
        house.listeners.check(client)
        stream = await desk().events(job_id)

        async def held() -> AsyncIterator[str]:
            with house.listeners.hold(client):
                async for event in stream:
                    yield event

        return StreamingResponse(held(), media_type="text/event-stream")

    @app.get(
        "/v1/jobs/{job_id}/result",
        summary="What came of it",
        responses=schemas.TIMELINE,
        tags=["jobs"],
    )
    async def result(job_id: str, format_: FormatQuery = Format.JSON.value) -> Response:
        check_format(format_)
        job, path = await desk().result(job_id, format_)
        if not path.is_file():
            raise ApiError("no-such-job", "the result is not in the state folder any more")
        return FileResponse(path, headers=_download(job.uploads[0].name, format_))

    @app.get(
        "/v1/jobs/{job_id}/media",
        summary="What was uploaded; answers Range requests",
        responses=schemas.MEDIA,
        tags=["jobs"],
    )
    @app.get("/v1/jobs/{job_id}/media/{number}", include_in_schema=False)
    async def media(job_id: str, number: int = 0) -> Response:
        job = desk().store.get(job_id)
        if not 0 <= number < len(job.uploads):
            raise ApiError("not-found", f"the job has {len(job.uploads)} files, counted from 0")
        upload = job.uploads[number]
        if not upload.path.is_file():
            raise ApiError("not-found", "the upload is not in the state folder any more")
        return FileResponse(upload.path, media_type=upload.type.mime)

    @app.post(
        "/v1/jobs/{job_id}/cancel",
        status_code=202,
        summary="Stop it",
        response_model=schemas.Job,
        responses=schemas.ERRORS,
        tags=["jobs"],
    )
    async def cancel(job_id: str) -> Response:
        return JSONResponse(desk().view(desk().cancel(job_id)), 202)

    @app.delete(
        "/v1/jobs/{job_id}",
        status_code=204,
        summary="Stop it if need be, and remove it with its files",
        responses=schemas.ERRORS,
        tags=["jobs"],
    )
    async def delete(job_id: str) -> Response:
        await desk().delete(job_id)
        return Response(status_code=204)


# --------------------------------------------------------------------------- about


def _add_about(app: FastAPI, house: House) -> None:
    @app.get("/v1/health", summary="Whether the server is well", tags=["about"])
    async def health(request: Request) -> JSONResponse:
        admitted = house.keeper.admits(request.scope)
        about = _health(house) | {"authorised": admitted}
        if admitted:
            about |= _details(house)
        return JSONResponse(about, 503 if house.stopping.is_set() else 200)

    @app.post("/v1/login", status_code=204, summary="Trade the token for a cookie", tags=["about"])
    async def login(request: Request, body: schemas.Login) -> Response:
        client = client_of(request.scope)
        house.keeper.guesses.check(client)
        if not house.keeper.is_token(body.token):
            house.keeper.guesses.wrong(client)
            raise ApiError("unauthorised", "this is not the server's token")
        response = Response(status_code=204)
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, house.keeper.cookie_value, httponly=True, samesite="strict", secure=secure
        )
        return response

    @app.post("/v1/logout", status_code=204, summary="Drop the cookie", tags=["about"])
    async def logout() -> Response:
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    @app.get("/v1/models", summary="Which models run, and what they cannot do", tags=["about"])
    def models() -> JSONResponse:
        return JSONResponse(_models(house))

    @app.get("/metrics", summary="Figures for Prometheus", tags=["about"])
    async def metrics() -> Response:
        assert house.desk is not None
        assert house.pool is not None
        for state, number in house.desk.store.counts().items():
            house.metrics.jobs.labels(state.value).set(number)
        house.metrics.queue.labels("analyze").set(house.pool.waiting)
        house.metrics.queue.labels("jobs").set(len(house.desk.store.queue()))
        house.metrics.sessions.set(len(house.sessions))
        return Response(house.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _health(house: House) -> dict[str, Any]:
    """What everybody may know."""
    status = "stopping" if house.stopping.is_set() else "ok" if house.ready else "starting"
    auth = "token" if house.settings.token else "none"
    return {"status": status, "version": __version__, "auth": auth}


def _details(house: House) -> dict[str, Any]:
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


def _models(house: House) -> dict[str, Any]:
    config = house.config
    used = {getattr(config.models, m.value) for m in config.modalities}
    cards = [
        card_mapping(card, house.models) | {"in_use": card.id in used}
        for card in house.models.cards()
    ]
    return {
        "models": cards,
        "pipeline": {
            "detector": config.face.detector.value,
            "words": house.transcriber,
            "fusion": config.fusion.strategy.value,
        },
        "limits": list(LIMITS_OF_ALL),
    }


# ---------------------------------------------------------------------------- page


def _add_page(app: FastAPI) -> None:
    plotly = Path(str(importlib.resources.files("plotly"))) / "package_data" / "plotly.min.js"
    day = {"Cache-Control": "public, max-age=86400"}

    @app.get("/static/plotly.min.js", include_in_schema=False)
    async def script() -> Response:
        return FileResponse(plotly, media_type="text/javascript", headers=day)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        if not (STATIC / "index.html").is_file():
            raise ApiError("not-found", "this server has no page; the API is under /v1")
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", _Static(directory=STATIC, check_dir=False), name="static")


class _Static(StaticFiles):
    """Files that are asked for again after every update."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Say what the framework refused as an error of ours."""
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "bad-request")
    texts = {
        "not-found": f"there is nothing at {request.url.path[:80]!r}",
        "method-not-allowed": f"{request.url.path} does not take {request.method}",
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
