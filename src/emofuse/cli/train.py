"""The commands `emofuse train`, `emofuse tune` and `emofuse models embed`.

Nothing heavy is imported before a command runs, and nothing of torch before its
configuration has been found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ..config.loader import Flag, read, read_file, settings
from ..errors import InputError, MissingExtra

if TYPE_CHECKING:
    from ..training.core.corpora import CorpusChoice

Config = TypeVar("Config")

_REPORT = "report"
"""Folder in a run's folder for the reports on what was held out."""


class Modality(str, Enum):
    """What can be trained."""

    FACE = "face"
    SPEECH = "speech"
    TEXT = "text"
    FUSION = "fusion"
    DETECTOR = "detector"
    GROUP = "group"


class Tuned(str, Enum):
    """What has settings to search for."""

    FACE = Modality.FACE.value
    SPEECH = Modality.SPEECH.value
    TEXT = Modality.TEXT.value


Which = Annotated[
    Modality,
    typer.Argument(
        help="What the model predicts from; `fusion` of the three; the face `detector`; the mood "
        "of a `group` from four streams."
    ),
]
File = Annotated[Path, typer.Option(metavar="FILE", help="Settings as YAML or TOML.")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the corpora.")]
Run = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the run; an interrupted run is resumed from it."),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the training data.")]
Seed = Annotated[int | None, typer.Option(help="Random seed.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any setting of the file, e.g. loop.lr=1e-3; repeatable."
    ),
]
Device = Annotated[
    str | None, typer.Option(metavar="NAME", help="cpu, cuda, or auto: a GPU if there is one.")
]


def train(
    which: Which,
    config: File,
    data: Data = None,
    out: Run = None,
    net: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Another net, in its default sizes."),
    ] = None,
    epochs: Epochs = None,
    seed: Seed = None,
    threads: Threads = None,
    device: Device = None,
    set_: Set = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fusion: weighted, confidence, logpool, feature, attention, hybrid or "
            "transformer.",
        ),
    ] = None,
    predictions_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Fusion: folder of the recognizers' cached predictions (Parquet)."
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="Fetch the corpora first, as far as their makers offer them to everyone.",
        ),
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="When it is trained, evaluate it once on what was held out: RUN/report.",
        ),
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Copy the finished model into a package: src/emofuse/models."
        ),
    ] = None,
) -> None:
    """Train a model, or resume a run that was interrupted (needs the extra `train`)."""
    given = {
        "net": Flag("--net", net and {"name": net}),
        "strategy": Flag("--strategy", strategy),
        "predictions_cache": Flag("--predictions-cache", _text(predictions_cache)),
    }
    flags = _flags(data, out, epochs, seed, threads, device)
    flags |= {key: flag for key, flag in given.items() if flag.value is not None}
    flags |= settings(set_ or ())  # after --net, so that they may size it
    for name, value in (("--net", net), ("--into", into)):
        if value is not None and which in (Modality.DETECTOR, Modality.GROUP):
            raise InputError(f"{name} has no use in `emofuse train {which.value}`: omit it")
    report: Callable[[Path], None] | None = None
    if which.value in list(Tuned):
        trainer = _trainers(which, config, download)(flags)
        report = _held_out_report(trainer) if evaluate else None
        run = _run_of(trainer)
    else:
        for name, given_ in (("--download", download), ("--evaluate", evaluate)):
            if given_:
                raise InputError(f"{name} has no use in `emofuse train {which.value}`: omit it")
        run = _runs(which, config, flags)
    try:
        card = run()
    except KeyboardInterrupt:
        typer.echo("emofuse: every finished epoch is kept; the same command resumes", err=True)
        raise
    if report is not None:
        report(card)
    if into is not None:
        from ..training.core.export import embed

        card = embed(card, into)
    typer.echo(card)


