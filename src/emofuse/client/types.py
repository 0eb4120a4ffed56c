"""What the server takes and tells, generated from its OpenAPI: do not edit, run `make client`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from typing_extensions import NotRequired


class Affect(TypedDict):
    """Valence and arousal."""

    valence: float
    arousal: float


class Analyzed(TypedDict):
    """How many frames were analyzed."""

    pictures: int


Channels: TypeAlias = Literal["mix", "speakers"]
"""What becomes of the channels of a sound."""


class Corpus(TypedDict):
    """A corpus that a model was taught or measured with."""

    name: str
    licence: str
    used: str
    citation: str


class Dropped(TypedDict):
    """What was not analyzed: frames, seconds of sound, late packets; and messages not sent."""

    pictures: int
    seconds: float
    late: int
    messages: int


class ErrorDetail(TypedDict):
    """Details of an error."""

    code: str
    """stable; see docs/api.md"""
    message: str
    """for people"""


class ErrorMessage(TypedDict):
    """A message could not be used; if it is fatal, the session ends."""

    type: Literal["error"]
    error: ErrorDetail
    fatal: bool


class FigureRow(TypedDict):
    """The headline figures on one set of samples."""

    on: str
    values: Mapping[str, float]
    how: str


class Figures(TypedDict):
    """The headline figures as a table, test results first."""

    measures: Mapping[str, str]
    rows: Sequence[FigureRow]


class FusionChoice(TypedDict):
    """A way to fuse."""

    name: str
    weights: Mapping[str, float] | None
    """its own weights; null: it has learned them, and takes none"""
    fusers: Sequence[str]
    """ids of trained fusers, for `fuser`"""


class Health(TypedDict):
    """Health of the server; everything but the first four only to those who are logged in."""

    status: Literal["starting", "ok", "unhealthy", "stopping"]
    version: str
    auth: Literal["none", "token"]
    authorised: bool
    user: NotRequired[str | None]
    uptime: NotRequired[float | None]
    problems: NotRequired[Sequence[ErrorDetail] | None]
    queue: NotRequired[Mapping[str, int | None] | None]
    sessions: NotRequired[int | None]
    limits: NotRequired[Mapping[str, Any] | None]
    formats: NotRequired[Sequence[str] | None]


class IdentityMessage(TypedDict):
    """Whose face or voice a track is; a later one about the same track revises it."""

    type: Literal["identity"]
    subject: str
    person: str


class Input(TypedDict):
    """An uploaded file; kind and type follow from its content."""

    name: str
    kind: str
    type: str
    bytes: int


JobState: TypeAlias = Literal["QUEUED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED"]
"""The state of a job."""


class Latency(TypedDict):
    """Milliseconds from the evidence to its result."""

    p50: float
    p95: float


class LiveFusion(TypedDict):
    """How a fused estimate came about."""

    weights: Mapping[str, float]
    """modality → weight; they sum to 1"""
    disagreement: float
    probabilities: Mapping[str, Mapping[str, float]]
    """what each modality said in this slot"""


class Media(TypedDict):
    """The main upload, inspected."""

    name: str
    kind: str
    type: str
    bytes: int
    duration: float | None
    width: int | None
    height: int | None


class Metric(TypedDict):
    """A figure of a model, and how it was measured."""

    name: str
    value: float
    corpus: str
    split: str
    protocol: str
    seeds: int
    command: str


class ModelFile(TypedDict):
    """A file of a model."""

    name: str
    sha256: str
    bytes: int
    url: str | None


class NoteMessage(TypedDict):
    """Something that the user should know."""

    type: Literal["note"]
    code: str
    message: str
    time: float | None


class ObservationNote(TypedDict):
    """Something that the user should know."""

    code: str
    message: str


class Received(TypedDict):
    """What came: frames, and seconds of sound."""

    pictures: int
    seconds: float


class SessionCreated(TypedDict):
    """The models are loaded: what is sent from now on is analyzed."""

    type: Literal["session.created"]
    id: str
    video: bool
    audio: bool
    asr: str | None
    """the speech recognizer"""
    labels: Sequence[str]
    models: Mapping[str, str]
    slot_seconds: float
    idle_seconds: float


class SessionStats(TypedDict):
    """How a session is doing."""

    received: Received
    analyzed: Analyzed
    dropped: Dropped
    latency_ms: Mapping[str, Latency]
    """modality → latency"""


SmoothMethod: TypeAlias = Literal["none", "mean", "exponential", "hmm"]
"""The ways of smoothing."""


class StatsMessage(TypedDict):
    """How a session is doing, every second."""

    received: Received
    analyzed: Analyzed
    dropped: Dropped
    latency_ms: Mapping[str, Latency]
    """modality → latency"""
    type: Literal["stats"]
    time: float


class Strangers(TypedDict):
    """Mean recall on people of no corpus that taught the model: the worst and the best corpus."""

    low: float
    high: float
    on: Sequence[str]


class Uncertainty(TypedDict):
    """Why an estimate is not to be relied on."""

    reason: str
    message: str | None


class VoiceMessage(TypedDict):
    """Whose voice is heard."""

    type: Literal["voice"]
    subject: str
    start: float
    end: float
    overlap: float
    """how likely two spoke at once"""


class AnalysisOptions(TypedDict):
    """How something is to be analyzed; what is left out is as the server has it."""

    modalities: NotRequired[Sequence[str] | None]
    """what is analyzed: some of face, speech, text"""
    asr: NotRequired[str | None]
    """speech recognizer, used if there is no transcript: auto, none, or a name"""
    language: NotRequired[str | None]
    """of the speech, for a recognizer that knows several: en, de …"""
    audio_track: NotRequired[str | None]
    """sound track to hear: its number, from 1, or its language"""
    subtitle_track: NotRequired[str | None]
    """subtitle track to read, likewise"""
    channels: NotRequired[Channels | None]
    """mix them, or make each a speaker, as in calls"""
    fps: NotRequired[float | None]
    """pictures analyzed in a second"""
    slot: NotRequired[float | None]
    """length of a slot of the fused timeline, in seconds"""
    detector: NotRequired[str | None]
    """face detector"""
    face_model: NotRequired[str | None]
    """id of the model of faces"""
    speech_model: NotRequired[str | None]
    """id of the model of voices"""
    text_model: NotRequired[str | None]
    """id of the model of words"""
    fusion: NotRequired[str | None]
    """how all is fused"""
    fuser: NotRequired[str | None]
    """id of a trained fuser of that strategy"""
    weights: NotRequired[Mapping[str, float] | None]
    """how much each modality counts; those not named do not"""
    smoothing: NotRequired[SmoothMethod | None]
    """along time"""
    identity: NotRequired[bool | None]
    """whether to tell who is who"""
    group: NotRequired[bool | None]
    """the mood of the group, too"""


class Choices(TypedDict):
    """What the options of an analysis may be on this server."""

    modalities: Sequence[str]
    asr: Sequence[str]
    detectors: Sequence[str]
    models: Mapping[str, Sequence[str]]
    """modality → ids"""
    fusion: Sequence[FusionChoice]
    smoothing: Sequence[str]
    defaults: AnalysisOptions
    """what counts for options left out"""


class Job(TypedDict):
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
    inputs: Sequence[Input]
    transcript: str | None
    options: AnalysisOptions
    callback: str | None
    """who is told that it has ended"""
    error: ErrorDetail | None
    formats: Sequence[str]
    links: Mapping[str, str]


class Jobs(TypedDict):
    """Jobs, newest first."""

    jobs: Sequence[Job]


class LiveEstimate(TypedDict):
    """Who expressed what in a stretch of time, in seconds since the session started."""

    subject: str
    """person-N, face-N, speaker-N or group-1"""
    modality: str
    """face, speech, text, or fused"""
    start: float
    end: float
    label: str
    confidence: float
    quality: float
    model: str
    probabilities: Mapping[str, float]
    affect: NotRequired[Affect | None]
    fusion: NotRequired[LiveFusion | None]
    """of fused estimates"""
    uncertain: NotRequired[Uncertainty | None]
    details: NotRequired[Mapping[str, Any] | None]


class Measurement(TypedDict):
    """A result."""

    type: Literal["measurement"]
    kind: str
    """face, speech, text, fused, or provisional"""
    number: NotRequired[int | None]
    """of the frame; of kind face alone"""
    time: NotRequired[float | None]
    """of the frame; of kind face alone"""
    latency_ms: float | None
    estimates: Sequence[LiveEstimate]


class Model(TypedDict):
    """A model's card."""

    id: str
    modality: str
    summary: str
    labels: Sequence[str]
    licence: str
    terms: str | None
    affect: bool
    bytes: int
    where: str
    in_use: bool
    data: Sequence[Corpus]
    metrics: Sequence[Metric]
    figures: Figures
    strangers: Strangers | None
    files: Sequence[ModelFile]
    notes: Sequence[str]


