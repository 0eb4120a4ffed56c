"""A timeline as JSON: complete and exact, one estimate a line; see ``docs/timeline-format.md``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.details import Details, GroupDetails
from ..core.estimates import (
    Affect,
    Estimate,
    FusionDetails,
    LabelSource,
    Modality,
    Probabilities,
    Rejected,
    RejectionReason,
    Subject,
    SubjectKind,
)
from ..core.identity import Overlap, People, Person, Unsure
from ..core.labels import Taxonomy
from ..core.media import AudioInfo, Diagnostic, MediaInfo, MediaKind, VideoInfo
from ..core.time import NS, Span, to_ns
from ..core.timeline import Provenance, Remark, RemarkKind, Timeline
from ..errors import InputError
from ..io.files import ResultFile
from .summary import summarise, to_mapping
from .whole import WholeTimeline

SCHEMA = "emofuse/timeline"
VERSION = 1


class JsonExporter(WholeTimeline):
    """Writes a timeline with `write_json`."""

    name = "json"
    suffix = ".json"
    content_type = "application/json"
    summary = "everything, exactly, for programs"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_json(timeline, self.path, overwrite=self.overwrite)


def write_json(timeline: Timeline, path: Path | str, *, overwrite: bool = False) -> None:
    """Write a timeline as JSON: everything it holds, exactly, one estimate a line.

    Estimates are written one by one, so memory does not grow with their number.
    Embeddings and details go along; an array becomes a list of numbers.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    with ResultFile(Path(path), overwrite=overwrite) as f:
        f.writelines(_json_lines(timeline))


def _json_lines(timeline: Timeline) -> Iterator[str]:
    keys = _taxonomy_keys(timeline.estimates)
    taxonomies = {
        key: {"name": t.name, "labels": t.labels, "multi_label": t.multi_label}
        for t, key in keys.items()
    }
    yield "{\n"
    for name, value in (head(timeline) | {"taxonomies": taxonomies}).items():
        yield f"{_dumps(name)}: {_dumps(value)},\n"
    yield '"estimates": ['
    separator = "\n"
    for estimate in timeline:
        yield separator + _dumps(_estimate(estimate, keys))
        separator = ",\n"
    yield "\n]\n}\n"


def head(timeline: Timeline) -> dict[str, Any]:
    """Return all that a result file says before its estimates, as plain types."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "media": _media(timeline.media),
        "duration": timeline.duration_ns / NS,
        "provenance": _plain(_provenance(timeline.provenance)),
        "digest": timeline.digest(),
        "names": {str(subject): name for subject, name in timeline.names.items()},
        "remarks": [_remark(r) for r in timeline.remarks],
        "notes": [_note(n) for n in timeline.notes],
        "summary": to_mapping(summarise(timeline)),
        "people": None if timeline.people is None else _people(timeline.people),
    }


def _people(people: People) -> dict[str, Any]:
    return {
        "known": [_person(person) for person in people.known],
        "unsure": [
            {"subject": str(u.subject), "maybe": [str(m) for m in u.maybe]} for u in people.unsure
        ],
        "overlaps": [
            {"start": o.span.start, "end": o.span.end, "confidence": o.confidence}
            for o in people.overlaps
        ],
    }


def _person(person: Person) -> dict[str, Any]:
    kept = {name: _shortest(row) for name, row in person.embeddings.items()}
    return {
        "subject": str(person.subject),
        "tracks": [str(track) for track in person.tracks],
        "confidence": person.confidence,
        "voice": person.voice,
        **({"embeddings": kept} if kept else {}),
    }


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """Turn whatever a setting or detail may be into types that JSON knows."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def _taxonomy_keys(estimates: Iterable[Estimate]) -> dict[Taxonomy, str]:
    """Name every taxonomy in use; two of the same name are told apart by their digest."""
    keys: dict[Taxonomy, str] = {}
    for e in estimates:
        parts = e.fusion.probabilities.values() if e.fusion else ()
        for taxonomy in (e.probabilities.taxonomy, *(s.taxonomy for s in parts)):
            if taxonomy not in keys:
                taken = taxonomy.name in keys.values()
                keys[taxonomy] = f"{taxonomy.name}#{taxonomy.digest}" if taken else taxonomy.name
    return keys


def _estimate(e: Estimate, keys: Mapping[Taxonomy, str]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "start": e.span.start,
        "end": e.span.end,
        "subject": str(e.subject),
        "modality": e.modality.value,
        "label": e.label,
        "confidence": _shortest(e.probabilities.values.max(keepdims=True))[0],
        "quality": e.quality,
        "model": e.model_id,
        **_scores(e.probabilities, keys),
    }
    if e.affect is not None:
        out["affect"] = {"valence": e.affect.valence, "arousal": e.affect.arousal}
    if e.fusion is not None:
        out["fusion"] = {
            "weights": {m.value: share for m, share in e.fusion.modality_weights.items()},
            "disagreement": e.fusion.disagreement,
            "probabilities": {m.value: _scores(s, keys) for m, s in e.fusion.probabilities.items()},
        }
    if e.uncertain is not None:
        out["uncertain"] = e.uncertain.reason.value
    if details := e.details_mapping():
        out["details"] = _plain(details)
    if e.embedding is not None:
        out["embedding"] = _shortest(e.embedding)
    if e.machine is not None:
        out["source"] = e.source.value
        out["machine"] = _found(e.machine, keys)
    return out


