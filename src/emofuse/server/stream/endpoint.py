"""The WebSocket endpoint that opens live sessions."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.types import Receive, Scope, Send

from ...core.estimates import Modality
from ...errors import EmofuseError
from ..auth.auth import client_of, deny, user_of
from ..http.errors import ApiError, from_emofuse
from ..jobs.worker import internal_error
from .frames import Decoders
from .memory import Trimmer
from .protocol import CloseReason, SessionParams, parse_params
from .session import Session

if TYPE_CHECKING:
    from ...analyzer import Analyzer
    from ..state import ServerState


_DECODERS = 2  # threads that decode the frames of all sessions


class LiveModels:
    """The analyzers of live sessions; they share the models, which are loaded once.

    Args:
        state: has the settings.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._made: dict[bool, Analyzer] = {}
        self._making = threading.Lock()

    def analyzer(self, asr: bool) -> Analyzer:
        """Return the analyzer for sessions with or without speech recognition.

        Raises:
            EmofuseError: if nothing is left to analyze, or a model is missing.
        """
        from ...analyzer import Analyzer

        with self._making:
            if asr not in self._made:
                config = self._state.live
                if not asr:
                    left = tuple(m for m in config.modalities if m is not Modality.TEXT)
                    config = replace(config, modalities=left)
                other = self._made.get(not asr)
                self._made[asr] = other.sharing(config) if other else Analyzer(config)
            return self._made[asr]


@dataclass(slots=True)
class _Endpoint:
    """Opens sessions; a server has one."""

    state: ServerState
    models: LiveModels = field(init=False)
    decoders: Decoders = field(init=False)
    trimmer: Trimmer = field(default_factory=Trimmer)

    def __post_init__(self) -> None:
        self.models = LiveModels(self.state)
        self.decoders = Decoders(_DECODERS, self.state.settings.limits.frames_per_client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open and serve a session, or refuse it with a reason."""
        state = self.state
        try:
            state.check_open()
            socket = WebSocket(scope, receive, send)
            params = parse_params(socket.query_params)
            user = user_of(scope)
            with state.sessions.hold(client_of(scope), user.sessions if user else None):
                analyzer = await asyncio.to_thread(self.models.analyzer, params.asr)
                await self._serve(socket, analyzer, params)
        except ApiError as error:
            state.metrics.refused.labels(error.code).inc()
            await deny(error, scope, receive, send)
        except EmofuseError as error:
            await deny(from_emofuse(error), scope, receive, send)

    async def _serve(self, socket: WebSocket, analyzer: Analyzer, params: SessionParams) -> None:
        state = self.state
        session = Session(
            socket,
            analyzer,
            params,
            state.settings.limits,
            state.metrics,
            self.decoders,
            state.stopping,
        )
        try:
            await socket.accept()
            await _run(session, socket)
        finally:
            await session.close()
            await asyncio.to_thread(self.trimmer.trim)


async def _run(session: Session, socket: WebSocket) -> None:
    """Serve a session; if it fails, tell the client."""
    try:
        await session.run()
    except Exception as cause:
        error = from_emofuse(cause) if isinstance(cause, EmofuseError) else internal_error()
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_json({"type": "error", **error.body, "fatal": True})
            closed = {"type": "session.closed", "reason": CloseReason.ERROR.value, "stats": None}
            await socket.send_json(closed)
            await socket.close(CloseReason.ERROR.close_code)


def add_stream(app: FastAPI, state: ServerState) -> None:
    """Add the WebSocket route."""
    # An object, not a function: Starlette hands it the plain ASGI triple.
    app.router.add_websocket_route("/v1/stream", _Endpoint(state))  # type: ignore[arg-type]
