"""Settings from a YAML, TOML or JSON file, checked, with flags on top.

Each component keeps its settings in a frozen dataclass of its own; a file's sections
are the fields of the outermost one. Unknown keys fail, types are checked strictly
(``"8"`` is not 8), and every message names the key, what was got and what was expected.
Relative paths in a file are relative to the working directory, as on the command line.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

from ..core.registry import choices
from ..errors import EmofuseError, InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Config = TypeVar("Config")

_WIDTH = 88  # columns of a printed configuration
_MOST_BYTES = 1_000_000  # of a configuration
_MOST_VALUES = 100_000  # in one


@dataclass(frozen=True, slots=True)
class Flag:
    """A command-line flag that overrides a key: its name, for messages, and the value given."""

    name: str
    value: Any


def read(
    kind: type[Config],
    path: Path | None = None,
    flags: Mapping[str, Flag] | None = None,
    base: Config | None = None,
) -> Config:
    """Build a configuration from a file and flags; what neither names keeps its default.

    Args:
        kind: a configuration dataclass.
        path: a ``.yaml``, ``.yml``, ``.json`` or ``.toml`` file, or None.
        flags: dotted key → flag, e.g. ``{"fusion.strategy": Flag("--fusion", "logpool")}``.
        base: has the defaults; those of `kind` by default.

    Raises:
        InputError: if the file cannot be read, a key is unknown, or a value is
            of the wrong type or out of range.
    """
    flags = flags or {}
    tree = read_file(path) if path is not None else {}
    tree = _without_empty_sections(kind, tree)
    if base is not None:
        tree = merge(to_mapping(base), tree)
    for key, flag in flags.items():
        _put(tree, key.split("."), flag.value)
    return _build(kind, tree, flags, file="" if path is None else f"{path}: ")


def construct(kind: type[Config], values: Mapping[str, Any], where: str = "") -> Config:
    """Make a dataclass from plain types, checked as strictly as a file.

    >>> construct(Flag, {"name": "--fps", "value": 8})
    Flag(name='--fps', value=8)
    >>> construct(Flag, {"name": "--fps", "value": 8, "vlaue": 9}, where="flags.fps")
    Traceback (most recent call last):
    ...
    emofuse.errors.InputError: unknown key 'flags.fps.vlaue': did you mean 'value'?

    Args:
        kind: the dataclass; its fields may be dataclasses.
        values: field → value.
        where: the key that held them, for messages.

    Raises:
        InputError: if a key is unknown, missing, of the wrong type or out of range.
    """
    return _build(kind, values, {}, where=where)


def _build(
    kind: type[Config],
    tree: Mapping[str, Any],
    flags: Mapping[str, Flag],
    *,
    file: str = "",
    where: str = "",
) -> Config:
    from pydantic import ValidationError

    try:
        # As JSON, because that is the one strict mode in which an enum may be a string.
        text = json.dumps([dict(tree)], default=str)
        (made,) = _adapter(kind).validate_json(text, strict=True)
    except ValidationError as e:
        messages = [_message(kind, error, flags, where) for error in e.errors()]
        only_flags = all(m.startswith("--") for m in messages)
        raise InputError(("" if only_flags else file) + "; ".join(messages)) from None
    except EmofuseError as e:  # a component refused its values in its own words
        flagged = (f.name + str(e)[len(k) :] for k, f in flags.items() if str(e).startswith(k))
        raise InputError(next(flagged, f"{file}{e}")) from e
    return cast(Config, made)


def check_types(made: Any) -> None:
    """Check that the fields of a settings dataclass made in Python hold what they should.

    A mapping in place of a section, or ``"8"`` in place of 8, would fail much later. Only
    sections and numbers are looked at: it costs microseconds.

    Raises:
        InputError: if a field holds something else.
    """
    for name, hint in get_type_hints(type(made)).items():
        value = getattr(made, name)
        if is_dataclass(hint) and not isinstance(value, cast(type, hint)):
            kind = cast(type, hint).__name__
            example = ", ".join(f"{k}=…" for k in value) if isinstance(value, Mapping) else "…"
            raise InputError(
                f"{name}: got {_short(value)}, expected {kind}({example}); a file of settings is "
                "read by emofuse.analyzer.read_config"
            )
        number = {int: Integral, float: Real}.get(cast(Any, hint))
        if number is not None and (not isinstance(value, number) or isinstance(value, bool)):
            raise InputError(f"{name}: got {_short(value)}, expected a number")


def settings(texts: Iterable[str]) -> dict[str, Flag]:
    """Read what ``--set KEY=VALUE`` was given; values are YAML, keys dotted.

    Raises:
        InputError: if one has no key, or its value is not valid YAML.
    """
    found: dict[str, Flag] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            raise InputError(f"--set: got {text!r}, expected KEY=VALUE, such as loop.lr=1e-3")
        try:
            found[key] = Flag(f"--set {key}", _yaml(value))
        except ValueError as e:
            raise InputError(f"--set {key}: {value!r} is not valid YAML: {_one_line(e)}") from e
    return found


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as nested plain types, the way a file would hold it."""
    (tree,) = _adapter(type(config)).dump_python((config,), mode="json")
    return cast(dict[str, Any], tree)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings with those of `over` on top; lists are replaced whole.

    >>> merge({"loop": {"lr": 0.1, "epochs": 2}, "seed": 0}, {"loop": {"lr": 0.2}})
    {'loop': {'lr': 0.2, 'epochs': 2}, 'seed': 0}
    """
    out = dict(base)
    for key, value in over.items():
        inner = out.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            out[key] = merge(inner, value)
        else:
            out[key] = value
    return out


def to_yaml(config: Any) -> str:
    """Write a configuration as YAML with the dataclasses' docstrings as comments.

    `read` understands the result and gives the same configuration back.
    """
    return "\n".join(_yaml_lines(type(config), to_mapping(config), 0)) + "\n"


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Validate a one-tuple: pydantic takes a config for that, and hands it down to dataclasses."""
    return _made_adapter(cast("Hashable", kind))


