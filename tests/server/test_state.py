"""What the server's parts share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from tests.server.asynchronous import run

from emofuse.io.media_types import by_content
from emofuse.server.app import create_app
from emofuse.server.http.errors import ApiError
from emofuse.server.jobs.pool import WorkItem
from emofuse.server.jobs.tasks import Analysis, Probe, Upload
from emofuse.server.options import AnalysisOptions
from emofuse.server.settings import Settings


def test_a_task_is_over_when_its_client_is_gone(media: Path, tmp_path: Path) -> None:
    """Else its worker writes results into a folder that was removed."""
    clip = media / "talking.mp4"
    type_ = by_content(clip.read_bytes()[:4096])
    assert type_ is not None
    probe = Probe((Upload(clip, clip.name, type_, clip.stat().st_size),), None, 60.0)
    task = Analysis(probe, AnalysisOptions(modalities=("face",)), tmp_path / "out", ("json",))

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def leave() -> bool:
        state = create_app(Settings(state=tmp_path / "state", workers=1)).state.server
        async with state.open():
            scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": [], "state": {}}
            item = WorkItem(task, 60.0)
            with pytest.raises(ApiError, match="disconnected"):
                await state.do(Request(scope, gone), item)
            return item.result.done()

    assert run(leave())
