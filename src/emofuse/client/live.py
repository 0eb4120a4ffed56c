"""A live session with a server: pictures and sound go there, messages come back."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import MissingExtra
from .errors import ServerError, refusal, unreachable
from .types import LiveMessage

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_HEADER = struct.Struct("<BBHIQ")  # kind, version, 0, number, microseconds
_VERSION, _PICTURE, _SOUND = 1, 1, 2
_CLOSE = '{"type": "session.close"}'


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame of a live session.

    Args:
        seconds: when it was taken, since the session started.
        data: a baseline JPEG, a PNG or a WebP.
    """

    seconds: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of the sound of a live session.

    Args:
        seconds: when its first sample was taken, since the session started.
        data: signed 16-bit samples of one channel, little-endian, at most one second.
    """

    seconds: float
    data: bytes


Packet = Picture | Sound
"""What is sent in a live session."""


def stream(
    address: str, headers: Mapping[str, str], packets: Iterable[Packet], timeout: float
) -> Iterator[LiveMessage]:
    """Send packets to the WebSocket at an address and yield what it says; see `Client.live`."""
    try:
        from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
        from websockets.sync.client import connect
    except ImportError as e:
        raise MissingExtra("web", "a live session with a server") from e

    try:
        socket = connect(address, additional_headers=headers, open_timeout=timeout)
    except InvalidStatus as e:
        answer = e.response
        raise refusal(address, answer.status_code, bytes(answer.body or b"")) from e
    except (OSError, WebSocketException) as e:
        raise unreachable(address, e) from e
    sender = _Sender(socket, packets)
    with socket:
        while True:
            try:
                message: LiveMessage = json.loads(socket.recv())
            except ConnectionClosed as e:
                if sender.error is not None:
                    raise sender.error from None
                raise ServerError("unreachable", f"the connection to {address} was lost") from e
            if message["type"] == "session.created":  # what is sent before is dropped
                sender.start()
            yield message
            if message["type"] == "session.closed":
                return


class _Sender(threading.Thread):
    """Sends packets as they come, then says that these were all."""

    def __init__(self, socket: ClientConnection, packets: Iterable[Packet]) -> None:
        super().__init__(name="emofuse-live", daemon=True)
        self._socket, self._packets = socket, packets
        self.error: Exception | None = None

    def run(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            for number, packet in enumerate(self._packets):
                self._socket.send(_message(packet, number))
            self._socket.send(_CLOSE)
        except ConnectionClosed:  # whoever receives will hear of it
            pass
        except Exception as e:  # of the packets: it is raised where the messages are read
            self.error = e
            self._socket.close()


def _message(packet: Packet, number: int) -> bytes:
    kind = _PICTURE if isinstance(packet, Picture) else _SOUND
    micros = round(packet.seconds * 1e6)
    return _HEADER.pack(kind, _VERSION, 0, number & 0xFFFFFFFF, micros) + packet.data
