"""What the evaluation commands share: load a model, measure it, hold it against its card."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import EmofuseError, InputError
from ..models.card import Metric
from ..models.recogniser import OnnxRecogniser
from ..models.registry import load

Measure = Callable[[OnnxRecogniser, argparse.Namespace], Sequence[Metric]]
"""Measures a model as the parsed arguments ask."""


def parser(about: str, model: str, data: str) -> argparse.ArgumentParser:
    """Make the parser of an evaluation command.

    Args:
        about: what the command does; its first line is shown.
        model: id of the model that is measured by default.
        data: what the folder given by ``--data`` holds.
    """
    out = argparse.ArgumentParser(description=about.splitlines()[0])
    out.add_argument("--data", type=Path, required=True, help=f"folder of {data}")
    out.add_argument("--model", default=model, help="id of the model")
    out.add_argument("--threads", type=int, default=1, help="threads of one inference")
    return out


def run(args: argparse.Namespace, measure: Measure, tolerance: float = 5e-4) -> int:
    """Print each measured figure beside the card's.

    Returns:
        0; 1 if a figure differs from the card's by more than `tolerance`; 2 if the
        model or the data cannot be used.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    try:
        recogniser = load(args.model, threads=args.threads)
        if not isinstance(recogniser, OnnxRecogniser):
            raise InputError(f"{args.model!r} gives no logits to measure")
        found = measure(recogniser, args)
    except EmofuseError as e:
        console.print(f"error: {e}", markup=False)
        return 2
    stated = {(m.corpus, m.split, m.name): m.value for m in recogniser.card.metrics}
    table = Table("corpus", "split", "figure", "measured", "card", title=args.model)
    differ = False
    for m in found:
        value = stated.get((m.corpus, m.split, m.name))
        differ |= value is not None and abs(value - m.value) > tolerance
        shown = "" if value is None else f"{value:.4f}"
        table.add_row(m.corpus, m.split, m.name, f"{m.value:.4f}", shown)
    console.print(table)
    return int(differ)
