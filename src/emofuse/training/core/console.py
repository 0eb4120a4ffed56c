"""Messages for whoever waits for a training."""

from __future__ import annotations

from rich.console import Console


def log(text: str) -> None:
    """Print a line to standard error."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
