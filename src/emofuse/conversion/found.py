"""What a model's file tells of it, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.modality import Modality
from ..errors import InputError
from ..models.card import Scores
from ..models.runtime import Graph


@dataclass(frozen=True, slots=True)
class Found:
    """A model as its file describes it.

    Args:
        graph: the ``.onnx`` or ``.tflite`` file to keep.
        kind: what was read, for people.
        scores: what its first output is; None: the file does not say.
        multi_label: whether each label is answered for itself, with a sigmoid.
        labels: names of the output's columns; empty: not told.
        modality: what it listens to or looks at, if that is told.
        preparation: what is told of the input, as in a card.
        tokenizer: file of the tokenizer of a text model.
        licence: of the weights, if that is told.
        checked: how far it is from the library that made it: the largest difference of its
            answers; None: the file is run as it is.
        notes: what was guessed or left out.
        fields: of the card, of a net of our own: how it is asked is settled by its training.
    """

    graph: Path
    kind: str
    scores: Scores | None = None
    multi_label: bool = False
    labels: tuple[str, ...] = ()
    modality: Modality | None = None
    preparation: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Path | None = None
    licence: str | None = None
    checked: float | None = None
    notes: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


def modality_of(graph: Graph) -> Modality | None:
    """Guess from the first input's shape and name what a model is for; None: cannot be seen."""
    shape, name = graph.shapes[0], graph.inputs[0].lower()
    if "ids" in name or "token" in name:
        return Modality.TEXT
    if len(shape) == 4:
        spatial = [n for n in shape[1:] if n not in (1, 3)]
        square = len(spatial) != 2 or None in spatial or spatial[0] == spatial[1]
        colours = 3 in (shape[1], shape[3])
        return Modality.FACE if square or colours else Modality.SPEECH
    if len(shape) == 3:
        square = shape[1] is not None and shape[1] == shape[2]
        return Modality.FACE if square else Modality.SPEECH
    return Modality.SPEECH if len(shape) == 2 else None


def face_input(graph: Graph) -> dict[str, Any]:
    """Read layout, size and channels off the input of a face model.

    Raises:
        InputError: if it takes no square pictures.
    """
    shape = graph.shapes[0]
    if len(graph.inputs) != 1 or len(shape) not in (3, 4):
        raise InputError(
            f"this is no model for faces: it takes {_inputs(graph)}, and a face is a square "
            "picture; say what it is for with --modality"
        )
    found: dict[str, Any] = {}
    if len(shape) == 3:
        found |= {"layout": "nhw", "colour": "grey"}
        rows, columns = shape[1:]
    elif shape[3] in (1, 3) and shape[1] not in (1, 3):
        found |= {"layout": "nhwc", "colour": "rgb" if shape[3] == 3 else "grey"}
        rows, columns = shape[1:3]
    elif shape[1] in (1, 3):
        found |= {"layout": "nchw", "colour": "rgb" if shape[1] == 3 else "grey"}
        rows, columns = shape[2:]
    else:
        raise InputError(
            f"this is no model for faces: it takes {_inputs(graph)}, and a face has 1 or 3 "
            "channels; say what it is for with --modality"
        )
    if rows != columns:
        raise InputError(
            f"it takes pictures of {rows} × {columns}; faces are cut out square: only models of "
            "square pictures can be used (is it for voices? --modality speech)"
        )
    return found if rows is None else {**found, "side": rows}


def speech_input(graph: Graph, features: Mapping[str, Any]) -> dict[str, Any]:
    """Read lengths, order of the axes and number of features off a speech model's input.

    Args:
        graph: the model.
        features: what is told of its features: settles which axis is which.

    Raises:
        InputError: if it takes no sound, or features of other sizes than told.
    """
    shape = graph.shapes[0]
    if len(graph.inputs) > 2 or not 2 <= len(shape) <= 4:
        raise InputError(f"this is no model for voices: it takes {_inputs(graph)}")
    sizes, found = list(shape[1:]), {}
    if len(sizes) == 3:
        if 1 not in (sizes[0], sizes[2]):
            raise InputError(f"this is no model for voices: it takes {_inputs(graph)}")
        found["channel"] = "last" if sizes[2] == 1 else "first"
        sizes = sizes[:2] if sizes[2] == 1 else sizes[1:]
    elif len(sizes) == 2 and 1 in sizes:
        found["channel"] = "last" if sizes[1] == 1 else "first"
        sizes = [n for n in sizes if n != 1]
    if len(sizes) == 1:
        return {**found, **_vector(sizes[0], features)}
    from ..speech.external import ExternalPreparation

    rows = ExternalPreparation(**features).rows
    if sizes[1] == rows:
        return {**found, "time_first": True, **_length("frames", sizes[0])}
    if sizes[0] == rows:
        return {**found, "time_first": False, **_length("frames", sizes[1])}
    raise InputError(
        f"the model takes {sizes[0]} × {sizes[1]}, which fits no {rows} features: say what they "
        "are, as in --input mfcc,coefficients=40"
    )


def _vector(size: int | None, features: Mapping[str, Any]) -> dict[str, Any]:
    from ..speech.external import ExternalPreparation

    if tuple(features.get("features", ())) == ("waveform",):
        return _length("samples", size)
    prepared = ExternalPreparation(**features)
    if size == prepared.rows:
        return {"pooling": "mean"}
    raise InputError(
        f"the model takes vectors of {size}, and there are {prepared.rows} features: say what they "
        "are, as in --input mfcc,coefficients=40 (means over time) or --input waveform"
    )


def _length(name: str, size: int | None) -> dict[str, Any]:
    return {} if size is None else {name: size}


def _inputs(graph: Graph) -> str:
    each = (
        f"{name} of {' × '.join('?' if n is None else str(n) for n in shape)}"
        for name, shape in zip(graph.inputs, graph.shapes, strict=True)
    )
    return " and ".join(each)
