"""From a transcript, or from voiced sound, to samples of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.estimates import Modality
from ..core.media import MediaKind, Track
from ..core.protocols import Stage, StageContext
from .transcribe import Transcribe, make_transcriber, transcriber_name


class TextFrontEnd:
    """Reads the text track; without one, recognizes speech if a recognizer is at hand."""

    def available(self, context: StageContext) -> bool:
        """Whether there is a text, or something that recognizes speech."""
        return context.track is Track.TEXT or self._engine(context) != "none"

    def components(self, context: StageContext) -> Mapping[str, str]:
        """Say where the words come from."""
        return {"asr": context.info.text or self._engine(context)}

    def stages(self, context: StageContext) -> Sequence[Stage[Any, Any]]:
        """Return speech recognition, where it is needed, and the cutting into sentences."""
        from .language import ReadableWords
        from .sentences import Sentences

        card = context.store.card(context.config.models[Modality.TEXT])
        alone = context.info.kind is MediaKind.TEXT  # nobody is seen or heard
        read = ReadableWords(card.languages, card.id), Sentences(by_name=alone)
        if context.track is Track.TEXT:
            return read
        config = context.config.transcribe
        transcriber = context.shared("transcriber", lambda: make_transcriber(config))
        assert transcriber is not None  # else the modality were not available
        return Transcribe(transcriber, config.longest_seconds), *read

    def _engine(self, context: StageContext) -> str:
        config = context.config.transcribe
        return context.shared("transcriber_name", lambda: transcriber_name(config))


FRONT_END = TextFrontEnd()
