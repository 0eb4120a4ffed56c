"""The engine, live: what is pushed comes back as measurements, and nobody waits for anybody.

A `LiveSession` runs the very stages that a file goes through, each branch of
them in a thread of its own: a slow voice or words model never holds up the face.

    with LiveSession(analyzer, live_info()) as session:
        session.push(frame)                  # never blocks
        for measurement in session.poll():   # what is known by now
            ...
"""

from __future__ import annotations

from ..core.identity import Heard, Identified
from .config import LiveConfig, live_config, live_info
from .events import Counters, Delay, Event, Measurement, MeasurementKind
from .feed import live
from .session import LiveSession

__all__ = [
    "Counters",
    "Delay",
    "Event",
    "Heard",
    "Identified",
    "LiveConfig",
    "LiveSession",
    "Measurement",
    "MeasurementKind",
    "live",
    "live_config",
    "live_info",
]