def _found(e: Estimate, keys: Mapping[Taxonomy, str]) -> dict[str, Any]:
    """Write what was found before a hand changed it: all that a hand can change."""
    return {
        "subject": str(e.subject),
        "label": e.label,
        "confidence": _shortest(e.probabilities.values.max(keepdims=True))[0],
        **_scores(e.probabilities, keys),
        "uncertain": None if e.uncertain is None else e.uncertain.reason.value,
    }


def _scores(scores: Probabilities, keys: Mapping[Taxonomy, str]) -> dict[str, Any]:
    p = _shortest(scores.values)
    return {
        "taxonomy": keys[scores.taxonomy],
        "probabilities": dict(zip(scores.taxonomy.labels, p, strict=True)),
    }


def _shortest(values: NDArray[np.float32]) -> list[float]:
    """Write float32 with the fewest digits that still give the very same float32."""
    return [float(text) for text in np.asarray(values, np.float32).astype(str)]


def _media(media: MediaInfo) -> dict[str, Any]:
    video, audio = media.video, media.audio
    return {
        "name": media.name,
        "path": media.path,
        "kind": media.kind.value,
        "duration": media.duration,
        "video": video
        and {
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "codec": video.codec,
            "rotation": video.rotation,
        },
        "audio": audio
        and {
            "rate": audio.rate,
            "channels": audio.channels,
            "codec": audio.codec,
            "start": audio.start_ns / NS,
        },
        "text": media.text,
    }


def _provenance(p: Provenance) -> dict[str, Any]:
    return {
        "version": p.version,
        "models": {m.value: model for m, model in p.models.items()},
        "components": p.components,
        "settings": p.settings,
    }


def _note(note: Diagnostic) -> dict[str, Any]:
    at = None if note.at_ns is None else note.at_ns / NS
    return {"code": note.code, "message": note.message, "at": at}


def _remark(remark: Remark) -> dict[str, Any]:
    return {
        "kind": remark.kind.value,
        "start": remark.span.start,
        "end": remark.span.end,
        "text": remark.text,
        "subject": None if remark.subject is None else str(remark.subject),
    }


# ---------------------------------------------------------------- reading


