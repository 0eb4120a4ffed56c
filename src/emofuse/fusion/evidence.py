"""From the estimates of a slot to arrays over the fused labels, and back to one estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Affect, Estimate, FusionDetails, Modality, Probabilities
from ..core.labels import CANONICAL, Taxonomy
from ..core.protocols import Slot
from ..errors import ModelError
from .pools import Array, disagreement


def fused_estimate(
    slot: Slot,
    parts: Sequence[Estimate],
    probabilities: Array,
    shares: Array,
    p: Array,
    model_id: str,
) -> Estimate:
    """Return the fused estimate of a slot.

    Valence and arousal are the mean of those parts that tell them, by their weights.

    Args:
        slot: its subject and span.
        parts: the evidence that counted.
        probabilities: the result, shape (canonical labels,), sums to 1.
        shares: weight of each part, shape (parts,), sums to 1.
        p: each part's probabilities, shape (parts, canonical labels); NaN: label unknown.
        model_id: of the fuser.
    """
    return Estimate(
        subject=slot.subject,
        span=slot.span,
        probabilities=Probabilities(CANONICAL, probabilities),
        modality=Modality.FUSED,
        quality=min(1.0, float(shares @ [e.quality for e in parts])),
        model_id=model_id,
        affect=Affect.mean([e.affect for e in parts], shares.tolist()),
        fusion=FusionDetails(
            modality_weights={e.modality: float(s) for e, s in zip(parts, shares, strict=True)},
            disagreement=disagreement(p, shares),
            probabilities={e.modality: e.probabilities for e in parts},
            details={e.modality: e.details.in_fused() for e in parts if e.details is not None},
        ),
        attribution=next((e.attribution for e in parts if e.attribution is not None), None),
    )


def spread(
    e: Estimate, values: NDArray[np.floating] | Sequence[float], taxonomy: Taxonomy = CANONICAL
) -> Array:
    """Place a model's values at the fused labels; NaN where the model has no such label.

    Returns:
        Shape (len(taxonomy),).

    Raises:
        ModelError: if a label of the model is not among the fused ones.
    """
    source = e.probabilities.taxonomy
    foreign = set(source.labels) - set(taxonomy.labels)
    if foreign or source.multi_label:
        wrong = f"has the labels {sorted(foreign)}" if foreign else "is multi-label"
        raise ModelError(
            f"cannot fuse the estimates of {e.model_id!r}: its taxonomy {source.name!r} {wrong}, "
            f"fused results are over one of {', '.join(taxonomy.labels)}; map them to these first"
        )
    out = np.full(len(taxonomy), np.nan)
    out[[taxonomy.index(label) for label in source.labels]] = values
    return out


def prior_of(
    e: Estimate, priors: Mapping[str, Sequence[float]], taxonomy: Taxonomy = CANONICAL
) -> Array:
    """Return the prior of an estimate's model at the fused labels; uniform if it has none.

    Returns:
        Shape (len(taxonomy),); NaN where the model has no such label.

    Raises:
        ModelError: if the prior does not match the model's labels.
    """
    n = len(e.probabilities.taxonomy)
    prior = priors.get(e.model_id) or np.full(n, 1.0 / n)
    if len(prior) != n:
        raise ModelError(
            f"{e.model_id!r} has {n} labels ({e.probabilities.taxonomy.name!r}) but a prior of "
            f"{len(prior)}: load the model that its card describes"
        )
    return spread(e, prior, taxonomy)
