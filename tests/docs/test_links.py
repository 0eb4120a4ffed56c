"""Links in the documentation lead to pages, headings and pictures that are there."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, pages

_LINK = re.compile(r"!?\[(?:[^\]]|\]\()*?\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
GENERATED = ("reference/",)
"""Pages that the site's build makes (docs/hooks.py)."""


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and GitHub make them."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    anchors = set()
    for title in re.findall(r"^#+ +(.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        kept = "".join(c for c in plain if c.isalnum() or c in " -_")
        anchors.add(re.sub(r" ", "-", unicodedata.normalize("NFC", kept).strip()))
    return anchors


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links(page: Path) -> None:
    text = _CODE.sub("", page.read_text("utf-8"))
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        if name.startswith(GENERATED):
            continue
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target} leads nowhere"
        if anchor and file.suffix == ".md":
            assert anchor in headings(file), f"{page.name}: {target} has no such heading"
