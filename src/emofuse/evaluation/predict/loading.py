"""Finding the models to evaluate: by id, by card, or in the folder of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, ModelError
from ...io.download import file_digest
from ...models.card import Card, read_card
from ...models.registry import factory
from ...models.store import Store
from .inference import LogitRecogniser, with_logits


@dataclass(frozen=True, slots=True, eq=False)
class LocatedModel:
    """A card and where its files are.

    Args:
        card: of the model.
        files: paths by role.
        path: of the card; None for a model of the store.
    """

    card: Card
    files: dict[str, Path]
    path: Path | None = None

    def load(self, threads: int = 1) -> LogitRecogniser:
        """Load the model.

        Raises:
            ModelError: if it cannot be loaded, or gives no logits.
        """
        return with_logits(factory(self.card)(self.card, self.files, threads))


def locate(model: str, store: Store | None = None) -> tuple[LocatedModel, ...]:
    """Find the models that an argument refers to.

    Args:
        model: a store's id; a card's path (``RUN/model/ID.toml``), its files beside it;
            or a folder: of a run, or of one run per fold.
        store: where ids are looked up.

    Returns:
        One model, or several of a folder, in the order of their paths.

    Raises:
        InputError: if a folder holds no card.
        ModelError: if a card or file is missing or damaged.
    """
    path = Path(model)
    if path.suffix == ".toml" or path.is_file():
        return (_beside(path),)
    if path.is_dir():
        cards = _cards_below(path)
        if not cards:
            raise InputError(
                f"no model in the folder {path}: expected ID.toml and its files, in it, in model/, "
                "or in one folder per fold (fold-0/model/ID.toml …)"
            )
        return tuple(_beside(card) for card in cards)
    store = store or Store()
    card = store.card(model)
    return (LocatedModel(card, store.files(card)),)


def _cards_below(folder: Path) -> list[Path]:
    for pattern in ("*.toml", "model/*.toml", "*/model/*.toml", "*/*.toml"):
        if found := sorted(folder.glob(pattern)):
            return found
    return []


def _beside(path: Path) -> LocatedModel:
    card = read_card(path)
    files = {}
    for role, file in card.files.items():
        here = path.parent / file.name
        if not here.is_file() and path.parent.name == "zoo":
            here = path.parent.parent / "weights" / file.name  # the layout of the package
        if not here.is_file():
            raise ModelError(f"{path} names the file {file.name}, which is not beside it")
        if here.stat().st_size != file.bytes or file_digest(here) != file.sha256:
            raise ModelError(f"{here} is not the file that {path} describes: export it again")
        files[role] = here
    return LocatedModel(card, files, path)