class Models(TypedDict):
    """Models, what runs, and the limitations of all."""

    models: Sequence[Model]
    pipeline: Mapping[str, str]
    limits: Sequence[str]


class ObservedPart(TypedDict):
    """What one modality says, or all of them."""

    label: str
    confidence: float
    probabilities: Mapping[str, float]
    quality: float
    model: str
    affect: NotRequired[Affect | None]
    weights: NotRequired[Mapping[str, float] | None]
    """of the fused one"""
    disagreement: NotRequired[float | None]
    uncertain: NotRequired[Uncertainty | None]
    box: NotRequired[Sequence[float] | None]
    """of a face: left, top, width, height; fractions"""


class SessionClosed(TypedDict):
    """The last message."""

    type: Literal["session.closed"]
    reason: Literal["closed", "idle", "error", "too-many-errors", "stopping"]
    stats: SessionStats | None


LiveMessage: TypeAlias = (
    SessionCreated
    | Measurement
    | IdentityMessage
    | VoiceMessage
    | StatsMessage
    | NoteMessage
    | ErrorMessage
    | SessionClosed
)
"""A message of a live session; `type` says which."""


class Observation(TypedDict):
    """A face, a voice and words as one observation; parts that told nothing are left out."""

    face: NotRequired[ObservedPart | None]
    speech: NotRequired[ObservedPart | None]
    text: NotRequired[ObservedPart | None]
    fused: ObservedPart | None
    notes: Sequence[ObservationNote]
