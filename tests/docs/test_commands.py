"""Every command in the documentation is one that the command line takes; its files are there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer
from tests.docs.blocks import ROOT, Block, commands, mentions, words

from emofuse.cli.main import command

COMMANDS = [block for block in commands() if re.match(r"([A-Z_]+=\S+ )*emofuse ", block.code)]
_LACKS = ("Exit", "MissingParameter", "NoArgsIsHelpError", "BadOptionUsage")
"""What a command ends with that is right as far as it goes."""

OURS = ("configs", "examples", "tests", "docs", "deploy", "src")


def parse(group: Any, args: list[str]) -> None:
    """Let a command line be read as far as its options and arguments, and run nothing."""
    context = typer.Context(group, info_name="emofuse")
    while getattr(group, "commands", None):
        own = [i for i, arg in enumerate(args) if not arg.startswith("-")]
        if not own or args[own[0]] not in group.commands:
            break
        group = group.commands[args.pop(own[0])]
        context = typer.Context(group, parent=context, info_name=group.name)
    group.parse_args(context, list(args))


def test_there_are_many() -> None:
    assert len(COMMANDS) > 70


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_it_is_understood(block: Block) -> None:
    args = words(block.code)
    args = args[args.index("emofuse") + 1 :]
    if args == ["--help"] or args[-1] == "--help":
        args = args[:-1] or ["doctor"]
    try:
        parse(command(), args)
    except typer.Exit:
        pass
    except Exception as error:
        told = error.format_message() if hasattr(error, "format_message") else repr(error)
        pytest.fail(f"{block}: {block.code}\n{told}")


@pytest.mark.parametrize("block", list(mentions()), ids=str)
def test_what_is_mentioned_is_known(block: Block) -> None:
    """A command in running text may lack its arguments, or have dots in their place."""
    args = [word for word in words(block.code)[1:] if "…" not in word and word != "--help"]
    try:
        parse(command(), args)
    except Exception as error:
        if type(error).__name__ not in _LACKS:
            pytest.fail(f"{block}: {block.code}: {error!r}")


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_what_it_names_of_ours_is_there(block: Block) -> None:
    for word in words(block.code)[1:]:
        if re.match(rf"({'|'.join(OURS)})/[\w./-]+$", word):
            assert (ROOT / word).exists(), f"{block}: there is no {word}"


@pytest.mark.parametrize("block", list(commands()), ids=str)
def test_our_programs_and_targets_are_there(block: Block) -> None:
    args = words(block.code)
    if args[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert {arg for arg in args[1:] if "=" not in arg} <= set(targets), str(block)
    for word in args:
        if word.startswith("benchmarks."):
            assert (ROOT / word.replace(".", "/")).with_suffix(".py").exists(), str(block)
