"""The Python of the documentation runs as it stands there, one page after the other."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.docs.blocks import Block, fences
from tests.docs.desk import MEDIA, desk_of, lay_out

import emofuse
from emofuse.sources.audio import read_audio

BLOCKS = list(fences("python"))
NOT_RUN = {
    "emofuse.live(": "needs a camera",
    "websockets.sync": "needs a server",
    "emofuse.client": "needs a server; `tests/server/test_client.py` runs it",
    "http://127.0.0.1": "needs a server",
    "recipe(": "needs a corpus",
    "RAVDESS": "needs a corpus",
    "start=60, end=90": "needs a long recording of several people",
    "EmotionPredictor(": "needs a trained model; `tests/test_compat.py` runs it",
}
"""What a block holds that cannot be run here, and why: its imports still are."""


def obstacle(block: Block) -> str | None:
    return next((why for sign, why in NOT_RUN.items() if sign in block.code), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the files lie that the documentation speaks of."""
    return lay_out(tmp_path_factory.mktemp("reader"))


def known() -> dict[str, Any]:
    """What pages take for granted in pieces that say so."""
    image = Image.open(MEDIA / "portrait.jpg").convert("RGB")
    return {
        "__name__": "page",
        "emofuse": emofuse,
        "image": np.asarray(image),
        "samples": read_audio(MEDIA / "speech.ogg"),
    }


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_it_compiles_and_its_imports_exist(block: Block) -> None:
    tree = ast.parse(block.code, str(block))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(block), "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in BLOCKS if obstacle(b) is None], ids=str)
def test_it_runs(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A page's blocks go on from each other.
    monkeypatch.chdir(desk_of(block.page, folder, folder.parent))
    monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    exec(compile(block.code, str(block), "exec"), known())


def test_what_is_not_run_is_little() -> None:
    left_out = [str(b) for b in BLOCKS if (why := obstacle(b)) and "runs it" not in why]
    assert len(left_out) <= len(BLOCKS) / 3, left_out
