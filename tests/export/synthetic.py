"""Timelines as the analyzer makes them, without media: for the tests of the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emofuse.core.details import FaceDetails, TextDetails
from emofuse.core.estimates import (
    SPEAKER,
    Estimate,
    FusionDetails,
    Modality,
    Probabilities,
    Subject,
    SubjectKind,
)
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.media import AudioInfo, Diagnostic, MediaInfo, MediaKind, VideoInfo
from emofuse.core.time import NS, Span
from emofuse.core.timeline import Provenance, Timeline
from emofuse.export.thumbnails import Thumbnail, encode_jpeg

VOICE_LABELS = Taxonomy("voice-six", ("neutral", "happy", "sad", "angry", "fear", "disgust"))
SLOT = NS // 2
LINES = (
    "I can't believe you came all this way!",
    "Well. It was a long journey, and the train stood still for hours.",
    '<b>Sit</b> down & rest; "tea"?',
    "=SUM(A1:A9) is what he shouted, of all things.",
    "Grüße aus Zürich – schön, dich zu sehen.",
)


def face(number: int) -> Subject:
    return Subject(SubjectKind.FACE, number)


def scores(
    taxonomy: Taxonomy, top: str, confidence: float, rng: np.random.Generator
) -> Probabilities:
    p = rng.random(len(taxonomy)) ** 3 + 0.02
    i = taxonomy.index(top)
    p[i] = 0.0
    p *= (1 - confidence) / p.sum()
    p[i] = confidence
    return Probabilities(taxonomy, p)


def mood(second: float, shift: int = 0) -> str:
    return CANONICAL.labels[(int(second // 4) * 3 + shift) % 7 if int(second // 4) % 2 else 0]


def timeline(
    seconds: float = 24.0,
    people: int = 2,
    *,
    path: str = "holiday/Interview <1>.mp4",
    lines: Sequence[str] = LINES,
    notes: tuple[Diagnostic, ...] = (),
    seed: int = 0,
) -> Timeline:
    """Two people by default: one until the end, one late; a voice with pauses, and words."""
    rng = np.random.default_rng(seed)
    end = round(seconds * NS)
    estimates: list[Estimate] = []
    said = list(_words(seconds, lines, rng))
    estimates += [e for e, _ in said]
    voiced = [e.span for e, _ in said]
    for hop in _hops(voiced):
        top = mood(hop.start, 1)
        top = top if top in VOICE_LABELS.labels else "happy"
        estimates.append(
            Estimate(SPEAKER, hop, scores(VOICE_LABELS, top, 0.3 + 0.4 * rng.random(), rng),
                     Modality.SPEECH, 0.4 + 0.5 * rng.random(), "speech-v4")
        )  # fmt: skip
    heard_at = _by_slot([e for e in estimates if e.modality is Modality.SPEECH])
    said_at = _by_slot([e for e, _ in said])
    for start in range(0, end, SLOT):
        span = Span(start, min(start + SLOT, end))
        faces = [n for n in range(1, people + 1) if _visible(n, span.start, seconds)]
        heard, words = heard_at.get(start), said_at.get(start)
        for n in faces:
            seen = Estimate(
                face(n),
                span,
                scores(CANONICAL, mood(start / NS, n), 0.35 + 0.6 * rng.random(), rng),
                Modality.FACE,
                0.5 + 0.5 * rng.random(),
                "face-v4",
                details=FaceDetails(box=(0.08 + 0.45 * ((n - 1) % 2), 0.2, 0.3, 0.5)),
            )
            sole = len(faces) == 1
            estimates.append(seen)
            parts = [seen, *(e for e in (heard, words) if sole and e is not None)]
            estimates.append(_fused(face(n), span, parts, rng))
        if len(faces) != 1 and (heard or words):
            parts = [e for e in (heard, words) if e is not None]
            estimates.append(_fused(SPEAKER, span, parts, rng))
    media = MediaInfo(
        name=path.rpartition("/")[2], kind=MediaKind.VIDEO, duration_ns=end,
        video=VideoInfo(1280, 720, 29.97, "h264"), audio=AudioInfo(48000, 2, "aac", 21_333_333),
        text="subtitles", path=path,
    )  # fmt: skip
    provenance = Provenance(
        "0.1.0",
        {Modality.FACE: "face-v4", Modality.SPEECH: "speech-v4",
         Modality.TEXT: "text-compact-v1", Modality.FUSED: "logpool"},
        {"detector": "haar", "asr": "subtitles"},
        {"fps": 8.0, "fusion": {"strategy": "logpool", "weights": {}}},
    )  # fmt: skip
    return Timeline(media, tuple(estimates), provenance, notes, end)


def _by_slot(estimates: Sequence[Estimate]) -> dict[int, Estimate]:
    """The first estimate that overlaps each slot, by the slot's start."""
    found: dict[int, Estimate] = {}
    for e in estimates:
        for start in range(e.span.start_ns // SLOT * SLOT, e.span.end_ns, SLOT):
            found.setdefault(start, e)
    return found


def _visible(n: int, start: float, seconds: float) -> bool:
    if n == 1:
        return not 0.4 * seconds <= start < 0.55 * seconds
    return start >= (0.15 + 0.1 * (n % 7)) * seconds and start < 0.9 * seconds


def _words(seconds: float, lines: Sequence[str], rng: np.random.Generator):
    start, i = 1.0, 0
    while lines and start + 3 < seconds:
        span = Span.of_seconds(start, start + 2.4 + (i % 3) * 0.5)
        line = lines[i % len(lines)]
        top = CANONICAL.labels[(i * 2 + 1) % 7]
        yield Estimate(
            SPEAKER, span, scores(CANONICAL, top, 0.4 + 0.5 * rng.random(), rng),
            Modality.TEXT, 0.9, "text-compact-v1", details=TextDetails(line),
        ), line  # fmt: skip
        start, i = span.end + 0.8 + (i % 4), i + 1


def _hops(voiced: Sequence[Span]):
    for span in voiced:
        for start in range(span.start_ns, span.end_ns, NS):
            yield Span(start, min(start + NS, span.end_ns))


def _fused(
    subject: Subject, span: Span, parts: Sequence[Estimate], rng: np.random.Generator
) -> Estimate:
    shares = rng.random(len(parts)) + 0.4
    shares /= shares.sum()
    p = np.zeros(len(CANONICAL))
    for e, share in zip(parts, shares, strict=True):
        for label, value in e.probabilities.items():
            p[CANONICAL.index(label)] += share * value
    return Estimate(
        subject, span, Probabilities(CANONICAL, p / p.sum()), Modality.FUSED,
        float(shares @ [e.quality for e in parts]), "logpool",
        fusion=FusionDetails(
            {e.modality: float(s) for e, s in zip(parts, shares, strict=True)},
            0.0 if len(parts) == 1 else float(rng.random() * 0.6),
            {e.modality: e.probabilities for e in parts},
            {e.modality: e.details for e in parts if e.details is not None},
        ),
    )  # fmt: skip


def pictures(seconds: float, count: int = 12) -> list[Thumbnail]:
    """Grey pictures with a red square where the first face's box is, a blue one at the second's."""
    image = np.full((90, 160, 3), 128, np.uint8)
    image[18:63, 13:61] = (220, 20, 20)
    image[18:63, 85:133] = (20, 20, 220)
    jpeg = encode_jpeg(image, 160, 90)
    starts = [round(i * seconds * NS / count) for i in range(count)]
    return [Thumbnail(jpeg, Span(t, t + NS // 8)) for t in starts]


def crowd(people: int) -> Timeline:
    """Return a timeline of many faces, a few slots each: ten people, and their doubles."""
    few, doubles = timeline(30, people=10, lines=()), people // 10
    estimates = (
        replace(e, subject=face(1 + doubles * (e.subject.number - 1) + k))
        for e in few.of(Modality.FUSED)
        for k in range(doubles)
        if e.span.start % 10 == 5
    )
    return replace(few, estimates=tuple(estimates))
