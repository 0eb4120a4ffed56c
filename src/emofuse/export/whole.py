"""What exporters that need a whole timeline have in common."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..core.estimates import Estimate
from ..core.media import Frame
from ..core.timeline import Timeline
from ..errors import MissingExtra
from ..io.files import refuse_existing


class WholeTimeline:
    """An exporter that writes its file when it is closed, from the timeline it was given.

    Attributes:
        needs: the package that it needs beyond those of emofuse; empty if it needs none.
        extra: the optional extra that brings that package.

    Raises:
        InputError: if there is something at `path` that may not be replaced.
        MissingExtra: at once, not after the analysis, if the package is not installed.
    """

    name: str
    needs = ""
    extra = ""

    def __init__(self, path: Path, *, overwrite: bool = False, shared: Path | None = None) -> None:
        if self.needs and find_spec(self.needs) is None:
            raise MissingExtra(self.extra, f"the format {self.name}")
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
