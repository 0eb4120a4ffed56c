"""Face, voice and words of one moment, taken together without a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .estimates import Affect, Estimate, Modality, Probabilities, Subject
from .labels import Taxonomy
from .media import Diagnostic
from .time import NS, Span


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a face, a voice and words say, and all of them together.

    Args:
        estimates: modality → what its model says; those that told nothing are absent.
        fused: all together; None if nothing was told.
        notes: what the user should know, e.g. that no face was found.

    Example:
        >>> empty = Observation({}, None)
        >>> empty.label, empty.confidence, empty.to_mapping()["fused"]
        (None, 0.0, None)
    """

    estimates: Mapping[Modality, Estimate]
    fused: Estimate | None
    notes: tuple[Diagnostic, ...] = ()

    @property
    def label(self) -> str | None:
        """The fused label; None if nothing was told."""
        return self.fused.label if self.fused else None

    @property
    def confidence(self) -> float:
        """Probability of the fused label; 0 if nothing was told."""
        return self.fused.confidence if self.fused else 0.0

    def __getitem__(self, name: str) -> Estimate:
        """Return the estimate of a modality, or ``"fused"``.

        Raises:
            KeyError: if it told nothing.
        """
        if name == Modality.FUSED.value and self.fused is not None:
            return self.fused
        return self.estimates[Modality(name)]

    def __contains__(self, name: object) -> bool:
        known = {m.value for m in self.estimates}
        return name in known or (name == Modality.FUSED.value and self.fused is not None)

    def __iter__(self) -> Iterator[Estimate]:
        """Yield every modality's estimate, then the fused one."""
        yield from self.estimates.values()
        if self.fused is not None:
            yield self.fused

    @classmethod
    def of_mapping(cls, raw: Mapping[str, Any]) -> Observation:
        """Read what each modality says of what `to_mapping` made; the fused result is left.

        Raises:
            ValueError: if it is not such a mapping.

        Example:
            >>> said = {"text": {"probabilities": {"happy": 0.8, "sad": 0.2}, "model": "m"}}
            >>> Observation.of_mapping(said)["text"].label
            'happy'
        """
        given = {k: v for k, v in raw.items() if k not in (Modality.FUSED.value, "notes")}
        return cls({Modality(name): _read(name, said) for name, said in given.items()}, None)

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain types: modality → label, confidence, probabilities and the rest."""
        return {
            **{modality.value: _plain(e) for modality, e in self.estimates.items()},
            "fused": None if self.fused is None else _plain(self.fused),
            "notes": [{"code": n.code, "message": n.message} for n in self.notes],
        }


def _read(name: str, said: Any) -> Estimate:
    try:
        p = {str(label): float(value) for label, value in said["probabilities"].items()}
        affect = Affect(**said["affect"]) if said.get("affect") else None
        taxonomy = Taxonomy("labels", tuple(p))
        total = sum(p.values())
        values = np.array(list(p.values())) / (total if abs(total - 1) < 1e-2 else 1.0)
        modality = Modality(name)
        return Estimate(
            subject=Subject(modality.spec.subject),
            span=Span(0, NS),
            probabilities=Probabilities(taxonomy, values),
            modality=modality,
            quality=float(said.get("quality", 1.0)),
            model_id=str(said.get("model", "")),
            affect=affect,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        raise ValueError(f"{name}: not what a modality says: {e}") from e


def _plain(e: Estimate) -> dict[str, Any]:
    out: dict[str, Any] = {
        "label": e.label,
        "confidence": round(e.confidence, 6),
        "probabilities": {label: round(p, 6) for label, p in e.probabilities.items()},
        "quality": round(e.quality, 4),
        "model": e.model_id,
    }
    if e.affect is not None:
        out["affect"] = {
            "valence": round(e.affect.valence, 4),
            "arousal": round(e.affect.arousal, 4),
        }
    if e.fusion is not None:
        weights = e.fusion.modality_weights.items()
        out["weights"] = {m.value: round(share, 4) for m, share in weights}
        out["disagreement"] = round(e.fusion.disagreement, 4)
    if e.uncertain is not None:
        out["uncertain"] = {"reason": e.uncertain.reason.value, "message": e.doubt}
    if (box := e.details_mapping().get("box")) is not None and e.fusion is None:
        out["box"] = [round(v, 4) for v in box]
    return out
