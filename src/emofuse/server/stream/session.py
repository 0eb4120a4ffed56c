"""One client's live session: what comes in, what goes out, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import WebSocket, WebSocketDisconnect

from ...core.labels import CANONICAL
from ...core.media import MediaInfo
from ...core.modality import Modality
from ...core.time import NS
from ..auth.auth import client_of
from ..http.errors import ApiError
from ..metrics import Metrics
from ..settings import Limits
from .frames import Decoders
from .intake import Intake
from .load_shedding import LoadShedder
from .messages import Outbox
from .protocol import CloseReason, SessionParams, read_close, read_packet
from .publisher import EventPublisher, StreamCounts

if TYPE_CHECKING:
    from ...analyzer import Analyzer
    from ...streaming import Event, LiveSession

_MAX_ERRORS = 20  # invalid messages before the session is closed
_STATS_SECONDS = 1.0
_FLUSH_SECONDS = 30.0  # for the engine to finish after session.close
_SEND_SECONDS = 20.0  # for the client to take one message


class Session:
    """One client's live session.

    Args:
        socket: the open WebSocket.
        analyzer: has the models.
        params: what the client announced.
        limits: what is accepted.
        metrics: counts what happens.
        decoders: threads that decode frames.
        stopping: set when the server ends.
    """

    def __init__(
        self,
        socket: WebSocket,
        analyzer: Analyzer,
        params: SessionParams,
        limits: Limits,
        metrics: Metrics,
        decoders: Decoders,
        stopping: asyncio.Event,
    ) -> None:
        from ...streaming import live_info

        self._socket, self._analyzer, self._params = socket, analyzer, params
        self._limits, self._metrics, self._stopping = limits, metrics, stopping
        self._info = live_info(video=params.video, audio=params.audio, rate=params.rate)
        self._id = secrets.token_hex(8)
        self._outbox, self._counts = Outbox(), StreamCounts()
        self._publisher = EventPublisher(self._outbox, metrics, self._counts)
        side = analyzer.config.max_side
        self._intake = Intake(
            params,
            limits,
            side,
            decoders,
            client_of(socket.scope),
            metrics,
            self._publisher,
            self._counts,
        )
        self._live: LiveSession | None = None
        self._opening: asyncio.Task[LiveSession | None] | None = None
        self._over = threading.Event()
        self._shedder = LoadShedder()

    async def run(self) -> None:
        """Serve the client until either side ends the session."""
        helpers = [asyncio.create_task(self._send()), asyncio.create_task(self._send_stats())]
        starting = asyncio.create_task(self._start())
        try:
            reason = await self._receive(helpers[0], starting)
            if reason is not CloseReason.GONE:
                await self._say_closed(reason, helpers[0])
        finally:
            for task in (*helpers, starting):
                task.cancel()
            self._intake.cancel()
            await asyncio.gather(*helpers, starting, return_exceptions=True)
            self._metrics.frames.labels("dropped").inc(self._dropped())

    async def _start(self) -> None:
        """Load the models and start the engine. What arrives meanwhile is dropped.

        Raises:
            EmofuseError: if a model is missing or damaged.
        """
        from ...streaming import LiveSession

        loop = asyncio.get_running_loop()

        def on_event(event: Event) -> None:
            loop.call_soon_threadsafe(self._publisher.take, event)

        created = None

        def start() -> LiveSession | None:
            nonlocal created
            created = self._created(self._info)
            if self._over.is_set():  # the client left while the models were being loaded
                return None
            return LiveSession(self._analyzer, self._info, listener=on_event)

        self._opening = asyncio.create_task(asyncio.to_thread(start))
        self._live = await asyncio.shield(self._opening)  # a thread cannot be cancelled
        if self._live is not None and created is not None:
            self._intake.open(self._live)
            self._outbox.put(created)

    async def close(self) -> None:
        """Stop the engine, also if it is only being started; harmless when called twice."""
        self._over.set()
        await asyncio.shield(self._stop())

    async def _stop(self) -> None:
        if self._opening is not None:
            with contextlib.suppress(Exception):  # was told already
                live = await self._opening
                if live is not None:
                    await asyncio.to_thread(live.close)

    async def _receive(
        self, sender: asyncio.Task[None], starting: asyncio.Task[None]
    ) -> CloseReason:
        """Take messages until the session ends; return why it does."""
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
                if sender in done:  # the client does not read what is sent
                    return CloseReason.GONE
                if message in done:
                    received, message = message.result(), None
                    if (end := self._handle(received)) is not None:
                        return end
                elif starting not in done:
                    return CloseReason.STOPPING if stopping in done else CloseReason.IDLE
        finally:
            stopping.cancel()
            if message is not None:
                message.cancel()

    def _handle(self, received: Mapping[str, Any]) -> CloseReason | None:
        """Act on a message; return why the session ends, if it does."""
        if received["type"] == "websocket.disconnect":
            return CloseReason.GONE
        try:
            data = received.get("bytes")
            if data is not None:
                self._intake.take(read_packet(data))
            else:
                read_close(received.get("text") or "")
                return CloseReason.CLOSED
        except ApiError as error:
            self._publisher.report(error)
        return CloseReason.TOO_MANY_ERRORS if self._publisher.errors > _MAX_ERRORS else None

    def _created(self, info: MediaInfo) -> dict[str, Any]:
        made = self._analyzer.provenance(info)
        engine = made.components.get("asr") if self._params.audio else None
        return {
            "type": "session.created",
            "id": self._id,
            "video": self._params.video,
            "audio": self._params.audio,
            "asr": None if engine == "none" else engine,
            "labels": list(CANONICAL.labels),
            "models": {m.value: model for m, model in made.models.items()},
            "slot_seconds": self._analyzer.config.slot_seconds,
            "idle_seconds": self._limits.session_idle,
        }

    def _stats(self) -> dict[str, Any] | None:
        if self._live is None:
            return None
        counters, counts = self._live.counters(), self._counts
        return {
            "received": {"pictures": counts.frames, "seconds": round(counts.audio_ns / NS, 3)},
            "analyzed": {"pictures": counts.analyzed},
            "dropped": {
                "pictures": counts.skipped + counters.dropped_frames,
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
        return self._counts.skipped + dropped

    async def _send_stats(self) -> None:
        started: float | None = None
        while True:
            await asyncio.sleep(_STATS_SECONDS)
            self._shed_load()
            if (stats := self._stats()) is not None:
                started = started or time.monotonic() - _STATS_SECONDS
                elapsed = round(time.monotonic() - started, 3)
                self._outbox.put({"type": "stats", "time": elapsed, **stats})

    def _shed_load(self) -> None:
        """Pause text where frames would starve."""
        if self._live is not None:
            paused = self._shedder.update(self._counts.frames, self._counts.analyzed)
            self._live.pause(Modality.TEXT, paused)

    async def _send(self) -> None:
        """Send queued messages until sending fails or the session is closed."""
        while True:
            message = await self._outbox.get()
            text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
            try:
                await asyncio.wait_for(self._socket.send_text(text), _SEND_SECONDS)
            except (asyncio.TimeoutError, WebSocketDisconnect, RuntimeError):
                return
            if message["type"] == "session.closed":
                return

    async def _say_closed(self, reason: CloseReason, sender: asyncio.Task[None]) -> None:
        """Flush what the engine still has, then tell the client that the session is closed."""
        if reason is CloseReason.CLOSED and self._live is not None:
            await self._intake.drain(_SEND_SECONDS)
            self._live.finish()
            if not await self._flushed(self._live):
                return
        self._outbox.put({"type": "session.closed", "reason": reason.value, "stats": self._stats()})
        await asyncio.wait([sender], timeout=_SEND_SECONDS)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(reason.close_code, reason.value)

    async def _flushed(self, live: LiveSession) -> bool:
        """Wait until the engine has ended; False if the client leaves before."""
        ending = asyncio.create_task(asyncio.to_thread(_wait_for_end, live, _FLUSH_SECONDS))
        leaving = asyncio.create_task(self._left())
        await asyncio.wait({ending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        await asyncio.sleep(0)  # the engine's last events are on the loop now
        return ending.done()

    async def _left(self) -> None:
        """Wait until the client has left."""
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass


def _wait_for_end(live: LiveSession, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not live.ended and time.monotonic() < deadline:
        time.sleep(0.02)
