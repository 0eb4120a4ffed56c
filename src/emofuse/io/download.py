"""The one downloader: pinned by checksum, atomic, able to resume, explicit about failures.

``EMOFUSE_OFFLINE`` forbids downloads; ``EMOFUSE_MIRROR`` is a base URL that replaces scheme
and host of every URL; ``EMOFUSE_TIMEOUT`` is for how many seconds a server may be silent.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from ..errors import InputError
from .atomic import discard

_CONNECT, _SILENCE = 10.0, 60.0  # seconds to connect, and without a byte
_BLOCK = 1 << 14  # bytes lost at most when a connection breaks
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DownloadError(InputError):
    """A file could not be downloaded; the message says why and what to do."""


class ChecksumError(DownloadError):
    """The server sent something else than what is pinned."""


class Meter(Protocol):
    """Shows how far a download is. `total` is in bytes and set before the first update."""

    total: int

    def update(self, n: int) -> None:
        """Advance by `n` bytes."""

    def close(self) -> None:
        """Stop showing."""


MakeMeter = Callable[[str], "Meter | None"]
"""Makes the progress display of one download from its title."""


def is_offline() -> bool:
    """Whether ``EMOFUSE_OFFLINE`` forbids downloads."""
    value = os.environ.get("EMOFUSE_OFFLINE", "").strip().lower()
    return value not in ("", "0", "false", "no", "off")


def _timeouts() -> tuple[float, float]:
    """Seconds to connect and seconds without a byte.

    Raises:
        InputError: if ``EMOFUSE_TIMEOUT`` is not a positive number.
    """
    given = os.environ.get("EMOFUSE_TIMEOUT", "").strip()
    try:
        silence = float(given or _SILENCE)
        if not 0 < silence < float("inf"):
            raise ValueError
    except ValueError:
        raise InputError(
            f"EMOFUSE_TIMEOUT is {given!r}, expected seconds > 0, such as 60"
        ) from None
    return min(_CONNECT, silence), silence


def mirrored(url: str) -> str:
    """Return `url` with scheme and host replaced by ``EMOFUSE_MIRROR``, if that is set.

    Raises:
        InputError: if the mirror is not an http(s) URL.
    """
    mirror = os.environ.get("EMOFUSE_MIRROR", "").strip()
    if not mirror:
        return url
    base, pinned = urlsplit(mirror), urlsplit(url)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise InputError(
            f"EMOFUSE_MIRROR is {mirror!r}, expected a URL such as https://mirror.example.org/models"
        )
    path = base.path.rstrip("/") + pinned.path
    return urlunsplit((base.scheme, base.netloc, path, pinned.query, ""))


def download(
    url: str,
    path: Path,
    checksum: str,
    *,
    what: str = "",
    meter: MakeMeter | None = None,
    resume: bool = False,
    tries: int = 1,
    size: int = 0,
) -> None:
    """Download a file unless it is there already; it appears when it is complete and right.

    A download that is killed leaves ``.NAME.part``, which the next one goes on from or replaces.

    Args:
        url: where it is; see `mirrored`.
        path: where it goes; missing folders are made.
        checksum: ``sha256:…`` or ``md5:…`` in hex; the first digits are enough, and none
            checks nothing.
        what: what it is, for messages; default: its name.
        meter: shows progress.
        resume: keep what came of a broken download in ``.NAME.part`` and go on from there
            the next time. Another process that wants the same file meanwhile waits.
        tries: how often it is tried when the network or the server fails.
        size: bytes that it has, if that is known: whoever sends more is cut off.

    Raises:
        DownloadError: if it cannot be had or written, or is not what the checksum says.
    """
    if _is_right(path, checksum):
        return
    for left in reversed(range(tries)):
        try:
            with _explained(mirrored(url), path, what or path.name, resume):
                _attempt(mirrored(url), path, checksum, meter, resume, size)
                return
        except DownloadError as e:
            if not (left and _worth_another_try(e)):
                raise


def file_digest(path: Path, checksum: str = "sha256:") -> str:
    """Return the digest of a file in hex, by the algorithm that `checksum` starts with.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "x"
    >>> _ = path.write_bytes(b"abc")
    >>> file_digest(path, "md5:")
    '900150983cd24fb0d6963f7d28e17f72'
    """
    digest = hashlib.new(checksum.partition(":")[0])
    with path.open("rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _hex(checksum: str) -> str:
    return checksum.partition(":")[2]


def _is_right(path: Path, checksum: str) -> bool:
    return path.is_file() and file_digest(path, checksum).startswith(_hex(checksum))


def _attempt(
    url: str, path: Path, checksum: str, make_meter: MakeMeter | None, resume: bool, size: int
) -> None:
    kept = path.with_name(f".{path.name}.part")
    with _alone(kept):
        if _hex(checksum) and _is_right(path, checksum):
            return  # another process was quicker
        meter = make_meter(f"Downloading {path.name}") if make_meter else None
        if not resume:
            discard(kept)  # of one that was killed
        complete = False
        try:
            _receive(url, kept, meter, size)
            complete = True
            if size and kept.stat().st_size != size:
                raise _WrongSizeError(f"size ({kept.stat().st_size} bytes, expected {size})")
            if not _is_right(kept, checksum):
                raise ValueError(checksum.partition(":")[0])
            kept.replace(path)
        except OSError as e:
            complete = complete or e.errno in _NO_ROOM
            raise
        finally:
            if complete or not resume:
                discard(kept)
            if meter is not None:
                meter.close()


class _WrongSizeError(ValueError):
    """More or fewer bytes came than the file has."""


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Wait until no other process downloads to the same part; the lock ends with its process."""
    import fcntl

    lock = kept.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            # Whoever held it before took the file away: then this lock keeps nobody off.
            if lock.exists() and lock.stat().st_ino == os.fstat(held.fileno()).st_ino:
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return


