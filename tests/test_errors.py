"""Errors reach whoever asked, also out of a process that did the work."""

from __future__ import annotations

import contextlib
import pickle
import re
from collections.abc import Iterator
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path

import emofuse
from emofuse.errors import EmofuseError

ROOT = Path(emofuse.__file__).parent
DEFINES = re.compile(r"^class \w+\((\w+Error|MissingExtra)\):", re.MULTILINE)


def every_error() -> list[type[EmofuseError]]:
    """Import all modules that define errors, and return these."""
    for path in sorted(ROOT.rglob("*.py")):
        if DEFINES.search(path.read_text("utf-8")):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                import_module(".".join(("emofuse", *path.relative_to(ROOT).with_suffix("").parts)))
    return list(below(EmofuseError))


def below(kind: type[EmofuseError]) -> Iterator[type[EmofuseError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from below(child)


def made(kind: type[EmofuseError]) -> EmofuseError:
    """Make an error of whatever its constructor takes."""
    if kind.__init__ is Exception.__init__:
        return kind("something went wrong")
    asked = signature(kind).parameters.values()
    return kind(**{p.name: p.name for p in asked if p.default is Parameter.empty})


def test_every_error_leaves_a_worker_as_it_was() -> None:
    errors = {kind.__name__: made(kind) for kind in every_error()}
    assert set(errors) >= {"MissingExtra", "LeakError", "DeviceLost", "ServerError"}
    assert vars(errors["MissingExtra"]) == {"extra": "extra", "purpose": "purpose"}
    for error in errors.values():
        there = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error))))
        assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))
