"""From plain types of a configuration to the net and the preparation that they name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, TypeVar, cast

import torch
from torch import nn

from ...core.estimates import Modality
from ...errors import InputError
from .nets import NetKind, kind

Built = TypeVar("Built")


def construct(cls: type[Built], values: Mapping[str, Any], where: str) -> Built:
    """Make a dataclass of plain types, checked strictly.

    Args:
        cls: the dataclass; its fields may be dataclasses.
        values: field → value.
        where: the key of the configuration that held them, for messages.

    Raises:
        InputError: if a key is unknown or a value is of the wrong type or out of range;
            the message names it.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    adapter = TypeAdapter(tuple[cls], config=ConfigDict(extra="forbid"))  # type: ignore[valid-type]
    try:
        # As JSON, because that is the one strict mode in which an enum may be a text.
        (made,) = adapter.validate_json(json.dumps([dict(values)], default=str), strict=True)
    except ValidationError as e:
        raise InputError("; ".join(_message(cls, error, where) for error in e.errors())) from None
    return cast(Built, made)


def plain(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested plain types, which `construct` understands."""
    from pydantic import TypeAdapter

    return cast(dict[str, Any], TypeAdapter(type(config)).dump_python(config, mode="json"))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings with those of `over` on top."""
    out = dict(base)
    for key, value in over.items():
        inner = out.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        out[key] = merged(inner, value) if both else value  # type: ignore[arg-type]
    return out


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
        return net.to(memory_format=layout(net))  # type: ignore[call-overload, no-any-return]


def layout(net: nn.Module) -> torch.memory_format:
    """Return the memory layout in which a net is trained.

    Channels last is the faster one on a CPU; oneDNN crashes there in the backward pass
    of convolutions of fewer than 16 channels in float32.
    """
    widths = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    fast = bool(widths) and min(widths) >= 16
    return torch.channels_last if fast else torch.contiguous_format


def _message(cls: type[Any], error: Mapping[str, Any], where: str) -> str:
    parts = [str(part) for part in error["loc"][1:]]
    key = ".".join((where, *parts))
    if error["type"] == "unexpected_keyword_argument":
        known = [f.name for f in fields(cls) if f.name != "labels"] if len(parts) == 1 else []
        close = get_close_matches(parts[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return f"unknown key {key!r}: {hint if known else 'it is not known there'}"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    expected = error["msg"].removeprefix("Input should be ")
    return f"{key}: got {error['input']!r:.60}, expected {expected}"
