"""The check at the door that all file sources share."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from .remote import as_url


def check_file(path: Path) -> None:
    """Check that `path` is a file with something in it.

    Raises:
        InputError: if it is not.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, expected a media file; name a file in it")
        size = path.stat().st_size
        if not path.is_file():
            raise InputError(f"{path} is a device or a pipe, expected a media file; save it first")
        if size == 0:
            raise InputError(f"{path} is empty (0 bytes), expected a media file; copy it again")
        with path.open("rb"):
            pass
    except OSError as error:
        as_url(path)  # says so if it is an address of the web
        raise InputError(
            f"cannot open {path}: {error.strerror}; check the path and its permissions"
        ) from None
    except ValueError as error:  # such as a null byte in the name
        raise InputError(f"{str(path)!r} cannot be a path: {error}") from None
