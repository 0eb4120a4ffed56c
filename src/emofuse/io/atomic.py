"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


def temporary_beside(path: Path) -> Path:
    """Return an unused hidden name in the folder of `path`, ending in ``.part``."""
    return path.with_name(f".{secrets.token_hex(6)}.part")


@contextlib.contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary name to write to, and move what was written to `path`.

    What stood at `path` is replaced at once, or stays untouched if the body raises.
    Nothing is left behind in that case. Missing parent folders are made.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "made" / "result.txt"
    >>> with atomic_path(target) as part:
    ...     _ = part.write_text("complete")
    ...     target.exists()
    False
    >>> target.read_text()
    'complete'
    >>> [p.name for p in target.parent.iterdir()]
    ['result.txt']

    Args:
        path: where the file (or folder, if the body makes one) goes; a folder there
            must be empty.
        durable: wait until the file is on the disk, so that it survives a power cut.

    Raises:
        OSError: if the file cannot be written or moved.
    """
    part = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            _sync(part)
        part.replace(path)
        if durable:
            _sync(path.parent)
    finally:
        discard(part)


def write_atomic(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a whole file in one step; text is UTF-8.

    Raises:
        OSError: if it cannot be written.
    """
    with atomic_path(path, durable=durable) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def discard(path: Path) -> None:
    """Remove a file or folder if it is there; failing to do so hides no earlier error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
