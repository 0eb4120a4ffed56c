"""The nets that can be trained, a folder a modality, a file a family.

A net is chosen by name in a configuration (``net: {name: vgg16, dropout: 0.5}``).
What that needs is its `NetKind`; `kind` finds it and imports nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from torch import nn

from ...core.estimates import Modality
from ...errors import InputError

_FOLDERS = {Modality.FACE: "face", Modality.SPEECH: "speech", Modality.TEXT: "text"}


@dataclass(frozen=True, slots=True)
class NetKind:
    """An architecture that can be trained.

    Every net takes the rows that its modality's `prepare` makes, batch first, and
    has ``embed(*inputs) -> (batch, width)``, ``classify(embedding) -> logits`` and
    ``forward`` = the one after the other, so that any of them can be exported with
    its embedding.

    Args:
        name: as written in configurations.
        title: one line for people, with the source.
        config: frozen dataclass of its sizes; has a field ``labels: int``.
        build: makes the net with fresh weights (torch's generator) from a config.
        preparation: keys of the modality's preparation that this net needs, e.g.
            ``{"side": 96, "colour": "rgb"}``; a configuration may override them.
    """

    name: str
    title: str
    config: type[Any]
    build: Callable[[Any], nn.Module]
    preparation: Mapping[str, Any] = field(default_factory=dict)


def names(modality: Modality) -> tuple[str, ...]:
    """Return the names of a modality's nets."""
    return tuple(sorted(_table(modality)))


def kind(modality: Modality, name: str) -> NetKind:
    """Return an architecture by its name.

    Raises:
        InputError: if there is none of that name.
    """
    table = _table(modality)
    if name not in table:
        raise InputError(
            f"no net {name!r} for {modality.value}; there are {', '.join(sorted(table))}"
        )
    module, attribute = table[name].split(":")
    found: NetKind = getattr(import_module(f"{_package(modality)}.{module}"), attribute)
    return found


def _table(modality: Modality) -> Mapping[str, str]:
    """Read a folder's table of names: ``module:attribute`` of each `NetKind`."""
    table: Mapping[str, str] = import_module(_package(modality)).KINDS
    return table


def _package(modality: Modality) -> str:
    return f"emofuse.training.{_FOLDERS[modality]}.nets"
