"""Where models are: embedded, in a folder of the user's, or downloaded and kept.

Environment variables steer it, so that institutions need no code:

====================  ==================================================================
``EMOFUSE_OFFLINE``   ``1``: never download.
``EMOFUSE_MIRROR``    base URL that replaces scheme and host of every pinned URL.
``EMOFUSE_CACHE``     folder for downloads; default: the platform's cache folder.
``EMOFUSE_MODELS``    further folders with cards and weights, joined as in ``PATH``.
``EMOFUSE_LICENCES``  ``commercial``: refuse weights that forbid commercial use.
``EMOFUSE_ACCEPT``    ids of models whose terms are accepted, where cards ask for that.
``EMOFUSE_TIMEOUT``   seconds after which a silent server is given up (60).
====================  ==================================================================

What is checked, and when: a file's size whenever it is used; its sha256 when it
is downloaded, and else the first time that this machine meets it (about 1.5 ms
per MB). That it was right is remembered until the file changes, so later starts
pay for a `stat` only. `Store.verify` always reads everything. Where a card knows no
digest, the first download is trusted and written down (`models.ledger`).

Nothing that is downloaded is run as code: no pickle is ever opened.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path

from ..core.registry import Registry
from ..errors import ModelError
from ..io.atomic import atomic_path
from ..io.download import (
    DownloadError,
    MakeMeter,
    download,
    download_bar,
    file_digest,
    is_offline,
    mirrored,
)
from .archive import unpack
from .card import Card, Converter, ModelFile, read_card
from .ledger import Ledger

ZOO = Path(__file__).with_name("zoo")
"""The cards that ship with emofuse."""

WEIGHTS = Path(__file__).with_name("weights")
"""The weights that ship with emofuse."""

CONVERTERS: Registry[Converter] = Registry("emofuse.converters", "converter of models")
"""What makes an ONNX graph of published files, by the name in a card's ``convert``."""

_TRIES = 3  # a broken connection or a damaged answer is asked for again


class ModelLocation(str, Enum):
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


