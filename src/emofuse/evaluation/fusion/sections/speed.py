"""The time that fusing one slot takes."""

from __future__ import annotations

from ...report.document import Section, Table
from ..paired import microseconds
from ..study import Study
from .finding import Finding


def section(study: Study) -> Finding:
    """Time every strategy on slots of three modalities."""
    pairs = study.triples(0)
    found = {fuser.name: microseconds(pairs, fuser.fuser) for fuser in study.fusers}
    rows = tuple((name, f"{us:.0f} µs") for name, us in found.items())
    text = (
        "Median time of fusing one slot of face, voice and text, on one thread. Targets: 200 µs "
        "for strategies on probabilities, 1000 µs for learned ones."
    )
    return Finding(
        Section("6. Speed", (text, Table("One slot", ("strategy", "time"), rows))),
        {"microseconds": found},
        (),
        {"one slot": dict(rows)},
    )