def _receive(url: str, part: Path, meter: Meter | None, size: int) -> None:
    """Download to `part`, going on after what it holds already."""
    import requests  # costs 90 ms; only who downloads pays

    have = part.stat().st_size if part.is_file() else 0
    # Compressed on the way, a part's bytes could not be counted.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_timeouts()) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # it is no part of what is there now
            _receive(url, part, meter, size)
            return
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        _store(response, part, have if resumed else 0, meter, size)


def _store(response: Any, part: Path, have: int, meter: Meter | None, size: int) -> None:
    if meter is not None:
        meter.total = have + int(response.headers.get("content-length", 0))
        if have:
            meter.update(have)
    with part.open("ab" if have else "wb") as out:
        for block in response.iter_content(_BLOCK):
            have += len(block)
            if size and have > size:
                out.close()
                part.unlink()
                raise _WrongSizeError(f"size (more than the expected {size} bytes)")
            out.write(block)
            if meter is not None:
                meter.update(len(block))


@contextmanager
def _explained(url: str, path: Path, what: str, resume: bool) -> Iterator[None]:
    """Say in words what went wrong.

    Raises:
        DownloadError: instead of errors of the network and the disk.
    """
    import requests

    by_hand = f"fetch it by other means and put it at {path}"
    try:
        yield
    except requests.HTTPError as e:
        status = e.response.status_code if e.response is not None else "an error"
        raise DownloadError(
            f"cannot download {what}: {url} answered {status}; {by_hand}, or name a mirror in "
            "EMOFUSE_MIRROR"
        ) from e
    except requests.RequestException as e:
        again = "the same command resumes it" if resume else "check the network and try again"
        raise DownloadError(
            f"cannot download {what} from {url}: {_reason(e)}; {again}, or {by_hand}"
        ) from e
    except ValueError as e:
        raise ChecksumError(
            f"{what} from {url} is not what was published: its {e} is another; something on the "
            f"way changes it (a proxy, a login page); nothing was kept; {by_hand}"
        ) from e
    except OSError as e:
        if e.errno in _NO_ROOM:
            raise DownloadError(
                f"no room for {what} in {path.parent}; free some space there or choose a folder "
                "on another disk"
            ) from e
        raise DownloadError(
            f"cannot write {what} to {path.parent}: {e.strerror or e}; choose a writable folder"
        ) from e


def _worth_another_try(error: DownloadError) -> bool:
    """Whether the network may be to blame: not for a full disk, nor for a 404."""
    import requests

    cause = error.__cause__
    if isinstance(cause, requests.HTTPError):
        return cause.response is not None and cause.response.status_code >= 500
    return isinstance(cause, (ValueError, requests.RequestException))


def _reason(error: Exception) -> str:
    """One short phrase for a nest of network errors."""
    text = str(error)
    for sign, phrase in {
        "Name or service not known": "the host's name cannot be resolved",
        "NameResolutionError": "the host's name cannot be resolved",
        "Connection refused": "the host refuses the connection",
        "IncompleteRead": "the connection broke off",
        "Connection broken": "the connection broke off",
        "imed out": "the host does not answer in time",
    }.items():
        if sign in text:
            return phrase
    return text.splitlines()[0][:200] if text else type(error).__name__


class _RichMeter:
    """A progress bar of rich's."""

    def __init__(self, text: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._progress.add_task(text, total=None)
        self._total = 0
        self._progress.start()

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, n: int) -> None:
        self._total = n
        self._progress.update(self._task, total=n or None)

    def update(self, n: int) -> None:
        self._progress.advance(self._task, n)

    def close(self) -> None:
        self._progress.stop()


def download_bar(text: str) -> Meter | None:
    """Return a progress bar of one download on stderr, if that is a terminal."""
    return _RichMeter(text) if sys.stderr.isatty() else None
