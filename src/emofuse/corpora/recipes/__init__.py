"""One module a corpus: how its files and labels become a manifest.

The modules are loaded when a recipe of theirs is asked for.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import InputError

if TYPE_CHECKING:
    from ..recipe import Recipe

_MODULES = {
    "fer2013": "fer2013",
    "affectnet": "affectnet",
    "raf-db": "raf_db",
    "ck-plus": "ck_plus",
    "groupemow": "groupemow",
    "vgaf": "vgaf",
    "ravdess": "ravdess",
    "ravdess-song": "ravdess",
    "crema-d": "crema_d",
    "tess": "tess",
    "savee": "savee",
    "emodb": "emodb",
    "meld": "meld",
    "goemotions": "goemotions",
    "folder": "folder",
    "csv": "table",
}
"""Recipe → the module whose tuple ``RECIPES`` holds it."""


def names() -> tuple[str, ...]:
    """Return the names of all recipes."""
    return tuple(_MODULES)


def recipe(name: str) -> Recipe:
    """Return a recipe. Case, hyphens and underscores do not matter: ``CREMA_D`` is ``crema-d``.

    Raises:
        InputError: if there is none of that name.
    """
    wanted = _plain(name)
    for known, module in _MODULES.items():
        if _plain(known) == wanted:
            found: tuple[Recipe, ...] = import_module(f"{__name__}.{module}").RECIPES
            return next(r for r in found if r.name == known)
    raise InputError(f"no corpus {name!r}; there are {', '.join(names())}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))
