"""Trains fusers on what recognisers said of samples that they have not learned from.

Probabilities on training samples are too sure to learn fusing from, so everything here is made
of the *validation* predictions of each corpus (`evaluation.predict.cached`), paired by label
(`evaluation.fusion.pairs`). Of these one part is learned from; the other, of other people, chooses
the epoch and the temperature and gives the card's figures.

What a pairing cannot say is not taught: a label that one of its corpora lacks (CREMA-D
has no surprise) is left out of that pair's loss. So that any modality may be missing or
bad, modalities are dropped at random, and some are replaced by those of other samples
with a poor quality.
"""

from __future__ import annotations

from .config import FusionTraining
from .fit import sequences
from .moments import Moments, only, subsets
from .trainer import train

__all__ = ["FusionTraining", "Moments", "only", "sequences", "subsets", "train"]
