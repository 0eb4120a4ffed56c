"""The Python of the documentation is Python, and what it imports is there."""

from __future__ import annotations

import ast

import pytest
from tests.docs.blocks import Block, fences


@pytest.mark.parametrize("block", list(fences("python")), ids=str)
def test_it_compiles_and_its_imports_exist(block: Block) -> None:
    tree = ast.parse(block.code, str(block))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(block), "exec"), {})