class Store:
    """Finds cards and the files that they name.

    Args:
        cache_dir: folder for downloads; default: ``EMOFUSE_CACHE``, else the
            platform's cache folder for emofuse.
        offline: never download; default: ``EMOFUSE_OFFLINE``.
        allow: says of a card whether its weights may be used, e.g.
            `Licences.COMMERCIAL`; default: ``EMOFUSE_LICENCES``, else all may.
        folders: further folders with cards (``*.toml``) and, beside them, their
            files; default: ``EMOFUSE_MODELS``, then `own_folder`. A model there takes the
            place of an embedded one of the same id: who names a folder means what is in it.
        meter: makes the progress display of one download from a text; default: a
            bar on stderr if that is a terminal.
    """

    def __init__(
        self,
        cache_dir: Path | None = None,
        offline: bool | None = None,
        allow: Callable[[Card], bool] | None = None,
        folders: Sequence[Path] | None = None,
        meter: MakeMeter | None = None,
    ) -> None:
        self.cache_dir = Path(cache_dir) if cache_dir is not None else _cache_dir()
        self.offline = is_offline() if offline is None else offline
        self.folders = _user_folders() if folders is None else tuple(map(Path, folders))
        self._allow = allow or _licences()
        self._meter = meter or download_bar
        self._ledger = Ledger(self.cache_dir / "ledger.json")
        self._found: dict[str, tuple[Card, Path]] | None = None
        self._damaged: dict[str, str] = {}

    def cards(self) -> tuple[Card, ...]:
        """Return all known cards by modality and id. Imports no runtime.

        Raises:
            ModelError: if a folder is missing. A card that cannot be read, or that has the id
                of another, is left out with a warning; see `damaged`.
        """
        cards = (card for card, _ in self._index().values())
        return tuple(sorted(cards, key=lambda card: (card.modality.value, card.id)))

    def card(self, model_id: str) -> Card:
        """Return one card.

        Raises:
            ModelError: if there is no such card; the message names those there are.
        """
        index = self._index()
        if model_id in self._damaged:
            raise ModelError(self._damaged[model_id])
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
        self._check_terms(card)
        paths = {role: self._file(card, file) for role, file in card.files.items()}
        return paths | {"weights": self._convert(card, paths)} if card.convert else paths

    def accept(self, card: Card) -> None:
        """Remember that the user has accepted the terms of a model (`Card.terms`)."""
        self._ledger.accept(card)

    def _check_terms(self, card: Card) -> None:
        if not self._allow(card):
            raise ModelError(
                f"model {card.id!r} has the licence {card.licence!r}, which the licence filter "
                "(EMOFUSE_LICENCES) refuses; choose another model (see `emofuse models`)"
            )
        if card.terms and not self._ledger.accepted(card):
            raise ModelError(
                f"model {card.id!r}: {card.terms} (licence: {card.licence}). If you agree, run "
                f"`emofuse models pull {card.id} --accept-licence` once, or name it in "
                "EMOFUSE_ACCEPT"
            )

    def location(self, card: Card) -> ModelLocation:
        """Say where a model's files are, without downloading or reading them."""
        paths = [(self._path(card, f), self._ledger.known(f)) for f in card.files.values()]
        if not all(_has(path, f) for path, f in paths):
            return ModelLocation.REMOTE
        if any(path.is_relative_to(self.cache_dir) for path, _ in paths):
            return ModelLocation.DOWNLOADED
        home = paths[0][0].parent if paths else WEIGHTS
        return ModelLocation.EMBEDDED if home == WEIGHTS else ModelLocation.LOCAL

    def is_ready(self, card: Card) -> bool:
        """Whether a model can be used now: without a download, a conversion or a question."""
        if not self._allow(card) or (card.terms and not self._ledger.accepted(card)):
            return False
        made = not card.convert or self._converted(card).is_file()
        return made and self.location(card) is not ModelLocation.REMOTE

    def home(self, card: Card) -> Path:
        """Return the folder of a model's files (of those that are not downloaded)."""
        return self._index().get(card.id, (card, WEIGHTS))[1]

    def verify(self, card: Card) -> None:
        """Read all of a model's files that are here and compare their sha256.

        Raises:
            ModelError: if one is missing or damaged.
        """
        for file in card.files.values():
            path, known = self._path(card, file), self._ledger.known(file)
            _check_size(path, known)
            if not known.sha256:
                raise ModelError(
                    f"nothing is known that {path} could be compared with; "
                    f"`emofuse models pull {card.id}` trusts it from now on"
                )
            _compare(path, known)
        if card.convert and (made := self._converted(card)).is_file():
            _compare(made, self._ledger.known(_made(made)))

    def remove(self, card: Card) -> int:
        """Delete the files of a model from this machine; of one that was imported its card, too.

        Returns:
            Bytes freed.

        Raises:
            ModelError: if the model comes with emofuse, or nothing of it is here.
        """
        where = self.location(card)
        if where is ModelLocation.EMBEDDED:
            raise ModelError(f"{card.id!r} comes with emofuse; there is nothing to remove")
        home, cached = self.home(card), self._folder(card)
        named = [home / file.name for file in card.files.values()]
        own = [*named, home / f"{card.id}.golden.npz", home / f"{card.id}.toml"]
        imported = home in self.folders and not card.downloads
        doomed = [p for p in own if imported and p.is_file()]
        doomed += [p for p in cached.rglob("*") if p.is_file()] if cached.is_dir() else []
        if not doomed:
            raise ModelError(f"nothing of {card.id!r} is on this machine")
        freed = sum(path.stat().st_size for path in doomed)
        for path in doomed:
            path.unlink()
        shutil.rmtree(cached, ignore_errors=True)
        for file in card.files.values():
            self._ledger.forget(file)
        self._found = None
        return freed

    def _index(self) -> dict[str, tuple[Card, Path]]:
        """Cards by id, each with the folder its files are in."""
        if self._found is None:
            embedded, damaged = _read_cards([(ZOO, WEIGHTS)])
            own, more = _read_cards((f, f) for f in self.folders)
            self._found, self._damaged = embedded | own, damaged | more
            for name, problem in self._damaged.items():
                warnings.warn(
                    f"the model {name!r} is left out: {problem}", RuntimeWarning, stacklevel=4
                )
        return self._found

    @property
    def damaged(self) -> dict[str, str]:
        """Cards that cannot be used, by the name of their file, and why."""
        self._index()
        return dict(self._damaged)

    def _path(self, card: Card, file: ModelFile) -> Path:
        """Where a file is or will be: beside its card, else in the cache."""
        beside = self.home(card) / file.name
        if file.url is None or beside.exists():
            return beside
        return self._folder(card) / file.name

    def _folder(self, card: Card) -> Path:
        """The folder of a model's downloads; a new version never overwrites an old one."""
        wanted = "|".join(f"{f.name} {f.url} {f.sha256}" for f in card.files.values())
        return (
            self.cache_dir
            / "models"
            / f"{card.id}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
        )

    def _file(self, card: Card, file: ModelFile) -> Path:
        path, known = self._path(card, file), self._ledger.known(file)
        if file.url is not None and not _has(path, known):
            self._download(card, file, known, path)
            known = self._ledger.known(file)
        if not known.sha256 and path.is_file():
            known = self._trust(card, file, path)
        _check_size(path, known)
        self._check_once(path, known)
        return path

    def _trust(self, card: Card, file: ModelFile, path: Path) -> ModelFile:
        """Write down what a file is that nobody has published a digest of, and say so."""
        known = self._ledger.known(file)
        if not known.sha256:
            digest = file_digest(path)
            self._ledger.trust(file, digest, path.stat().st_size)
            warnings.warn(
                f"{file.name} of {card.id!r}: no digest of it is published; sha256 {digest} is "
                "trusted from now on, because it came first",
                RuntimeWarning,
                stacklevel=2,
            )
        return self._ledger.known(file)

    def _convert(self, card: Card, paths: dict[str, Path]) -> Path:
        """Return the ONNX graph made of a model's published files; make it the first time."""
        out = self._converted(card)
        if not out.is_file():
            convert = CONVERTERS.load(str(card.convert))
            with atomic_path(out) as part:
                convert(card, paths, part)
            self._ledger.trust(_made(out), file_digest(out), out.stat().st_size)
        self._check_once(out, self._ledger.known(_made(out)))
        return out

    def _converted(self, card: Card) -> Path:
        return self._folder(card) / "converted.onnx"

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

    def _download(self, card: Card, file: ModelFile, known: ModelFile, path: Path) -> None:
        size = f" ({megabytes(file.bytes)})" if file.bytes else ""
        what, url = f"{file.name} of model {card.id!r}{size}", str(file.url)
        if self.offline:
            raise ModelError(
                f"{what} is not on this machine, and downloads are switched off; run "
                f"`emofuse models pull {card.id}` once with a network, or fetch {mirrored(url)} "
                f"elsewhere and put it at {path}"
            )
        try:
            if file.member:
                self._download_archive(card, file, path, what)
                return
            # Without a digest nobody would notice that a file changed between two parts of it.
            checksum, resume = f"sha256:{known.sha256}", bool(known.sha256)
            download(
                url, path, checksum, what=what, meter=self._meter,
                resume=resume, tries=_TRIES, size=known.bytes,
            )  # fmt: skip
        except DownloadError as e:
            raise ModelError(f"{e} (EMOFUSE_CACHE names the folder of downloads)") from e

    def _download_archive(self, card: Card, file: ModelFile, path: Path, what: str) -> None:
        archive = path.with_name(f"{path.name}.zip")
        checksum = f"sha256:{file.sha256}"
        download(
            str(file.url), archive, checksum, what=what, meter=self._meter,
            resume=bool(file.sha256), tries=_TRIES, size=file.bytes,
        )  # fmt: skip
        unpack(archive, file.member, path)
        archive.unlink()
        self._trust_member(card, file, path)

    def _trust_member(self, card: Card, file: ModelFile, path: Path) -> None:
        met = self._ledger.known(file)
        digest = file_digest(path)
        if met.sha256 != file.sha256 and met.sha256 != digest:
            path.unlink()
            raise ModelError(
                f"{file.member} of model {card.id!r} is another than at its first download; if "
                f"that is right, run `emofuse models remove {card.id}` and pull it again"
            )
        self._ledger.trust(file, digest, path.stat().st_size)


