"""Who speaks when, as RTTM (NIST 2009, Rich Transcription evaluation plan)."""

from __future__ import annotations

import re

from ..core.estimates import Modality
from ..core.time import NS
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .runs import tiers_of
from .whole import WholeTimeline


class RttmExporter(WholeTimeline):
    """Writes the stretches in which each person was heard."""

    name = "rttm"
    suffix = ".rttm"
    content_type = "text/plain; charset=utf-8"
    summary = "who speaks when, for diarization tools"

    def save(self, timeline: Timeline) -> None:
        """Write the file: a line for each stretch of voice; names have no blanks there."""
        file = _word(timeline.media.name.rpartition(".")[0] or timeline.media.name)
        with ResultFile(self.path, overwrite=self.overwrite) as f:
            for tier in tiers_of(timeline):
                if tier.kind != Modality.SPEECH.value:
                    continue
                for span, _ in tier.intervals:
                    times = f"{span.start_ns / NS:.3f} {span.duration_ns / NS:.3f}"
                    who = _word(tier.person)
                    f.write(f"SPEAKER {file} 1 {times} <NA> <NA> {who} <NA> <NA>\n")


def _word(text: str) -> str:
    return re.sub(r"\s+", "_", text.strip()) or "unknown"
