"""Live sessions over a WebSocket: pictures and sound in, measurements out.

What comes is pushed into a `LiveSession`, which never blocks; what it says leaves
through a bounded outbox. On both ways the newest wins and what is left out is counted.
"""

from __future__ import annotations

from .endpoint import add_stream

__all__ = ["add_stream"]
