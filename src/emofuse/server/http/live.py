"""OpenAPI schemas of what a live session (the WebSocket `/v1/stream`) sends.

OpenAPI knows no WebSockets; these stand among its components for clients that are generated.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from .results import Affect, Modality, Seconds, Share, SubjectId, Uncertainty
from .schemas import ErrorDetail


class LiveFusion(BaseModel):
    """How a fused estimate came about."""

    weights: Annotated[dict[str, Share], Field(description="modality → weight; they sum to 1")]
    disagreement: Share
    probabilities: Annotated[
        dict[str, dict[str, Share]], Field(description="what each modality said in this slot")
    ]


class LiveEstimate(BaseModel):
    """Who expressed what in a stretch of time, in seconds since the session started."""

    subject: SubjectId
    modality: Modality
    start: Seconds
    end: Seconds
    label: str
    confidence: Share
    quality: Share
    model: str
    probabilities: dict[str, Share]
    affect: Affect | None = None
    fusion: Annotated[LiveFusion | None, Field(description="of fused estimates")] = None
    uncertain: Uncertainty | None = None
    details: dict[str, Any] | None = None


class SessionCreated(BaseModel):
    """The models are loaded: what is sent from now on is analyzed."""

    type: Literal["session.created"]
    id: str
    video: bool
    audio: bool
    asr: Annotated[str | None, Field(description="the speech recognizer")]
    labels: list[str]
    models: dict[str, str]
    slot_seconds: float
    idle_seconds: float


class Measurement(BaseModel):
    """A result."""

    type: Literal["measurement"]
    kind: Annotated[str, Field(description="face, speech, text, fused, or provisional")]
    number: Annotated[int | None, Field(description="of the frame; of kind face alone")] = None
    time: Annotated[float | None, Field(description="of the frame; of kind face alone")] = None
    latency_ms: float | None
    estimates: list[LiveEstimate]


class IdentityMessage(BaseModel):
    """Whose face or voice a track is; a later one about the same track revises it."""

    type: Literal["identity"]
    subject: str
    person: str


class VoiceMessage(BaseModel):
    """Whose voice is heard."""

    type: Literal["voice"]
    subject: str
    start: Seconds
    end: Seconds
    overlap: Annotated[Share, Field(description="how likely two spoke at once")]


class Received(BaseModel):
    """What came: frames, and seconds of sound."""

    pictures: int
    seconds: float


class Analyzed(BaseModel):
    """How many frames were analyzed."""

    pictures: int


class Dropped(BaseModel):
    """What was not analyzed: frames, seconds of sound, late packets; and messages not sent."""

    pictures: int
    seconds: float
    late: int
    messages: int


class Latency(BaseModel):
    """Milliseconds from the evidence to its result."""

    p50: float
    p95: float


class SessionStats(BaseModel):
    """How a session is doing."""

    received: Received
    analyzed: Analyzed
    dropped: Dropped
    latency_ms: Annotated[dict[str, Latency], Field(description="modality → latency")]


class StatsMessage(SessionStats):
    """How a session is doing, every second."""

    type: Literal["stats"]
    time: float


class NoteMessage(BaseModel):
    """Something that the user should know."""

    type: Literal["note"]
    code: str
    message: str
    time: float | None


class ErrorMessage(BaseModel):
    """A message could not be used; if it is fatal, the session ends."""

    type: Literal["error"]
    error: ErrorDetail
    fatal: bool


class SessionClosed(BaseModel):
    """The last message."""

    type: Literal["session.closed"]
    reason: Literal["closed", "idle", "error", "too-many-errors", "stopping"]
    stats: SessionStats | None


class LiveMessage(RootModel[Any]):
    """A message of a live session; `type` says which."""

    root: Annotated[
        SessionCreated
        | Measurement
        | IdentityMessage
        | VoiceMessage
        | StatsMessage
        | NoteMessage
        | ErrorMessage
        | SessionClosed,
        Field(discriminator="type"),
    ]
