"""What exporters that need a whole timeline have in common."""

from __future__ import annotations

from pathlib import Path

from ..core.estimates import Estimate
from ..core.media import Frame
from ..core.timeline import Timeline
from ..io.files import refuse_existing


class WholeTimeline:
    """An exporter that writes its file when it is closed, from the timeline it was given.

    Raises:
        InputError: if there is something at `path` that may not be replaced.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, shared: Path | None = None) -> None:
        refuse_existing(path, overwrite)
        self.path, self.overwrite, self.shared = path, overwrite, shared
        self._timeline: Timeline | None = None

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Keep the timeline."""
        if isinstance(item, Timeline):
            self._timeline = item

    def close(self) -> None:
        """Write the file, if there is anything to write."""
        timeline, self._timeline = self._timeline, None
        if timeline is not None:
            self.save(timeline)

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        raise NotImplementedError
