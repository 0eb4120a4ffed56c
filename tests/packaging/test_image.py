"""The container image gets what its wheel is built from; no container is built in the tests."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def project() -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_everything_that_the_wheel_is_built_from_is_copied() -> None:
    found = project()
    wheel = found["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", found["project"]["readme"], *found["project"]["license-files"]}
    needed |= {path.split("/")[0] for path in (*wheel["packages"], *wheel["force-include"])}
    lines = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    copied = {name for line in lines for name in line.split()}
    assert needed <= copied
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert copied <= set(kept)
    assert all((ROOT / name).exists() for name in copied)
