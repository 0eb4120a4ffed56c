"""Trains the embedded face detector on photos whose faces another detector found.

The teacher's finds are the truth: nobody drew these boxes. Scenes are made of the
photos while training (`emofuse.training.detector.scenes`).

    emofuse train detector --config configs/detector.yaml
"""

from .config import DetectorLossConfig, DetectorTraining, Faces
from .trainer import train

__all__ = ["DetectorLossConfig", "DetectorTraining", "Faces", "train"]
