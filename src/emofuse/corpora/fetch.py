"""Downloads corpora that are open to everyone."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ..errors import InputError
from ..io.atomic import atomic_path
from ..io.download import MakeMeter, download, is_offline
from .recipe import Access, Recipe

_BLOCK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError)


def fetch(recipe: Recipe, root: Path, meter: MakeMeter | None = None) -> list[Path]:
    """Download a corpus into a folder and unpack it there.

    What arrived before, whole and with the right checksum, is not downloaded again;
    what arrived in part goes on where it broke off, if the server can do that. Files
    that are there already are never written over. ``EMOFUSE_OFFLINE`` and
    ``EMOFUSE_MIRROR`` count as for models.

    Args:
        recipe: of the corpus.
        root: the folder; made if it is not there.
        meter: makes the display of one download's progress from a text.

    Returns:
        The downloaded files.

    Raises:
        InputError: if the corpus is not open to everyone, has no published checksum,
            or cannot be had or written.
    """
    if not recipe.downloads:
        raise InputError(f"{recipe.name} is not downloaded: {_reason(recipe)}")
    if is_offline():
        raise InputError(
            f"{recipe.name} is not downloaded because EMOFUSE_OFFLINE is set; unset it, or get "
            f"the files from {recipe.home}"
        )
    paths = []
    for wanted in recipe.downloads:
        path = root / wanted.path
        download(wanted.url, path, wanted.checksum, meter=meter, resume=True)
        if wanted.unpack:
            unpack(path, root)
        paths.append(path)
    return paths


def _reason(recipe: Recipe) -> str:
    """Say why a corpus is not downloaded, and what to do instead."""
    if not recipe.home:
        return "it is your own; name its folder (--root, --data)"
    if recipe.access is Access.OPEN:
        why = "it is open to all, but no published checksum to compare its files with is known"
    else:
        why = f"its makers give it out themselves ({recipe.licence})"
    return f"{why}; get it yourself and name its folder (--root, --data): {recipe.source}"


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a zip or tar archive; files that are there in full already stay as they are.

    Links and names that lead out of the folder are refused. Each file appears when it
    is complete, so that an interrupted run can be repeated.

    Returns:
        How many files were written.

    Raises:
        InputError: if the archive is damaged or of another kind, or there is no room.
    """
    written = 0
    try:
        with closing(_members(archive)) as members:
            for name, size, opened in members:
                path = folder / _safe(name, archive)
                if path.is_file() and path.stat().st_size == size:
                    continue
                with atomic_path(path) as part, opened() as source, part.open("wb") as out:
                    shutil.copyfileobj(source, out, _BLOCK)
                written += 1
    except _DAMAGED as e:
        raise InputError(f"cannot unpack {archive}: {e}; delete it and download it again") from e
    except OSError as e:
        raise InputError(f"cannot unpack {archive} into {folder}: {e}; make room there") from e
    return written


Member = tuple[str, int, Callable[[], AbstractContextManager[IO[bytes]]]]


def _members(archive: Path) -> Generator[Member, None, None]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise InputError(f"{archive} holds a link, {info.filename}: not unpacked")
                if not info.is_dir():
                    yield info.filename, info.file_size, partial(zipped.open, info)
        return
    with tarfile.open(archive) as tarred:
        for entry in tarred:
            if entry.isfile():
                yield entry.name, entry.size, partial(_of_tar, tarred, entry)
            elif not entry.isdir():
                raise InputError(f"{archive} holds {entry.name}, which is no plain file")


def _of_tar(tarred: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    source = tarred.extractfile(entry)
    assert source is not None  # only of links and folders
    return source


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError(f"{archive} holds {name!r}, which leads out of its folder: not unpacked")
    return path
