"""The page has the colours of every other picture, and the sentences of every other sink."""

from __future__ import annotations

import re
from importlib.resources import files

from emofuse.core.estimates import Reason
from emofuse.sinks import palette


def vocabulary() -> str:
    script = files("emofuse.apps.server") / "static" / "js" / "vocabulary.js"
    return script.read_text(encoding="utf-8")


def test_same_colours() -> None:
    named = dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', vocabulary()))
    spare = re.findall(r'"(#[0-9a-f]{6})"', vocabulary().partition("SPARE")[2])
    assert named == palette.COLOURS
    assert list(named) == list(palette.COLOURS)
    assert spare == list(palette._SPARE)


def test_same_reasons() -> None:
    reasons = dict(re.findall(r'"?([\w-]+)"?: "(.+)",', vocabulary().partition("REASONS")[2]))
    assert reasons == {reason.value: reason.sentence for reason in Reason}
