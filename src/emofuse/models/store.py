"""Where models are: embedded, in a folder of the user's, or downloaded and kept.

Environment variables steer it, so that institutions need no code:

====================  ==================================================================
``EMOFUSE_OFFLINE``   ``1``: never download.
``EMOFUSE_MIRROR``    base URL that replaces scheme and host of every pinned URL.
``EMOFUSE_CACHE``     folder for downloads; default: the platform's cache folder.
``EMOFUSE_MODELS``    further folders with cards and weights, joined as in ``PATH``.
``EMOFUSE_LICENCES``  ``commercial``: refuse weights that forbid commercial use.
====================  ==================================================================

What is checked, and when: a file's size whenever it is used; its sha256 when it
is downloaded, and else the first time that this machine meets it (about 1.5 ms
per MB). That it was right is remembered until the file changes, so later starts
pay for a `stat` only. `Store.verify` always reads everything.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from ..errors import ModelError
from .card import Card, ModelFile, read_card, sha256_of

ZOO = Path(__file__).with_name("zoo")
"""The cards that ship with emofuse."""

WEIGHTS = Path(__file__).with_name("weights")
"""The weights that ship with emofuse."""

_TRIES = 2  # a broken connection or a damaged answer is asked for once more
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte


class Whereabouts(str, Enum):
    """Where a model's files are."""

    EMBEDDED = "embedded"
    LOCAL = "local"
    DOWNLOADED = "downloaded"
    REMOTE = "not yet"


class Licences(str, Enum):
    """Which weights may be used, by the licence in their card. Call it with a card.

    ``COMMERCIAL`` refuses what forbids commercial use or does not say. It reads
    the licence of the weights only; the card's `data` names the corpora's.
    """

    ANY = "any"
    COMMERCIAL = "commercial"

    def __call__(self, card: Card) -> bool:
        """Whether the card's weights may be used."""
        words = card.licence.lower().replace("_", " ").replace("-", " ").split()
        refused = {"nc", "noncommercial", "research", "academic", "unknown"}
        restricted = not words or refused & set(words) or "non commercial" in " ".join(words)
        return self is Licences.ANY or not restricted


class Meter(Protocol):
    """Shows how far a download is. `total` is in bytes and set before the first update."""

    total: int

    def update(self, n: int) -> None:
        """Advance by `n` bytes."""

    def reset(self) -> None:
        """Go back to the start."""

    def close(self) -> None:
        """Stop showing."""


