"""Fusion by small nets, run by ONNX Runtime: feature, attention, hybrid, transformer.

All take the same inputs, in this order, each with a batch axis and a time axis (one slot, or
as many as the card's ``slots``):

``evidence``    log pₘ(c) − log πₘ(c), (batch, slots, modalities, labels); 0 where a
                model does not know a label
``embeddings``  those of all parts side by side, (batch, slots, width)
``quality``     of the evidence, (batch, slots, modalities)
``mask``        1 where a modality is present, else 0, (batch, slots, modalities)

and give ``logits`` (batch, labels) and ``shares`` (batch, modalities): how much each
modality weighed at that moment. What is missing is 0 everywhere, and masked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, Modality, Subject
from ..core.labels import CANONICAL, Taxonomy
from ..core.modality import modalities
from ..core.protocols import Slot
from ..core.time import NS
from ..errors import ModelError
from ..models.card import Card, Fusion
from ..models.runtime import Session
from .config import FuserRequest
from .evidence import fused_estimate, prior_of, spread
from .pools import FLOOR, Array, log_evidence

Floats = NDArray[np.float32]

FORGET_NS = NS
"""Longest gap in a subject's slots that a fuser's memory bridges."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where what goes in a net's inputs.

    Args:
        modalities: of the parts, in the order of all arrays.
        widths: of each part's embedding; 0: it has none.
    """

    modalities: tuple[Modality, ...]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, fusion: Fusion) -> Layout:
        """Return the layout that a card declares."""
        present = tuple(m for m in modalities() if m in fusion.parts)
        return cls(present, tuple(fusion.parts[m].embedding or 0 for m in present))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of one moment's inputs."""
        m = len(self.modalities)
        return {
            "evidence": (m, len(CANONICAL)),
            "embeddings": (max(sum(self.widths), 1),),
            "quality": (m,),
            "mask": (m,),
        }

    def moment(
        self, evidence: Mapping[Modality, Estimate], priors: Mapping[str, Sequence[float]]
    ) -> dict[str, Floats]:
        """Write a slot's evidence as one moment of a net's inputs.

        Training calls this, too.

        Args:
            evidence: at most one estimate a modality.
            priors: model id → that model's prior; uniform where absent.

        Raises:
            ModelError: if an embedding is missing or of another width, or labels are not
                among the fused ones.
        """
        out = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}
        at = 0
        for i, (modality, width) in enumerate(zip(self.modalities, self.widths, strict=True)):
            e = evidence.get(modality)
            if e is not None:
                p = spread(e, e.probabilities.values)
                known = ~np.isnan(p)
                out["evidence"][i, known] = log_evidence(p, prior_of(e, priors), FLOOR)[known]
                out["quality"][i], out["mask"][i] = e.quality, 1.0
                if width:
                    out["embeddings"][at : at + width] = _embedding(e, width)
            at += width
        return out


