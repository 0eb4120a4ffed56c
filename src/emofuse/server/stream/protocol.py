"""The wire format of a live session: parameters, binary messages, close codes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..http.errors import ApiError

HEADER = struct.Struct("<BBHIQ")
"""Of a binary message: kind, version, 0, number, time in microseconds."""

VERSION = 1
FRAME, AUDIO = 1, 2

_RATES = range(8000, 48001)
_LONGEST_MICROS = 30 * 86400 * 1_000_000


class CloseReason(str, Enum):
    """Why a session ended, with the WebSocket's close code."""

    GONE = "gone"
    CLOSED = "closed"
    IDLE = "idle"
    STOPPING = "stopping"
    TOO_MANY_ERRORS = "too-many-errors"
    ERROR = "error"

    @property
    def close_code(self) -> int:
        """The WebSocket's close code."""
        return {"closed": 1000, "idle": 1000, "stopping": 1001, "too-many-errors": 1008}.get(
            self.value, 1011
        )


@dataclass(frozen=True, slots=True)
class SessionParams:
    """What a client announces about its session.

    Args:
        video: frames will come.
        audio: audio will come.
        asr: speech is to be recognized.
        rate: of the audio, in Hz.

    Raises:
        ApiError: ``bad-argument``.
    """

    video: bool = True
    audio: bool = True
    asr: bool = True
    rate: int = 16_000

    def __post_init__(self) -> None:
        if self.rate not in _RATES:
            raise ApiError(
                "bad-argument", f"rate is {self.rate}, expected {_RATES[0]} … {_RATES[-1]} Hz"
            )
        if not (self.video or self.audio):
            raise ApiError("bad-argument", "video and audio are both 0; at least one is needed")


def parse_params(query: Mapping[str, str]) -> SessionParams:
    """Read a session's query parameters.

    Raises:
        ApiError: ``bad-argument``.
    """
    unknown = sorted(set(query) - {"video", "audio", "asr", "rate"})
    if unknown:
        raise ApiError(
            "bad-argument", f"unknown parameter {unknown[0][:40]!r}; see docs/api.md, Live"
        )
    flags = {name: query.get(name, "1") for name in ("video", "audio", "asr")}
    for name, text in flags.items():
        if text not in ("0", "1"):
            raise ApiError("bad-argument", f"{name} is {text[:20]!r}, expected 0 or 1")
    rate = query.get("rate", "16000")
    if not (rate.isascii() and rate.isdecimal() and len(rate) < 8):
        raise ApiError("bad-argument", f"rate is {rate[:20]!r}, expected a number")
    return SessionParams(**{name: text == "1" for name, text in flags.items()}, rate=int(rate))


@dataclass(frozen=True, slots=True)
class Packet:
    """A binary message.

    Args:
        kind: `FRAME` or `AUDIO`.
        number: the client's number of a frame.
        time_ns: since the session's start.
        body: a JPEG, or 16-bit samples.
    """

    kind: int
    number: int
    time_ns: int
    body: bytes


def read_packet(data: bytes) -> Packet:
    """Read a binary message.

    Raises:
        ApiError: ``bad-message``.
    """
    if len(data) <= HEADER.size:
        raise bad(f"a binary message of {len(data)} bytes has nothing after its header")
    kind, version, zero, number, micros = HEADER.unpack_from(data)
    if version != VERSION or zero != 0 or kind not in (FRAME, AUDIO):
        raise bad(
            f"the header says kind {kind}, version {version}, {zero}; expected kind 1 or 2, "
            "version 1, 0 (little-endian)"
        )
    if micros > _LONGEST_MICROS:
        raise bad(f"time {micros} µs is beyond 30 days; count from the session's start")
    return Packet(kind, number, micros * 1000, data[HEADER.size :])


def read_close(text: str) -> None:
    """Read a text message; the only kind closes the session.

    Raises:
        ApiError: ``bad-message`` if it is another.
    """
    try:
        type_ = json.loads(text)["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise bad('a text message must be JSON such as {"type": "session.close"}') from None
    if type_ != "session.close":
        raise bad(f"unknown type {str(type_)[:40]!r}; expected session.close")


def bad(message: str) -> ApiError:
    """Return the error for an invalid message."""
    return ApiError("bad-message", message)
