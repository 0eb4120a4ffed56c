"""The commands `emofuse evaluate …`. Heavy imports are inside: the help stays quick."""

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
from typer.core import TyperGroup

from ..errors import InputError
from .options import Overwrite, Quiet, panel, result

if TYPE_CHECKING:
    from ..corpora.manifest import Manifest
    from ..evaluation.model.plan import Plan
    from ..evaluation.predict.inference import Progress
    from ..evaluation.predict.loading import LocatedModel
    from ..evaluation.report.document import Document
    from ..evaluation.report.results import Evaluation

_what = panel("What to evaluate")
_how = panel("How")

FILES = ("report.html", "report.md", "results.json")
"""What `--out` is filled with."""

PREDICTIONS = "predictions.csv"
"""Each sample's prediction, in the same folder."""


class DefaultGroup(TyperGroup):
    """Commands of which `model` is meant where none is named: ``evaluate ID`` too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command in front of arguments that name none."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["model", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DefaultGroup,
    help="Evaluate models and fusion. `evaluate ID …` is short for `evaluate model ID …`.",
    no_args_is_help=True,
)

Data = Annotated[
    Path | None,
    _what(
        "--data",
        metavar="ROOT",
        help="Folder of the corpora; default: EMOFUSE_DATA, else the current folder.",
    ),
]
Resamples = Annotated[
    int, _how("--resamples", min=1, help="Bootstrap samples for the confidence intervals.")
]
Threads = Annotated[int, _how(min=1, help="Threads per model.")]
Out = Annotated[Path | None, result(metavar="DIR", help="Folder for the report and the results.")]
Json = Annotated[bool, result("--json", help="Print results.json.")]


@app.command()
def model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="ID|CARD|DIR",
            show_default=False,
            help="A model's id, a card (RUN/model/ID.toml), or the folder of a run. For the "
            "protocol folds: a folder with one run per fold.",
        ),
    ],
    corpus: Annotated[
        str,
        _what(
            metavar="NAME|FILE",
            show_default=False,
            help="A corpus, or a manifest written by `emofuse corpus prepare`.",
        ),
    ],
    data: Data = None,
    protocol: Annotated[
        str, _what(help="split, fold:K, folds (one model per fold) or cross-corpus.")
    ] = "split",
    split: Annotated[
        str | None,
        _what(
            metavar="test|validation|…",
            help="Which split; default: test, with cross-corpus the whole corpus.",
        ),
    ] = None,
    labelling: Annotated[
        str | None, _what(help="Which labelling of the corpus; default: its first.")
    ] = None,
    label_map: Annotated[
        Path | None,
        _what(
            "--map",
            metavar="FILE",
            help="TOML file with \\[map] and \\[drop] for the corpus' own labels.",
        ),
    ] = None,
    segmentation: Annotated[
        list[str] | None,
        _what(
            metavar="full|vad|center-1s",
            help="Speech: use whole clips, their voiced regions, or one second from the "
            "middle; repeatable; default: all three.",
        ),
    ] = None,
    faces: Annotated[
        str,
        _what(
            metavar="auto|crop|find",
            help="Whether images are face crops, or scenes in which to find faces.",
        ),
    ] = "auto",
    detector: Annotated[
        str | None, _what(metavar="NAME", help="Face detector; default: that of an analysis.")
    ] = None,
    limit: Annotated[int, _what(min=0, help="Evaluate at most N samples; 0: all.")] = 0,
    robustness: Annotated[
        bool, _how("--robustness", help="Also evaluate on corrupted samples.")
    ] = False,
    noise: Annotated[
        Path | None,
        _how(
            metavar="DIR",
            help="Recorded noises, and room impulse responses (rir….wav), for --robustness "
            "of a speech model.",
        ),
    ] = None,
    refit: Annotated[
        bool,
        _how(
            "--refit/--no-refit",
            help="Also fit a temperature to validation data and compare it with the card's.",
        ),
    ] = True,
    n_resamples: Resamples = 2000,
    seed: Annotated[int, _how(min=0, help="Random seed.")] = 0,
    threads: Threads = 1,
    despite_leaks: Annotated[
        bool,
        _how(
            "--despite-leaks",
            help="Evaluate even on samples the model was trained on; the report warns.",
        ),
    ] = False,
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    update_card: Annotated[
        bool, result("--update-card", help="Write the metrics into the card given by its path.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model on a corpus: metrics with intervals, calibration, subgroups, robustness."""
    from ..evaluation.model.evaluate import evaluate
    from ..evaluation.model.plan import Plan
    from ..evaluation.predict import loading
    from ..evaluation.predict.scenes import Faces
    from ..evaluation.predict.segmentation import Segmentation
    from ..evaluation.protocol.protocols import Protocol
    from ..evaluation.report import card_metrics, model_report
    from ..face.config import FaceConfig

    segmentations = tuple(_choice("--segmentation", Segmentation, x) for x in segmentation or ())
    plan = Plan(
        protocol=Protocol.parse(protocol, split),
        segmentations=tuple(dict.fromkeys(segmentations)) or tuple(Segmentation),
        faces=_choice("--faces", Faces, faces),
        robustness=robustness,
        noise=noise,
        refit=refit,
        limit=limit,
        n_resamples=n_resamples,
        seed=seed,
        despite_leaks=despite_leaks,
        command=_command(),
        label_map=label_map,
    )
    if detector is not None:
        plan = replace(plan, detector=FaceConfig(detector=detector).detector)
    located = loading.locate(model)
    plan = replace(plan, reproduce=_reproduce(located, corpus, labelling, plan))
    card = located[0].path
    if update_card and (len(located) != 1 or card is None):
        raise InputError("--update-card needs the path of one card (….toml)")
    folder = _claimed(out, overwrite, *FILES, PREDICTIONS)
    manifest = read_corpus(corpus, data, labelling, located[0])
    with _progress(quiet) as progress:
        models, homes = [m.load(threads) for m in located], [m.path for m in located]
        found = evaluate(models, manifest, plan, progress, homes)
    report = model_report.document(found)
    if folder is not None:
        _write(report, folder)
        _write_predictions(found, folder)
    if update_card and card is not None:
        card_metrics.update_card(card, card_metrics.metric_rows(found))
    _print(report, as_json, quiet, out)


