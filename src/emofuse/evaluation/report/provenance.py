"""Where results come from: command, date, version and commit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ... import __version__
from .results import Provenance

_PACKAGE = Path(__file__).parents[1]


class Reproducible(Protocol):
    """The settings of an evaluation: a dataclass with two commands.

    `command` is what was run, `reproduce` how anyone can run it again.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def command(self) -> str: ...  # noqa: D102

    @property
    def reproduce(self) -> str: ...  # noqa: D102


def provenance(plan: Reproducible, hours: float) -> Provenance:
    """Describe an evaluation that has just ended."""
    settings = {
        f.name: _plain(getattr(plan, f.name))
        for f in fields(plan)
        if f.name not in ("command", "reproduce")
    }
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Provenance(
        plan.command, now, __version__, commit(), settings, round(hours, 4), plan.reproduce
    )


def commit() -> str | None:
    """Return the git commit of emofuse's own source, with ``+`` if files differ from it.

    None if it is not run from a checkout, or there is no git.
    """

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(_PACKAGE), *args], capture_output=True, text=True, timeout=10
        )
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # else some other project's checkout
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(_PACKAGE))
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return value.name  # the folder above depends on the machine
    if hasattr(value, "kind") and hasattr(value, "name"):
        return value.name
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value
