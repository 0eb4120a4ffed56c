"""Downloads what the makers of a corpus offer to everyone."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import InputError
from ..models.store import Meter, Store, mirrored
from . import tree
from .recipe import Download, Recipe

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
_BLOCK = 1 << 14  # what is lost at most when a connection breaks
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError)

MakeMeter = Callable[[str], "Meter | None"]


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
        InputError: if the corpus is not public, or cannot be had or written.
    """
    if not recipe.downloads:
        raise InputError(
            f"{recipe.name} cannot be downloaded: its makers give it out themselves "
            f"({recipe.licence}); get it from {recipe.home} and name its folder with --root"
        )
    if Store().offline:
        raise InputError(
            f"{recipe.name} is not downloaded because EMOFUSE_OFFLINE is set; unset it, or get "
            f"the files from {recipe.home}"
        )
    paths = []
    for download in recipe.downloads:
        path = root / download.path
        _fetch(download, path, meter(path.name) if meter else None)
        if download.unpack:
            unpack(path, root)
        paths.append(path)
    return paths


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
                part = path.with_name(f".{path.name}.part")
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with opened() as source, part.open("wb") as out:
                        shutil.copyfileobj(source, out, _BLOCK)
                    part.replace(path)
                finally:
                    tree.discard(part)
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


def _fetch(download: Download, path: Path, meter: Meter | None) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # it would print paths and hashes
    url = mirrored(download.url)
    by_hand = f"fetch {download.url} by other means and put it at {path}"
    try:
        pooch.retrieve(
            url,
            download.checksum,
            fname=path.name,
            path=path.parent,
            downloader=_Resuming(path.with_name(f".{path.name}.part"), meter),
        )
    except requests.HTTPError as e:
        status = e.response.status_code if e.response is not None else "an error"
        raise InputError(f"cannot download {url}: it answered {status}; {by_hand}") from e
    except requests.RequestException as e:
        reason = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
        raise InputError(
            f"the download of {url} broke off ({reason}); the same command goes on where it "
            f"stopped, or {by_hand}"
        ) from e
    except ValueError as e:
        raise InputError(
            f"what came from {url} is not what its makers published (another "
            f"{download.checksum.partition(':')[0]}); nothing was kept; {by_hand}"
        ) from e
    except OSError as e:
        raise InputError(f"cannot write {path}: {e}; make room or choose another folder") from e
    finally:
        if meter is not None:
            meter.close()


class _Resuming:
    """Downloads for pooch; what has come so far stays in `part` until it is complete."""

    def __init__(self, part: Path, meter: Meter | None) -> None:
        self._part, self._meter = part, meter

    def __call__(self, url: str, output_file: str, _: object) -> None:
        import requests

        have = self._part.stat().st_size if self._part.is_file() else 0
        # Compressed on the way, a part's bytes could not be counted.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self._part.unlink()  # it is no part of what is there now
                return self(url, output_file, _)
            response.raise_for_status()
            goes_on = response.status_code == requests.codes.partial_content
            self._receive(response, have if goes_on else 0)
        self._part.replace(output_file)
        return None

    def _receive(self, response: Any, have: int) -> None:
        if self._meter is not None:
            self._meter.total = have + int(response.headers.get("content-length", 0))
            self._meter.update(have)
        with self._part.open("ab" if have else "wb") as out:
            for block in response.iter_content(_BLOCK):
                out.write(block)
                if self._meter is not None:
                    self._meter.update(len(block))
