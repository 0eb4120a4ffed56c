"""Errors a user of emofuse can meet.

Every message answers three questions: what was got, what was expected, and what
to do about it. Programs catch `EmofuseError`; the command line prints it as one
line and exits with code 2.
"""

from __future__ import annotations


class EmofuseError(Exception):
    """Base of every error that emofuse raises on purpose."""


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

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Let it reach the process that asked: an error is pickled by what it was made of."""
        return type(self), (self.extra, self.purpose)
