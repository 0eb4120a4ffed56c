"""The Python of the documentation is Python, its JSON JSON; what is imported is there."""

from __future__ import annotations

import ast
import json

import pytest
from tests.docs.blocks import Block, fences


@pytest.mark.parametrize("block", list(fences("python")), ids=str)
def test_it_compiles_and_its_imports_exist(block: Block) -> None:
    tree = ast.parse(block.code, str(block))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(block), "exec"), {})


@pytest.mark.parametrize("block", list(fences("json")), ids=str)
def test_json_can_be_read(block: Block) -> None:
    json.loads(block.code)


@pytest.mark.parametrize("block", list(fences("toml")), ids=str)
def test_toml_can_be_read(block: Block) -> None:
    pytest.importorskip("tomllib", reason="Python 3.11 brings it").loads(block.code)
