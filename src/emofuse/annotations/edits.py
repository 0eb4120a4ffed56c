"""The edits: what can be changed by hand, and its form in files and requests."""

from __future__ import annotations

import re
import secrets
import unicodedata
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..core.estimates import SubjectKind
from ..core.time import Span, to_ns

LONGEST_NAME, LONGEST_TEXT = 200, 4000


def _plain(text: str) -> str:
    """Take out what no format can hold: control characters, and blanks around."""
    return "".join(
        c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs")
    ).strip()


def _one_line(text: str) -> str:
    return " ".join(_plain(text).split())


def _subject(text: str) -> str:
    kinds = "|".join(kind.value for kind in SubjectKind)
    if not re.fullmatch(rf"({kinds})-(0|[1-9]\d{{0,8}})", text, re.ASCII):
        raise ValueError(f"expected a person such as face-1, got {text[:40]!r}")
    return text


SubjectId = Annotated[str, AfterValidator(_subject)]
Line = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_one_line)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_plain)]
Seconds = Annotated[float, Field(ge=0, lt=3e6, allow_inf_nan=False)]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Edit(BaseModel):
    """What all edits have: who made them, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{6,40}$")] = Field(
        default_factory=lambda: secrets.token_hex(8)
    )
    author: Line = ""
    time: Annotated[str, Field(max_length=40)] = Field(default_factory=_now)


class _Stretch(_Edit):
    """An edit of a stretch of time, in seconds; it holds where start ≤ t < end."""

    start: Seconds
    end: Seconds

    @model_validator(mode="after")
    def _ordered(self) -> _Stretch:
        if self.end < self.start:
            raise ValueError(f"it ends ({self.end:g} s) before it starts ({self.start:g} s)")
        return self

    @property
    def span(self) -> Span:
        """The stretch."""
        return Span(to_ns(self.start), to_ns(self.end))


class Name(_Edit):
    """Give a person a name; an empty one takes it away."""

    kind: Literal["name"] = "name"
    subject: SubjectId
    name: Line


class Merge(_Edit):
    """Two are one person: all of `subject` goes to `into`."""

    kind: Literal["merge"] = "merge"
    subject: SubjectId
    into: SubjectId


class Split(_Edit):
    """One is two people: from `at` (seconds) on, `subject` is `into`, whom nobody was yet."""

    kind: Literal["split"] = "split"
    subject: SubjectId
    at: Seconds
    into: SubjectId


class SetLabel(_Stretch):
    """What a person expresses over a stretch."""

    kind: Literal["label"] = "label"
    subject: SubjectId
    label: Line


class Confirm(_Stretch):
    """The machine's labels of a person over a stretch are right."""

    kind: Literal["confirm"] = "confirm"
    subject: SubjectId


class Exclude(_Stretch):
    """Leave out a stretch, of one person or of all."""

    kind: Literal["exclude"] = "exclude"
    subject: SubjectId | None = None


class Mark(_Edit):
    """Mark a moment (seconds)."""

    kind: Literal["mark"] = "mark"
    at: Seconds
    text: Line = ""


class Note(_Stretch):
    """Note something about a stretch, and a person or all."""

    kind: Literal["note"] = "note"
    text: Text
    subject: SubjectId | None = None


class Undo(_Edit):
    """Take back an edit; to do it again, take back its undoing."""

    kind: Literal["undo"] = "undo"
    of: Annotated[str, Field(max_length=40)]


Edit = Annotated[
    Name | Merge | Split | SetLabel | Confirm | Exclude | Mark | Note | Undo,
    Field(discriminator="kind"),
]
"""One of the edits, told apart by ``kind``."""
