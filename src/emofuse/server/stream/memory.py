"""Memory that ended sessions leave goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import time

_PAUSE = 10.0  # seconds between two times: it takes some milliseconds in which nothing else runs


class Trimmer:
    """Gives freed memory back.

    Every session has threads of its own, and what a thread freed glibc keeps in that thread's
    arena: without this a server grows by about half a megabyte a session.
    """

    def __init__(self) -> None:
        # Only glibc has it; others need it less.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._last = 0.0

    def trim(self) -> None:
        """Give back what is free, unless that was just done."""
        if self._trim is None or time.monotonic() - self._last < _PAUSE:
            return
        self._last = time.monotonic()
        gc.collect()
        self._trim(0)
