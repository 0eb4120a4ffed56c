"""On a machine that is too busy for all, words give way to pictures."""

from __future__ import annotations

_LEAST = 4.0  # pictures a second that are always wanted
_STARVED = 2  # seconds in a row without them, before anything is done
_FIRST_REST, _LONGEST_REST = 5, 60  # good seconds, until words are tried again
_FORGIVEN = 60  # good seconds with words, until the next rest is a short one again


class WordRelief:
    """Decides, once a second, whether words rest; pictures that flow again end a rest.

    Each rest that turns out to have been too short makes the next one twice as long.
    """

    def __init__(self) -> None:
        self.resting = False
        self._received = self._answered = 0
        self._bad = self._good = 0  # seconds in a row
        self._rest = self._next = _FIRST_REST

    def look(self, received: int, answered: int) -> bool:
        """Look at a second more.

        Args:
            received: pictures that came, since the session began.
            answered: pictures that were analyzed, likewise.

        Returns:
            Whether words are to rest now.
        """
        came, done = received - self._received, answered - self._answered
        self._received, self._answered = received, answered
        starved = done < min(_LEAST, came / 2)
        self._bad, self._good = (self._bad + 1, 0) if starved else (0, self._good + 1)
        if self.resting and self._good >= self._rest:
            self.resting, self._good = False, 0
        elif not self.resting and self._bad >= _STARVED:
            self.resting = True
            self._rest = min(self._next, _LONGEST_REST)
            self._next = 2 * self._rest
        if not self.resting and self._good >= _FORGIVEN:
            self._next = _FIRST_REST
        return self.resting
