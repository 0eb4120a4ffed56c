"""Frames of a live session: JPEGs become pixels, and each gets a stretch of time."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ...core.time import NS, Span
from ...errors import InputError
from ...io.images import TooManyPixels, read_image
from ..http.errors import ApiError
from .protocol import bad

_USUAL_PERIOD_NS = NS // 25
_SHORTEST_PERIOD_NS, _LONGEST_PERIOD_NS = NS // 100, NS // 5  # how long a frame can stand for


class FrameClock:
    """Says which stretch of time a frame stands for: about the interval between frames.

    Spans never overlap: when frames suddenly come faster, one starts where the last one's
    span ends, and is short.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._end_ns = 0
        self._gaps: deque[int] = deque(maxlen=5)

    def span(self, time_ns: int) -> Span:
        """Return a frame's span.

        Raises:
            ApiError: ``bad-message`` if its time is not after the last one's.
        """
        if self._last_ns is not None:
            if time_ns <= self._last_ns:
                raise bad(
                    f"a frame of {time_ns / NS:.3f} s came after that of {self._last_ns / NS:.3f} s"
                )
            self._gaps.append(time_ns - self._last_ns)
        self._last_ns = time_ns
        period = min(self._gaps, default=_USUAL_PERIOD_NS)  # the least: drops leave gaps
        start_ns = max(time_ns, self._end_ns)
        end_ns = time_ns + min(period, _LONGEST_PERIOD_NS)
        self._end_ns = max(end_ns, start_ns + _SHORTEST_PERIOD_NS)
        return Span(start_ns, self._end_ns)


def decode_frame(data: bytes, megapixels: float, side: int) -> NDArray[np.uint8]:
    """Decode a JPEG to RGB uint8, (H, W, 3), no side longer than `side`.

    Raises:
        ApiError: if it is not a JPEG, damaged or too large.
    """
    try:
        return read_image(
            data, max_side=side, max_pixels=megapixels * 1e6, formats=("JPEG",)
        ).pixels
    except TooManyPixels as error:
        raise ApiError("too-many-pixels", str(error)) from None
    except InputError:
        raise bad("a frame is not a JPEG that can be decoded") from None
