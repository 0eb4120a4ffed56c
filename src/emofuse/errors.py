"""Errors a user of emofuse can meet.

Every message answers three questions: what was got, what was expected, and what
to do about it. Programs catch `EmofuseError`; the command line prints it as one
line and exits with code 2.
"""

from __future__ import annotations

import copyreg
from typing import Any


class EmofuseError(Exception):
    """Base of every error that emofuse raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it leave a worker process, whatever the constructors of subclasses take."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InputError(EmofuseError):
    """The user's input (media, transcript, configuration, argument) cannot be used."""


class ModelError(EmofuseError):
    """A model, its card or its weights are missing, damaged or of the wrong kind."""


class MissingExtra(EmofuseError):
    """An optional dependency is needed and not installed.

    Args:
        extra: name of the extra that brings it, e.g. ``"train"``.
        purpose: what it is needed for, as a noun phrase.
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the optional extra {extra!r}, which is not installed: "
            f"run  pip install 'emofuse[{extra}]'"
        )
        self.extra, self.purpose = extra, purpose
