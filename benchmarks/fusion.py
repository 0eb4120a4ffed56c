"""How long it takes to fuse one slot of three modalities, per strategy, on one thread.

    python -m benchmarks.fusion [--models DIR]

The pools are timed with their default weights; a net is timed with its trained weights where
`--models` (or EMOFUSE_MODELS) has the card ``fusion-STRATEGY-v1``, and left out where not.
Goals: 0.2 ms for the pools, 1 ms for the nets. `ms_cpu` is the mean of the best of five rounds
in time of the processor, which a busy machine does not lengthen.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from benchmarks.common import write_result
from emofuse.core.estimates import Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.modality import modalities
from emofuse.core.protocols import Slot
from emofuse.core.time import NS, Span
from emofuse.errors import ModelError
from emofuse.fusion.config import FusionConfig, Strategy
from emofuse.fusion.factory import make_fuser
from emofuse.models.store import Store

SLOTS, ROUNDS = 400, 5
FACE = Subject(SubjectKind.FACE)
SEVEN = Taxonomy("seven", CANONICAL.labels[:7])


def slots(widths: dict[Modality, int]) -> list[Slot]:
    """Slots of half a second in which all three speak."""
    rng = np.random.default_rng(0)
    return [_slot(rng, i, widths) for i in range(SLOTS)]


def _slot(rng: np.random.Generator, i: int, widths: dict[Modality, int]) -> Slot:
    span = Span(i * NS // 2, (i + 1) * NS // 2)
    evidence = {}
    for modality in modalities():
        taxonomy = CANONICAL if modality is Modality.FACE else SEVEN
        scores = Probabilities(taxonomy, rng.dirichlet(np.ones(len(taxonomy))))
        width = widths.get(modality, 0)
        embedding = rng.normal(size=width).astype(np.float32) if width else None
        evidence[modality] = Estimate(
            FACE, span, scores, modality, 0.8, modality.value, embedding=embedding
        )
    return Slot(FACE, span, evidence)


def measure(strategy: Strategy, store: Store) -> dict[str, Any] | None:
    """Time one strategy; None if it is a net that is not there."""
    try:
        fuser = make_fuser(FusionConfig(strategy), store=store)
    except ModelError:
        return None
    card = getattr(fuser, "card", None)
    parts = card.fusion.parts if card is not None else {}
    given = slots({m: part.embedding or 0 for m, part in parts.items()})
    cpu, wall = [], []
    for _ in range(ROUNDS):
        fuser.reset()
        start = thread_time()
        for slot in given:
            began = perf_counter()
            fuser.fuse(slot)
            wall.append(perf_counter() - began)
        cpu.append((thread_time() - start) / len(given))
    return {
        "strategy": strategy.value,
        "ms_cpu": round(1000 * min(cpu), 4),
        "ms_wall_median": round(1000 * float(np.median(wall)), 4),
        "goal_ms": 1.0 if strategy.learned else 0.2,
        "bytes": card.bytes if card is not None else 0,
    }


def main() -> None:
    """Time every strategy and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, action="append", default=None)
    folders = parser.parse_args().models
    store = Store(folders=folders)
    results = [row for s in Strategy if (row := measure(s, store)) is not None]
    write_result("fusion", {"slots": SLOTS, "rounds": ROUNDS, "strategies": results})


if __name__ == "__main__":
    main()
