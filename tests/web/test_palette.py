"""The page's colours are those of every other picture."""

from __future__ import annotations

import re
from importlib.resources import files

from emofuse.sinks import palette


def test_same_colours() -> None:
    script = files("emofuse.apps.server") / "static" / "js" / "palette.js"
    text = script.read_text(encoding="utf-8")
    named = dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', text))
    spare = re.findall(r'"(#[0-9a-f]{6})"', text.partition("SPARE")[2])
    assert named == palette.COLOURS
    assert list(named) == list(palette.COLOURS)
    assert spare == list(palette._SPARE)
