"""Requests and responses in the format of DeepFace's server, for programs written for it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InputError


class AddressRefusedError(InputError):
    """An image was given by URL or path instead of being sent."""


@dataclass(frozen=True, slots=True)
class FaceRequest:
    """A request of such a program.

    Args:
        image: the image file's bytes.
        enforce_detection: whether an image without a face is an error.
    """

    image: bytes
    enforce_detection: bool


def read_request(fields: Mapping[str, Any]) -> FaceRequest:
    """Read the fields of a request.

    Args:
        fields: of JSON or of a form; ``img`` may be bytes or a data URI.

    Raises:
        AddressRefusedError: if the image is a URL or a path.
        InputError: if there is no image, or emofuse cannot do what is asked for.
    """
    actions = _list(fields.get("actions", ["emotion"]))
    other = [str(action) for action in actions if action != "emotion"]
    if other or not actions:
        raise InputError(
            f"actions are {', '.join(other)[:80] or 'empty'}, expected emotion: emofuse "
            "recognizes nothing else"
        )
    if _flag(fields.get("anti_spoofing", False), "anti_spoofing"):
        raise InputError("emofuse does not support anti_spoofing; leave it out")
    image = fields.get("img", fields.get("img_path"))
    if image is None:
        raise InputError('there is no "img"; send an image as a data URI or as a file')
    if not isinstance(image, bytes):
        image = decode_data_uri(image)
    return FaceRequest(image, _flag(fields.get("enforce_detection", True), "enforce_detection"))


def decode_data_uri(text: Any) -> bytes:
    """Return the bytes in ``data:image/…;base64,…``.

    Raises:
        AddressRefusedError: if it is a URL or a path.
        InputError: if the base64 is damaged.
    """
    if not isinstance(text, str) or not text.startswith("data:"):
        raise AddressRefusedError(
            f"img is {str(text)[:60]!r}, expected data:image/…;base64,… or a file: no URL is "
            "fetched and no path is opened"
        )
    head, comma, data = text.partition(",")
    if not comma or not head.endswith(";base64"):
        raise InputError("img is a data URI that is not base64; encode it as base64")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("the base64 of img is damaged; encode the image again") from None


def to_results(timeline: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn an image's timeline (as in ``timeline.json``) into DeepFace's results."""
    video = timeline["media"]["video"]
    faces = [e for e in timeline["estimates"] if e["modality"] == "face"]
    return [_result(face, video["width"], video["height"]) for face in faces]


def _result(face: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    x, y, w, h = face["details"]["box"]
    return {
        "emotion": {label: 100 * p for label, p in face["probabilities"].items()},
        "dominant_emotion": face["label"],
        "region": {
            "x": round(x * width),
            "y": round(y * height),
            "w": round(w * width),
            "h": round(h * height),
        },
        "face_confidence": round(face["quality"], 4),
    }


def _list(value: Any) -> list[Any]:
    """Parse a list; forms have strings only: ``["emotion"]`` or ``emotion,age``."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [part.strip() for part in value.split(",")]
    return value if isinstance(value, list) else [value]


def _flag(value: Any, name: str) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise InputError(f"{name} is {str(value)[:40]!r}, expected true or false")
    return words[str(value).lower()]
