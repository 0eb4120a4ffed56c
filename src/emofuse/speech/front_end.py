"""From voiced sound to samples of a voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.estimates import SPEAKER
from ..core.protocols import Stage, StageContext


class SpeechFrontEnd:
    """Nothing to do but to cut windows: the analyzer hands over voiced regions at 16 kHz."""

    def available(self, context: StageContext) -> bool:
        """A voice can be heard wherever there is sound."""
        return True

    def components(self, context: StageContext) -> Mapping[str, str]:
        """Nothing else takes part."""
        return {}

    def stages(self, context: StageContext) -> Sequence[Stage[Any, Any]]:
        """Return the windower."""
        from .quality import grade

        return (context.windower(SPEAKER, grade),)


FRONT_END = SpeechFrontEnd()
