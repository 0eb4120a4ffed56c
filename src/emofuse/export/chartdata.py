"""What the page's script draws: a timeline in compact columns, one lane per person and modality."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.estimates import SPEAKER, Estimate, Modality, RejectionReason, Subject, SubjectKind
from ..core.time import NS, Span
from ..core.timeline import Timeline
from ..io.images import image_size
from .csv import PARTS
from .palette import colours_of
from .summary import Person, Summary, person_name
from .thumbnails import Thumbnail

Rows = dict[tuple[Subject, Modality], list[Estimate]]
VOICE = (Modality.SPEECH, Modality.TEXT)


def by_subject(timeline: Timeline) -> Rows:
    """Sort a timeline's estimates by subject and modality, each in order of time."""
    rows: Rows = {}
    for e in timeline:
        rows.setdefault((e.subject, e.modality), []).append(e)
    return rows


def chart_data(
    timeline: Timeline, summary: Summary, rows: Rows, thumbnails: Sequence[Thumbnail]
) -> dict[str, Any]:
    """Collect what the charts draw, in compact columns: ms, ‰ and % as integers."""
    labels = timeline.labels
    index = {label: i for i, label in enumerate(labels)}
    people = [
        {
            "name": person_name(p.subject, summary.kind),
            "lanes": [_lane(m, estimates, index) for m, estimates in _lanes(rows, p)],
        }
        for p in summary.people
    ]
    end_ns = max([timeline.duration_ns, *(e.span.end_ns for e in timeline)])
    return {
        "duration": end_ns / NS,
        "labels": [{"name": label, "colour": c} for label, c in colours_of(labels).items()],
        "people": people,
        "reasons": {reason.value: reason.sentence for reason in RejectionReason},
        "thumbnails": [
            {"time": t.at.start, "image": data_uri(t.jpeg), "aspect": _aspect(t.jpeg)}
            for t in thumbnails
        ],
    }


def _lanes(rows: Rows, p: Person) -> list[tuple[Modality, list[Estimate]]]:
    """Return the rows to draw for a person: the fused ones and what went into them.

    The rows of a voice stand under the speaker; they are drawn with the face
    whose result they went into.
    """
    fused = rows.get((p.subject, Modality.FUSED), [])
    lanes = [(Modality.FUSED, fused)] if fused else []
    for m in PARTS:
        own = rows.get((p.subject, m), [])
        if fused:
            used = [e.span for e in fused if e.fusion and m in e.fusion.modality_weights]
            own = _touching(own or (rows.get((SPEAKER, m), []) if m in VOICE else []), used)
        if own:
            lanes.append((m, own))
    return lanes


def _touching(rows: Sequence[Estimate], spans: Sequence[Span]) -> list[Estimate]:
    """Return the rows that overlap one of the spans; both come ordered by start."""
    out, i = [], 0
    for e in rows:
        while i < len(spans) and spans[i].end_ns <= e.span.start_ns:
            i += 1
        if i < len(spans) and spans[i].start_ns < max(e.span.end_ns, e.span.start_ns + 1):
            out.append(e)
    return out


def _lane(modality: Modality, rows: Sequence[Estimate], index: Mapping[str, int]) -> dict[str, Any]:
    labels = list(dict.fromkeys(label for e in rows for label in e.probabilities.taxonomy.labels))
    lane: dict[str, Any] = {
        "key": modality.value,
        "labels": [index[label] for label in labels],
        "start": [e.span.start_ns // 1_000_000 for e in rows],
        "end": [-(-e.span.end_ns // 1_000_000) for e in rows],
        "p": [_permille(e, labels) for e in rows],
        "quality": [round(100 * e.quality) for e in rows],
    }
    if modality is Modality.FUSED:
        lane["disagreement"] = [
            round(100 * e.fusion.disagreement)
            if e.fusion and len(e.fusion.modality_weights) > 1
            else None
            for e in rows
        ]
        lane["shares"] = {
            m.value: [
                round(100 * e.fusion.modality_weights[m])
                if e.fusion and m in e.fusion.modality_weights
                else None
                for e in rows
            ]
            for m in PARTS
        }
        lane["link"] = [
            round(100 * e.details["link"])
            if e.subject.kind is SubjectKind.FACE and "link" in e.details
            else None
            for e in rows
        ]
    if modality is Modality.FUSED:
        lane["uncertain"] = [e.uncertain.reason.value if e.uncertain else None for e in rows]
    if modality is Modality.TEXT:
        lane["text"] = [str(e.details.get("text", "")) for e in rows]
    return lane


def _permille(e: Estimate, labels: Sequence[str]) -> list[int]:
    known = dict(e.probabilities.items())
    return [round(1000 * known.get(label, 0.0)) for label in labels]


def _aspect(jpeg: bytes) -> float:
    width, height = image_size(jpeg)
    return round(width / height, 4)


def data_uri(jpeg: bytes) -> str:
    """Write a JPEG so that a page holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
