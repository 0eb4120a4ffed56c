"""From the frames of a video to samples of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core.estimates import Modality
from ..core.media import MediaKind
from ..core.protocols import Stage, StageContext


class FaceFrontEnd:
    """Detects, follows and crops faces, and measures mouths where somebody may be speaking."""

    def available(self, context: StageContext) -> bool:
        """Faces are found wherever there is a picture."""
        return True

    def components(self, context: StageContext) -> Mapping[str, str]:
        """Name the detector."""
        return {"detector": context.config.face.detector}

    def stages(self, context: StageContext) -> Sequence[Stage[Any, Any]]:
        """Return the tracker."""
        from .crop import CropStyle
        from .detectors import make_detector
        from .mouth import MouthMotion
        from .portrait import Portraits
        from .track import FaceTracker

        face = context.config.face
        if context.info.kind is MediaKind.IMAGE:  # there is no second look
            face = replace(face, detect_every=1, confirmations=1)
        detector = context.shared("detector", lambda: make_detector(face.detector, context.store))
        mouths = MouthMotion() if context.attributes_speech else None
        portraits = Portraits() if context.identifies else None
        style = CropStyle.of_card(context.store.card(context.config.models[Modality.FACE]))
        return (FaceTracker(detector, face, mouths, style, portraits),)


FRONT_END = FaceFrontEnd()
