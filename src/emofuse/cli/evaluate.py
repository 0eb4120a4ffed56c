"""The command `emofuse evaluate`. Heavy imports are inside: the help stays quick."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .options import Overwrite, Quiet, panel, result

if TYPE_CHECKING:
    from ..corpora.manifest import Manifest
    from ..evaluation.evaluate import Bars, Plan
    from ..evaluation.predict.loading import Named
    from ..evaluation.report.results import Evaluation

_what = panel("What is measured")
_how = panel("How")

FILES = ("report.html", "report.md", "results.json", "answers.csv")
"""What `--out` is filled with."""

FUSION = "fusion"
"""What stands in a model's place to measure fusion."""


def evaluate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="A model's id, a card (RUN/model/ID.toml), or a folder: of a run, or for the "
            "protocol folds of one run a fold. The word fusion measures all strategies of fusion.",
        ),
    ],
    corpus: Annotated[
        str | None,
        _what(
            metavar="NAME|FILE",
            show_default=False,
            help="A corpus, or a manifest that `emofuse corpus prepare` made. Not of fusion: it "
            "takes what ROOT holds of FER2013, CREMA-D, RAVDESS and GoEmotions.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        _what(
            "--data",
            "--root",
            metavar="ROOT",
            help="Folder of the corpus; default: EMOFUSE_DATA, else this folder.",
        ),
    ] = None,
    protocol: Annotated[
        str, _what(help="split, fold:K, folds (a model a fold) or cross-corpus.")
    ] = "split",
    split: Annotated[
        str | None,
        _what(
            metavar="test|validation|…",
            help="Which split (test); of cross-corpus: only this one (all).",
        ),
    ] = None,
    labelling: Annotated[
        str | None, _what(help="Which of the corpus' labellings (its first).")
    ] = None,
    label_map: Annotated[
        Path | None,
        _what(
            "--map",
            metavar="FILE",
            help="TOML with \\[map] and \\[drop] for the corpus' own labels.",
        ),
    ] = None,
    cut: Annotated[
        list[str] | None,
        _what(help="Speech: what of a clip is heard: clip, 'in use' or '1 s' (all); repeatable."),
    ] = None,
    faces: Annotated[
        str,
        _what(
            metavar="auto|crop|find",
            help="Whether pictures are faces, or scenes in which faces have to be found.",
        ),
    ] = "auto",
    limit: Annotated[int, _what(min=0, help="Ask at most so many samples: a quick look.")] = 0,
    robustness: Annotated[
        bool, _how("--robustness", help="Also measure corrupted samples.")
    ] = False,
    noise: Annotated[
        Path | None,
        _how(
            metavar="DIR",
            help="Recorded noises, and rooms (rir….wav), for --robustness of a speech model.",
        ),
    ] = None,
    readings: Annotated[
        Path | None,
        _how(
            metavar="DIR",
            help="Of fusion: folder where the models' answers are kept for the next time.",
        ),
    ] = None,
    posteriors: Annotated[
        Path | None,
        _how(metavar="FILE", help="Of fusion: ravdess_posteriors.csv, if it is not in ROOT."),
    ] = None,
    pairings: Annotated[int, _how(min=1, help="Of fusion: so many seeds of pairing.")] = 5,
    refit: Annotated[
        bool,
        _how(
            "--refit/--no-refit",
            help="Fit a temperature to validation data too, to compare it with the card's.",
        ),
    ] = True,
    n_resamples: Annotated[int, _how(min=1, help="Resampled sets for the intervals.")] = 2000,
    seed: Annotated[int, _how(min=0, help="Of all that is random.")] = 0,
    threads: Annotated[int, _how(min=1, help="Threads of the model.")] = 1,
    despite_leaks: Annotated[
        bool,
        _how(
            "--despite-leaks",
            help="Measure even what the model has learnt; the report says so first.",
        ),
    ] = False,
    out: Annotated[
        Path | None, result(metavar="DIR", help=f"Folder for {', '.join(FILES)}.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, result("--json", help="Print results.json.")] = False,
    update_card: Annotated[
        bool,
        result("--update-card", help="Write the figures into MODEL, which is a card's path then."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model on a corpus: figures with intervals, calibration, people, robustness."""
    from ..evaluation import evaluate as evaluation
    from ..evaluation.predict import loading
    from ..evaluation.protocol.protocols import Protocol
    from ..io.files import OutputFolder

    if model == FUSION:
        chosen = (data, readings, posteriors, pairings, n_resamples, threads)
        _fusion(*chosen, out=out, overwrite=overwrite, as_json=as_json, quiet=quiet)
        return
    if corpus is None:
        raise InputError("--corpus is missing: name a corpus, or a manifest that was prepared")
    plan = evaluation.Plan(
        protocol=Protocol.parse(protocol, split),
        cuts=_cuts(cut),
        faces=_faces(faces),
        robustness=robustness,
        noises=noise,
        refit=refit,
        limit=limit,
        n_resamples=n_resamples,
        seed=seed,
        despite_leaks=despite_leaks,
        command=shlex.join(["emofuse", *sys.argv[1:]]),
        label_map=label_map,
    )
    named = loading.find(model)
    plan = replace(plan, again=_again(named, corpus, labelling, plan))
    if update_card and (len(named) != 1 or named[0].path is None):
        raise InputError("--update-card needs the path of one card (….toml) as MODEL")
    folder = None if out is None else OutputFolder(out, overwrite)
    if folder is not None:
        folder.claim(*FILES)  # before the work, so that no hours are lost
    manifest = read_corpus(corpus, data, labelling, named[0])
    with _bars(quiet) as bars:
        found = evaluation.evaluate(
            [n.load(threads) for n in named], manifest, plan, bars, [n.path for n in named]
        )
    if folder is not None:
        write(found, folder)
    if update_card:
        _update(named[0], found)
    _show(found, as_json, quiet, out)


def _fusion(
    data: Path | None,
    readings: Path | None,
    posteriors: Path | None,
    pairings: int,
    n_resamples: int,
    threads: int,
    *,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure all strategies of fusion; the report is written as that of a model."""
    import json

    from ..evaluation.fusion import study as fusion
    from ..evaluation.report import document
    from ..io.files import OutputFolder, ResultFile
    from . import display as show

    folder = None if out is None else OutputFolder(out, overwrite)
    if folder is not None:
        folder.claim(*FILES[:3])
    plan = fusion.FusionPlan(
        root=data or Path(os.environ.get("EMOFUSE_DATA") or "."),
        readings=readings,
        posteriors=posteriors,
        threads=threads,
        seeds=pairings,
        n_resamples=n_resamples,
        command=shlex.join(["emofuse", *sys.argv[1:]]),
    )
    with _bars(quiet) as bars:
        found = fusion.evaluate(plan, bars)
    text = json.dumps(found.to_mapping(), indent=1, ensure_ascii=False) + "\n"
    if folder is not None:
        pages = (document.to_html(found), document.to_markdown(found), text)
        for name, page in zip(FILES[:3], pages, strict=True):
            with ResultFile(folder / name, overwrite=folder.overwrite) as f:
                f.write(page)
    if as_json:
        show.stdout().print_json(text)
    elif not quiet:
        _show_document(found, out)


def _show_document(found: Any, out: Path | None) -> None:
    from rich.table import Table

    from . import display as show

    screen = show.stdout()
    first = found.sections[0].tables[0]
    table = Table(*first.head, title=found.title)
    for row in first.rows:
        table.add_row(*row)
    screen.print(table)
    for note in found.notes:
        screen.print(f"- {note}", soft_wrap=True)
    if out is not None:
        screen.print(f"{out / FILES[0]}", soft_wrap=True)


def read_corpus(name: str, data: Path | None, labelling: str | None, model: Named) -> Manifest:
    """Read the corpus that a model is measured on.

    Args:
        name: of a recipe, or the path of a manifest.
        data: its folder; None: ``EMOFUSE_DATA``, else the current folder.
        labelling: which of its labellings; None: the first.
        model: what is measured; decides between sound and films.

    Raises:
        InputError: if it is not there, or not for models of this modality.
    """
    from ..core.estimates import Modality
    from ..corpora import manifest, recipes
    from ..corpora.recipe import Medium

    path = Path(name)
    if path.suffix.lower() in (manifest.CSV, manifest.PARQUET):
        if labelling is not None:
            raise InputError(f"--labelling: the manifest {path} has one labelling, its own")
        return manifest.read(path)
    recipe = recipes.recipe(name)
    modality = model.card.modality
    if modality not in recipe.modalities:
        good = ", ".join(n for n in recipes.names() if modality in recipes.recipe(n).modalities)
        raise InputError(
            f"{model.card.id!r} is a model for {modality.value}, and {recipe.name} a corpus for "
            f"{', '.join(m.value for m in recipe.modalities)}; corpora of its modality are {good}"
        )
    usual = {
        Modality.FACE: (Medium.IMAGE, Medium.AUDIO_VIDEO, Medium.VIDEO),
        Modality.SPEECH: (Medium.AUDIO, Medium.AUDIO_VIDEO),
    }.get(modality, ())
    wanted = [medium for medium in usual if medium in recipe.media]
    root = data or Path(os.environ.get("EMOFUSE_DATA") or ".")
    for medium in wanted[:-1]:
        with suppress(InputError):  # the next may be there, and the last says what is missing
            return recipe.load(root, labelling, medium)
    return recipe.load(root, labelling, wanted[-1] if wanted else None)


def write(found: Evaluation, folder: Any) -> None:
    """Write the report as HTML and Markdown, all figures as JSON, all answers as CSV.

    Args:
        found: what was measured.
        folder: a `sinks.files.OutputFolder`.

    Raises:
        InputError: if a file is there already or cannot be written.
    """
    import csv
    import json

    from ..evaluation.report import markdown, page
    from ..io.files import ResultFile

    texts = (
        page.render(found),
        markdown.render(found),
        json.dumps(found.to_mapping(), indent=1, ensure_ascii=False) + "\n",
    )
    for name, text in zip(FILES[:3], texts, strict=True):
        with ResultFile(folder / name, overwrite=folder.overwrite) as f:
            f.write(text)
    with ResultFile(folder / FILES[3], overwrite=folder.overwrite) as f:
        table = csv.writer(f, lineterminator="\n")
        table.writerow(["id", "speaker", "actual", *found.parts[0].labels])
        for a in found.answers:
            table.writerow([a.id, a.speaker or "", ";".join(a.actual), *a.probabilities])


def _cuts(names: list[str] | None) -> Any:
    from ..evaluation.predict.segmentation import Segmentation

    try:
        return (
            tuple(dict.fromkeys(Segmentation(name) for name in names))
            if names
            else tuple(Segmentation)
        )
    except ValueError as e:
        known = ", ".join(repr(c.value) for c in Segmentation)
        raise InputError(f"--cut: {e}; there are {known}") from None


def _faces(name: str) -> Any:
    from ..evaluation.predict.scenes import Faces

    try:
        return Faces(name)
    except ValueError:
        raise InputError(f"--faces: got {name!r}, expected auto, crop or find") from None


def _again(named: Sequence[Named], corpus: str, labelling: str | None, plan: Plan) -> str:
    """Write how to measure it again elsewhere: no path of this machine, no place for results."""
    model = named[0].card.id if len(named) == 1 else "FOLDER"
    words = ["emofuse", "evaluate", model, "--corpus", Path(corpus).name, "--data", "ROOT"]
    words += plan.protocol.flags
    words += ["--labelling", labelling] if labelling else []
    words += ["--robustness"] if plan.robustness else []
    words += ["--noise", "DIR"] if plan.noises else []
    return shlex.join(words)


def _update(named: Named, found: Evaluation) -> None:
    from ..evaluation.report import card_metrics as cardfigures

    assert named.path is not None
    cardfigures.update_card(named.path, cardfigures.metric_rows(found))


def _show(found: Evaluation, as_json: bool, quiet: bool, out: Path | None) -> None:
    from rich.table import Table

    from ..evaluation.report import formatting as wording
    from . import display as show

    screen = show.stdout()
    if as_json:
        screen.print_json(data=found.to_mapping())
        return
    if quiet:
        return
    table = Table("", *(p.name for p in found.parts), title=found.title)
    for name, figures in wording.rows(found.parts):
        table.add_row(wording.title(name), *(wording.cell(name, f) for f in figures))
    screen.print(table)
    if found.robustness:
        names = [
            n for n in ("macro_f1", "accuracy", "uar", "ece") if n in found.robustness[0].figures
        ]
        corrupted = Table("corrupted by", *map(wording.title, names))
        for s in found.robustness:
            corrupted.add_row(s.name, *(wording.cell(n, s.figures[n]) for n in names))
        screen.print(corrupted)
    for warning in found.warnings:
        screen.print(f"Measured despite a leak: {warning}", soft_wrap=True)
    for note in wording.cautions(found):
        screen.print(f"- {note}", soft_wrap=True)
    screen.print(show.CAVEAT, soft_wrap=True)
    if out is not None:
        screen.print(f"{out / FILES[0]}", soft_wrap=True)


@contextmanager
def _bars(quiet: bool) -> Iterator[Bars]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from . import display as show

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    shown = not quiet and sys.stderr.isatty()
    with Progress(*columns, console=show.stderr(), transient=True, disable=not shown) as progress:

        def bar(name: str, total: int) -> Callable[[], object]:
            task = progress.add_task(name, total=total)
            return lambda: progress.advance(task)

        yield bar