class Store:
    """Finds cards and the files that they name.

    Args:
        cache_dir: folder for downloads; default: ``EMOFUSE_CACHE``, else the
            platform's cache folder for emofuse.
        offline: never download; default: ``EMOFUSE_OFFLINE``.
        allow: says of a card whether its weights may be used, e.g.
            `Licences.COMMERCIAL`; default: ``EMOFUSE_LICENCES``, else all may.
        folders: further folders with cards (``*.toml``) and, beside them, their
            files; default: ``EMOFUSE_MODELS``. A model there takes the place of an
            embedded one of the same id: who names a folder means what is in it.
        meter: makes the progress display of one download from a text; default: a
            bar on stderr if that is a terminal.
    """

    def __init__(
        self,
        cache_dir: Path | None = None,
        offline: bool | None = None,
        allow: Callable[[Card], bool] | None = None,
        folders: Sequence[Path] | None = None,
        meter: Callable[[str], Meter | None] | None = None,
    ) -> None:
        self.cache_dir = Path(cache_dir) if cache_dir is not None else _cache_dir()
        self.offline = _flag("EMOFUSE_OFFLINE") if offline is None else offline
        self.folders = _user_folders() if folders is None else tuple(map(Path, folders))
        self._allow = allow or _licences()
        self._meter = meter or download_bar
        self._found: dict[str, tuple[Card, Path]] | None = None

    def cards(self) -> tuple[Card, ...]:
        """Return all known cards by modality and id. Imports no runtime.

        Raises:
            ModelError: if a card cannot be read, two share an id, or a folder is missing.
        """
        cards = (card for card, _ in self._index().values())
        return tuple(sorted(cards, key=lambda card: (card.modality.value, card.id)))

    def card(self, model_id: str) -> Card:
        """Return one card.

        Raises:
            ModelError: if there is no such card; the message names those there are.
        """
        index = self._index()
        if model_id not in index:
            known = ", ".join(sorted(index)) or "none"
            raise ModelError(
                f"no model {model_id!r}; known models: {known}. "
                "Cards in further folders are found through EMOFUSE_MODELS"
            )
        return index[model_id][0]

    def files(self, card: Card) -> dict[str, Path]:
        """Return the paths of a model's files by role; download what is missing.

        Raises:
            ModelError: if the licence is not allowed, a file is missing or damaged,
                or it cannot be downloaded; the message says what to do.
        """
        if not self._allow(card):
            raise ModelError(
                f"model {card.id!r} has the licence {card.licence!r}, which the licence filter "
                "(EMOFUSE_LICENCES) refuses; choose another model (see `emofuse models`)"
            )
        return {role: self._file(card, file) for role, file in card.files.items()}

    def whereabouts(self, card: Card) -> Whereabouts:
        """Say where a model's files are, without downloading or reading them."""
        paths = [(self._path(card, f), f) for f in card.files.values()]
        if not all(_has(path, f) for path, f in paths):
            return Whereabouts.REMOTE
        if any(path.is_relative_to(self.cache_dir) for path, _ in paths):
            return Whereabouts.DOWNLOADED
        home = paths[0][0].parent if paths else WEIGHTS
        return Whereabouts.EMBEDDED if home == WEIGHTS else Whereabouts.LOCAL

    def home(self, card: Card) -> Path:
        """Return the folder of a model's files (of those that are not downloaded)."""
        return self._index().get(card.id, (card, WEIGHTS))[1]

    def verify(self, card: Card) -> None:
        """Read all of a model's files that are here and compare their sha256.

        Raises:
            ModelError: if one is missing or damaged.
        """
        for file in card.files.values():
            path = self._path(card, file)
            _check_size(path, file)
            _compare(path, file)

    def _index(self) -> dict[str, tuple[Card, Path]]:
        """Cards by id, each with the folder its files are in."""
        if self._found is None:
            embedded = _read_cards([(ZOO, WEIGHTS)])
            self._found = embedded | _read_cards((f, f) for f in self.folders)
        return self._found

    def _path(self, card: Card, file: ModelFile) -> Path:
        """Where a file is or will be: beside its card, else in the cache."""
        beside = self.home(card) / file.name
        if file.url is None or beside.exists():
            return beside
        # The folder's name is the content's: a new version never overwrites an old one.
        return self.cache_dir / "models" / file.sha256[:16] / file.name

    def _file(self, card: Card, file: ModelFile) -> Path:
        path = self._path(card, file)
        if file.url is not None and not _has(path, file):
            self._download(card, file, file.url, path)
        _check_size(path, file)
        self._check_once(path, file)
        return path

    def _check_once(self, path: Path, file: ModelFile) -> None:
        """Compare the sha256 unless that was done before and the file is unchanged."""
        state = path.stat()
        seen = f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}|{file.sha256}"
        stamp = self.cache_dir / "verified" / hashlib.sha256(seen.encode()).hexdigest()[:32]
        if stamp.exists():
            return
        _compare(path, file)
        try:
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()
        except OSError:  # a read-only cache only means that the next start checks again
            pass

    def _download(self, card: Card, file: ModelFile, url: str, path: Path) -> None:
        what = f"{file.name} of model {card.id!r} ({megabytes(file.bytes)})"
        url = mirrored(url)
        if self.offline:
            raise ModelError(
                f"{what} is not on this machine, and downloads are switched off; run "
                f"`emofuse models get {card.id}` once with a network, or fetch {url} "
                f"elsewhere and put it at {path}"
            )
        error: Exception | None = None
        for _ in range(_TRIES):
            try:
                _fetch(url, file, path, self._meter(f"Downloading {file.name}"))
                return
            except (OSError, ValueError) as e:  # requests' errors are OSErrors
                error = e
                if not _worth_another_try(e):
                    break
        assert error is not None
        raise _explained(error, what, url, path) from error


def mirrored(url: str) -> str:
    """Return `url` with scheme and host replaced by ``EMOFUSE_MIRROR``, if that is set.

    Raises:
        ModelError: if the mirror is not an http(s) URL.
    """
    mirror = os.environ.get("EMOFUSE_MIRROR", "").strip()
    if not mirror:
        return url
    base, pinned = urlsplit(mirror), urlsplit(url)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise ModelError(
            f"EMOFUSE_MIRROR is {mirror!r}, expected a URL such as https://mirror.example.org/models"
        )
    path = base.path.rstrip("/") + pinned.path
    return urlunsplit((base.scheme, base.netloc, path, pinned.query, ""))


def megabytes(n: int) -> str:
    """Write a number of bytes for people: ``12.3 MB``."""
    return f"{n / 1e6:.1f} MB" if n >= 100_000 else f"{n / 1e3:.1f} kB"


