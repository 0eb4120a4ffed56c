"""Live sessions over a WebSocket: pictures and sound in, measurements out.

What comes is pushed into a `LiveSession`, which never blocks; what it says leaves
through a bounded outbox. On both ways the newest wins and what is left out is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from ...core.estimates import Estimate, Modality
from ...core.labels import CANONICAL
from ...core.media import AudioChunk, Frame, MediaInfo, Note, Progress
from ...core.time import NS, Span
from ...errors import EmofuseError
from .errors import ApiError, from_emofuse
from .guard import client_of, deny
from .metrics import Metrics
from .settings import Limits
from .worker import bug

if TYPE_CHECKING:
    from ...analyzer import Analyzer
    from ...streaming import Event, LiveSession
    from .app import House

HEADER = struct.Struct("<BBHIQ")
"""Of a binary message: kind, version, 0, number, time in microseconds."""

VERSION = 1
PICTURE, SOUND = 1, 2

_RATES = range(8000, 48001)
_SOUND_SECONDS = 1.0  # longest piece of sound
_JITTER_NS = NS // 20  # a clock may be off by this much before a gap is taken for one
_BACKWARDS_NS = NS  # and this much into the past
_USUAL_PERIOD_NS = NS // 25
_SHORTEST_PERIOD_NS, _LONGEST_PERIOD_NS = NS // 100, NS // 5  # a picture tells about so much
_WAITING = 64  # messages that may wait to be sent
_MISTAKES = 20  # bad messages before the session is ended
_STATS_SECONDS = 1.0
_FLUSH_SECONDS = 30.0  # for what is still to be said after session.close
_SEND_SECONDS = 20.0  # for one message to be taken by the client


class Reason(str, Enum):
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
class Wish:
    """What a client says of the session that it opens.

    Args:
        video: pictures will come.
        audio: sound will come.
        words: speech is to be recognised.
        rate: samples per second of the sound.

    Raises:
        ApiError: ``bad-argument``.
    """

    video: bool = True
    audio: bool = True
    words: bool = True
    rate: int = 16_000

    def __post_init__(self) -> None:
        if self.rate not in _RATES:
            raise ApiError(
                "bad-argument", f"rate is {self.rate}, expected {_RATES[0]} … {_RATES[-1]} Hz"
            )
        if not (self.video or self.audio):
            raise ApiError("bad-argument", "neither video nor audio will come; one is needed")


def read_wish(query: Mapping[str, str]) -> Wish:
    """Read a session's query parameters.

    Raises:
        ApiError: ``bad-argument``.
    """
    unknown = sorted(set(query) - {"video", "audio", "words", "rate"})
    if unknown:
        raise ApiError(
            "bad-argument", f"unknown parameter {unknown[0][:40]!r}; see docs/api.md, Live"
        )
    flags = {name: query.get(name, "1") for name in ("video", "audio", "words")}
    for name, text in flags.items():
        if text not in ("0", "1"):
            raise ApiError("bad-argument", f"{name} is {text[:20]!r}, expected 0 or 1")
    rate = query.get("rate", "16000")
    if not (rate.isascii() and rate.isdecimal() and len(rate) < 8):
        raise ApiError("bad-argument", f"rate is {rate[:20]!r}, expected a number")
    return Wish(**{name: text == "1" for name, text in flags.items()}, rate=int(rate))


class LiveModels:
    """The analyzers of live sessions: one loads the models, all use them.

    Args:
        house: whose settings they have.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._made: dict[bool, Analyzer] = {}
        self._making = threading.Lock()

    def analyzer(self, words: bool) -> Analyzer:
        """Return the analyzer for sessions with or without speech recognition.

        Raises:
            EmofuseError: if there is nothing to analyse then, or a model is missing.
        """
        from ...analyzer import Analyzer
        from ...streaming import live_config

        with self._making:
            if words not in self._made:
                config = live_config(self._house.config)
                if not words:
                    left = tuple(m for m in config.modalities if m is not Modality.WORDS)
                    config = replace(config, modalities=left)
                other = self._made.get(not words)
                self._made[words] = other.sharing(config) if other else Analyzer(config)
            return self._made[words]