@lru_cache(maxsize=64)
def _made_adapter(kind: Hashable) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(tuple[kind], config=ConfigDict(extra="forbid"))  # type: ignore[valid-type]


def read_file(path: Path) -> dict[str, Any]:
    """Read a configuration file as nested plain types; nothing but its syntax is checked.

    Raises:
        InputError: if it cannot be read or does not hold keys and values.
    """
    parsers = {".toml": read_toml, ".yaml": _yaml, ".yml": _yaml, ".json": _yaml}
    if path.suffix.lower() not in parsers:
        raise InputError(
            f"configuration {path} has the suffix {path.suffix!r}, expected .yaml, .toml or .json"
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(
                f"the configuration {path} has {path.stat().st_size} bytes, expected at most "
                f"{_MOST_BYTES}; is it another kind of file?"
            )
        tree = parsers[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as e:
        reason = getattr(e, "strerror", None) or e
        raise InputError(f"cannot read the configuration {path}: {reason}") from e
    except ValueError as e:
        raise InputError(f"the configuration {path} is not valid: {_one_line(e)}") from e
    if tree is None:  # nothing but comments
        return {}
    if not isinstance(tree, dict):
        raise InputError(
            f"the configuration {path} holds a {type(tree).__name__}, expected keys and values "
            "such as those that `emofuse config` prints"
        )
    return tree


def read_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: if it is not valid.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:  # pragma: no cover - Python 3.10
        import tomli as tomllib
    _check_depth(text)
    parsed: dict[str, Any] = tomllib.loads(text)
    return parsed


def _check_depth(text: str) -> None:
    """Refuse what would take a parser's stack: brackets in brackets, many times."""
    steps = (1 if sign in "[{" else -1 for sign in text if sign in "[]{}")
    if max(itertools.accumulate(steps, lambda depth, step: max(0, depth + step)), default=0) > 100:
        raise ValueError("brackets are nested more than a hundred times")


def _check_tree(tree: Any) -> None:
    """Refuse what aliases can make of little text: cycles, and trees of any size."""
    left, waiting = _MOST_VALUES, [(tree, 0)]
    while waiting:
        value, depth = waiting.pop()
        left -= 1
        if depth > 100 or left < 0:
            raise ValueError("it is nested too deeply, holds itself, or is too large")
        if isinstance(value, (dict, list)):
            inner = value.values() if isinstance(value, dict) else value
            waiting.extend((one, depth + 1) for one in inner)


def _yaml(text: str) -> Any:
    """Read YAML as of version 1.2, where ``on`` and ``no`` are words and ``5e-4`` is a number."""
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's, but for the tags that YAML 1.1 is infamous for."""

        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [(tag, pattern) for tag, pattern in pairs if tag not in _REPLACED_TAGS]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    for tag, pattern, first in _YAML_1_2:
        Loader.add_implicit_resolver(tag, re.compile(pattern), list(first))
    _check_depth(text)
    try:
        tree = yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError) as e:
        raise ValueError(str(e)) from e
    _check_tree(tree)
    return tree


_YAML_1_2 = (
    ("tag:yaml.org,2002:bool", "^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:int", "^[-+]?[0-9]+$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?((\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|\.inf|\.nan)$",
        "-+.0123456789",
    ),
)
_REPLACED_TAGS = {tag for tag, _, _ in _YAML_1_2} | {"tag:yaml.org,2002:timestamp"}


def _without_empty_sections(kind: Any, tree: dict[str, Any]) -> dict[str, Any]:
    """Drop sections in which everything is commented out: YAML reads them as null."""
    sections = {name: hint for name, hint in _hints(kind).items() if is_dataclass(hint)}
    kept = {k: v for k, v in tree.items() if not (v is None and k in sections)}
    return {
        k: _without_empty_sections(sections[k], v) if k in sections and isinstance(v, dict) else v
        for k, v in kept.items()
    }


def _put(tree: dict[str, Any], key: list[str], value: Any) -> None:
    """Set a nested value, making sections on the way; of a list, a number names an element."""
    place: Any = tree
    for part in key[:-1]:
        if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
            place = place[int(part)]
            continue
        if not isinstance(place, dict):
            break
        if not isinstance(place.get(part), dict | list):
            place[part] = {}
        place = place[part]
    last = key[-1]
    if isinstance(place, list) and last.isdecimal() and int(last) < len(place):
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise InputError(f"cannot set {'.'.join(key)}: the file's list has no such element")


def _message(
    kind: type[Any], error: Mapping[str, Any], flags: Mapping[str, Flag], where: str
) -> str:
    """One of pydantic's errors in our words: key, got, expected."""
    parts = [str(part) for part in error["loc"][1:] if part != "[key]"]
    key = ".".join([where, *parts] if where else parts)
    if error["type"] == "unexpected_keyword_argument":
        return _unknown_key(kind, parts, key)
    flag = next((f for k, f in flags.items() if key == k or key.startswith(k + ".")), None)
    name = flag.name if flag else key or "the configuration"
    if error["type"] == "value_error":
        return f"{name}: {error['ctx']['error']}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{name}: got nothing, expected a value"
    expected = error["msg"].removeprefix("Input should be ")
    if error["type"] == "dataclass_type":
        expected = "a section with keys and values"
    return f"{name}: got {_short(error['input'])}, expected {expected}"


def _unknown_key(kind: Any, parts: list[str], key: str) -> str:
    for part in parts[:-1]:
        kind = _hints(kind).get(part)
    known = [f.name for f in fields(kind)] if is_dataclass(kind) else []
    close = get_close_matches(parts[-1], known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
    return f"unknown key {key!r}: {hint if known else 'no such key is known there'}"


def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind) if is_dataclass(kind) else {}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _yaml_lines(kind: Any, tree: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent, notes, hints = "  " * depth, _notes(kind), _hints(kind)
    settings = {f.name: f for f in fields(kind)}
    for name, value in tree.items():
        section = is_dataclass(hints.get(name)) and isinstance(value, dict)
        note = notes.get(name) or (_summary(hints[name]) if section else "")
        yield from _comment(note + _choices(settings[name], hints[name]), indent)
        if section and value:
            yield f"{indent}{name}:"
            yield from _yaml_lines(hints[name], value, depth + 1)
        else:
            # JSON is YAML, and on one line: no block style to indent.
            yield f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}"
        if depth == 0:
            yield ""


def _choices(setting: Field[Any], hint: Any) -> str:
    names = choices(setting)
    if isinstance(hint, type) and issubclass(hint, Enum):
        names = tuple(str(choice.value) for choice in hint)
    return f" One of {', '.join(names)}." if names else ""


def _comment(text: str, indent: str) -> Iterator[str]:
    import textwrap

    plain = re.sub(r"`+([^`]*)`+", r"\1", text)
    for line in textwrap.wrap(plain, _WIDTH - len(indent)):
        yield f"{indent}# {line}"


def _summary(kind: Any) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _notes(kind: Any) -> dict[str, str]:
    """What the `Args:` of a Google-style docstring say of each field."""
    doc = re.search(r"\n\s*Args:\n(.*?)(?:\n\s*\n|\Z)", kind.__doc__ or "", re.DOTALL)
    notes: dict[str, str] = {}
    name = ""
    for line in doc[1].splitlines() if doc else ():
        entry = re.match(r"\s*(\w+): (.*)", line)
        if entry and entry[1] in {f.name for f in fields(kind)}:
            name = entry[1]
            notes[name] = entry[2].strip()
        elif name:
            notes[name] += " " + line.strip()
    return notes
