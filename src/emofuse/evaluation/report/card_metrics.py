"""Writes metrics into a model's card."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from ...config.loader import read_toml
from ...errors import InputError, ModelError
from ...io.atomic import atomic_path
from ...models.card import Metric, read_card
from .results import Evaluation, MetricValue, Part

_HEADLINE = (
    "accuracy", "uar", "macro_f1", "weighted_f1", "micro_f1", "ece", "ece_uncalibrated", "nll",
    "brier", "uar_open",
)  # fmt: skip
_BESIDE_MULTILABEL = {
    name: f"{name}_top" for name in ("accuracy", "uar", "macro_f1", "weighted_f1")
}
_ONE_LABEL = ", one label"


def metric_rows(found: Evaluation, seeds: int = 1, command: str = "") -> tuple[Metric, ...]:
    """Turn an evaluation into rows for a card's ``[[metrics]]``.

    Metrics of samples with one label, beside multi-label ones of the same samples,
    are named ``accuracy_top``, ``macro_f1_top`` … under the same split.

    Args:
        found: the evaluation.
        seeds: number of trainings.
        command: how to reproduce it; default: that of the evaluation.

    Raises:
        InputError: if a leak was allowed: such metrics belong on no card.
    """
    if found.warnings:
        raise InputError(
            "metrics measured despite a leak do not go into a card: " + found.warnings[0]
        )
    command = command or found.provenance.reproduce or found.provenance.command
    rows: list[Metric] = []
    for part in found.parts:
        top = part.name.endswith(_ONE_LABEL)
        split = part.name.removesuffix(_ONE_LABEL)
        for name in _HEADLINE:
            if name in part.metrics:
                renamed = _BESIDE_MULTILABEL.get(name, name) if top else name
                rows.append(_row(found, part, split, renamed, part.metrics[name], seeds, command))
        if part.multi_label:
            rows += [
                _row(found, part, split, f"f1_{c.label}", MetricValue(c.f1 or 0.0), seeds, command)
                for c in part.classes
            ]
    rows += [
        _row(
            found,
            found.parts[0],
            f"{found.parts[0].name}, {c.name}",
            name,
            c.metrics[name],
            seeds,
            command,
            f", corrupted by {c.name}",
        )
        for c in found.robustness[1:]
        for name in ("uar", "ece")
    ]
    return tuple(rows)


def update_card(path: Path, rows: Sequence[Metric]) -> None:
    """Replace a card's metrics of the same corpus, split and name, and put the new ones first.

    Everything else in the file stays as it is written. The file is replaced at once,
    after the new one was read as a card.

    Raises:
        InputError: if the file cannot be written.
        ModelError: if it is no card.
    """
    before = read_card(path)
    new = {(m.corpus, m.split, m.name) for m in rows}
    kept = [b for b in _blocks(path.read_text(encoding="utf-8")) if _key(b) not in new]
    first = next((i for i, b in enumerate(kept) if _key(b) is not None), len(kept))
    head, rest = "".join(kept[:first]).rstrip("\n") + "\n", "".join(kept[first:])
    text = head + "".join(map(_written, rows)) + (f"\n{rest}" if rest else "")
    try:
        with atomic_path(path) as part:
            part.write_text(text, encoding="utf-8")
            if replace(read_card(part), metrics=()) != replace(before, metrics=()):
                raise ModelError(
                    f"{path} is written in a way that cannot be changed: edit it by hand"
                )
    except OSError as e:
        raise InputError(f"cannot write {path}: {e}; nothing was changed") from e


def _row(
    found: Evaluation,
    part: Part,
    split: str,
    name: str,
    metric: MetricValue,
    seeds: int,
    command: str,
    condition: str = "",
) -> Metric:
    who = f"{part.samples} samples"
    if part.speakers and not condition:
        who += f" of {part.speakers} speakers"
    return Metric(
        corpus=found.corpus.name,
        split=split,
        name=name,
        value=round(metric.value, 4),
        protocol=f"{who}{condition}; {part.protocol}{_limits(metric)}",
        seeds=seeds,
        command=command,
    )


def _limits(metric: MetricValue) -> str:
    if metric.deviation is not None:
        return f"; sd {metric.deviation:.3f}"
    if metric.low is None or metric.high is None:
        return ""
    return f"; 95 % interval {metric.low:.3f} to {metric.high:.3f}"


def _blocks(text: str) -> list[str]:
    """Split a TOML file before each table's header."""
    starts = [m.start() for m in re.finditer(r"^\[", text, re.MULTILINE)]
    edges = [0, *starts, len(text)]
    return [text[a:b] for a, b in pairwise(edges) if b > a]


def _key(block: str) -> tuple[str, str, str] | None:
    if not block.startswith("[[metrics]]"):
        return None
    row = read_toml(block)["metrics"][0]
    return row["corpus"], row["split"], row["name"]


def _written(m: Metric) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)  # TOML's strings escape as JSON's do

    return (
        f"\n[[metrics]]\ncorpus = {text(m.corpus)}\nsplit = {text(m.split)}\n"
        f"name = {text(m.name)}\nvalue = {float(m.value)!r}\nprotocol = {text(m.protocol)}\n"
        f"seeds = {m.seeds}\ncommand = {text(m.command)}\n"
    )
