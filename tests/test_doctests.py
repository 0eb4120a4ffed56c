"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import emofuse

SOURCE = Path(emofuse.__file__).parent


def with_examples() -> list[str]:
    """Names of all modules that have examples."""
    found = (path for path in SOURCE.rglob("*.py") if ">>> " in path.read_text("utf-8"))
    return sorted(
        ".".join(("emofuse", *p.relative_to(SOURCE).with_suffix("").parts)) for p in found
    )


def load(name: str) -> ModuleType:
    return import_module(name.removesuffix(".__init__"))


@pytest.mark.parametrize("name", with_examples())
def test_examples(name: str) -> None:
    if name.startswith("emofuse.training"):
        pytest.importorskip("torch")
    ran = doctest.testmod(load(name))
    assert ran.attempted
    assert not ran.failed


def test_the_public_interface_has_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    rooms = ("core", "fusion", "text", "face", "corpora", "analyzer")
    names = [n for n in with_examples() if n.split(".")[1] in rooms]
    examples = [t for n in names for t in finder.find(load(n)) if t.examples]
    assert sum(len(t.examples) for t in examples) >= 45
