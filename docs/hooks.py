"""What the site takes from elsewhere: README, reference from the program, notebooks, gallery."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
_METHODS = ("get", "post", "put", "delete")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    described = _openapi()
    made: dict[str, str | bytes] = {
        "index.md": _readme(),
        "reference/cli.md": "\n".join(_commands()),
        "reference/python.md": "\n".join(_names()),
        "reference/rest.md": "\n".join(_routes(described)),
        "reference/openapi.json": json.dumps(described, indent=1, ensure_ascii=False),
        "reference/cards.md": "\n".join(_cards()),
    }
    made |= _gallery()
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        made |= _notebook(notebook.stem, notebook.read_text("utf-8"))
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links to files that are not part of the site into their names."""
    up = "../" * page.file.src_uri.count("/")
    markdown = markdown.replace(f"]({up}../README.md", f"]({up}index.md")
    markdown = re.sub(r"(\]\([\w./-]*)\.ipynb\)", r"\1.md)", markdown)
    return re.sub(rf"\[([^\]]*)\]\({re.escape(up)}\.\./[^)]*\)", r"\1", markdown)


_CLIPS = {
    "examples/demo.mp4": "Two people one after the other; what they say is in subtitles. Face and "
    "voice contradict each other more than once.",
    "tests/media/two_people.mp4": "Two people side by side, one of whom speaks: three seconds.",
}


@cache
def _gallery() -> dict[str, str | bytes]:
    """Analyze the clips of the repository; return the pages that come of it, and one about them."""
    made: dict[str, str | bytes] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for clip, summary in _CLIPS.items():
            name = Path(clip).stem
            for file in (ROOT / clip).parent.glob(f"{name}.*"):  # its transcript, too
                shutil.copy(file, here)
            rows.append(f"- [**{name}**](gallery/results/{name}/timeline.html). {summary}")
        command = ["analyze", *(Path(clip).name for clip in _CLIPS), "--out", "results"]
        quiet = [sys.executable, "-m", "emofuse", *command, "--format", "html", "--quiet"]
        subprocess.run(quiet, cwd=here, env={**os.environ, "EMOFUSE_OFFLINE": "1"}, check=True)
        for file in here.rglob("*.*"):
            if file.is_file() and file.suffix not in (".sqlite", ".srt"):
                made[f"gallery/{file.relative_to(here).as_posix()}"] = file.read_bytes()
    text = "Made while this site was built, from clips of the repository. Press *play*: everything"
    text += " on a page follows the clip. Both are in [one overview](gallery/results/index.html)."
    lines = ["# Gallery", "", "Pages as this command writes them:", "", "```text"]
    lines += [f"emofuse {' '.join(command)} --format html", "```", "", text, "", *rows, ""]
    return {"gallery.md": "\n".join(lines), **made}


_PLAIN = f"""
import os
for name in ("CLICOLOR_FORCE", "FORCE_COLOR"):  # set by the kernel
    os.environ.pop(name, None)
os.environ |= {{"COLUMNS": "80", "EMOFUSE_OFFLINE": "1", "TERM": "dumb"}}
os.environ["PATH"] = {str(Path(sys.executable).parent)!r} + os.pathsep + os.environ["PATH"]
"""
"""What is run before a notebook: commands print plain lines, and are those of this environment."""


@cache
def _notebook(name: str, text: str) -> dict[str, str | bytes]:
    """Run a notebook; return its page and its pictures. One that fails ends the build."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    book = nbformat.reads(text, as_version=4)
    book.cells.insert(0, nbformat.v4.new_code_cell(_PLAIN))
    client = NotebookClient(
        book,
        timeout=1200,  # seconds; a busy machine is no reason to fail
        startup_timeout=600,
        iopub_timeout=600,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": ROOT / "docs" / "notebooks"}},
    )
    client.execute()
    del book.cells[0]
    page, found = MarkdownExporter().from_notebook_node(book)
    for picture in found["outputs"]:
        page = page.replace(f"]({picture})", f"]({name}/{picture})")
    title, _, rest = page.partition("\n")
    page = f"{title}\n\n<a href='{name}.ipynb' download>Download it.</a>\n{_tables(rest)}"
    pictures = {f"notebooks/{name}/{file}": data for file, data in found["outputs"].items()}
    return {f"notebooks/{name}.md": page, **pictures}


def _tables(page: str) -> str:
    """Leave the look of the frames' tables to the site."""
    page = re.sub(r"<style scoped>.*?</style>", "", page, flags=re.DOTALL)
    return page.replace('<table border="1" class="dataframe">', "<table>")