def once(
    card: Path, manifest: Manifest, out: Path, *, label_map: Path | None, threads: int, **faces: Any
) -> None:
    """Evaluate a trained model on what its training held out, if that was not done yet.

    Args:
        card: of the model.
        manifest: the corpus, with the splits that the training used.
        out: folder for report and results; one that holds a report is left as it is.
        label_map: see `Plan`.
        threads: of the model.
        faces: `Plan`'s ``faces`` and ``detector``, of a face model.
    """
    from ..evaluation.model.evaluate import evaluate
    from ..evaluation.model.plan import Plan
    from ..evaluation.predict import loading
    from ..evaluation.report import model_report

    if (out / FILES[0]).exists():
        typer.echo(
            f"{out / FILES[0]} is there already and stays: what is held out is asked once",
            err=True,
        )
        return
    plan = Plan(command=_command(), label_map=label_map, **faces)
    located = loading.locate(str(card))
    plan = replace(plan, reproduce=_reproduce(located, manifest.corpus, None, plan))
    with _progress(quiet=False) as progress:
        models = [m.load(threads) for m in located]
        found = evaluate(models, manifest, plan, progress, [card])
    report = model_report.document(found)
    folder = _claimed(out, False, *FILES, PREDICTIONS)
    _write(report, folder)
    _write_predictions(found, folder)
    _print(report, False, False, out)


