"""The page's files: Python's words and colours, and nothing that runs what it is told."""

from __future__ import annotations

import re
from importlib.resources import files

from emofuse.core.estimates import RejectionReason
from emofuse.export import palette


def vocabulary() -> str:
    script = files("emofuse.export") / "viewer" / "vocabulary.js"
    return script.read_text(encoding="utf-8")


def test_same_colours() -> None:
    named = dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', vocabulary()))
    spare = re.findall(r'"(#[0-9a-f]{6})"', vocabulary().partition("SPARE")[2])
    assert named == palette.COLOURS | palette.MOODS
    assert list(named) == [*palette.COLOURS, *palette.MOODS]
    assert spare == list(palette._SPARE)


def test_same_reasons() -> None:
    reasons = dict(re.findall(r'"?([\w-]+)"?: "(.+)",', vocabulary().partition("REASONS")[2]))
    assert reasons == {reason.value: reason.sentence for reason in RejectionReason}


def test_nothing_is_parsed_as_code_or_markup() -> None:
    static = files("emofuse.server") / "static"
    homes = (static / "js", files("emofuse.export") / "viewer")
    scripts = [f for home in homes for f in home.iterdir() if f.name.endswith(".js")]
    assert len(scripts) > 10
    for script in scripts:
        unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        assert not re.findall(unsafe, script.read_text(encoding="utf-8")), script.name
    page = (static / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", page)
