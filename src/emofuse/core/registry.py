"""What can be added from outside: named things, found through entry points.

A package that adds something of a kind (a recogniser, an exporter, a corpus) declares it:

    [project.entry-points."emofuse.detectors"]
    retina = "my_package.detect:make_detector"

What emofuse brings itself is declared in the same way, in its own ``pyproject.toml``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import Field, field, fields
from functools import lru_cache
from importlib.metadata import EntryPoint, distributions
from typing import Any, Generic, TypeVar, cast

from ..errors import InputError, ModelError

T = TypeVar("T")

_OWN = "emofuse"


class Registry(Generic[T]):
    """The things of one entry-point group, by name. Nothing is imported before it is asked for.

    Names are told apart as people do: case, hyphens and underscores do not matter. What
    emofuse brings comes first and cannot be replaced.

    Args:
        group: the entry-point group, e.g. ``"emofuse.detectors"``.
        noun: what one of them is, for messages, e.g. ``"face detector"``.

    Example:
        >>> corpora = Registry("emofuse.recipes", "corpus")
        >>> "ravdess" in corpora
        True
        >>> corpora.find("CREMA_D")
        'crema-d'
    """

    def __init__(self, group: str, noun: str) -> None:
        self.group = group
        self.noun = noun

    @property
    def names(self) -> tuple[str, ...]:
        """All registered names: those of emofuse, then those of other packages."""
        return tuple(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _plain(name) in self._plain_names

    def find(self, name: str) -> str:
        """Return a name as it is registered.

        Raises:
            InputError: if nothing of that name is registered; the message says what is.
        """
        try:
            return self._plain_names[_plain(name)]
        except KeyError:
            known = ", ".join(self.names) or "none"
            raise InputError(f"no {self.noun} {name!r}; there are {known}") from None

    def load(self, name: str) -> T:
        """Import and return what is registered under a name.

        Raises:
            InputError: if nothing of that name is registered.
            ModelError: if it cannot be imported; the message names its package.
        """
        entry = self._entries[self.find(name)]
        try:
            return cast(T, entry.load())
        except Exception as e:  # a stranger's module may raise anything
            package = entry.dist.name if entry.dist is not None else entry.module
            raise ModelError(
                f"the {self.noun} {entry.name!r} of the package {package!r} ({entry.value}) cannot "
                f"be imported: {type(e).__name__}: {e}; install {package!r} again, or remove it"
            ) from e

    def load_all(self) -> dict[str, T]:
        """Import everything; what cannot be imported is left out, with a warning."""
        found: dict[str, T] = {}
        for name in self:
            try:
                found[name] = self.load(name)
            except ModelError as e:
                warnings.warn(str(e), RuntimeWarning, stacklevel=2)
        return found

    def origin(self, name: str) -> str:
        """Return the package that registers a name."""
        entry = self._entries[self.find(name)]
        return entry.dist.name if entry.dist is not None else entry.module

    @property
    def _entries(self) -> dict[str, EntryPoint]:
        return _entries(self.group, tuple(sys.path))

    @property
    def _plain_names(self) -> dict[str, str]:
        return {_plain(name): name for name in reversed(self._entries)}


def named(registry: Registry[Any], default: str, *keywords: str) -> Any:
    """Make the field of a settings dataclass that holds a registered name.

    Args:
        registry: whose names it takes.
        default: the name, or the keyword, that it has otherwise.
        keywords: further words that it takes, e.g. ``"auto"``.
    """
    return field(default=default, metadata={"registry": registry, "keywords": keywords})


def choices(setting: Field[Any]) -> tuple[str, ...]:
    """Return what a field made by `named` takes; empty for other fields."""
    registry = setting.metadata.get("registry")
    return () if registry is None else (*setting.metadata["keywords"], *registry.names)


def check_names(settings: Any, section: str) -> None:
    """Check the fields made by `named`, and give names as they are registered.

    Raises:
        InputError: if a name is not registered; the message says which are.
    """
    for setting in fields(settings):
        registry, value = setting.metadata.get("registry"), getattr(settings, setting.name)
        if registry is None or value in setting.metadata["keywords"]:
            continue
        if value not in registry:
            raise InputError(
                f"{section}.{setting.name}: got {value!r}, expected {_either(choices(setting))}"
            )
        object.__setattr__(settings, setting.name, registry.find(value))


def _either(names: tuple[str, ...]) -> str:
    *most, last = map(repr, names)
    return f"{', '.join(most)} or {last}" if most else last


@lru_cache(maxsize=64)
def _entries(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return a group's entry points by name, emofuse's own first."""
    entries: dict[str, EntryPoint] = {}
    for _, entry in _installed(path):
        if entry.group == group:
            entries.setdefault(entry.name, entry)
    return entries


@lru_cache(maxsize=8)
def _installed(path: tuple[str, ...]) -> tuple[tuple[str, EntryPoint], ...]:
    """Return all entry points for emofuse with their packages' names, emofuse's own first.

    Looked up anew when ``sys.path`` changes. `importlib.metadata.entry_points` would read every
    package once a group, and `EntryPoint.dist.name` parses a whole README for a name.
    """
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for package in distributions(path=list(path)):
        if "[emofuse." in (package.read_text("entry_points.txt") or ""):
            found.setdefault(package.name, tuple(package.entry_points))
    pairs = [(name, entry) for name, entries in found.items() for entry in entries]
    return tuple(sorted(pairs, key=lambda pair: (pair[0] != _OWN, pair[1].name)))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower().replace("+", "plus") if c.isalnum())
