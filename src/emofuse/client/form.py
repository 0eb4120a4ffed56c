"""Uploads: forms that are read from disk as they are sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError

CHUNK = 1 << 20
"""Bytes read at once."""


class Form:
    """A multipart body that is read from disk as it is sent: memory does not grow with it.

    Args:
        fields: names and values; those that are None are left out.
        files: names of fields and paths.

    Raises:
        InputError: if a file cannot be read.
    """

    def __init__(self, fields: Mapping[str, Any], files: Sequence[tuple[str, Path]] = ()) -> None:
        self._boundary = secrets.token_hex(16)
        self._parts: list[bytes | Path] = []
        for name, value in fields.items():
            if value is not None:
                self._parts += [self._head(f'name="{name}"'), _written(value).encode()]
        for name, path in files:
            shown = path.name.replace('"', "%22").replace("\r", " ").replace("\n", " ")
            self._parts += [self._head(f'name="{name}"; filename="{shown}"'), path]
        self._parts.append(f"\r\n--{self._boundary}--\r\n".encode())
        self.headers = {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}
        self._size = sum(map(_size, self._parts))

    def _head(self, about: str) -> bytes:
        return f"\r\n--{self._boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk


def _written(value: Any) -> str:
    """Write an option as a form has it."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={number}" for key, number in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def _size(part: bytes | Path) -> int:
    if isinstance(part, bytes):
        return len(part)
    try:
        if part.is_file():
            return part.stat().st_size
    except OSError as e:
        raise InputError(f"cannot read {part}: {e.strerror}") from e
    raise InputError(f"{part}: no such file")