def read_json(path: Path | str) -> Timeline:
    """Read a timeline that `write_json` wrote.

    It equals the one written: times to the nanosecond (within the first 26 days
    of a stream), probabilities to the bit. Lists in details, settings and
    components come back as tuples.

    Raises:
        InputError: if the file cannot be read, is not a timeline, or has a
            version that this emofuse does not know.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e
    except ValueError as e:
        raise InputError(f"{path} is not a timeline of emofuse: not valid JSON ({e})") from e
    return parse_json(text, str(path))


def parse_json(text: str, name: str) -> Timeline:
    """Read a timeline of the text that `write_json` wrote; see `read_json`.

    Args:
        text: the JSON.
        name: what it is called in messages.

    Raises:
        InputError: if it is not a timeline, or has a version that this emofuse does not know.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InputError(f"{name} is not a timeline of emofuse: not valid JSON ({e})") from e
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        got = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise InputError(
            f"{name} is not a timeline of emofuse: expected the schema {SCHEMA!r}, got {got!r}"
        )
    if raw.get("version") != VERSION:
        raise InputError(
            f"{name} has version {raw.get('version')!r} of {SCHEMA}; this emofuse reads "
            f"version {VERSION}: use the emofuse that wrote it, or analyze the media again"
        )
    try:
        return _read_timeline(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise InputError(
            f"{name} is damaged: {type(e).__name__}: {e}; analyze the media again"
        ) from e


def _read_timeline(raw: Mapping[str, Any]) -> Timeline:
    taxonomies = {
        key: Taxonomy(t["name"], tuple(t["labels"]), t["multi_label"])
        for key, t in raw["taxonomies"].items()
    }
    provenance = raw["provenance"]
    return Timeline(
        media=_read_media(raw["media"]),
        estimates=tuple(_read_estimate(e, taxonomies) for e in raw["estimates"]),
        provenance=Provenance(
            provenance["version"],
            {Modality(m): model for m, model in provenance["models"].items()},
            _frozen(provenance["components"]),
            _frozen(provenance["settings"]),
        ),
        notes=tuple(
            Diagnostic(n["code"], n["message"], None if n["at"] is None else to_ns(n["at"]))
            for n in raw["notes"]
        ),
        duration_ns=to_ns(raw["duration"]),
        names={read_subject(s): name for s, name in raw.get("names", {}).items()},
        remarks=tuple(map(_read_remark, raw.get("remarks", ()))),
        people=None if raw.get("people") is None else _read_people(raw["people"]),
    )


def _read_people(raw: Mapping[str, Any]) -> People:
    return People(
        tuple(
            Person(
                read_subject(p["subject"]),
                tuple(map(read_subject, p["tracks"])),
                p["confidence"],
                p["voice"],
                {k: np.array(row, np.float32) for k, row in p.get("embeddings", {}).items()},
            )
            for p in raw["known"]
        ),
        tuple(
            Unsure(read_subject(u["subject"]), tuple(map(read_subject, u["maybe"])))
            for u in raw["unsure"]
        ),
        tuple(
            Overlap(Span.of_seconds(o["start"], o["end"]), o["confidence"])
            for o in raw.get("overlaps", ())
        ),
    )


def _read_remark(raw: Mapping[str, Any]) -> Remark:
    return Remark(
        RemarkKind(raw["kind"]),
        Span.of_seconds(raw["start"], raw["end"]),
        raw["text"],
        None if raw["subject"] is None else read_subject(raw["subject"]),
    )


def _read_media(raw: Mapping[str, Any]) -> MediaInfo:
    video, audio = raw["video"], dict(raw["audio"] or {})
    if audio:
        audio["start_ns"] = to_ns(audio.pop("start"))
    return MediaInfo(
        name=raw["name"],
        kind=MediaKind(raw["kind"]),
        duration_ns=None if raw["duration"] is None else to_ns(raw["duration"]),
        video=VideoInfo(**_known(VideoInfo, video)) if video else None,
        audio=AudioInfo(**_known(AudioInfo, audio)) if audio else None,
        text=raw["text"],
        path=raw["path"],
    )


def _read_estimate(raw: Mapping[str, Any], taxonomies: Mapping[str, Taxonomy]) -> Estimate:
    affect, fused, embedding = raw.get("affect"), raw.get("fusion"), raw.get("embedding")
    modality, details = Modality(raw["modality"]), raw.get("details", {})
    subject = read_subject(raw["subject"])
    estimate = Estimate(
        subject=subject,
        span=Span.of_seconds(raw["start"], raw["end"]),
        probabilities=_read_scores(raw, taxonomies),
        modality=modality,
        quality=raw["quality"],
        model_id=raw["model"],
        affect=Affect(**_known(Affect, affect)) if affect else None,
        embedding=None if embedding is None else np.array(embedding, np.float32),
        fusion=None
        if fused is None
        else FusionDetails(
            {Modality(m): share for m, share in fused["weights"].items()},
            fused["disagreement"],
            {Modality(m): _read_scores(s, taxonomies) for m, s in fused["probabilities"].items()},
            _read_parts(details, fused["probabilities"]),
        ),
        details=_read_own(subject, modality, details),
        attribution=details.get("link"),
        uncertain=_read_uncertain(raw.get("uncertain")),
    )
    if "machine" not in raw:
        return estimate
    found = raw["machine"]
    by_hand = raw["source"] == LabelSource.HAND.value
    machine = replace(
        estimate,
        subject=read_subject(found["subject"]),
        probabilities=_read_scores(found, taxonomies) if by_hand else estimate.probabilities,
        uncertain=_read_uncertain(found["uncertain"]),
    )
    return replace(estimate, machine=machine)


def _read_parts(raw: Mapping[str, Any], parts: Iterable[str]) -> dict[Modality, Details]:
    """Read what each part of a fused estimate keeps of its evidence."""
    found = {m: _read_details(m, raw) for m in map(Modality, parts)}
    return {m: details for m, details in found.items() if details is not None}


def _read_own(subject: Subject, modality: Modality, raw: Mapping[str, Any]) -> Details | None:
    """Read an estimate's own details: fused estimates of one subject have none."""
    if modality is not Modality.FUSED:
        return _read_details(modality, raw)
    group = GroupDetails.of_mapping(raw)
    return group if subject.kind is SubjectKind.GROUP and group.to_mapping() else None


def _read_details(modality: Modality, raw: Mapping[str, Any]) -> Details | None:
    details = modality.spec.details.of_mapping(raw)
    return details if details.to_mapping() else None


def _read_uncertain(name: str | None) -> Rejected | None:
    """Read a reason; one of a later emofuse is still a reason."""
    if name is None:
        return None
    known = {reason.value for reason in RejectionReason}
    return Rejected(RejectionReason(name) if name in known else RejectionReason.LOW_CONFIDENCE)


def _read_scores(raw: Mapping[str, Any], taxonomies: Mapping[str, Taxonomy]) -> Probabilities:
    taxonomy = taxonomies[raw["taxonomy"]]
    p = raw["probabilities"]
    return Probabilities(taxonomy, np.array([p[label] for label in taxonomy.labels], np.float32))


def read_subject(text: str) -> Subject:
    """Read a subject's name, e.g. ``"face-2"``.

    Raises:
        ValueError: if it is not one.
    """
    kind, _, number = text.rpartition("-")
    return Subject(SubjectKind(kind), int(number))


def _known(kind: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a dataclass knows: a later emofuse may have written more."""
    return {f.name: raw[f.name] for f in fields(kind) if f.name in raw}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(v) for key, v in value.items()}
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
