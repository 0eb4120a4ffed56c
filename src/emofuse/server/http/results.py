"""OpenAPI schemas of what an analysis tells; `docs/timeline-format.md` describes it for people.

The files are written by `export.json`; the tests hold every result against these schemas. Keys that
a later emofuse adds, or another package's modality, are no error.
"""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, Field, create_model

from ...core.details import Details, GroupDetails
from ...core.modality import specs

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Modality = Annotated[str, Field(description="face, speech, text, or fused", examples=["fused"])]
SubjectId = Annotated[
    str, Field(description="person-N, face-N, speaker-N or group-1", examples=["person-1"])
]


class VideoInfo(BaseModel):
    """The pictures of a medium."""

    width: int
    height: int
    fps: float | None
    codec: str
    rotation: int


class AudioInfo(BaseModel):
    """The sound of a medium."""

    rate: int
    channels: int
    codec: str
    start: float


class MediaInfo(BaseModel):
    """What was analyzed."""

    name: str
    path: str | None
    kind: str
    duration: float | None
    video: VideoInfo | None
    audio: AudioInfo | None
    text: str | None


class Provenance(BaseModel):
    """What made a result: version, models, parts, and all settings."""

    version: str
    models: dict[str, str]
    components: dict[str, Any]
    settings: dict[str, Any]


class Diagnostic(BaseModel):
    """Something that the user should know."""

    code: str
    message: str
    at: Seconds | None = None


class Remark(BaseModel):
    """A mark, a note, or what was left out, by hand."""

    kind: str
    start: Seconds
    end: Seconds
    text: str
    subject: SubjectId | None


class Taxonomy(BaseModel):
    """A set of labels, in order."""

    name: str
    labels: list[str]
    multi_label: bool


class Probabilities(BaseModel):
    """Label → probability; a label that is missing is one that the model does not know."""

    taxonomy: Annotated[str, Field(description="key into `taxonomies`")]
    probabilities: dict[str, Share]


class Affect(BaseModel):
    """Valence and arousal."""

    valence: Annotated[float, Field(ge=-1, le=1)]
    arousal: Annotated[float, Field(ge=-1, le=1)]


class Fusion(BaseModel):
    """How a fused estimate came about."""

    weights: Annotated[dict[str, Share], Field(description="modality → weight; they sum to 1")]
    disagreement: Share
    probabilities: Annotated[
        dict[str, Probabilities], Field(description="what each modality said in this slot")
    ]


class MachineEstimate(Probabilities):
    """What was found before a hand changed it."""

    subject: SubjectId
    label: str
    confidence: Share
    uncertain: str | None


def _details() -> type[BaseModel]:
    """What estimates keep of their evidence, of all modalities: each key may be there."""
    kinds: list[type[Details]] = [*(row.details for row in specs().values()), GroupDetails]
    given: dict[str, Any] = {}
    for kind in kinds:
        given |= {name: (hint, None) for name, hint in get_type_hints(kind).items()}
    given["link"] = (Share | None, None)
    return create_model("EvidenceDetails", __doc__="The evidence of an estimate.", **given)


EvidenceDetails = _details()


class Estimate(Probabilities):
    """Who expressed what in a stretch of time, by one modality or by all (`fused`)."""

    start: Seconds
    end: Seconds
    subject: SubjectId
    modality: Modality
    label: Annotated[str, Field(description="the most probable label")]
    confidence: Annotated[Share, Field(description="its probability")]
    quality: Annotated[Share, Field(description="how good the evidence was")]
    model: str
    affect: Affect | None = None
    fusion: Annotated[Fusion | None, Field(description="of fused estimates")] = None
    uncertain: Annotated[
        str | None, Field(description="why a fused estimate is not to be relied on")
    ] = None
    details: EvidenceDetails | None = None  # type: ignore[valid-type]
    embedding: list[float] | None = None
    source: Annotated[str | None, Field(description="hand or machine, if edited")] = None
    machine: MachineEstimate | None = None


class Moment(BaseModel):
    """A stretch with one certain label."""

    label: str
    start: Seconds
    end: Seconds
    confidence: Share


class PersonSummary(BaseModel):
    """What is said of a person in short."""

    subject: SubjectId
    name: str
    says: str
    facts: list[str]
    label: str | None
    shares: dict[str, Share]
    uncertain: Share
    by_hand: Share
    reasons: dict[str, Share]
    confidence: Share
    quality: Share
    affect: Affect | None = None
    present: Seconds
    coverage: Annotated[float, Field(ge=0)]
    modalities: list[str]
    moments: list[Moment]


class GroupSummary(BaseModel):
    """What is said of the whole group in short."""

    faces: float
    read: Share
    dispersion: Share | None
    highlights: list[Moment]


class Summary(BaseModel):
    """What a timeline says in short."""

    facts: list[str]
    modalities: Annotated[dict[str, str], Field(description="id → name shown to people")]
    group: GroupSummary | None
    people: list[PersonSummary]


class JobSummary(Summary):
    """What the result of a job says in short, edits by hand included."""

    duration: Seconds


class KnownPerson(BaseModel):
    """Somebody who was told apart."""

    subject: SubjectId
    tracks: list[SubjectId]
    confidence: Share
    voice: bool
    embeddings: dict[str, list[float]] | None = None


class UnsurePerson(BaseModel):
    """A face or voice of which nobody can say whose it is."""

    subject: SubjectId
    maybe: list[SubjectId]


class Overlap(BaseModel):
    """A stretch in which two people may speak at once."""

    start: Seconds
    end: Seconds
    confidence: Share


class People(BaseModel):
    """Who is who."""

    known: list[KnownPerson]
    unsure: list[UnsurePerson]
    overlaps: list[Overlap]


class Timeline(BaseModel):
    """Who expressed what, and when."""

    schema_: Annotated[str, Field(alias="schema", examples=["emofuse/timeline"])]
    version: int
    media: MediaInfo
    duration: Seconds
    provenance: Provenance
    digest: str
    names: dict[str, str]
    remarks: list[Remark]
    notes: list[Diagnostic]
    summary: Summary
    people: People | None
    taxonomies: dict[str, Taxonomy]
    estimates: list[Estimate]


class Uncertainty(BaseModel):
    """Why an estimate is not to be relied on."""

    reason: str
    message: str | None


class ObservedPart(BaseModel):
    """What one modality says, or all of them."""

    label: str
    confidence: Share
    probabilities: dict[str, Share]
    quality: Share
    model: str
    affect: Affect | None = None
    weights: Annotated[dict[str, Share] | None, Field(description="of the fused one")] = None
    disagreement: Share | None = None
    uncertain: Uncertainty | None = None
    box: Annotated[
        list[float] | None, Field(description="of a face: left, top, width, height; fractions")
    ] = None


class ObservationNote(BaseModel):
    """Something that the user should know."""

    code: str
    message: str


class Observation(BaseModel):
    """A face, a voice and words as one observation; parts that told nothing are left out."""

    face: ObservedPart | None = None
    speech: ObservedPart | None = None
    text: ObservedPart | None = None
    fused: ObservedPart | None
    notes: list[ObservationNote]


class FuseRequest(BaseModel):
    """An observation, and how much each modality shall count."""

    observation: Annotated[dict[str, Any], Field(description="as POST /v1/observe answered")]
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
