"""Options that several commands have, and the panels in which their help shows them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from ..config.loader import Flag
from ..core.modality import parse_weights
from ..core.registry import Registry
from ..errors import InputError
from ..models.sets import SETS, find_set


def names(kind: str) -> str:
    """Return the names registered for a kind, e.g. ``"detectors"``, as help lists them."""
    return ", ".join(Registry(f"emofuse.{kind}", kind).names)


def panel(title: str) -> Callable[..., Any]:
    """Return `typer.Option` for options that the help shows under a title."""
    return partial(typer.Option, rich_help_panel=title)


result = panel("Results")
"""An option that says what becomes of the results."""

_models = panel("Models")
FaceModel = Annotated[
    str | None, _models("--face-model", metavar="ID", help="Model that reads faces.")
]
SpeechModel = Annotated[
    str | None, _models("--speech-model", metavar="ID", help="Model that hears voices.")
]
TextModel = Annotated[
    str | None, _models("--text-model", metavar="ID", help="Model that reads words.")
]


def model_flags(face: str | None, speech: str | None, text: str | None) -> dict[str, Flag]:
    """Return the settings that the options for models stand for."""
    given = {"face": face, "speech": speech, "text": text}
    return {
        f"models.{m}": Flag(f"--{m}-model", name) for m, name in given.items() if name is not None
    }


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, result("--overwrite", help="Replace existing results.")]
Quiet = Annotated[bool, result("--quiet", "-q", help="Print errors only.")]


def complain(message: str) -> None:
    """Print a message on stderr, each line with our name before it."""
    with contextlib.suppress(OSError):
        for line in message.splitlines():
            typer.echo(line if line.startswith("emofuse: ") else f"emofuse: {line}", err=True)


def sets_help() -> str:
    """Return the sets of models, as help lists them."""
    return "; ".join(f"{name} ({set_.summary})" for name, set_ in SETS.items())


def set_flags(name: str | None) -> dict[str, Flag]:
    """Return the settings that a set of models stands for; other flags may override them.

    Raises:
        InputError: if there is no such set.
    """
    if name is None:
        return {}
    chosen = find_set(name)
    ids = {f"models.{m.value}": Flag("--models", id) for m, id in chosen.models.items()}
    return {**ids, "face.detector": Flag("--models", chosen.detector)}


def affect_flags(model_id: str | None) -> dict[str, Flag]:
    """Return the setting that ``--affect-model`` stands for; the card says of which modality.

    Raises:
        ModelError: if there is no such model.
    """
    if model_id is None:
        return {}
    from ..models.store import Store

    modality = Store().card(model_id).modality
    return {f"affect.{modality.value}": Flag("--affect-model", model_id)}


def read_weights(text: str | None) -> dict[str, float] | None:
    """Read ``--weights``; see `core.modality.parse_weights`.

    Raises:
        InputError: if it is not such a list.
    """
    if text is None:
        return None
    try:
        return {m.value: weight for m, weight in parse_weights(text).items()}
    except ValueError as e:
        raise InputError(f"--weights: {e}") from None


def read_formats(text: str) -> tuple[str, ...]:
    """Read ``--format``: names of exporters.

    Raises:
        InputError: if there is no such format.
    """
    from ..export import exporters

    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    known = exporters()
    if not set(names) <= known.keys():
        raise InputError(f"--format: got {text!r}, expected some of {', '.join(known)}")
    return names
