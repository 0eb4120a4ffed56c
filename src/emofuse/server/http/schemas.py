"""OpenAPI schemas of requests and responses; `docs/api.md` describes them for people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...annotations.edits import Edit
from ...annotations.log import Annotations
from ...export import exporters
from ..jobs.store import JobState
from ..options import AnalysisOptions
from . import results
from .errors import STATUS


class ErrorDetail(BaseModel):
    """Details of an error."""

    code: str = Field(description="stable; see docs/api.md")
    message: str = Field(description="for people")


class Error(BaseModel):
    """Body of every error."""

    error: ErrorDetail


class Health(BaseModel):
    """Health of the server; everything but the first four only to those who are logged in."""

    status: Literal["starting", "ok", "unhealthy", "stopping"]
    version: str
    auth: Literal["none", "token"]
    authorised: bool
    user: str | None = None
    uptime: float | None = None
    problems: list[ErrorDetail] | None = None
    queue: dict[str, int | None] | None = None
    sessions: int | None = None
    limits: dict[str, Any] | None = None
    formats: list[str] | None = None


class Corpus(BaseModel):
    """A corpus that a model was taught or measured with."""

    name: str
    licence: str
    used: str
    citation: str


class Metric(BaseModel):
    """A figure of a model, and how it was measured."""

    name: str
    value: float
    corpus: str
    split: str
    protocol: str
    seeds: int
    command: str


class FigureRow(BaseModel):
    """The headline figures on one set of samples."""

    on: str
    values: dict[str, float]
    how: str


class Figures(BaseModel):
    """The headline figures as a table, test results first."""

    measures: dict[str, str]
    rows: list[FigureRow]


class Strangers(BaseModel):
    """Mean recall on people of no corpus that taught the model: the worst and the best corpus."""

    low: float
    high: float
    on: list[str]


class ModelFile(BaseModel):
    """A file of a model."""

    name: str
    sha256: str
    bytes: int
    url: str | None


class Model(BaseModel):
    """A model's card."""

    id: str
    modality: str
    summary: str
    labels: list[str]
    licence: str
    terms: str | None
    affect: bool
    bytes: int
    where: str
    in_use: bool
    data: list[Corpus]
    metrics: list[Metric]
    figures: Figures
    strangers: Strangers | None
    files: list[ModelFile]
    notes: list[str]


class Models(BaseModel):
    """Models, what runs, and the limitations of all."""

    models: list[Model]
    pipeline: dict[str, str]
    limits: list[str]


class Input(BaseModel):
    """An uploaded file; kind and type follow from its content."""

    name: str
    kind: str
    type: str
    bytes: int


class Media(Input):
    """The main upload, inspected."""

    duration: float | None
    width: int | None
    height: int | None


class Job(BaseModel):
    """A job."""

    id: str
    state: JobState
    progress: float | None
    position: int | None
    seconds_done: float
    created: str
    started: str | None
    finished: str | None
    expires: str | None
    attempts: int
    media: Media
    inputs: list[Input]
    transcript: str | None
    options: AnalysisOptions
    callback: Annotated[str | None, Field(description="who is told that it has ended")]
    error: ErrorDetail | None
    formats: list[str]
    links: dict[str, str]


class Jobs(BaseModel):
    """Jobs, newest first."""

    jobs: list[Job]


class Login(BaseModel):
    """Body of a login."""

    token: str = Field(max_length=1024)


class NewEdits(BaseModel):
    """Edits to add to those that there are."""

    model_config = ConfigDict(extra="forbid")

    edits: Annotated[list[Edit], Field(min_length=1, max_length=1000)]


class Region(BaseModel):
    """Bounding box of a face, in pixels."""

    x: int
    y: int
    w: int
    h: int


class Face(BaseModel):
    """A face in DeepFace's format; emotions in percent."""

    emotion: dict[str, float]
    dominant_emotion: str
    region: Region
    face_confidence: float


class Faces(BaseModel):
    """Faces in DeepFace's format."""

    results: list[Face]


Responses = dict[int | str, dict[str, Any]]

_ALWAYS = (
    *("bad-request", "unauthorised", "foreign-origin", "foreign-host", "too-slow", "too-large"),
    *("bad-argument", "busy", "too-many-attempts", "internal", "stopping", "store-busy"),
    *("store-damaged", "storage-full"),
)
"""Codes that any route may answer with."""


def errors(*codes: str) -> Responses:
    """Return the error answers of a route: of every status the codes that it may have."""
    by_status: dict[int, list[str]] = {}
    for code, status in STATUS.items():
        if code in codes or code in _ALWAYS:
            by_status.setdefault(status, []).append(f"`{code}`")
    return {
        status: {"model": Error, "description": ", ".join(found)}
        for status, found in by_status.items()
    }