class GraphFuser:
    """A trained net as a fuser.

    Args:
        card: of the fuser.
        files: paths of its files by role.
        priors: model id → that model's prior.
        history: see `HybridFuser`; not used here.

    Raises:
        ModelError: if the graph's inputs or outputs are not those of a fuser.
    """

    taxonomy: Taxonomy = CANONICAL
    learned = True
    linear = False

    def __init__(
        self,
        card: Card,
        files: Mapping[str, Path],
        priors: Mapping[str, Sequence[float]],
        history: int = 1,
    ) -> None:
        if card.fusion is None or "weights" not in files:
            raise ModelError(f"the card of {card.id!r} is not that of a fuser with a net")
        self.card = card
        self.model_id = card.id
        self.layout = Layout.of(card.fusion)
        self._slots = card.fusion.slots
        self._session = Session(files["weights"], gpu=False)  # far too small to be worth the way
        self._priors = priors
        names = tuple(self.layout.shapes)
        many = len(self._session.inputs) == len(names)
        if not many or self._session.outputs != ("logits", "shares"):
            raise ModelError(
                f"the graph of {card.id!r} takes {', '.join(self._session.inputs)} and gives "
                f"{', '.join(self._session.outputs)}; expected {', '.join(names)} and "
                "logits, shares: train the fuser again"
            )
        self.reset()

    @classmethod
    def make(cls, request: FuserRequest) -> GraphFuser:
        """Make the fuser; see `config.FuserKind`."""
        assert request.card is not None
        return cls(request.card, request.files, request.priors, request.config.history)

    def reset(self) -> None:
        """Forget all subjects."""
        self._past: dict[Subject, tuple[int, deque[dict[str, Floats]]]] = {}

    def fuse(self, slot: Slot) -> Estimate | None:
        """Fuse a slot; None if it holds no evidence.

        Raises:
            ModelError: if the evidence is not of the kind that the net was trained with.
        """
        parts = [e for m in self.layout.modalities if (e := slot.evidence.get(m)) is not None]
        if not parts:
            return None
        logits, shares = self._answer(self._moments(slot))
        p = self.card.calibration.probabilities(logits)[0].astype(np.float64)
        p = self._remembered(slot, p)
        present = [self.layout.modalities.index(e.modality) for e in parts]
        share = np.maximum(shares[0, present].astype(np.float64), 1e-9)
        said = np.stack([spread(e, e.probabilities.values) for e in parts])
        return fused_estimate(slot, parts, p / p.sum(), share / share.sum(), said, self.model_id)

    def prepare(self, sample: NDArray[Any]) -> Floats:
        """Take one sample's inputs as one row, (numbers,): what a golden pair holds."""
        return np.asarray(sample, np.float32)

    def logits(self, rows: Sequence[Floats]) -> Floats:
        """Answer rows of `prepare`: float32, shape (rows, labels), uncalibrated."""
        batch, at, inputs = np.stack(rows), 0, []
        for shape in self.layout.shapes.values():
            size = self._slots * int(np.prod(shape))
            inputs.append(batch[:, at : at + size].reshape(len(rows), self._slots, *shape))
            at += size
        return self._session.logits(*inputs)

    def _answer(self, moments: Sequence[Mapping[str, Floats]]) -> tuple[Floats, Floats]:
        inputs = (np.stack([m[name] for m in moments])[None] for name in self.layout.shapes)
        logits, shares = self._session.answer(*inputs)
        return logits, shares

    def _moments(self, slot: Slot) -> Sequence[Mapping[str, Floats]]:
        """Return the inputs of the last slots, this one last; empty ones before the first."""
        now = self.layout.moment(slot.evidence, self._priors)
        if self._slots == 1:
            return (now,)
        past = self._memory(slot, self._past, self._slots)
        past.append(now)
        nothing = {name: np.zeros(shape, np.float32) for name, shape in self.layout.shapes.items()}
        return [*[nothing] * (self._slots - len(past)), *past]

    def _remembered(self, slot: Slot, p: Array) -> Array:
        """Bring in what was said before; this fuser has it in its inputs."""
        return p

    @staticmethod
    def _memory(slot: Slot, past: dict[Subject, tuple[int, deque[Any]]], slots: int) -> deque[Any]:
        """Return what is remembered of a slot's subject: nothing after a gap."""
        end_ns, memory = past.get(slot.subject, (0, deque(maxlen=slots)))
        if slot.span.start_ns - end_ns > FORGET_NS or slot.span.start_ns < end_ns:
            memory = deque(maxlen=slots)
        past[slot.subject] = slot.span.end_ns, memory
        return memory


class HybridFuser(GraphFuser):
    """Feature-level and score-level fusion in one net, then a rolling history per subject.

    The result is the softmax, at the card's temperature, of the mean logits of a
    subject's last slots.

    Args:
        card: of the fuser.
        files: paths of its files by role.
        priors: model id → that model's prior.
        history: over how many slots is averaged, this one included.
    """

    def __init__(
        self,
        card: Card,
        files: Mapping[str, Path],
        priors: Mapping[str, Sequence[float]],
        history: int = 5,
    ) -> None:
        self._history = history
        super().__init__(card, files, priors)

    def reset(self) -> None:
        """Forget all subjects."""
        super().reset()
        self._said: dict[Subject, tuple[int, deque[Array]]] = {}

    def _remembered(self, slot: Slot, p: Array) -> Array:
        said = self._memory(slot, self._said, self._history)
        said.append(np.log(np.maximum(p, 1e-9)))
        mean = np.mean(said, axis=0)
        out: Array = np.exp(mean - mean.max())
        return out


def _embedding(e: Estimate, width: int) -> Floats:
    if e.embedding is None or e.embedding.shape != (width,):
        got = "none" if e.embedding is None else f"one of shape {e.embedding.shape}"
        raise ModelError(
            f"the fuser needs embeddings of width {width} from {e.modality.value}, and "
            f"{e.model_id!r} gave {got}: load the model that the fuser was trained with"
        )
    return e.embedding