def tune(
    which: Annotated[Tuned, typer.Argument(help="What the model predicts from.")],
    config: File,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of trials, earlier ones included.")
    ] = 20,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Start no further trial after so many minutes.")
    ] = None,
    data: Data = None,
    out: Run = None,
    epochs: Epochs = None,
    seed: Seed = None,
    threads: Threads = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Search for better settings in the space that the file defines under `tune`."""
    flags = {**_flags(data, None, epochs, seed, threads, device), **settings(set_ or ())}
    trainer_of = _trainers(Modality(which.value), config)
    folder = out or Path("runs") / f"tune-{config.stem}"
    try:
        from ..training.core.tune import search
    except ImportError as e:
        raise _missing(e) from e

    def make(values: Mapping[str, Any], run: Path) -> Any:
        tuned = {key: Flag(f"tune: {key}", value) for key, value in values.items()}
        place = {"run": Flag("--out", str(run)), "out": Flag("--out", None)}
        return trainer_of({**flags, **tuned, **place})

    try:
        best = search(make, folder, trials, minutes)
    except KeyboardInterrupt:
        typer.echo(
            f"emofuse: every finished trial is kept in {folder}; the same command resumes",
            err=True,
        )
        raise
    typer.echo(best)


def embed(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="RUN/model/ID.toml of a run.")],
    into: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the package's models.")
    ] = Path("src/emofuse/models"),
) -> None:
    """Copy a trained model into a checkout of emofuse: card, graph and golden pair."""
    try:
        from ..training.core.export import embed as copy
    except ImportError as e:
        raise _missing(e) from e
    typer.echo(copy(card, into))


def leave_one_out(config: Path, data: Path, runs: Path) -> dict[str, str]:
    """Train a speech model without each of its corpora in turn.

    A training that is finished is not repeated, one that was interrupted goes on.

    Args:
        config: settings of the training.
        data: folder of the corpora.
        runs: where the trainings are kept.

    Returns:
        Corpus → card of the model that was trained without it.

    Raises:
        InputError: if the settings are wrong or name fewer than two corpora.
        MissingExtra: if torch is not installed.
    """
    read_file(config)  # a misspelt path is told before torch is loaded
    try:
        from ..training.speech.task import SpeechTraining
    except ImportError as e:
        raise _missing(e) from e
    named = _read(SpeechTraining, Modality.SPEECH, config, {}).corpora
    if len(named) < 2:
        raise InputError(f"{config}: to leave one out it must name two corpora or more")
    corpora = read_file(config)["corpora"]
    cards = {}
    for number, choice in enumerate(named):
        flags = {
            "data": Flag("--data", str(data)),
            "run": Flag("--cache", str(runs / f"{config.stem}-without-{choice.name}")),
            "out": Flag("--cache", None),
            "corpora": Flag("--leave-one-out", corpora[:number] + corpora[number + 1 :]),
        }
        cards[choice.name] = str(_runs(Modality.SPEECH, config, flags)())
    return cards


def _runs(which: Modality, config: Path, flags: Mapping[str, Flag]) -> Callable[[], Path]:
    """Read the settings and return what trains by them.

    Raises:
        InputError: if the file is missing or wrong, or a flag has no use here.
        MissingExtra: if torch is not installed.
    """
    read_file(config)  # a misspelt path is told before torch is loaded
    try:
        if which is Modality.FUSION:
            from ..training import fusion

            fuser = _read(fusion.FusionTraining, which, config, flags)
            return lambda: fusion.train(fuser)
        if which is Modality.DETECTOR:
            from ..training import detector

            finder = _read(detector.DetectorTraining, which, config, flags)
            return lambda: detector.train(finder)
        if which is Modality.GROUP:
            from ..training import group

            if "parts" in read_file(config):
                joined = _read(group.HybridTraining, which, config, flags)
                return lambda: group.train_hybrid(joined)
            mood = _read(group.GroupTraining, which, config, _of_all_stages(flags, group.STAGES))
            return lambda: group.train(mood)
    except ImportError as e:
        raise _missing(e) from e
    return _run_of(_trainers(which, config)(flags))


def _read(kind: type[Config], which: Modality, config: Path, flags: Mapping[str, Flag]) -> Config:
    """Read a configuration; refuse flags that set what it does not have."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if "run" in flags and "out" in known:  # the model goes into the run's folder
        flags = {"out": Flag("--out", None), **flags}
    for key, flag in flags.items():
        if key not in known and "." not in key and not flag.name.startswith("--set"):
            raise InputError(f"{flag.name} has no use in `emofuse train {which.value}`: omit it")
    return read(kind, config, flags)


