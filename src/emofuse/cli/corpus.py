"""``emofuse corpus``: list the corpora, make a manifest of one, show what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import AsJson

if TYPE_CHECKING:
    from ..core.labels import LabelMap
    from ..corpora.files import Progress
    from ..corpora.manifest import Manifest
    from ..corpora.recipe import Recipe
    from ..corpora.validate import Problem

app = typer.Typer(help="Prepare, check and show corpora of labelled media.", no_args_is_help=True)

_Root = Annotated[Path | None, typer.Option("--root", metavar="DIR", help="Folder of the corpus.")]
_Labelling = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whose labels, of a corpus that has several."),
]
_Medium = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="image, audio, video, audio-video or text."),
]
_Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An option of the recipe; repeatable."),
]
_Map = Annotated[
    Path | None,
    typer.Option(
        "--map", metavar="FILE", help="TOML with \\[map] and \\[drop] for your own labels."
    ),
]


@app.command("list")
def list_corpora(as_json: AsJson = False) -> None:
    """List the corpora that emofuse knows: what they hold, their licence, how to get them."""
    from ..corpora import recipes
    from . import corpus_view
    from . import display as show

    known = [recipes.recipe(name) for name in recipes.names()]
    if as_json:
        show.stdout().print_json(data=[corpus_view.recipe_mapping(recipe) for recipe in known])
    else:
        screen = show.stdout()
        screen.print(corpus_view.recipes(known, screen.width))


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `emofuse corpus list`.")],
    root: _Root = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The manifest, .csv or .parquet (NAME.csv)."),
    ] = None,
    labelling: _Labelling = None,
    medium: _Medium = None,
    options: _Options = None,
    label_map: _Map = None,
    allow: Annotated[
        str,
        typer.Option(metavar="LIST", help="Problems to accept, such as duplicates,missing."),
    ] = "",
    drop: Annotated[
        str,
        typer.Option(metavar="LIST", help="Problems whose samples are left out."),
    ] = "",
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the corpus into --root if it is open to all.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing manifest.")
    ] = False,
) -> None:
    """Check a corpus and write its manifest: one row per sample, ready for training."""
    from ..corpora import fetch, manifest, recipes, validate
    from ..io.download import download_bar
    from ..io.files import refuse_existing
    from . import corpus_view
    from . import display as show

    accepted, left_out = _problems("--allow", allow), _problems("--drop", drop)
    recipe = recipes.recipe(name)
    path = out or Path(f"{recipe.name}.csv")
    manifest.check_name(path)
    refuse_existing(path, overwrite)
    root = _root(root, recipe)
    if download:
        fetch.fetch(recipe, root, download_bar)
    with _patience(f"reading {recipe.name}"):
        found = recipe.load(root, labelling, medium, **_options(options))
    to = _label_map(found, label_map)
    with _progress("checking") as progress:
        report = validate.check(found, progress)
    screen = show.stdout()
    fate = dict.fromkeys(accepted, "allowed") | dict.fromkeys(left_out, "dropped")
    screen.print(corpus_view.report(report, lambda problem: fate.get(problem, "refused")))
    kept = report.without(left_out)
    if refused := report.refused(fate):
        raise InputError(
            f"{recipe.name} is refused, nothing was written: {validate.remedy(refused)}"
        )
    manifest.save(kept, path, overwrite)
    screen.print(corpus_view.closing(kept, report, to))
    screen.print(f"Manifest: {path}", soft_wrap=True)


@app.command("show")
def show_corpus(
    name: Annotated[
        str, typer.Argument(metavar="NAME|MANIFEST", help="A corpus, or a manifest's file.")
    ],
    root: _Root = None,
    labelling: _Labelling = None,
    medium: _Medium = None,
    options: _Options = None,
    label_map: _Map = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the figures into a .png, .svg or .pdf."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing picture.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a corpus holds: labels, splits, durations, speakers, problems.

    Without --root, what is known of it: licence, citation, layout, label map.
    """
    from ..corpora import manifest, recipes, validate
    from ..io.files import refuse_existing
    from . import corpus_figure, corpus_view
    from . import display as show
    from . import picture as pictures

    screen = show.stdout()
    if picture is not None:
        pictures.check(picture)
        refuse_existing(picture, overwrite)
    if Path(name).suffix.lower() in (manifest.CSV, manifest.PARQUET):
        found = manifest.read(Path(name))
    else:
        if Path(name).suffix:
            raise InputError(f"a manifest ends in .csv or .parquet, got {name!r}")
        recipe = recipes.recipe(name)
        if root is None:
            if picture is not None:
                raise InputError(f"name the folder of {recipe.name} with --root to draw it")
            card = corpus_view.recipe_mapping(recipe)
            screen.print_json(data=card) if as_json else screen.print(corpus_view.card(recipe))
            return
        with _patience(f"reading {recipe.name}"):
            found = recipe.load(root, labelling, medium, **_options(options))
    to = _label_map(found, label_map)
    with _progress("reading") as progress:
        report = validate.check(found, progress)
    if as_json:
        screen.print_json(data=corpus_view.corpus_mapping(report, to))
    else:
        screen.print(corpus_view.corpus(report, to, screen.width))
    if picture is not None:
        corpus_figure.draw(report, to, picture)
        if not as_json:
            screen.print(f"Picture: {picture}", soft_wrap=True)


def _root(given: Path | None, recipe: Recipe) -> Path:
    if given is None:
        raise InputError(f"name the folder of {recipe.name} with --root: {recipe.expected}")
    return given


def _options(given: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or ()]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise InputError(f"--set: expected NAME=VALUE, got {name + sign + value!r}")
    return {name.strip(): value for name, _, value in pairs}


def _problems(flag: str, text: str) -> list[Problem]:
    from ..corpora.validate import Problem

    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    try:
        return [Problem(word) for word in words]
    except ValueError:
        known = ", ".join(problem.value for problem in Problem)
        raise InputError(f"{flag}: got {text!r}, expected some of {known}") from None


def _label_map(found: Manifest, file: Path | None) -> LabelMap:
    from ..corpora.labels import map_of

    return map_of(found.taxonomy, file)


@contextmanager
def _patience(text: str) -> Iterator[None]:
    """Show on a terminal that something goes on whose end cannot be told."""
    from . import display as show

    with show.stderr().status(text) if show.is_terminal() else nullcontext():
        yield


@contextmanager
def _progress(text: str) -> Iterator[Progress | None]:
    """Show a bar on a terminal for as long as media are looked at; nothing elsewhere."""
    from . import display as show

    if not show.is_terminal():
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=show.stderr(), transient=True) as bars:
        task = bars.add_task(text, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
