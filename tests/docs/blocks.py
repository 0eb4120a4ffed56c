"""The code that the documentation holds: blocks of Python, and command lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_TOLD = re.compile(r"\n+```text\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^ {4,}\S[^\n]*\n)+", re.MULTILINE)
_SHELL = ("", "bash", "console", "sh", "shell")
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:emofuse|python|pip|make|curl|docker|export) ")


@dataclass(frozen=True)
class Block:
    """A piece of code, and where it stands.

    Args:
        page: of which document.
        line: in that page, counted from 1.
        code: Python, or one command line.
        is_python: whether it is Python.
        told: what the page says that it prints; empty where it says nothing.
    """

    page: str
    line: int
    code: str
    is_python: bool = False
    told: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All pages that people read."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *docs]


def fences(*languages: str) -> Iterator[Block]:
    """Yield the fenced blocks of some languages."""
    for page in pages():
        text = page.read_text("utf-8")
        for match in _FENCE.finditer(text):
            if match[2] in languages:
                code = _dedent(match[3], match[1])
                told = _TOLD.match(text, match.end())
                yield Block(
                    *(_name(page), _line(text, match.start(3)), code, match[2] == "python"),
                    told[1] if told else "",
                )


def commands() -> Iterator[Block]:
    """Yield every command line, without its comment."""
    for block in (*fences(*_SHELL), *_indented()):
        code = block.code.replace("\\\n", " ")
        for offset, line in enumerate(code.splitlines()):
            line = re.sub(r" +# .*$", "", line.strip().removeprefix("$ "))
            if _COMMAND.match(line):
                yield replace(block, line=block.line + offset, code=line)


def mentions(program: str = "emofuse") -> Iterator[Block]:
    """Yield the command lines in running text, such as `emofuse train … --evaluate`."""
    for page in pages():
        text = _FENCE.sub(lambda m: "\n" * m[0].count("\n"), page.read_text("utf-8"))
        for match in re.finditer(rf"`(?:[A-Z_]+=\S+ )*({program} [^`]*)`", text):
            yield Block(_name(page), _line(text, match.start()), " ".join(match[1].split()))


def steps() -> list[Block]:
    """Return everything that can be run, in the order in which somebody reads the pages."""
    order = {_name(page): number for number, page in enumerate(pages())}
    return sorted((*commands(), *fences("python")), key=lambda b: (order[b.page], b.line))


def words(line: str) -> list[str]:
    """Split a command line as a shell does, up to a pipe or a redirection."""
    parts = shlex.split(line.replace("&", " & "), comments=True)
    ends = (i for i, part in enumerate(parts) if part in ("|", ">", "&", "&&", ";"))
    return parts[: next(ends, len(parts))]


def _indented() -> Iterator[Block]:
    for page in pages():
        text = page.read_text("utf-8")
        bare = _FENCE.sub(lambda m: "\n" * m[0].count("\n"), text)
        for match in _INDENTED.finditer(bare):
            yield Block(_name(page), _line(bare, match.start()), match[0])


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _dedent(code: str, indent: str) -> str:
    return re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