def _made(path: Path) -> ModelFile:
    """A converted graph as the ledger knows it."""
    return ModelFile(path.name, url=f"converted:{path.parent.name}")


def megabytes(n: int) -> str:
    """Write a number of bytes for people: ``12.3 MB``."""
    return f"{n / 1e6:.1f} MB" if n >= 100_000 else f"{n / 1e3:.1f} kB"


def _cache_dir() -> Path:
    named = os.environ.get("EMOFUSE_CACHE", "").strip()
    if named:
        return Path(named).expanduser()
    import platformdirs  # costs 20 ms; only who looks for a model pays

    return Path(platformdirs.user_cache_dir("emofuse", appauthor=False))


def _licences() -> Licences:
    named = os.environ.get("EMOFUSE_LICENCES", "").strip().lower() or Licences.ANY.value
    try:
        return Licences(named)
    except ValueError:
        known = " or ".join(licences.value for licences in Licences)
        raise ModelError(f"EMOFUSE_LICENCES is {named!r}, expected {known}") from None


def own_folder() -> Path:
    """Return where models of the user's own are kept: what is imported goes there.

    It is the first folder of ``EMOFUSE_MODELS``, else ``models`` in the platform's folder
    for data of emofuse; the latter is always looked into.
    """
    named = _named_folders()
    return named[0] if named else _data_folder()


