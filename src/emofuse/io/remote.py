"""Media and results in object stores: ``s3://`` and ``gs://``, through pyarrow's file systems.

Credentials, regions and endpoints come from where the store's own tools take them
(``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``), or from the
URL's query (``s3://bucket/x?endpoint_override=host:port&scheme=http``).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import InputError, MissingExtra

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_SCHEMES = ("s3", "gs", "file")
_URL = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+):/{1,2}(?=[^/])|^(file):/+")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a store.

    Args:
        url: where it is.
        below: its path below the folder that was listed.
        size: bytes.
        mtime_ns: when it was changed last.
    """

    url: str
    below: PurePosixPath
    size: int
    mtime_ns: int


def as_url(path: Path | str) -> str | None:
    """Return the URL that a path on a command line means; None if it is a path.

    Raises:
        InputError: if it is a URL of a kind that is not read.

    Example:
        >>> as_url(Path("s3://bucket/clips"))
        's3://bucket/clips'
        >>> as_url("clips/a.mp4") is None
        True
    """
    text = str(path)
    match = _URL.match(text)
    if match is None:
        return None
    scheme = (match[1] or match[2]).lower()
    slashes = "///" if scheme == "file" else "//"
    url = f"{scheme}:{slashes}{text[match.end() :]}"  # a Path has lost a slash
    if scheme not in _SCHEMES:
        raise InputError(
            f"{url} is a URL that is not read; expected a file, a folder, "
            f"{', '.join(f'{s}://' for s in _SCHEMES)}: download it first"
        )
    return url


def list_files(url: str) -> list[RemoteFile]:
    """Return the files at or below a URL, in alphabetical order; hidden ones are left out.

    Raises:
        InputError: if there is nothing, or the store cannot be reached.
        MissingExtra: if pyarrow is not installed.
    """
    fs, path, base = _open(url)
    with _told(url):
        from pyarrow.fs import FileSelector, FileType

        info = fs.get_file_info(path)
        if info.type == FileType.File:
            return [_remote(url, PurePosixPath(PurePosixPath(path).name), info)]
        found = fs.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
        files = [i for i in found if i.type == FileType.File]
    if not files:
        raise InputError(f"there is nothing at {url}; check the spelling")
    out = []
    for info in sorted(files, key=lambda i: i.path):
        below = PurePosixPath(info.path).relative_to(path)
        if not any(part.startswith(".") for part in below.parts):
            out.append(_remote(base(info.path), below, info))
    return out


def _remote(url: str, below: PurePosixPath, info: Any) -> RemoteFile:
    return RemoteFile(url, below, info.size, info.mtime_ns or 0)


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """Give a local copy of a file, which goes when the context ends.

    Raises:
        InputError: if it cannot be read.
    """
    fs, path, _ = _open(url)
    with TemporaryDirectory(prefix="emofuse-") as folder:
        copy = Path(folder, PurePosixPath(path).name)
        with _told(url), fs.open_input_stream(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        yield copy


def upload(folder: Path, url: str) -> None:
    """Put all files of a folder below a URL. A file appears there whole or not at all.

    Raises:
        InputError: if the store refuses them.
    """
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        upload_file(file, url, file.relative_to(folder).as_posix())


def upload_file(file: Path, url: str, name: str) -> None:
    """Put a file under a name below a URL; see `upload`."""
    fs, root, _ = _open(url)
    place = f"{root.rstrip('/')}/{name}"
    with _told(url):
        if fs.type_name == "local":
            Path(place).parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as source, fs.open_output_stream(place) as target:
            shutil.copyfileobj(source, target, 1 << 20)


def is_taken(url: str) -> bool:
    """Whether there is anything at or below a URL.

    Raises:
        InputError: if the store cannot be reached.
    """
    fs, path, _ = _open(url)
    with _told(url):
        from pyarrow.fs import FileSelector

        return bool(fs.get_file_info(FileSelector(path, recursive=False, allow_not_found=True)))


def _open(url: str) -> tuple[FileSystem, str, Any]:
    """Return a store, the path in it, and what makes a URL of another path in it."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError as e:
        raise MissingExtra("parquet", "reading from and writing to stores") from e
    with _told(url):
        fs, path = FileSystem.from_uri(url)
    head, _, query = url.partition("?")
    scheme = head.partition("://")[0]
    tail = f"?{query}" if query else ""
    return fs, path, lambda other: f"{scheme}://{other}{tail}"


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as e:  # pyarrow's own errors are these, too
        first = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(f"cannot reach {url}: {first}; check address and credentials") from e
