"""OpenAPI schemas of requests and responses; `docs/api.md` describes them for people."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from ...export import exporters
from ..jobs.store import JobState
from ..options import AnalysisOptions


class ErrorDetail(BaseModel):
    """Details of an error."""

    code: str = Field(description="stable; see docs/api.md")
    message: str = Field(description="for people")


class Error(BaseModel):
    """Body of every error."""

    error: ErrorDetail


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
    error: ErrorDetail | None
    formats: list[str]
    links: dict[str, str]


class Jobs(BaseModel):
    """Jobs, newest first."""

    jobs: list[Job]


class Login(BaseModel):
    """Body of a login."""

    token: str = Field(max_length=1024)


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

ERRORS: Responses = {"4XX": {"model": Error}, "5XX": {"model": Error}}

_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}

HEALTH: Responses = {
    200: {"description": "status, version and how to log in; more once logged in", **_OBJECT},
    503: {"description": "the same, of a server that is unhealthy or stops", **_OBJECT},
}

MODELS: Responses = {200: {"description": "cards, pipeline and limitations", **_OBJECT}}

METRICS: Responses = {
    200: {"description": "the text format of Prometheus", "content": {"text/plain": {}}}
}

FACES: Responses = {200: {"model": Faces}, **ERRORS}

TIMELINE: Responses = {
    200: {
        "description": "the timeline; docs/timeline-format.md describes the JSON",
        "content": {
            **{kind.content_type.partition(";")[0]: {} for kind in exporters().values()},
            "application/json": {"schema": {"type": "object"}},
            "application/zip": {},
        },
    },
    **ERRORS,
}

ANNOTATIONS: Responses = {
    200: {
        "description": "all edits, with their ETag; docs/annotations.md describes them",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    **ERRORS,
}

SUMMARY: Responses = {
    200: {
        "description": "the key summary of the timeline; docs/timeline-format.md",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    **ERRORS,
}


EDITS_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["edits"],
                    "properties": {"edits": {"type": "array", "items": {"type": "object"}}},
                }
            }
        },
    }
}

OBSERVATION: Responses = {
    200: {
        "description": "modality → label, confidence, probabilities; fused, with weights",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    **ERRORS,
}

FUSE_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["observation"],
                    "properties": {
                        "observation": {
                            "type": "object",
                            "description": "as POST /v1/observe answered",
                        },
                        "weights": {
                            "type": "object",
                            "additionalProperties": {"type": "number", "minimum": 0},
                        },
                    },
                }
            }
        },
    }
}

EVENTS: Responses = {
    200: {
        "description": "events progress and end with the job",
        "content": {"text/event-stream": {}},
    },
    **ERRORS,
}

MEDIA: Responses = {
    200: {"description": "the file, of the type that its content has", "content": {"*/*": {}}},
    206: {"description": "the requested range"},
    **ERRORS,
}

_BINARY = {"type": "string", "format": "binary"}

_OPTIONS: dict[str, Any] = AnalysisOptions.model_json_schema(
    ref_template="#/components/schemas/{model}"
)["properties"]

ANALYSIS_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "title": "Upload",
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": _BINARY,
                            "description": "a video, sound or image, or an image with a sound",
                        },
                        "text": {"type": "string", "description": "what is said, as plain text"},
                        "transcript": {**_BINARY, "description": "what is said: srt, vtt or txt"},
                        **_OPTIONS,
                    },
                    "additionalProperties": False,
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "title": "Words",
                    "required": ["text"],
                    "properties": {
                        "text": {"type": "string", "description": "what is said"},
                        **_OPTIONS,
                    },
                    "additionalProperties": False,
                }
            },
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
