"""For programs written for other libraries: the same calls, answered by emofuse.

========================  ===================================================================
``EmotionPredictor``      ``predict_from_file(image_path=…, audio_path=…)`` of the usual
                          face-and-voice projects
``DeepFace``              ``DeepFace.analyze(img, actions=["emotion"])``
``FER``                   ``FER().detect_emotions(img)``, ``top_emotion``
``pipeline``              transformers' ``pipeline("audio-classification")`` and its like
``Detector``              py-feat's ``Detector().detect(…)``: its columns of faces and emotions
========================  ===================================================================

See ``docs/coming-from.md``.
"""

from __future__ import annotations

from .deepface import DeepFace
from .fer import FER
from .pipeline import pipeline
from .predictor import EmotionPredictor
from .pyfeat import Detector

__all__ = ["FER", "DeepFace", "Detector", "EmotionPredictor", "pipeline"]