def _data_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("emofuse", appauthor=False)) / "models"


def _named_folders() -> tuple[Path, ...]:
    named = os.environ.get("EMOFUSE_MODELS", "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in named if folder.strip())


def _user_folders() -> tuple[Path, ...]:
    named, own = _named_folders(), _data_folder()
    return named if own in named or not own.is_dir() else (*named, own)


def _read_cards(
    homes: Iterable[tuple[Path, Path]],
) -> tuple[dict[str, tuple[Card, Path]], dict[str, str]]:
    """Read the cards of folders: by id, and what is wrong with the others, by file name."""
    damaged: dict[str, str] = {}
    found: dict[str, tuple[Card, Path]] = {}
    origin: dict[str, Path] = {}
    for folder, weights in homes:
        if not folder.is_dir():
            raise ModelError(f"no folder of model cards at {folder}; check EMOFUSE_MODELS")
        for path in sorted(folder.glob("*.toml")):
            try:
                card = read_card(path)
            except ModelError as e:
                damaged[path.stem] = str(e)
                continue
            if card.id in found:
                damaged[path.stem] = (
                    f"two model cards have the id {card.id!r}: {origin[card.id]} and {path}; "
                    "give one of them another id"
                )
                continue
            found[card.id], origin[card.id] = (card, weights), path
    return found, damaged


def _has(path: Path, file: ModelFile) -> bool:
    """Whether a file is there and as long as it should be; a length of 0 is not known."""
    return path.is_file() and path.stat().st_size == (file.bytes or path.stat().st_size)


def _check_size(path: Path, file: ModelFile) -> None:
    if not path.is_file():
        raise ModelError(f"the model file {path} is missing; {_remedy(file)}")
    size = path.stat().st_size
    if file.bytes and size != file.bytes:
        raise ModelError(
            f"the model file {path} has {size} bytes, its card says {file.bytes}; {_remedy(file)}"
        )


def _compare(path: Path, file: ModelFile) -> None:
    digest = file_digest(path)
    if digest != file.sha256:
        raise ModelError(
            f"the model file {path} is damaged or is not what its card describes: sha256 is "
            f"{digest[:16]}…, expected {file.sha256[:16]}…; {_remedy(file)}"
        )


def _remedy(file: ModelFile) -> str:
    if file.url is None:
        return "install emofuse again, or put the right file beside its card"
    return "delete it, and it will be downloaded again"
