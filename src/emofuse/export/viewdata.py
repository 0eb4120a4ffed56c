"""What a page holds of a timeline: all that the viewer draws, in compact columns.

The viewer turns the columns back into estimates (``viewer/page.js``), so that it
reads a page's data and the server's ``timeline.json`` alike.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.details import GroupDetails
from ..core.estimates import Estimate, Modality, Probabilities, Subject
from ..core.timeline import Timeline
from .json import head
from .thumbnails import Thumbnail, best_face

Lanes = Mapping[tuple[Subject, Modality], Sequence[Estimate]]


def view_data(
    timeline: Timeline,
    thumbnails: Sequence[Thumbnail] = (),
    moments: Sequence[Thumbnail] = (),
) -> dict[str, Any]:
    """Collect what a page shows: times in ms, probabilities in ‰, other parts of 1 in %.

    Args:
        timeline: what to show.
        thumbnails: small pictures of the medium, in order of time.
        moments: pictures of a group's most expressive moments.
    """
    labels = tuple(dict.fromkeys(_labels(timeline)))
    index = {label: i for i, label in enumerate(labels)}
    lanes = _lanes(timeline)
    faces = {
        str(subject): best_face(rows, thumbnails)
        for (subject, modality), rows in lanes.items()
        if modality is Modality.FACE
    }
    return {
        **head(timeline),
        "editable": not timeline.by_hand,
        "labels": labels,
        "lanes": [_lane(*key, rows, index) for key, rows in lanes.items()],
        "thumbnails": [{"time": t.at.start, "image": data_uri(t.jpeg)} for t in thumbnails],
        "moments": [{"time": t.at.start, "image": data_uri(t.jpeg)} for t in moments],
        "portraits": {name: data_uri(jpeg) for name, jpeg in faces.items() if jpeg},
    }


def data_uri(jpeg: bytes) -> str:
    """Write a JPEG so that a page holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _labels(timeline: Timeline) -> Sequence[str]:
    parts = (s for e in timeline if e.fusion for s in e.fusion.probabilities.values())
    return [*timeline.labels, *(label for s in parts for label in s.taxonomy.labels)]


def _lanes(timeline: Timeline) -> Lanes:
    lanes: dict[tuple[Subject, Modality], list[Estimate]] = {}
    for e in timeline:
        lanes.setdefault((e.subject, e.modality), []).append(e)
    return lanes


def _lane(
    subject: Subject, modality: Modality, rows: Sequence[Estimate], index: Mapping[str, int]
) -> dict[str, Any]:
    lane: dict[str, Any] = {
        "subject": str(subject),
        "modality": modality.value,
        "start": [e.span.start_ns // 1_000_000 for e in rows],
        "end": [-(-e.span.end_ns // 1_000_000) for e in rows],
        "label": [index[e.label] for e in rows],
        "quality": [round(100 * e.quality) for e in rows],
        **_distributions([e.probabilities for e in rows], index),
        **_column("uncertain", rows, lambda e: e.uncertain and e.uncertain.reason.value),
        **_column("hand", rows, lambda e: 1 if e.set_by_hand else None),
        **_column("text", rows, lambda e: e.details_mapping().get("text")),
        **_column("affect", rows, _affect),
        **_column("dispersion", rows, _dispersion),
        **_column("box", rows, lambda e: _permille(e.details_mapping().get("box", ())) or None),
    }
    if modality is Modality.FUSED:
        lane["fusion"] = _fusion(rows, index)
    return lane


def _dispersion(e: Estimate) -> int | None:
    details = e.find_details(GroupDetails)
    return _percent(details.dispersion) if details else None


def _fusion(rows: Sequence[Estimate], index: Mapping[str, int]) -> dict[str, Any]:
    fused = [e.fusion for e in rows]
    parts = dict.fromkeys(m for f in fused if f for m in f.probabilities)
    return {
        **_column("disagreement", rows, lambda e: e.fusion and _percent(e.fusion.disagreement)),
        "parts": {
            m.value: {
                "weight": [_percent(f.modality_weights.get(m)) if f else None for f in fused],
                **_distributions([f.probabilities.get(m) if f else None for f in fused], index),
            }
            for m in parts
        },
    }


def _distributions(
    rows: Sequence[Probabilities | None], index: Mapping[str, int]
) -> dict[str, Any]:
    """Write distributions over the labels that occur in them; a label not known there is null."""
    labels = tuple(dict.fromkeys(label for s in rows if s for label in s.taxonomy.labels))
    known = [dict(s.items()) if s else None for s in rows]
    return {
        "labels": [index[label] for label in labels],
        "p": [
            p and [round(1000 * p[label]) if label in p else None for label in labels]
            for p in known
        ],
    }


def _column(
    name: str, rows: Sequence[Estimate], value: Callable[[Estimate], Any]
) -> dict[str, Any]:
    """Return a column, unless there is nothing in it."""
    column = [value(e) for e in rows]
    return {name: column} if any(v is not None for v in column) else {}


def _affect(e: Estimate) -> list[int] | None:
    """Valence and arousal in ‰."""
    return _permille((e.affect.valence, e.affect.arousal)) if e.affect else None


def _percent(part: float | None) -> int | None:
    return None if part is None else round(100 * part)


def _permille(values: Sequence[float]) -> list[int]:
    return [round(1000 * v) for v in values]