def _readme() -> str:
    text = (ROOT / "README.md").read_text("utf-8").replace("](docs/", "](")
    return re.sub(r"\[([^\]]*)\]\(([A-Z][\w.]*)\)", r"\1 (`\2`)", text)


def _commands() -> Iterator[str]:
    from emofuse.cli.main import command

    yield "# Every command and option\n"
    yield "Made from the command line itself; [how to use it](../cli.md).\n"
    yield from _command(command(), ("emofuse",))


def _command(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    context = typer.Context(command, info_name=" ".join(path))
    yield f"## {' '.join(path)}\n\n{_plain(command.help or '')}\n"
    rows = [p for p in command.get_params(context) if p.param_type_name == "option"]
    arguments = [p for p in command.get_params(context) if p.param_type_name == "argument"]
    yield f"```text\n{command.get_usage(context)}\n```\n"
    if rows or arguments:
        yield "| | |\n|---|---|"
    for p in arguments:
        yield f"| `{p.metavar or p.name.upper()}` | {_plain(getattr(p, 'help', '') or '')} |"
    for p in rows:
        name = ", ".join(f"`{opt}`" for opt in (*p.opts, *p.secondary_opts))
        value = f" `{p.metavar}`" if p.metavar else ""
        yield f"| {name}{value} | {_plain(p.help or '')} |"
    yield ""
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from _command(below, (*path, name))


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _names() -> Iterator[str]:
    import emofuse

    yield "# Python\n\nThe public names of `emofuse`; everything else may change without a word.\n"
    for name in emofuse.__all__:
        if not name.startswith("__"):
            thing = getattr(emofuse, name)
            yield f"::: {thing.__module__}.{thing.__qualname__}\n"
    yield "::: emofuse.client.Client\n"


def _openapi() -> dict[str, Any]:
    from emofuse.server.app import create_app
    from emofuse.server.settings import Settings

    os.environ.setdefault("EMOFUSE_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as state:
        return create_app(Settings(state=Path(state))).openapi()


def _routes(schema: dict[str, Any]) -> Iterator[str]:
    yield "# REST\n"
    yield "Made from `GET /v1/openapi.json` ([as a file](openapi.json)); [the contract](../api.md)"
    yield "says what it means.\n"
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield from _route(method, path, methods[method])
    yield "## Schemas\n"
    for name, kind in sorted(schema["components"]["schemas"].items()):
        yield from _schema(name, kind)


def _route(method: str, path: str, route: dict[str, Any]) -> Iterator[str]:
    yield f"## {method.upper()} {path}\n\n{route.get('summary', '')}\n"
    parameters = route.get("parameters", ())
    if parameters:
        yield "| parameter | in | |\n|---|---|---|"
    for p in parameters:
        yield f"| `{p['name']}` | {p['in']} | {_plain(p.get('description', ''))} |"
    answers = ((code, answer.get("description", "")) for code, answer in route["responses"].items())
    yield "\nAnswers: " + "; ".join(f"{code} {_plain(text)}" for code, text in answers) + "\n"


def _schema(name: str, kind: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{_plain(kind.get('description', '').partition('Args:')[0])}\n"
    if "enum" in kind:
        yield ", ".join(f"`{value}`" for value in kind["enum"]) + "\n"
    if "oneOf" in kind:
        yield _type(kind) + "\n"
    if "properties" in kind:
        yield "| key | value | |\n|---|---|---|"
    for key, value in kind.get("properties", {}).items():
        yield f"| `{key}` | {_type(value)} | {_plain(value.get('description', ''))} |"
    yield ""


def _type(value: dict[str, Any]) -> str:
    """Say what a value is, with a link where that is a schema of its own."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if some := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, some)))
    if value.get("type") == "array":
        return f"list of {_type(value.get('items', {}))}"
    if isinstance(inner := value.get("additionalProperties"), dict):
        return f"object of {_type(inner)}"
    return str(value.get("type", value.get("const", "anything")))


def _cards() -> Iterator[str]:
    from emofuse.models.store import Store

    yield "# Model cards\n\nMade from the cards; `emofuse models show ID` prints all of one.\n"
    yield "| id | reads | labels | licence | |\n|---|---|---|---|---|"
    store = Store()
    for card in sorted(store.cards(), key=lambda c: (c.modality.value, c.id)):
        names = card.taxonomy.labels
        cells = (
            f"`{card.id}`",
            card.modality.value,
            ", ".join(names) if len(names) < 12 else f"{len(names)} labels",
            _plain(card.licence),
            _plain(card.summary),
        )
        yield f"| {' | '.join(cells)} |"