@dataclass(slots=True)
class Tally:
    """What came, and what became of it."""

    pictures: int = 0
    analysed: int = 0
    skipped: int = 0  # pictures that a newer one replaced before they were decoded
    sound_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture that was pushed."""

    number: int
    time_ns: int
    end_ns: int
    arrived: float


class Outbox:
    """Messages on their way out. When too many wait, those that the next replaces go first."""

    def __init__(self, size: int = _WAITING) -> None:
        self._size = size
        self._messages: deque[dict[str, Any]] = deque()
        self._ready = asyncio.Event()
        self.left_out = 0

    def put(self, message: dict[str, Any]) -> None:
        """Add a message; never blocks."""
        self._messages.append(message)
        if len(self._messages) > self._size:
            passing = ("face", "provisional")
            oldest = next(
                (m for m in self._messages if m.get("kind") in passing), self._messages[0]
            )
            self._messages.remove(oldest)
            self.left_out += 1
        self._ready.set()

    async def get(self) -> dict[str, Any]:
        """Wait for the next message."""
        while not self._messages:
            self._ready.clear()
            await self._ready.wait()
        return self._messages.popleft()


class Session:
    """One client's live session.

    Args:
        socket: the open WebSocket.
        analyzer: has the models.
        wish: what the client said.
        limits: how much is taken in.
        metrics: is told what happens.
        decoders: decode pictures.
        stopping: set when the server ends.
    """

    def __init__(
        self,
        socket: WebSocket,
        analyzer: Analyzer,
        wish: Wish,
        limits: Limits,
        metrics: Metrics,
        decoders: ThreadPoolExecutor,
        stopping: asyncio.Event,
    ) -> None:
        from ...streaming import live_info

        self._socket, self._analyzer, self._wish = socket, analyzer, wish
        self._limits, self._metrics, self._decoders = limits, metrics, decoders
        self._stopping = stopping
        self._info = live_info(video=wish.video, audio=wish.audio, rate=wish.rate)
        self._id = secrets.token_hex(8)
        self._outbox, self._tally = Outbox(), Tally()
        self._mistakes = 0
        self._picture: tuple[int, int, bytes, float] | None = None  # the newest, undecoded
        self._decoding: asyncio.Task[None] | None = None
        self._clock = _PictureClock()
        self._shown: deque[_Shown] = deque(maxlen=256)
        self._faces: dict[int, list[dict[str, Any]]] = {}  # by the end of their picture
        self._next_sample = 0
        self._live: LiveSession | None = None

    async def run(self) -> None:
        """Serve the client until one of both has enough."""
        helpers = [asyncio.create_task(self._send()), asyncio.create_task(self._tell_stats())]
        starting = asyncio.create_task(self._start())
        try:
            reason = await self._receive(helpers[0], starting)
            if reason is not Reason.GONE:
                await self._say_goodbye(reason, helpers[0])
        finally:
            for task in (*helpers, starting, *([self._decoding] if self._decoding else ())):
                task.cancel()
            await asyncio.gather(*helpers, starting, return_exceptions=True)
            self._metrics.frames.labels("dropped").inc(self._dropped())

    async def _start(self) -> None:
        """Load the models and start the engine. What comes meanwhile is dropped.

        Raises:
            EmofuseError: if a model is missing or damaged.
        """
        from ...streaming import LiveSession

        loop = asyncio.get_running_loop()

        def heard(event: Event) -> None:
            loop.call_soon_threadsafe(self._take, event)

        def start() -> tuple[LiveSession, dict[str, Any]]:
            created = self._created(self._info)
            return LiveSession(self._analyzer, self._info, listener=heard), created

        self._live, created = await asyncio.to_thread(start)
        self._outbox.put(created)

    async def close(self) -> None:
        """Stop the engine; harmless when called twice."""
        if self._live is not None:
            await asyncio.shield(asyncio.to_thread(self._live.close))

    # ------------------------------------------------------------------ what comes

    async def _receive(self, sender: asyncio.Task[None], starting: asyncio.Task[None]) -> Reason:
        """Take messages until the end, and say why it is."""
        stopping = asyncio.create_task(self._stopping.wait())
        message: asyncio.Task[Any] | None = None
        watched: set[asyncio.Task[Any]] = {stopping, sender, starting}
        try:
            while True:
                message = message or asyncio.create_task(self._socket.receive())
                loading = starting in watched
                done, _ = await asyncio.wait(
                    {message, *watched},
                    timeout=None if loading else self._limits.session_idle,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if starting in done:
                    starting.result()  # raises what went wrong
                    watched.discard(starting)
                if sender in done:  # the client does not read what we send
                    return Reason.GONE
                if message in done:
                    received, message = message.result(), None
                    if (end := self._heed(received)) is not None:
                        return end
                elif starting not in done:
                    return Reason.STOPPING if stopping in done else Reason.IDLE
        finally:
            stopping.cancel()
            if message is not None:
                message.cancel()

    def _heed(self, received: Mapping[str, Any]) -> Reason | None:
        """Act on a message; say why it was the last, if it was."""
        if received["type"] == "websocket.disconnect":
            return Reason.GONE
        try:
            data = received.get("bytes")
            if data is not None:
                self._heed_binary(data)
            elif self._heed_text(received.get("text") or ""):
                return Reason.CLOSED
        except ApiError as error:
            self._complain(error)
        return Reason.TOO_MANY_ERRORS if self._mistakes > _MISTAKES else None

    def _heed_text(self, text: str) -> bool:
        try:
            type_ = json.loads(text)["type"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _bad('a text message must be JSON such as {"type": "session.close"}') from None
        if type_ != "session.close":
            raise _bad(f"unknown type {str(type_)[:40]!r}; expected session.close")
        return True

    def _heed_binary(self, data: bytes) -> None:
        if len(data) <= HEADER.size:
            raise _bad(f"a binary message of {len(data)} bytes has nothing after its header")
        kind, version, zero, number, micros = HEADER.unpack_from(data)
        if version != VERSION or zero != 0 or kind not in (PICTURE, SOUND):
            raise _bad(
                f"the header says kind {kind}, version {version}, {zero}; expected kind 1 or 2, "
                "version 1, 0 (little-endian)"
            )
        if micros > 30 * 86400 * 1_000_000:
            raise _bad(f"time {micros} µs is beyond 30 days; count from the session's start")
        body = data[HEADER.size :]
        if kind == PICTURE:
            self._heed_picture(number, micros * 1000, body)
        else:
            self._heed_sound(micros * 1000, body)

    def _heed_picture(self, number: int, time_ns: int, jpeg: bytes) -> None:
        if not self._wish.video:
            raise _bad("a picture came in a session without video")
        if len(jpeg) > self._limits.picture_bytes:
            raise ApiError(
                "too-large", f"a picture of {len(jpeg)} bytes; at most {self._limits.picture_bytes}"
            )
        self._tally.pictures += 1
        if self._live is None:  # models are being loaded
            self._tally.skipped += 1
            return
        if self._picture is not None:
            self._tally.skipped += 1
        self._picture = (number, time_ns, jpeg, time.perf_counter())
        if self._decoding is None or self._decoding.done():
            self._decoding = asyncio.create_task(self._decode())

    async def _decode(self) -> None:
        """Decode the newest picture, and again while there is a newer one."""
        loop = asyncio.get_running_loop()
        side, most = self._analyzer.config.max_side, self._limits.picture_megapixels
        while self._picture is not None:
            (number, time_ns, jpeg, arrived), self._picture = self._picture, None
            try:
                image = await loop.run_in_executor(self._decoders, decode_jpeg, jpeg, most, side)
                span = self._clock.span(time_ns)
            except ApiError as error:
                self._metrics.frames.labels("refused").inc()
                self._complain(error)
                continue
            self._shown.append(_Shown(number, time_ns, span.end_ns, arrived))
            assert self._live is not None
            self._live.push(Frame(image, span))

    def _heed_sound(self, time_ns: int, pcm: bytes) -> None:
        rate = self._wish.rate
        if not self._wish.audio:
            raise _bad("sound came in a session without audio")
        if len(pcm) % 2 or len(pcm) > 2 * rate * _SOUND_SECONDS:
            raise _bad(
                f"sound of {len(pcm)} bytes; expected whole 16-bit samples, at most "
                f"{_SOUND_SECONDS:g} s of them"
            )
        if self._live is None:
            return
        expected_ns = self._next_sample * NS // rate
        if time_ns < expected_ns - _BACKWARDS_NS:
            raise _bad(f"sound of {time_ns / NS:.3f} s came after that of {expected_ns / NS:.3f} s")
        if time_ns > expected_ns + _JITTER_NS:  # a pause: the time in between was silent
            self._next_sample = time_ns * rate // NS
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        self._live.push(AudioChunk(samples, rate, self._next_sample))
        self._next_sample += len(samples)
        self._tally.sound_ns += len(samples) * NS // rate

    def _complain(self, error: ApiError) -> None:
        self._mistakes += 1
        self._outbox.put({"type": "error", **error.body, "fatal": False})

    # --------------------------------------------------------------- what is said

    def _take(self, event: Event) -> None:
        """Turn what the engine says into messages; on the event loop."""
        if isinstance(event, Note):
            at = None if event.at_ns is None else round(event.at_ns / NS, 3)
            self._outbox.put(
                {"type": "note", "code": event.code, "message": event.message, "time": at}
            )
        elif isinstance(event, Progress):
            if event.track is Modality.FACE:
                self._tell_faces(event.upto_ns)
        else:
            self._measured(event.kind.value, event.estimate, event.latency_ns)

    def _measured(self, kind: str, estimate: Estimate, latency_ns: int) -> None:
        said = estimate_message(estimate)
        if kind == "frame":
            self._faces.setdefault(estimate.span.end_ns, []).append(said)
        elif kind == "now":
            self._tell("provisional", [said], latency_ns / 1e6)
        elif estimate.modality is not Modality.FACE:  # those were told with their pictures
            self._tell(estimate.modality.value, [said], latency_ns / 1e6)

    def _tell_faces(self, upto_ns: int) -> None:
        """Tell of the pictures that are settled: each with faces, and the newest in any case."""
        newest: _Shown | None = None
        told_newest = False
        while self._shown and self._shown[0].end_ns <= upto_ns:
            newest = self._shown.popleft()
            faces = self._faces.pop(newest.end_ns, None)
            told_newest = faces is not None
            if faces is not None:
                self._tell_picture(newest, faces)
        if newest is not None and not told_newest:
            self._tell_picture(newest, [])
        self._faces = {end: faces for end, faces in self._faces.items() if end > upto_ns}

    def _tell_picture(self, shown: _Shown, faces: list[dict[str, Any]]) -> None:
        seconds = time.perf_counter() - shown.arrived
        self._tally.analysed += 1
        self._metrics.frames.labels("analysed").inc()
        self._metrics.stream_latency.observe(seconds)
        where = {"number": shown.number, "time": round(shown.time_ns / NS, 6)}
        self._tell("face", faces, seconds * 1000, **where)

    def _tell(
        self, kind: str, estimates: list[dict[str, Any]], latency_ms: float, **more: Any
    ) -> None:
        message = {"type": "measurement", "kind": kind, **more}
        message["latency_ms"] = round(latency_ms, 1)
        self._outbox.put(message | {"estimates": estimates})

    def _created(self, info: MediaInfo) -> dict[str, Any]:
        made = self._analyzer.provenance(info)
        words = made.components.get("words") if self._wish.audio else None
        return {
            "type": "session.created",
            "id": self._id,
            "video": self._wish.video,
            "audio": self._wish.audio,
            "words": None if words == "none" else words,
            "labels": list(CANONICAL.labels),
            "models": {m.value: model for m, model in made.models.items()},
            "slot_seconds": self._analyzer.config.slot_seconds,
            "idle_seconds": self._limits.session_idle,
        }

    def _stats(self) -> dict[str, Any] | None:
        if self._live is None:
            return None
        counters, tally = self._live.counters(), self._tally
        return {
            "received": {"pictures": tally.pictures, "seconds": round(tally.sound_ns / NS, 3)},
            "analysed": {"pictures": tally.analysed},
            "dropped": {
                "pictures": tally.skipped + counters.dropped_frames,
                "seconds": round(counters.dropped_sound_seconds, 3),
                "late": counters.late,
                "messages": self._outbox.left_out,
            },
            "latency_ms": {
                name: {"p50": delay.p50, "p95": delay.p95}
                for name, delay in counters.latency.items()
            },
        }

    def _dropped(self) -> int:
        dropped = 0 if self._live is None else self._live.counters().dropped_frames
        return self._tally.skipped + dropped

    async def _tell_stats(self) -> None:
        started: float | None = None
        while True:
            await asyncio.sleep(_STATS_SECONDS)
            if (stats := self._stats()) is not None:
                started = started or time.monotonic() - _STATS_SECONDS
                elapsed = round(time.monotonic() - started, 3)
                self._outbox.put({"type": "stats", "time": elapsed, **stats})

    async def _send(self) -> None:
        """Send what is said until it cannot be sent, or the session is closed."""
        while True:
            message = await self._outbox.get()
            text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
            try:
                await asyncio.wait_for(self._socket.send_text(text), _SEND_SECONDS)
            except (asyncio.TimeoutError, WebSocketDisconnect, RuntimeError):
                return
            if message["type"] == "session.closed":
                return

    async def _say_goodbye(self, reason: Reason, sender: asyncio.Task[None]) -> None:
        """Say what is still to be said, and that it is over."""
        if reason is Reason.CLOSED and self._live is not None:
            if self._decoding is not None:
                await asyncio.wait([self._decoding], timeout=_SEND_SECONDS)
            self._live.finish()
            await asyncio.to_thread(_wait_for_end, self._live, _FLUSH_SECONDS)
            await asyncio.sleep(0)  # what the engine said last is on the loop now
        self._outbox.put({"type": "session.closed", "reason": reason.value, "stats": self._stats()})
        await asyncio.wait([sender], timeout=_SEND_SECONDS)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(reason.close_code, reason.value)


class _PictureClock:
    """Says how much time a picture tells about: about as much as lies between pictures.

    Spans never overlap: where pictures come quicker than before, a picture starts where
    the last one's span ends, and is short.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._end_ns = 0
        self._gaps: deque[int] = deque(maxlen=5)

    def span(self, time_ns: int) -> Span:
        """Return a picture's span.

        Raises:
            ApiError: ``bad-message`` if its time is not after the last one's.
        """
        if self._last_ns is not None:
            if time_ns <= self._last_ns:
                raise _bad(
                    f"a picture of {time_ns / NS:.3f} s came after that of {self._last_ns / NS:.3f}"
                )
            self._gaps.append(time_ns - self._last_ns)
        self._last_ns = time_ns
        period = min(self._gaps, default=_USUAL_PERIOD_NS)  # the least: drops leave gaps
        start_ns = max(time_ns, self._end_ns)
        end_ns = time_ns + min(period, _LONGEST_PERIOD_NS)
        self._end_ns = max(end_ns, start_ns + _SHORTEST_PERIOD_NS)
        return Span(start_ns, self._end_ns)


