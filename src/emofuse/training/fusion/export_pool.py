"""From pairs to a pool's card: its weights are fitted, no net is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...core.labels import CANONICAL
from ...fusion.fit import ModalityPosteriors, OpinionPool, fit
from ...models.write import write_card
from ..core.console import log
from .cards import card_fields
from .config import FusionTraining
from .data import FusionData
from .moments import Floats, Moments, only, subsets


def export_pool(config: FusionTraining, data: FusionData, folder: Path) -> Path:
    """Fit a pool and write its card into `folder`; return the card's path."""
    pool = _fitted(config, data)
    for form, loss in pool.losses:
        log(f"{form}: log loss {loss:.4f} on pairs that it was not fitted to")

    def probabilities(moments: Moments) -> Floats:
        return pool(_experts(moments, data)).astype(np.float32)

    fields = {
        **card_fields(config, data, probabilities),
        "calibration": {"temperature": round(pool.calibration.temperature, 4)},
        "fusion": data.fusion(config, **_weights(pool, data.layout.modalities)),
    }
    if pool.log_prior is not None:
        prior = np.exp(pool.log_prior - np.logaddexp.reduce(pool.log_prior))
        fields["prior"] = [round(float(x), 6) for x in prior]
    write_card(fields, folder, {})
    return folder / f"{config.name}.toml"


def _fitted(config: FusionTraining, data: FusionData) -> OpinionPool:
    """Fit the pool on all subsets that leave something to pool."""
    several = [s for s in subsets(data.layout.modalities) if len(s) > 1]
    parts = [only(data.learn, data.layout, some) for some in several]
    experts = ModalityPosteriors(
        np.concatenate([_experts(part, data).p for part in parts]),
        np.concatenate([_reliability(part, data) for part in parts]),
        _priors(data),
    )
    actual = np.concatenate([part.actual for part in parts])
    return fit(config.strategy, experts, actual, seed=config.loop.seed)


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


def _experts(moments: Moments, data: FusionData) -> ModalityPosteriors:
    """Undo what a net's inputs do: probabilities over the asked labels, nan elsewhere."""
    evidence, here = moments.inputs["evidence"].astype(np.float64), moments.inputs["mask"] > 0
    priors = _priors(data)
    p = np.exp(evidence) * priors
    known = (moments.asked[:, None] > 0) & here[:, :, None] & ~np.isnan(priors)
    p = np.where(known, p, np.nan)
    p /= np.where(here, np.nansum(p, axis=2), 1.0)[:, :, None]
    return ModalityPosteriors(p, _reliability(moments, data), priors)  # type: ignore[arg-type]


def _reliability(moments: Moments, data: FusionData) -> Floats:
    """What each part's evidence is worth: (samples, modalities)."""
    power = np.array([m.spec.quality_exponent for m in data.layout.modalities], np.float32)
    worth: Floats = moments.inputs["quality"] ** power
    return worth


def _priors(data: FusionData) -> NDArray[np.float64]:
    rows = []
    for m in data.layout.modalities:
        card, row = data.cards[m], np.full(len(CANONICAL), np.nan)
        at = [CANONICAL.index(label) for label in card.taxonomy.labels]
        row[at] = card.prior or np.full(len(at), 1 / len(at))
        rows.append(row)
    return np.stack(rows)
