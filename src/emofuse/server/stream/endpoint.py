"""Opens live sessions."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.types import Receive, Scope, Send

from ...core.estimates import Modality
from ...errors import EmofuseError
from ..auth.auth import client_of, deny
from ..http.errors import ApiError, from_emofuse
from ..jobs.worker import bug
from .protocol import CloseReason, SessionParams, parse_params
from .session import Session

if TYPE_CHECKING:
    from ...analyzer import Analyzer
    from ..state import ServerState


class LiveModels:
    """The analyzers of live sessions: one loads the models, all use them.

    Args:
        house: whose settings they have.
    """

    def __init__(self, house: ServerState) -> None:
        self._house = house
        self._made: dict[bool, Analyzer] = {}
        self._making = threading.Lock()

    def analyzer(self, asr: bool) -> Analyzer:
        """Return the analyzer for sessions with or without speech recognition.

        Raises:
            EmofuseError: if there is nothing to analyze then, or a model is missing.
        """
        from ...analyzer import Analyzer
        from ...streaming import live_config

        with self._making:
            if asr not in self._made:
                config = live_config(self._house.config)
                if not asr:
                    left = tuple(m for m in config.modalities if m is not Modality.TEXT)
                    config = replace(config, modalities=left)
                other = self._made.get(not asr)
                self._made[asr] = other.sharing(config) if other else Analyzer(config)
            return self._made[asr]


@dataclass(slots=True)
class _Door:
    """Opens sessions; one for all of a server's."""

    house: ServerState
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
            wish = parse_params(socket.query_params)
            with house.sessions.hold(client_of(scope)):
                analyzer = await asyncio.to_thread(self.models.analyzer, wish.asr)
                await self._serve(socket, analyzer, wish)
        except ApiError as error:
            house.metrics.refused.labels(error.code).inc()
            await deny(error, scope, receive, send)
        except EmofuseError as error:
            await deny(from_emofuse(error), scope, receive, send)

    async def _serve(self, socket: WebSocket, analyzer: Analyzer, wish: SessionParams) -> None:
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
            closed = {"type": "session.closed", "reason": CloseReason.ERROR.value, "stats": None}
            await socket.send_json(closed)
            await socket.close(CloseReason.ERROR.close_code)


def add_stream(app: FastAPI, house: ServerState) -> None:
    """Add the WebSocket route."""
    # An object, not a function: Starlette hands it the plain ASGI triple.
    app.router.add_websocket_route("/v1/stream", _Door(house))  # type: ignore[arg-type]
