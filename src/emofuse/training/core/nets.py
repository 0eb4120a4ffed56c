"""The nets that can be trained, a folder a modality, a file a family.

A net is chosen by name in a configuration (``net: {name: vgg16, dropout: 0.5}``). To add
one, add a file to the modality's folder ``nets/`` that holds a `NetKind`: it is found
there.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ...config.loader import construct
from ...core.estimates import Modality
from ...errors import InputError


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
        heads: 2 if a corpus' labels and its secondary ones have a head each; in training
            `forward` then gives (batch, 2, labels).
    """

    name: str
    title: str
    config: type[Any]
    build: Callable[[Any], nn.Module]
    preparation: Mapping[str, Any] = field(default_factory=dict)
    heads: int = 1


def names(modality: Modality) -> tuple[str, ...]:
    """Return the names of a modality's nets."""
    return tuple(sorted(_kinds(modality)))


def kind(modality: Modality, name: str) -> NetKind:
    """Return an architecture by its name.

    Raises:
        InputError: if there is none of that name.
    """
    kinds = _kinds(modality)
    if name not in kinds:
        raise InputError(
            f"no net {name!r} for {modality.value}; there are {', '.join(sorted(kinds))}"
        )
    return kinds[name]


@cache
def _kinds(modality: Modality) -> Mapping[str, NetKind]:
    """Return every `NetKind` that a module of the modality's folder holds, by name."""
    values = (
        v for m in modules_of(f"emofuse.training.{modality.value}.nets") for v in vars(m).values()
    )
    return {value.name: value for value in values if isinstance(value, NetKind)}


def modules_of(package: str) -> list[ModuleType]:
    """Import the modules of a package; return them in the order of their names."""
    path = import_module(package).__path__
    return [import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(path)]


@dataclass(frozen=True, slots=True)
class NetPlan:
    """Which net is trained, in which sizes.

    Args:
        kind: the architecture.
        sizes: what the configuration says of it, less its name.
        where: the key of the configuration.
    """

    kind: NetKind
    sizes: Mapping[str, Any]
    where: str = "net"

    @classmethod
    def of(cls, modality: Modality, choice: Mapping[str, Any]) -> NetPlan:
        """Read ``{name: …, sizes…}``.

        Raises:
            InputError: if no net is named or there is none of that name.
        """
        sizes = dict(choice)
        name = sizes.pop("name", None)
        if not isinstance(name, str):
            raise InputError(f"net: got {dict(choice)}, expected {{name: …}} and the net's sizes")
        return cls(kind(modality, name), sizes)

    def config(self, facts: Mapping[str, Any]) -> Any:
        """Return the net's configuration.

        Args:
            facts: what data and preparation say, e.g. ``labels`` and ``channels``; each
                is used if the net has such a size. ``labels`` cannot be configured;
                the others can.

        Raises:
            InputError: if a size is unknown or makes no sense.
        """
        if "labels" in self.sizes:
            raise InputError(
                f"{self.where}.labels: got {self.sizes['labels']}, expected no such key: the "
                "data and `labels` at the top say how many there are"
            )
        known = {f.name for f in fields(self.kind.config)}
        given = {k: v for k, v in facts.items() if k in known}
        return construct(self.kind.config, {**given, **self.sizes}, self.where)

    def build(self, facts: Mapping[str, Any], seed: int) -> nn.Module:
        """Make the net with fresh weights, the same ones for the same seed.

        Raises:
            InputError: if its sizes make no sense.
        """
        config = self.config(facts)
        torch.manual_seed(seed)
        try:
            net = self.kind.build(config)
        except ValueError as e:
            raise InputError(f"{self.where}: {e}") from e
        return net.to(memory_format=layout(net))  # type: ignore[call-overload]


def layout(net: nn.Module) -> torch.memory_format:
    """Return the memory layout in which a net is trained.

    Channels last is the faster one on a CPU; oneDNN crashes there in the backward pass
    of convolutions of fewer than 16 channels in float32.
    """
    widths = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    fast = bool(widths) and min(widths) >= 16
    return torch.channels_last if fast else torch.contiguous_format
