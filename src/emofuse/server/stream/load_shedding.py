"""On a machine that is too busy for everything, text gives way to frames."""

from __future__ import annotations

_MIN_FPS = 4.0  # frames per second that are always to be analyzed
_PATIENCE = 2  # seconds below that, in a row, before text is paused
_FIRST_PAUSE, _LONGEST_PAUSE = 5, 60  # good seconds until text is tried again
_RECOVERED = 60  # good seconds with text, until the next pause is a short one again


class LoadShedder:
    """Decides, once a second, whether text is paused; frames that flow again end a pause.

    Exponential backoff: each pause that turns out to have been too short doubles the next.
    """

    def __init__(self) -> None:
        self.paused = False
        self._received = self._analyzed = 0
        self._bad = self._good = 0  # seconds in a row
        self._pause = self._next = _FIRST_PAUSE

    def update(self, received: int, analyzed: int) -> bool:
        """Take note of another second.

        Args:
            received: frames received since the session began.
            analyzed: frames analyzed since then.

        Returns:
            Whether text is to be paused now.
        """
        came, done = received - self._received, analyzed - self._analyzed
        self._received, self._analyzed = received, analyzed
        starved = done < min(_MIN_FPS, came / 2)
        self._bad, self._good = (self._bad + 1, 0) if starved else (0, self._good + 1)
        if self.paused and self._good >= self._pause:
            self.paused, self._good = False, 0
        elif not self.paused and self._bad >= _PATIENCE:
            self.paused = True
            self._pause = min(self._next, _LONGEST_PAUSE)
            self._next = 2 * self._pause
        if not self.paused and self._good >= _RECOVERED:
            self._next = _FIRST_PAUSE
        return self.paused