def decode_jpeg(data: bytes, megapixels: float, side: int) -> NDArray[np.uint8]:
    """Decode a JPEG to RGB uint8, (H, W, 3), no side longer than `side`.

    Raises:
        ApiError: if it is none, damaged, or too large.
    """
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            width, height = picture.size
            if width * height > megapixels * 1e6:
                raise ApiError(
                    "too-many-pixels",
                    f"a picture of {width} × {height}; at most {megapixels:g} million pixels",
                )
            picture.draft("RGB", (side, side))  # decodes no more detail than is needed
            picture.thumbnail((side, side), PIL.Image.Resampling.BILINEAR)
            return np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        raise _bad("a picture is no JPEG that can be decoded") from None


def estimate_message(e: Estimate) -> dict[str, Any]:
    """Return an estimate as live messages have it."""
    message: dict[str, Any] = {
        "subject": str(e.subject),
        "modality": e.modality.value,
        "start": round(e.span.start, 4),
        "end": round(e.span.end, 4),
        "label": e.label,
        "confidence": round(e.confidence, 4),
        "quality": round(e.quality, 4),
        "model": e.model_id,
        "probabilities": {label: round(p, 4) for label, p in e.scores.items()},
    }
    if e.blend is not None:
        message["blend"] = {
            "shares": {m.value: round(share, 4) for m, share in e.blend.shares.items()},
            "disagreement": round(e.blend.disagreement, 4),
            "scores": {
                m.value: {label: round(p, 4) for label, p in scores.items()}
                for m, scores in e.blend.scores.items()
            },
        }
    if e.uncertain is not None:
        reason = e.uncertain.reason
        message["uncertain"] = {"reason": reason.value, "message": reason.sentence}
    if e.details:
        message["details"] = dict(_details(e.details))
    return message


