"""Messages on their way out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...core.estimates import Estimate

_WAITING = 64  # messages that may wait to be sent


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
        "probabilities": {label: round(p, 4) for label, p in e.probabilities.items()},
    }
    if e.affect is not None:
        message["affect"] = {
            "valence": round(e.affect.valence, 4),
            "arousal": round(e.affect.arousal, 4),
        }
    if e.fusion is not None:
        message["fusion"] = {
            "weights": {m.value: round(share, 4) for m, share in e.fusion.modality_weights.items()},
            "disagreement": round(e.fusion.disagreement, 4),
            "probabilities": {
                m.value: {label: round(p, 4) for label, p in scores.items()}
                for m, scores in e.fusion.probabilities.items()
            },
        }
    if e.uncertain is not None:
        message["uncertain"] = {"reason": e.uncertain.reason.value, "message": e.doubt}
    if details := e.details_mapping():
        message["details"] = dict(_details(details))
    return message


def _details(details: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in details.items():
        if isinstance(value, (np.ndarray, np.generic)):
            value = value.tolist()
        if isinstance(value, (tuple, list)):
            value = [round(v, 4) if isinstance(v, float) else v for v in value]
        yield name, value if isinstance(value, (list, str, int, float, bool)) else str(value)
