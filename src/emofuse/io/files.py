"""Result files: never overwritten unasked, never half written."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..errors import InputError
from .atomic import discard, temporary_beside


def refuse_existing(path: Path, overwrite: bool = False) -> None:
    """Let a result be written to `path` only if nothing is lost by it.

    Raises:
        InputError: if there is something at `path` already and `overwrite` is
            False, or if it is a folder.
    """
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file")
    if not overwrite and os.path.lexists(path):
        raise InputError(
            f"{path} exists already and is left as it is: "
            "choose another place, or ask to overwrite it (--overwrite)"
        )


class ResultFile:
    """A text file that appears under its name only when it is complete.

    It is written beside its place under a temporary name and moved there by
    `commit`; a context manager that commits, or discards on an exception.

    Args:
        path: where the result goes; missing folders are made.
        overwrite: replace what is there.
        newline: as for `open`.

    Raises:
        InputError: if `path` is taken (see `refuse_existing`) or cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, newline: str = "\n") -> None:
        refuse_existing(path, overwrite)
        self.path = path
        self._overwrite = overwrite
        self._part = temporary_beside(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file: IO[str] = self._part.open(
                # A file name that is no valid UTF-8 has lone surrogates; JSON reads \\udcxx back.
                "x",
                encoding="utf-8",
                errors="backslashreplace",
                newline=newline,
            )
        except OSError as e:
            raise _unwritable(path, e) from e

    def commit(self) -> None:
        """Finish the file and move it to its place; harmless when called twice.

        Raises:
            InputError: if the disk is full, or somebody else took the place meanwhile.
        """
        if self.file.closed:
            return
        try:
            self.file.close()
            refuse_existing(self.path, self._overwrite)
            self._part.replace(self.path)
        except OSError as e:
            raise _unwritable(self.path, e) from e
        finally:
            discard(self._part)

    def discard(self) -> None:
        """Leave no trace; harmless after `commit`."""
        try:
            self.file.close()
        finally:
            discard(self._part)

    def __enter__(self) -> IO[str]:
        return self.file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            self.commit()
            return
        self.discard()
        if isinstance(error, OSError):
            raise _unwritable(self.path, error) from error


class OutputFolder:
    """A folder for results. Say early what will be written, so that hours are not lost.

        folder = OutputFolder(out, overwrite=False)
        folder.claim("timeline.json", "timeline.csv")    # before the analysis
        write_json(timeline, folder / "timeline.json", overwrite=folder.overwrite)

    Args:
        path: the folder; made when it is first claimed.
        overwrite: whether existing results may be replaced.
    """

    def __init__(self, path: Path | str, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.overwrite = overwrite

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def claim(self, *names: str) -> None:
        """Make sure that results of these names can be written.

        Raises:
            InputError: if one exists and `overwrite` is False, or the folder
                cannot be made or written to.
        """
        for name in names:
            refuse_existing(self / name, self.overwrite)
        probe = temporary_beside(self.path / "result")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as e:
            raise _unwritable(self.path, e) from e


def _unwritable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return InputError(f"cannot write into {path}: a file is there, expected a folder")
    reason: Any = error.strerror or error
    return InputError(f"cannot write {path}: {reason}; choose another place or make room")
