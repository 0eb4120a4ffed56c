"""`emofuse serve`. Light to import: FastAPI and all the rest are loaded when it runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from ..errors import MissingExtra
from .options import FaceModel, SpeechModel, TextModel


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on (127.0.0.1); any other needs EMOFUSE_TOKEN."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port (8000); 0 picks a free one.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for jobs and uploads.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Analysis settings; `emofuse config` prints them all."),
    ] = None,
    face_model: FaceModel = None,
    speech_model: SpeechModel = None,
    text_model: TextModel = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for small requests (1).")
    ] = None,
    job_workers: Annotated[int | None, typer.Option(min=1, help="Processes for jobs (1).")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every request.")] = False,
) -> None:
    """Serve the web page and the API on this machine.

    The page is at / and the API under /v1 (docs/api.md). Every setting can also be an environment
    variable: EMOFUSE_HOST, EMOFUSE_PORT, EMOFUSE_TOKEN, EMOFUSE_STATE and so on.
    """
    for module in ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra("web", "`emofuse serve`")
    from ..server.run import run
    from ..server.settings import read_settings

    flags = {
        "host": host,
        "port": port,
        "state": state,
        "config": config,
        "face_model": face_model,
        "speech_model": speech_model,
        "text_model": text_model,
        "workers": workers,
        "job_workers": job_workers,
    }
    run(read_settings(flags), verbose)
