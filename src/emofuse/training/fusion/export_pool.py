"""From pairs to a pool's card: its weights are fitted, no net is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...core.labels import CANONICAL
from ...fusion.config import QUALITY_EXPONENT
from ...fusion.fit import ModalityPosteriors, OpinionPool, fit
from ..core.export import write_card
from .cards import card_fields
from .config import FusionTraining, Tell
from .data import Material
from .moments import Floats, Moments, only, subsets


def ship_pool(config: FusionTraining, material: Material, folder: Path, tell: Tell) -> Path:
    """Fit a pool and write its card into `folder`; return the card's path."""
    pool = _fitted(config, material)
    for form, loss in pool.losses:
        tell(f"{form}: log loss {loss:.4f} on pairs that it was not fitted to")

    def probabilities(moments: Moments) -> Floats:
        return pool(_experts(moments, material)).astype(np.float32)

    fields = {
        **card_fields(config, material, probabilities),
        "calibration": {"temperature": round(pool.calibration.temperature, 4)},
        "fusion": material.fusion(config, **_weights(pool, material.layout.modalities)),
    }
    if pool.log_prior is not None:
        prior = np.exp(pool.log_prior - np.logaddexp.reduce(pool.log_prior))
        fields["prior"] = [round(float(x), 6) for x in prior]
    write_card(fields, folder, {})
    return folder / f"{config.name}.toml"


def _fitted(config: FusionTraining, material: Material) -> OpinionPool:
    """Fit the pool on all subsets that leave something to pool."""
    several = [s for s in subsets(material.layout.modalities) if len(s) > 1]
    parts = [only(material.learn, material.layout, some) for some in several]
    experts = ModalityPosteriors(
        np.concatenate([_experts(part, material).p for part in parts]),
        np.concatenate([_reliability(part, material) for part in parts]),
        _priors(material),
    )
    actual = np.concatenate([part.actual for part in parts])
    return fit(config.strategy, experts, actual, seed=config.seed)


def _weights(pool: OpinionPool, modalities: Sequence[Modality]) -> dict[str, Any]:
    """Return what was fitted, as the card's table ``[fusion]`` has it."""
    out: dict[str, Any] = {
        "floor": pool.floor,
        "weights": {
            m.value: round(float(w), 4) for m, w in zip(modalities, pool.weights, strict=True)
        },
    }
    if pool.by_label is not None:
        out["by_label"] = {
            m.value: [round(float(x), 4) for x in row]
            for m, row in zip(modalities, pool.by_label, strict=True)
        }
    return out


def _experts(moments: Moments, material: Material) -> ModalityPosteriors:
    """Undo what a net's inputs do: probabilities over the asked labels, nan elsewhere."""
    evidence, here = moments.inputs["evidence"].astype(np.float64), moments.inputs["mask"] > 0
    priors = _priors(material)
    p = np.exp(evidence) * priors
    known = (moments.asked[:, None] > 0) & here[:, :, None] & ~np.isnan(priors)
    p = np.where(known, p, np.nan)
    p /= np.where(here, np.nansum(p, axis=2), 1.0)[:, :, None]
    return ModalityPosteriors(p, _reliability(moments, material), priors)


def _reliability(moments: Moments, material: Material) -> Floats:
    """What each part's evidence is worth: (samples, modalities)."""
    power = np.array([QUALITY_EXPONENT[m] for m in material.layout.modalities], np.float32)
    worth: Floats = moments.inputs["quality"] ** power
    return worth


def _priors(material: Material) -> NDArray[np.float64]:
    rows = []
    for m in material.layout.modalities:
        card, row = material.cards[m], np.full(len(CANONICAL), np.nan)
        at = [CANONICAL.index(label) for label in card.taxonomy.labels]
        row[at] = card.prior or np.full(len(at), 1 / len(at))
        rows.append(row)
    return np.stack(rows)