def _details(details: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in details.items():
        if isinstance(value, (np.ndarray, np.generic)):
            value = value.tolist()
        if isinstance(value, (tuple, list)):
            value = [round(v, 4) if isinstance(v, float) else v for v in value]
        yield name, value if isinstance(value, (list, str, int, float, bool)) else str(value)


def _wait_for_end(live: LiveSession, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not live.ended and time.monotonic() < deadline:
        time.sleep(0.02)


def _bad(message: str) -> ApiError:
    return ApiError("bad-message", message)


@dataclass(slots=True)
class _Door:
    """Opens sessions; one for all of a server's."""

    house: House
    models: LiveModels = field(init=False)
    decoders: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="emofuse-jpeg")
    )

    def __post_init__(self) -> None:
        self.models = LiveModels(self.house)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open a session, or say why not, and serve it."""
        house = self.house
        try:
            house.check_open()
            socket = WebSocket(scope, receive, send)
            wish = read_wish(socket.query_params)
            with house.sessions.hold(client_of(scope)):
                analyzer = await asyncio.to_thread(self.models.analyzer, wish.words)
                await self._serve(socket, analyzer, wish)
        except ApiError as error:
            house.metrics.refused.labels(error.code).inc()
            await deny(error, scope, receive, send)
        except EmofuseError as error:
            await deny(from_emofuse(error), scope, receive, send)

    async def _serve(self, socket: WebSocket, analyzer: Analyzer, wish: Wish) -> None:
        house = self.house
        session = Session(
            socket,
            analyzer,
            wish,
            house.settings.limits,
            house.metrics,
            self.decoders,
            house.stopping,
        )
        try:
            await socket.accept()
            await _run(session, socket)
        finally:
            await session.close()


async def _run(session: Session, socket: WebSocket) -> None:
    """Serve a session, and say so if it breaks."""
    try:
        await session.run()
    except Exception as cause:
        error = from_emofuse(cause) if isinstance(cause, EmofuseError) else bug()
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_json({"type": "error", **error.body, "fatal": True})
            closed = {"type": "session.closed", "reason": Reason.ERROR.value, "stats": None}
            await socket.send_json(closed)
            await socket.close(Reason.ERROR.close_code)


def add_stream(app: FastAPI, house: House) -> None:
    """Add the WebSocket route."""
    # An object, not a function: Starlette hands it the plain ASGI triple.
    app.router.add_websocket_route("/v1/stream", _Door(house))  # type: ignore[arg-type]
