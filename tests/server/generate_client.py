"""Writes the types of `emofuse.client` from the server's own OpenAPI: `make client`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from emofuse.server.app import create_app
from emofuse.server.settings import Settings

ROOT = Path(__file__).parents[2]
TYPES = ROOT / "src" / "emofuse" / "client" / "types.py"

WANTED = ("Jobs", "Health", "Choices", "Models", "Observation", "LiveMessage")
"""What the client tells, and what that consists of; timelines have a class, and are not here."""

_HEADER = (
    '"""What the server takes and tells, generated from its OpenAPI: '
    'do not edit, run `make client`."""\n'
)
_OPTIONS = (
    *("--input-file-type", "openapi", "--output-model-type", "typing.TypedDict"),
    *("--target-python-version", "3.10", "--enum-field-as-literal", "all", "--use-type-alias"),
    *("--use-generic-container-types", "--use-schema-description", "--use-field-description"),
    *("--use-single-line-docstring", "--use-double-quotes", "--no-use-closed-typed-dict"),
    *("--formatters", "builtin", "--ignore-pyproject", "--disable-warnings"),
    *("--custom-file-header", _HEADER),
)


def generate(openapi: dict[str, Any]) -> str:
    """Return the module of types for what a server says of itself."""
    schemas = openapi["components"]["schemas"]
    about = {key: openapi[key] for key in ("openapi", "info")}
    part = {**about, "paths": {}, "components": {"schemas": _with_their_parts(WANTED, schemas)}}
    made = _run("datamodel_code_generator", *_OPTIONS, given=json.dumps(part))
    linted = _run("ruff", "check", "--fix", "--exit-zero", "--quiet", "-", given=made)
    return _run("ruff", "format", "--quiet", f"--stdin-filename={TYPES}", "-", given=linted)


def _with_their_parts(names: tuple[str, ...], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return schemas of these names with all that they refer to."""
    found: dict[str, Any] = {}
    waiting: list[Any] = [{"$ref": name} for name in names]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = schemas[name]
                waiting.append(schemas[name])
        waiting += node.values() if isinstance(node, dict) else node
        waiting = [n for n in waiting if isinstance(n, dict | list)]
    return dict(sorted(found.items()))


def _run(module: str, *arguments: str, given: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


if __name__ == "__main__":
    TYPES.write_text(generate(create_app(Settings()).openapi()), encoding="utf-8")
