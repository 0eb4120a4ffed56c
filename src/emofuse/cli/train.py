"""The commands `emofuse train`, `emofuse tune` and `emofuse models embed`.

Nothing heavy is imported before a command runs, and nothing of torch before its
configuration has been found.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.loader import Flag, read, read_file, settings
from ..errors import InputError, MissingExtra


class Modality(str, Enum):
    """What can be trained."""

    FACE = "face"
    SPEECH = "speech"
    TEXT = "text"
    FUSION = "fusion"
    DETECTOR = "detector"


_CLASSES = {
    Modality.FACE: ("face", "FaceTraining", "FaceTrainer"),
    Modality.SPEECH: ("speech", "SpeechTraining", "SpeechTrainer"),
    Modality.TEXT: ("text", "TextTraining", "TextTrainer"),
}

Which = Annotated[
    Modality,
    typer.Argument(
        help="What the model looks at or listens to; fusion of the three; the face detector."
    ),
]
File = Annotated[Path, typer.Option(metavar="FILE", help="Settings as YAML or TOML.")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the corpora.")]
Run = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the run; an interrupted run goes on there."),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the training data.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
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
        typer.Option(metavar="NAME", help="Another net, in its usual sizes."),
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
    readings: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Fusion: folder of what the recognisers said (Parquet)."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Put the finished model into a package: src/emofuse/models."
        ),
    ] = None,
) -> None:
    """Train a model, or go on with a run that was interrupted (needs the extra `train`)."""
    unused: dict[str, Any]
    given: dict[str, Any]
    if which is Modality.FUSION:
        unused = {"--net": net, "--device": device}
        given = {"data": data, "run": out, "epochs": epochs, "seed": seed, "threads": threads}
        fusion = {"strategy": strategy, "readings": readings}
        _train_fusion(config, {**given, **fusion}, settings(set_ or ()), unused, into)
        return
    if strategy is not None or readings is not None:
        raise InputError("--strategy and --readings are for `emofuse train fusion`")
    if which is Modality.DETECTOR:
        unused = {"--data": data, "--net": net, "--epochs": epochs, "--device": device}
        given = {"seed": seed, "threads": threads}
        _train_detector(config, out, given, settings(set_ or ()), {**unused, "--into": into})
        return
    flags = _flags(data, out, epochs, seed, threads, device)
    if net is not None:
        flags["net"] = Flag("--net", {"name": net})
    flags |= settings(set_ or ())  # after --net, so that they may size it
    trainer_of = _trainers(which, config)
    trainer = trainer_of(flags)
    from ..training.core.export import embed
    from ..training.core.trainer import train as run

    try:
        card = run(trainer)
    except KeyboardInterrupt:
        typer.echo(
            f"emofuse: {trainer.config.run} keeps every finished epoch; the same command goes on "
            "from there",
            err=True,
        )
        raise
    if into is not None:
        card = embed(card, into)
    typer.echo(card)


def tune(
    which: Which,
    config: File,
    trials: Annotated[int, typer.Option(min=1, help="Most trials, earlier ones included.")] = 20,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Begin no further trial after so long.")
    ] = None,
    data: Data = None,
    out: Run = None,
    epochs: Epochs = None,
    seed: Seed = None,
    threads: Threads = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Search for better settings, within the space that the file names under `tune`."""
    flags = {**_flags(data, None, epochs, seed, threads, device), **settings(set_ or ())}
    trainer_of = _trainers(which, config)
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
            f"emofuse: {folder} keeps every finished trial; the same command goes on from there",
            err=True,
        )
        raise
    typer.echo(best)


def embed(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="RUN/model/ID.toml of a run.")],
    into: Annotated[
        Path, typer.Option(metavar="DIR", help="Where models of the package are.")
    ] = Path("src/emofuse/models"),
) -> None:
    """Put a trained model into a checkout of emofuse: card, graph and golden pair."""
    try:
        from ..training.core.export import embed as copy
    except ImportError as e:
        raise _missing(e) from e
    typer.echo(copy(card, into))


def _train_fusion(
    config: Path,
    given: Mapping[str, Any],
    more: Mapping[str, Flag],
    unused: Mapping[str, Any],
    into: Path | None,
) -> None:
    """Train a fuser: see `training.fusion`.

    Raises:
        InputError: if the file is missing or wrong, or a flag has no use here.
        MissingExtra: if torch is not installed.
    """
    _refuse(unused, Modality.FUSION)
    read_file(config)  # a misspelt path is told before torch is loaded
    try:
        from ..training import fusion
        from ..training.core import export
    except ImportError as e:
        raise _missing(e) from e
    names = {"run": "--out"}
    flags = {
        key: Flag(names.get(key, f"--{key}"), str(value) if isinstance(value, Path) else value)
        for key, value in given.items()
        if value is not None
    }
    card = fusion.train(
        read(fusion.FusionTraining, config, {**flags, **more}),
        lambda text: typer.echo(text, err=True),
    )
    typer.echo(export.embed(card, into) if into is not None else card)


def _train_detector(
    config: Path,
    out: Path | None,
    given: Mapping[str, Any],
    more: Mapping[str, Flag],
    unused: Mapping[str, Any],
) -> None:
    """Train the face detector: see `training.detector`.

    Raises:
        InputError: if the file is missing or wrong, or a flag has no use here.
        MissingExtra: if torch is not installed.
    """
    _refuse(unused, Modality.DETECTOR)
    read_file(config)
    try:
        from ..training import detector
    except ImportError as e:
        raise _missing(e) from e
    flags = {
        "run": Flag("--out", out and str(out)),
        "out": Flag("--out", out and str(out / "model")),
        **{key: Flag(f"--{key}", value) for key, value in given.items()},
    }
    flags = {key: flag for key, flag in flags.items() if flag.value is not None}
    typer.echo(detector.train(read(detector.DetectorTraining, config, {**flags, **more})))


def _refuse(unused: Mapping[str, Any], which: Modality) -> None:
    """Raise an InputError if a flag is given that has no use."""
    for name, value in unused.items():
        if value is not None:
            raise InputError(f"{name} has no use in `emofuse train {which.value}`: leave it out")


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
        "data": Flag("--data", data and str(data)),
        "run": Flag("--out", out and str(out)),
        "loop.epochs": Flag("--epochs", epochs),
        "loop.seed": Flag("--seed", seed),
        "loop.threads": Flag("--threads", threads),
        "loop.device": Flag("--device", device),
    }
    given = {key: flag for key, flag in flags.items() if flag.value is not None}
    if "run" in given:
        given["out"] = Flag("--out", None)  # the model goes into the run's folder
    return given


def _trainers(which: Modality, config: Path) -> Any:
    """Return what makes a trainer from flags.

    Raises:
        InputError: if the file is missing, or the model is no recogniser.
        MissingExtra: if torch is missing.
    """
    from importlib import import_module

    read_file(config)  # a misspelt path is told before torch is loaded
    if which not in _CLASSES:
        raise InputError(f"there is no search for settings of {which.value}: `emofuse train` it")
    module, config_class, trainer = _CLASSES[which]
    try:
        found = import_module(f"emofuse.training.{module}")
    except ImportError as e:
        raise _missing(e) from e

    def make(flags: Mapping[str, Flag]) -> Any:
        return getattr(found, trainer)(read(getattr(found, config_class), config, flags))

    return make


def _missing(error: ImportError) -> Exception:
    """Say which extra brings a module; what is wrong in emofuse itself is raised as it is."""
    name = (error.name or "").split(".")[0]
    if name == "emofuse" or not name:
        return error
    return MissingExtra("train", f"training (module {error.name})")
