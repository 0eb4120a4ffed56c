"""What there is to know about a model, as plain types: for `emofuse models` and the server."""

from __future__ import annotations

from typing import Any

from .card import Card
from .metrics_table import MEASURES, Row, measures, rows
from .store import Store

_OUTSIDE = ("left out", "cross-corpus")
"""How the splits of corpora begin that a model was not taught."""


def card_mapping(card: Card, store: Store) -> dict[str, Any]:
    """Return what there is to know about a model as plain types."""
    found = rows(card.metrics)
    return {
        "id": card.id,
        "modality": card.modality.value,
        "summary": card.summary,
        "labels": list(card.taxonomy.labels),
        "licence": card.licence,
        "terms": card.terms,
        "affect": card.affect is not None,
        "bytes": card.bytes,
        "where": store.location(card).value,
        "data": [
            {"name": c.name, "licence": c.licence, "used": c.used, "citation": c.citation}
            for c in card.data
        ],
        "metrics": [
            {
                "name": m.name,
                "value": m.value,
                "corpus": m.corpus,
                "split": m.split,
                "protocol": m.protocol,
                "seeds": m.seeds,
                "command": m.command,
            }
            for m in card.metrics
        ],
        "figures": {
            "measures": {m: MEASURES[m] for m in measures(found)},
            "rows": [{"on": r.name, "values": r.values, "how": r.protocol} for r in found],
        },
        "strangers": _strangers(found),
        "files": [
            {"name": f.name, "sha256": f.sha256, "bytes": f.bytes, "url": f.url}
            for f in card.files.values()
        ],
        "notes": list(card.notes),
    }


def _strangers(found: list[Row]) -> dict[str, Any] | None:
    """Say how good a model is with people and recordings of no corpus that taught it.

    Those are corpora that were left out of a training, or that none had; without any, None.
    The range is over corpora; what all labels compete for counts (``open``), where it was
    measured, since that is what users see.
    """
    outside = [r for r in found if r.split.startswith(_OUTSIDE) and "uar" in r.values]
    asked = [r for r in outside if "open" in r.variant or "open" in r.split] or outside
    values = [r.values["uar"] for r in asked]
    if not values:
        return None
    return {
        "low": min(values),
        "high": max(values),
        "on": list(dict.fromkeys(r.corpus for r in asked)),
    }