def _of_all_stages(flags: Mapping[str, Flag], stages: tuple[str, ...]) -> dict[str, Flag]:
    """Let a flag about the loop count for the loop of every stage, as far as none is named."""
    out: dict[str, Flag] = {}
    for key, flag in flags.items():
        if key.startswith("loop."):
            out = {f"{stage}.{key}": flag for stage in stages} | out
        else:
            out[key] = flag
    return out


def _flags(
    data: Path | None,
    out: Path | None,
    epochs: int | None,
    seed: int | None,
    threads: int | None,
    device: str | None,
) -> dict[str, Flag]:
    """Return what was given on the command line by its key."""
    flags = {
        "data": Flag("--data", _text(data)),
        "run": Flag("--out", _text(out)),
        "loop.epochs": Flag("--epochs", epochs),
        "loop.seed": Flag("--seed", seed),
        "loop.threads": Flag("--threads", threads),
        "loop.device": Flag("--device", device),
    }
    return {key: flag for key, flag in flags.items() if flag.value is not None}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _trainers(which: Modality, config: Path, download: bool = False) -> Any:
    """Return what makes a recognizer's trainer from flags.

    Args:
        which: modality.
        config: file of the settings.
        download: fetch the corpora before they are read.

    Raises:
        InputError: if the file is missing, or a corpus cannot be fetched.
        MissingExtra: if torch is missing.
    """
    from importlib import import_module

    read_file(config)  # a misspelt path is told before torch is loaded
    try:
        task = import_module(f"emofuse.training.{which.value}.task")
    except ImportError as e:
        raise _missing(e) from e

    def make(flags: Mapping[str, Flag]) -> Any:
        settings_ = _read(task.CONFIG, which, config, flags)
        if download:
            _fetch(settings_.corpora or task.TRAINER.default_corpora(settings_), settings_.data)
        return task.TRAINER(settings_)

    return make


def _fetch(choices: Sequence[CorpusChoice], data: Path) -> None:
    """Fetch the corpora that are public; of the others say who gives them out."""
    from ..corpora import fetch, recipes
    from ..io.download import download_bar

    for choice in choices:
        if choice.manifest is not None:
            continue
        recipe, root = recipes.recipe(choice.name), choice.root or data
        if recipe.downloads:
            fetch.fetch(recipe, root, download_bar)
        elif recipe.home:
            typer.echo(
                f"emofuse: {recipe.name} is not downloaded: its makers give it out themselves "
                f"({recipe.licence}), see {recipe.home}; it is looked for in {root}",
                err=True,
            )


def _held_out_report(trainer: Any) -> Callable[[Path], None]:
    """Return what evaluates a finished model on the samples that its training held out.

    Raises:
        InputError: if nothing is held out.
    """
    from ..corpora.manifest import Split
    from . import evaluate

    config = trainer.config
    held = [c for c in trainer.corpora if len(c.manifest.of(Split.TEST))]
    if not held:
        raise InputError(
            "--evaluate: nothing is held out: no corpus has a test split; name folds of one, "
            "e.g. corpora: [{name: …, test_folds: [0]}], or omit --evaluate"
        )
    faces = {k: getattr(config, k) for k in ("faces", "detector") if hasattr(config, k)}

    def report(card: Path) -> None:
        for corpus in held:
            folder = config.run / _REPORT / corpus.name
            evaluate.once(
                card,
                corpus.manifest,
                folder,
                threads=config.loop.threads,
                label_map=corpus.choice.map,
                **faces,
            )

    return report


def _run_of(trainer: Any) -> Callable[[], Path]:
    from ..training.core.train import train as run

    return lambda: run(trainer)


def _missing(error: ImportError) -> Exception:
    """Say which extra brings a module; what is wrong in emofuse itself is raised as it is."""
    name = (error.name or "").split(".")[0]
    if name == "emofuse" or not name:
        return error
    return MissingExtra("train", f"training (module {error.name})")