@app.command()
def fusion(
    data: Data = None,
    cache: Annotated[
        Path | None,
        _how(
            "--predictions-cache",
            metavar="DIR",
            help="Folder in which the models' predictions are kept for the next time.",
        ),
    ] = None,
    posteriors: Annotated[
        Path | None,
        _what(metavar="FILE", help="ravdess_posteriors.csv, if it is not in ROOT."),
    ] = None,
    pairings: Annotated[int, _how(min=1, help="Number of random pairings.")] = 5,
    n_resamples: Resamples = 2000,
    threads: Threads = 1,
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare all fusion strategies on FER2013, CREMA-D, RAVDESS and GoEmotions in ROOT."""
    from ..evaluation.fusion.evaluate import evaluate
    from ..evaluation.fusion.study import FusionPlan

    folder = _claimed(out, overwrite, *FILES)
    plan = FusionPlan(
        root=data or Path(os.environ.get("EMOFUSE_DATA") or "."),
        cache=cache,
        posteriors=posteriors,
        threads=threads,
        pairings=pairings,
        n_resamples=n_resamples,
        command=_command(),
    )
    with _progress(quiet) as progress:
        report = evaluate(plan, progress)
    if folder is not None:
        _write(report, folder)
    _print(report, as_json, quiet, out)


@app.command("cross-corpus")
def cross_corpus(
    data: Data = None,
    cache: Annotated[
        Path | None,
        _how(
            metavar="DIR",
            help="Folder for unpacked archives, predictions and trainings, kept for the next "
            "time; default: in emofuse's own cache folder.",
        ),
    ] = None,
    leave_one_out: Annotated[
        Path | None,
        _how(
            metavar="FILE",
            help="Settings of a speech training (configs/speech-frozen.yaml: minutes): train "
            "without each of its corpora and measure that one, instead of reporting what the "
            "card of the voice model says of such trainings. Needs the extra `train`.",
        ),
    ] = None,
    n_resamples: Resamples = 2000,
    threads: Threads = 1,
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    update_cards: Annotated[
        Path | None,
        result(
            "--update-cards",
            metavar="DIR",
            help="Write the metrics into the models' cards in a folder (ID.toml).",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Evaluate on people and recordings that no model has met: one report of all modalities.

    ROOT holds what you have of the corpora, archives (crema-d.tar …) included; what is
    missing is named.
    """
    from ..evaluation.cross_corpus import layout
    from ..evaluation.cross_corpus.evaluate import evaluate
    from ..evaluation.cross_corpus.study import CrossCorpusPlan
    from ..evaluation.report.card_metrics import update_card
    from ..models.store import Store

    folder = _claimed(out, overwrite, *FILES)
    store = Store()
    home = cache or store.cache_dir / "evaluation"
    root = data or Path(os.environ.get("EMOFUSE_DATA") or ".")
    with _progress(quiet) as progress:
        root = layout.unpacked(root, home, progress)
        trained: dict[str, str] = {}
        if leave_one_out is not None:
            from .train import leave_one_out as train_without_each

            trained = train_without_each(leave_one_out, root, home / "leave-one-out")
        plan = CrossCorpusPlan(
            root=root,
            predictions=home / "predictions",
            left_out=trained,
            recipe=leave_one_out.name if leave_one_out else "",
            threads=threads,
            n_resamples=n_resamples,
            command=_command(),
        )
        found = evaluate(plan, progress, store)
    if folder is not None:
        _write(found.report, folder)
    if update_cards is not None:
        for model_id, metrics in found.cards.items():
            update_card(update_cards / f"{model_id}.toml", metrics)
    _print(found.report, as_json, quiet, out)


def read_corpus(
    name: str, data: Path | None, labelling: str | None, model: LocatedModel
) -> Manifest:
    """Read the corpus that a model is evaluated on.

    Args:
        name: of a recipe, or the path of a manifest.
        data: its folder; None: ``EMOFUSE_DATA``, else the current folder.
        labelling: which of its labellings; None: the first.
        model: its modality decides between audio and video.

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


def _choice(flag: str, choices: Any, name: str) -> Any:
    try:
        return choices(name)
    except ValueError:
        known = ", ".join(c.value for c in choices)
        raise InputError(f"{flag}: got {name!r}, expected one of {known}") from None


def _command() -> str:
    return shlex.join(["emofuse", *sys.argv[1:]])


def _reproduce(
    located: Sequence[LocatedModel], corpus: str, labelling: str | None, plan: Plan
) -> str:
    """Return a command without paths of this machine and without a place for results."""
    model = located[0].card.id if len(located) == 1 else "FOLDER"
    words = ["emofuse", "evaluate", model, "--corpus", Path(corpus).name, "--data", "ROOT"]
    words += plan.protocol.flags
    words += ["--labelling", labelling] if labelling else []
    words += ["--robustness"] if plan.robustness else []
    words += ["--noise", "DIR"] if plan.noise else []
    return shlex.join(words)


def _claimed(out: Path | None, overwrite: bool, *names: str) -> Any:
    """Return the folder for results, checked before the work so that no hours are lost."""
    from ..io.files import OutputFolder

    if out is None:
        return None
    folder = OutputFolder(out, overwrite)
    folder.claim(*names)
    return folder


def _write(report: Document, folder: Any) -> None:
    from ..evaluation.report import html, markdown
    from ..io.files import ResultFile

    texts = (html.render(report), markdown.render(report), report.to_json())
    for name, text in zip(FILES, texts, strict=True):
        with ResultFile(folder / name, overwrite=folder.overwrite) as f:
            f.write(text)


def _write_predictions(found: Evaluation, folder: Any) -> None:
    import csv

    from ..io.files import ResultFile

    labels = found.parts[0].labels
    with ResultFile(folder / PREDICTIONS, overwrite=folder.overwrite) as f:
        table = csv.writer(f, lineterminator="\n")
        table.writerow(["id", "speaker", "actual", *labels])
        for p in found.predictions:
            probabilities = p.probabilities or [""] * len(labels)  # empty: no face was found
            table.writerow([p.id, p.speaker or "", ";".join(p.actual), *probabilities])


def _print(report: Document, as_json: bool, quiet: bool, out: Path | None) -> None:
    from rich.table import Table as Screen

    from ..evaluation.report.document import Table
    from . import display

    screen = display.stdout()
    if as_json:
        screen.print_json(report.to_json())
        return
    if quiet:
        return
    shown = [report.sections[0], *(s for s in report.sections if s.title == "Robustness")]
    for table in (b for section in shown for b in section.blocks if isinstance(b, Table)):
        head = [h for h in table.head if h != "meaning"]
        printed = Screen(*head, title=table.title or report.title)
        for row in table.rows:
            printed.add_row(*row[: len(head)])
        screen.print(printed)
    for warning in report.warnings:
        screen.print(f"Evaluated despite a leak: {warning}", soft_wrap=True)
    for note in report.notes:
        screen.print(f"- {note}", soft_wrap=True)
    screen.print(display.CAVEAT, soft_wrap=True)
    if out is not None:
        screen.print(f"{out / FILES[0]}", soft_wrap=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from . import display

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    shown = not quiet and sys.stderr.isatty()
    with Progress(*columns, console=display.stderr(), transient=True, disable=not shown) as bars:

        def bar(name: str, total: int) -> Callable[[], object]:
            task = bars.add_task(name, total=total)
            return lambda: bars.advance(task)

        yield bar
