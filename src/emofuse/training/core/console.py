"""Messages for whoever waits for a training."""

from __future__ import annotations

from rich.console import Console


def stderr() -> Console:
    """Return a console for progress; in a notebook, too, it prints lines of text."""
    return Console(stderr=True, force_jupyter=False)


def log(text: str) -> None:
    """Print a line to standard error."""
    stderr().print(text, highlight=False, markup=False, soft_wrap=True)