ERRORS = errors()
JOB_ERRORS = errors("not-found", "no-such-job")
CANCEL_ERRORS = errors("no-such-job", "not-cancellable")
_RESULT = (
    *("not-found", "no-such-job", "not-finished", "job-failed", "job-cancelled", "unusable"),
    *("took-too-long", "crashed", "model-unavailable"),
)
RESULT_ERRORS = errors(*_RESULT)
EDIT_ERRORS = errors(*_RESULT, "precondition-failed", "precondition-required")
UPLOAD_ERRORS = errors(
    *("too-long", "too-many-pixels", "too-many-frames", "unsupported-media", "unusable"),
    *("bad-combination", "url-refused", "too-many-jobs", "crashed", "model-unavailable"),
    *("took-too-long", "no-face"),
)

HEALTH: Responses = {
    200: {"model": Health, "description": "it is well, or starts"},
    503: {"model": Health, "description": "the same, of a server that is unhealthy or stops"},
}

METRICS: Responses = {
    200: {"description": "the text format of Prometheus", "content": {"text/plain": {}}},
    **errors("operators-only"),
}

FACES: Responses = {200: {"model": Faces}, **UPLOAD_ERRORS}

_TIMELINE: dict[str, Any] = {
    "model": results.Timeline,
    "description": "the timeline in the format that was asked for",
    "content": {
        **{
            kind.content_type.partition(";")[0]: {}
            for kind in exporters().values()
            if kind.content_type != "application/json"
        },
        "application/zip": {},
    },
}

TIMELINE: Responses = {200: _TIMELINE, **UPLOAD_ERRORS}
RESULT: Responses = {200: _TIMELINE, **RESULT_ERRORS}

ANNOTATIONS: Responses = {
    200: {
        "model": Annotations,
        "description": "all edits, with their ETag",
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "for If-Match"}},
    },
    **EDIT_ERRORS,
}

SUMMARY: Responses = {200: {"model": results.JobSummary}, **RESULT_ERRORS}

OBSERVATION: Responses = {200: {"model": results.Observation}, **UPLOAD_ERRORS}

EVENTS: Responses = {
    200: {
        "description": "events progress and end with the job",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **JOB_ERRORS,
}

MEDIA: Responses = {
    200: {"description": "the file, of the type that its content has", "content": {"*/*": {}}},
    206: {"description": "the requested range", "content": {"*/*": {}}},
    **errors("not-found", "no-such-job", "bad-range"),
}

_BINARY = {"type": "string", "format": "binary"}


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a request that is parsed by hand; its schema is among the components."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


EDITS_REQUEST = _body(NewEdits)
FUSE_REQUEST = _body(results.FuseRequest)


def _asked(option: dict[str, Any]) -> dict[str, Any]:
    """Describe an option of a request: it is there or not, and is never null."""
    kinds = [kind for kind in option.get("anyOf", ()) if kind != {"type": "null"}]
    kept = {k: v for k, v in option.items() if k not in ("anyOf", "default")}
    return kept | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


_OPTIONS = {
    name: _asked(option)
    for name, option in AnalysisOptions.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )["properties"].items()
}

_CALLBACK = {
    "type": "string",
    "format": "uri",
    "description": "of a job alone: address that is told of its end, if the server allows it",
}

FORMS: dict[str, Any] = {
    "Upload": {
        "type": "object",
        "title": "Upload",
        "description": "Media or text, and how they are to be analyzed.",
        "properties": {
            "file": {
                "type": "array",
                "items": _BINARY,
                "description": "a video, sound or image, or an image with a sound",
            },
            "text": {"type": "string", "description": "what is said, as plain text"},
            "transcript": {**_BINARY, "description": "what is said: srt, vtt or txt"},
            "callback": _CALLBACK,
            **_OPTIONS,
        },
        "additionalProperties": False,
    },
    "Words": {
        "type": "object",
        "title": "Words",
        "description": "Text alone, and how it is to be analyzed.",
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "description": "what is said"},
            "callback": _CALLBACK,
            **_OPTIONS,
        },
        "additionalProperties": False,
    },
}
"""Schemas of requests that are parsed by hand."""

ANALYSIS_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/Upload"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/Words"}},
        },
    }
}

FACE_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["img"],
                    "properties": {
                        "img": {"type": "string", "description": "data:image/…;base64,…"},
                        "actions": {"type": "array", "items": {"type": "string"}},
                        "enforce_detection": {"type": "boolean"},
                    },
                }
            },
            "multipart/form-data": {"schema": {"type": "object", "properties": {"img": _BINARY}}},
        },
    }
}
