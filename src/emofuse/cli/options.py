"""Options that several commands have, and the panels in which their help shows them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from ..core.registry import Registry


def names(kind: str) -> str:
    """Return the names registered for a kind, e.g. ``"detectors"``, as help lists them."""
    return ", ".join(Registry(f"emofuse.{kind}", kind).names)


def panel(title: str) -> Callable[..., Any]:
    """Return `typer.Option` for options that the help shows under a title."""
    return partial(typer.Option, rich_help_panel=title)


result = panel("Results")
"""An option that says what becomes of the results."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, result("--overwrite", help="Replace existing results.")]
Quiet = Annotated[bool, result("--quiet", "-q", help="Print errors only.")]


def complain(message: str) -> None:
    """Print a message on stderr, each line with our name before it."""
    with contextlib.suppress(OSError):
        for line in message.splitlines():
            typer.echo(line if line.startswith("emofuse: ") else f"emofuse: {line}", err=True)
