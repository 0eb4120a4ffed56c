"""`emofuse models`: list, show, pull, verify and remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import EmofuseError, InputError
from ..models.sets import SETS
from .options import AsJson

if TYPE_CHECKING:
    from ..models.card import Card
    from ..models.store import Store

app = typer.Typer(
    help="List, show, pull (download), verify and remove models.", no_args_is_help=False
)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID…]", show_default=False)]


@app.callback(invoke_without_command=True)
def default(context: typer.Context, as_json: AsJson = False) -> None:
    """List all models: labels, size, licence, where they are, how good they are."""
    if context.invoked_subcommand is None:
        list_models(as_json=as_json)


@app.command("list")
def list_models(
    modality: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those for face, speech, text or fused.")
    ] = None,
    commercial: Annotated[
        bool,
        typer.Option("--commercial", help="Only those whose weights may be used commercially."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List models: labels, size, licence, where they are, how good they are."""
    from ..core.modality import Modality
    from ..models.describe import card_mapping
    from ..models.store import Licences, Store
    from . import display as show

    try:
        wanted = None if modality is None else Modality(modality)
    except ValueError as e:
        raise InputError(f"--modality: {e} and {Modality.FUSED.value}") from None
    store = Store()
    allowed = Licences.COMMERCIAL if commercial else Licences.ANY
    cards = [c for c in store.cards() if wanted in (None, c.modality) and allowed(c)]
    if as_json:
        show.stdout().print_json(data=[card_mapping(card, store) for card in cards])
    else:
        screen = show.stdout()
        screen.print(show.cards(cards, store, screen.width))


@app.command("show")
def show_model(
    model_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
) -> None:
    """Show a model's card: labels, data, licences, measured figures, files."""
    from ..models.describe import card_mapping
    from ..models.store import Store
    from . import display as show

    store = Store()
    card = store.card(model_id)
    if as_json:
        show.stdout().print_json(data=card_mapping(card, store))
    else:
        show.stdout().print(show.card(card, store))


@app.command()
def pull(
    model_ids: Ids = None,
    set_: Annotated[
        str | None,
        typer.Option("--set", metavar="NAME", help=f"All models of a set: {', '.join(SETS)}."),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept-licence", help="Agree to the terms that the models' cards state."),
    ] = False,
) -> None:
    """Download models, so that they are there when there is no network.

    A download that broke off goes on where it stopped. Every file is compared with the digest
    in its card; where none is published, the first download is trusted from now on.
    """
    from ..models.sets import find_set
    from ..models.store import Store

    store = Store()
    named = [*(model_ids or ()), *(find_set(set_).ids if set_ else ())]
    if not named:
        raise InputError("models pull: got nothing, expected the ids of models, or --set NAME")
    for card in [store.card(model_id) for model_id in dict.fromkeys(named)]:
        if accept and card.terms:
            store.accept(card)
        files = store.files(card)
        store.verify(card)
        for path in files.values():
            typer.echo(path)


@app.command()
def verify(model_ids: Ids = None) -> None:
    """Read the files of models again and compare their digests: of all that are here, or of some.

    Exit code 2 if one is damaged.
    """
    from ..models.store import ModelLocation, Store

    store = Store()
    here = [c for c in store.cards() if store.location(c) is not ModelLocation.REMOTE]
    cards = [store.card(model_id) for model_id in model_ids] if model_ids else here
    problems = [problem for card in cards if (problem := _problem(card, store))]
    if problems:
        raise InputError("\n".join(problems))


def _problem(card: Card, store: Store) -> str:
    try:
        store.verify(card)
    except EmofuseError as e:
        return str(e)
    typer.echo(f"{card.id}: as its card says")
    return ""


@app.command()
def remove(
    model_ids: Annotated[list[str], typer.Argument(metavar="ID…")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Also models that cannot be downloaded again.")
    ] = False,
) -> None:
    """Delete the files of downloaded or imported models from this machine."""
    from ..models.store import Store, megabytes

    store = Store()
    cards = [store.card(model_id) for model_id in model_ids]
    _check_replaceable(cards, yes)
    for card in cards:
        typer.echo(f"{card.id}: {megabytes(store.remove(card))} freed")


def _check_replaceable(cards: Sequence[Card], yes: bool) -> None:
    lost = [card.id for card in cards if not card.downloads]
    if lost and not yes:
        raise InputError(
            f"{', '.join(lost)} cannot be downloaded again; add --yes if they are to be deleted"
        )