def _cache_dir() -> Path:
    named = os.environ.get("EMOFUSE_CACHE", "").strip()
    if named:
        return Path(named).expanduser()
    import platformdirs  # costs 20 ms; only who looks for a model pays

    return Path(platformdirs.user_cache_dir("emofuse", appauthor=False))


def _flag(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no", "off")


def _licences() -> Licences:
    named = os.environ.get("EMOFUSE_LICENCES", "").strip().lower() or Licences.ANY.value
    try:
        return Licences(named)
    except ValueError:
        known = " or ".join(licences.value for licences in Licences)
        raise ModelError(f"EMOFUSE_LICENCES is {named!r}, expected {known}") from None


def _user_folders() -> tuple[Path, ...]:
    named = os.environ.get("EMOFUSE_MODELS", "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in named if folder.strip())


def _read_cards(homes: Iterable[tuple[Path, Path]]) -> dict[str, tuple[Card, Path]]:
    found: dict[str, tuple[Card, Path]] = {}
    origin: dict[str, Path] = {}
    for folder, weights in homes:
        if not folder.is_dir():
            raise ModelError(f"no folder of model cards at {folder}; check EMOFUSE_MODELS")
        for path in sorted(folder.glob("*.toml")):
            card = read_card(path)
            if card.id in found:
                raise ModelError(
                    f"two model cards have the id {card.id!r}: {origin[card.id]} and {path}; "
                    "give one of them another id"
                )
            found[card.id], origin[card.id] = (card, weights), path
    return found


def _has(path: Path, file: ModelFile) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes


def _check_size(path: Path, file: ModelFile) -> None:
    if not path.is_file():
        raise ModelError(f"the model file {path} is missing; {_remedy(file)}")
    size = path.stat().st_size
    if size != file.bytes:
        raise ModelError(
            f"the model file {path} has {size} bytes, its card says {file.bytes}; {_remedy(file)}"
        )


def _compare(path: Path, file: ModelFile) -> None:
    digest = sha256_of(path)
    if digest != file.sha256:
        raise ModelError(
            f"the model file {path} is damaged or is not what its card describes: sha256 is "
            f"{digest[:16]}…, expected {file.sha256[:16]}…; {_remedy(file)}"
        )


def _remedy(file: ModelFile) -> str:
    if file.url is None:
        return "install emofuse again, or put the right file beside its card"
    return "delete it, and it will be downloaded again"


def _fetch(url: str, file: ModelFile, path: Path, meter: Meter | None) -> None:
    """Download to a temporary file, compare the sha256, then move it into place."""
    import pooch  # costs 90 ms; only who downloads pays

    pooch.get_logger().setLevel("WARNING")  # it would print paths and hashes
    http = pooch.HTTPDownloader(progressbar=meter or False, chunk_size=1 << 16, timeout=_TIMEOUT)
    try:
        pooch.retrieve(
            url, f"sha256:{file.sha256}", fname=path.name, path=path.parent, downloader=http
        )
    finally:
        if meter is not None:
            meter.close()


def _worth_another_try(error: Exception) -> bool:
    """Whether the network may be to blame: not for a full disk, nor for a 404."""
    import requests

    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code >= 500
    return isinstance(error, (ValueError, requests.RequestException))


def _explained(error: Exception, what: str, url: str, path: Path) -> ModelError:
    import requests

    by_hand = f"fetch it by other means and put it at {path}"
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code if error.response is not None else "an error"
        return ModelError(
            f"cannot download {what}: {url} answered {status}; {by_hand}, or name a mirror "
            "in EMOFUSE_MIRROR"
        )
    if isinstance(error, requests.RequestException):
        return ModelError(
            f"cannot download {what} from {url}: {_reason(error)}; check the network and try "
            f"again, or {by_hand}"
        )
    if isinstance(error, ValueError):
        return ModelError(
            f"downloaded {what} from {url} twice, and its sha256 is not the card's: something on "
            f"the way changes it (a proxy, a login page); nothing was kept; {by_hand}"
        )
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ModelError(
            f"no room for {what} in {path.parent}; free some space there, or set EMOFUSE_CACHE "
            "to a folder on another disk"
        )
    return ModelError(
        f"cannot write {what} to {path.parent}: {error}; set EMOFUSE_CACHE to a writable folder"
    )


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
    """A progress bar of rich's, in the shape pooch wants."""

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

    def reset(self) -> None:
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        self._progress.stop()


def download_bar(text: str) -> Meter | None:
    """Return a progress bar of one download on stderr, if that is a terminal."""
    return _RichMeter(text) if sys.stderr.isatty() else None
