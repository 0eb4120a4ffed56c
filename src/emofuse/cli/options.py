"""Options that several commands have, and the panels in which their help shows them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer


def panel(title: str) -> Callable[..., Any]:
    """Return `typer.Option` for options that the help shows under a title."""
    return partial(typer.Option, rich_help_panel=title)


result = panel("Results")
"""An option that says what becomes of the results."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, result("--overwrite", help="Replace existing results.")]
Quiet = Annotated[bool, result("--quiet", "-q", help="Print errors only.")]
