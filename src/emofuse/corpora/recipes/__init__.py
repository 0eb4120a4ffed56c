"""One module a corpus: how its files and labels become a manifest.

The modules are loaded when a recipe of theirs is asked for. Other packages add theirs in the
entry-point group ``emofuse.recipes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.registry import Registry

if TYPE_CHECKING:
    from ..recipe import Recipe

RECIPES: Registry[Recipe] = Registry("emofuse.recipes", "corpus")
"""The recipes by name."""


def names() -> tuple[str, ...]:
    """Return the names of all recipes.

    Example:
        >>> "ravdess" in names()
        True
    """
    return RECIPES.names


def recipe(name: str) -> Recipe:
    """Return a recipe. Case, hyphens and underscores do not matter: ``CREMA_D`` is ``crema-d``.

    Raises:
        InputError: if there is none of that name.
        ModelError: if its module cannot be imported.

    Example:
        >>> recipe("CREMA_D").name
        'crema-d'
    """
    return RECIPES.load(name)
