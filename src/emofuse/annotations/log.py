"""The edits of a result: a list that only grows, in ``annotations.json`` beside it."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.timeline import Timeline
from ..errors import InputError
from ..io.atomic import write_atomic
from .edits import Edit, Undo

FILE = "annotations.json"
"""Name of the file beside a result."""

SCHEMA: Literal["emofuse/annotations"] = "emofuse/annotations"
VERSION: Literal[1] = 1
MOST = 20_000
"""Edits that one result may have."""


class EditConflictError(InputError):
    """Somebody else has changed the annotations meanwhile."""


class Annotations(BaseModel):
    """The edits of one result, in the order in which they were made.

    Args:
        media: name of the medium.
        digest: of the result (`Timeline.digest`).
        edits: all of them, the undone and their undoings included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kind: Literal["emofuse/annotations"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = VERSION
    media: Annotated[str, Field(max_length=4096)]
    digest: Annotated[str, Field(max_length=64)]
    edits: Annotated[tuple[Edit, ...], Field(max_length=MOST)] = ()

    @classmethod
    def of(cls, timeline: Timeline) -> Annotations:
        """Return a result's annotations before anything was edited."""
        return cls(media=timeline.media.name, digest=timeline.digest())

    @property
    def active(self) -> tuple[Edit, ...]:
        """The edits that hold: neither undone nor undoings."""
        undone: set[str] = set()
        for edit in reversed(self.edits):  # an undoing may be undone by a later one
            if isinstance(edit, Undo) and edit.id not in undone:
                undone.add(edit.of)
        return tuple(e for e in self.edits if e.id not in undone and not isinstance(e, Undo))

    @property
    def etag(self) -> str:
        """16 hex digits that change with every edit."""
        ids = "\n".join(edit.id for edit in self.edits)
        return hashlib.blake2b(f"{self.digest}\n{ids}".encode(), digest_size=8).hexdigest()

    def with_edits(self, edits: Iterable[Edit]) -> Annotations:
        """Return them with edits added; those that are there already (by id) are not repeated.

        Raises:
            InputError: if an edit undoes one that there is not, or they become too many.
        """
        known = {edit.id for edit in self.edits}
        new = []
        for edit in edits:
            if edit.id in known:
                continue
            if isinstance(edit, Undo) and edit.of not in known:
                raise InputError(f"there is no edit {edit.of!r} to undo")
            known.add(edit.id)
            new.append(edit)
        if len(self.edits) + len(new) > MOST:
            raise InputError(f"a result may have {MOST} edits, got {len(self.edits) + len(new)}")
        return self.model_copy(update={"edits": (*self.edits, *new)})

    def check_fits(self, timeline: Timeline, what: str = "the annotations") -> None:
        """Check that these are the annotations of a timeline, as it was found.

        Raises:
            InputError: if they are of another file or of another result of the same file.
        """
        if self.digest == timeline.digest():
            return
        if self.media != timeline.media.name:
            raise InputError(
                f"{what} are of {self.media!r}, this is a result of {timeline.media.name!r}; "
                "choose the result that they were made on"
            )
        raise InputError(
            f"{what} were made on another result of {self.media!r} (digest {self.digest}, this "
            f"one has {timeline.digest()}): analyze it with the models and settings of then, or "
            "annotate this result anew"
        )

    def to_json(self) -> str:
        """Return them as they stand in files: one edit a line."""
        head = self.model_dump_json(by_alias=True, exclude={"edits"}, indent=1)
        lines = ",\n".join(edit.model_dump_json() for edit in self.edits)
        return f'{head.rstrip().rstrip("}").rstrip()},\n "edits": [\n{lines}\n]}}\n'


def read_annotations(path: Path | str) -> Annotations:
    """Read annotations.

    Raises:
        InputError: if the file cannot be read, holds something else, or is of a later version.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise InputError(f"{path} holds no annotations: it is not UTF-8 ({e.reason})") from e
    return parse_annotations(text, str(path))


def parse_annotations(text: str, source: str) -> Annotations:
    """Read annotations from text; `source` names it in errors.

    Raises:
        InputError: as `read_annotations`.
    """
    try:
        return Annotations.model_validate_json(text)
    except ValidationError as e:
        raise InputError(f"{source}: {explain(e)}") from None


def explain(error: ValidationError) -> str:
    """Say in one sentence what is wrong with annotations: got, expected, what to do."""
    first = error.errors(include_url=False)[0]
    where, got = first["loc"], first.get("input")
    if first["type"] == "json_invalid":
        return f"these are no annotations: not valid JSON ({first['ctx']['error']})"
    if where == ("schema",) or (first["type"] == "missing" and len(where) == 1):
        return f"these are no annotations: expected the schema {SCHEMA!r} (saved by the page)"
    if where == ("version",):
        return (
            f"version {got!r} of {SCHEMA}, this emofuse reads version {VERSION}: use the "
            "emofuse that wrote them"
        )
    place = ".".join(str(part) for part in where) or "annotations"
    return f"{place}: {first['msg']}, got {_short(got)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def append(
    path: Path, edits: Iterable[Edit], timeline: Timeline, etag: str | None = None
) -> Annotations:
    """Add edits to the annotations beside a result; what is there is never changed.

    Args:
        path: the file; it need not be there yet.
        edits: what to add; those that are there already are left.
        timeline: the result, as it was found.
        etag: of the annotations that the edits were made on; None: any.

    Returns:
        The annotations with the edits.

    Raises:
        EditConflictError: if they have another etag by now; nothing is written.
        InputError: if the annotations there are not of this result, an edit cannot be
            done (`apply.check`), or the file cannot be written.
    """
    from .apply import check

    with _alone(path.parent):
        there = read_annotations(path) if path.exists() else Annotations.of(timeline)
        there.check_fits(timeline, str(path))
        if etag is not None and etag != there.etag:
            raise EditConflictError(
                f"the annotations were changed by somebody else meanwhile (etag {there.etag}, "
                f"yours were made on {etag}): read them again and repeat yours; nothing is lost"
            )
        new = there.with_edits(edits)
        check(timeline, new, len(there.edits))
        if len(new.edits) > len(there.edits):
            try:
                write_atomic(path, new.to_json(), durable=True)
            except OSError as e:
                raise InputError(f"cannot write {path}: {e.strerror or e}") from e
        return new


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one who writes annotations in a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as e:
        raise InputError(f"cannot open {folder}: {e.strerror or e}") from e
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
