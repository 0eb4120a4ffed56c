"""Puts measured figures into a model's card, where they travel with it."""

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
from .results import Evaluation, Figure, Part

_HEADLINE = (
    "accuracy", "uar", "macro_f1", "weighted_f1", "micro_f1", "ece", "ece_uncalibrated", "nll",
    "brier", "uar_open",
)  # fmt: skip
_BESIDE_FLAGS = {name: f"{name}_top" for name in ("accuracy", "uar", "macro_f1", "weighted_f1")}
_ONE_LABEL = ", one label"


def metric_rows(found: Evaluation, seeds: int = 1, command: str = "") -> tuple[Metric, ...]:
    """Turn an evaluation into rows for a card's ``[[metrics]]``.

    Figures of samples with one label, beside multi-label ones of the same samples,
    are called ``accuracy_top``, ``macro_f1_top`` … under the same split.

    Args:
        found: what was measured.
        seeds: over how many trainings.
        command: how to measure it again; default: how it was measured.

    Raises:
        InputError: if a leak was allowed: such figures belong on no card.
    """
    if found.warnings:
        raise InputError(
            "figures that were measured despite a leak do not go into a card: " + found.warnings[0]
        )
    command = command or found.provenance.again or found.provenance.command
    rows: list[Metric] = []
    for part in found.parts:
        top = part.name.endswith(_ONE_LABEL)
        split = part.name.removesuffix(_ONE_LABEL)
        for name in _HEADLINE:
            if name in part.figures:
                figure = part.figures[name]
                called = _BESIDE_FLAGS.get(name, name) if top else name
                rows.append(_row(found, part, split, called, figure, seeds, command))
        if part.multi_label:
            rows += [
                _row(found, part, split, f"f1_{c.label}", Figure(c.f1 or 0.0), seeds, command)
                for c in part.classes
            ]
    rows += [
        _robust_row(found, name, corrupted.name, corrupted.figures[name], seeds, command)
        for corrupted in found.robustness[1:]
        for name in ("uar", "ece")
    ]
    return tuple(rows)


def update_card(path: Path, rows: Sequence[Metric]) -> None:
    """Replace a card's figures of the same corpus, split and name, and put the new ones first.

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
    figure: Figure,
    seeds: int,
    command: str,
) -> Metric:
    who = f"{part.samples} samples"
    if part.speakers:
        who += f" of {part.speakers} speakers"
    return Metric(
        corpus=found.corpus.name,
        split=split,
        name=name,
        value=round(figure.value, 4),
        protocol=f"{who}; {part.protocol}{_limits(figure)}",
        seeds=seeds,
        command=command,
    )


def _robust_row(
    found: Evaluation, name: str, spoiling: str, figure: Figure, seeds: int, command: str
) -> Metric:
    part = found.parts[0]
    return Metric(
        corpus=found.corpus.name,
        split=f"{part.name}, {spoiling}",
        name=name,
        value=round(figure.value, 4),
        protocol=f"{part.samples} samples, corrupted by {spoiling}; {part.protocol}{_limits(figure)}",
        seeds=seeds,
        command=command,
    )


def _limits(figure: Figure) -> str:
    if figure.deviation is not None:
        return f"; sd {figure.deviation:.3f}"
    if figure.low is None or figure.high is None:
        return ""
    return f"; 95 % interval {figure.low:.3f} to {figure.high:.3f}"


def _blocks(text: str) -> list[str]:
    """Cut a TOML file before each table's header."""
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
