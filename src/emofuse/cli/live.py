"""`emofuse live` and `emofuse devices`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import EmofuseError, InputError, MissingExtra
from .options import AsJson, FaceModel, SpeechModel, TextModel, model_flags, names, panel

_device, _setting = panel("Devices"), panel("Settings")


def live(
    camera: Annotated[
        str, _device(metavar="NUMBER|FILE|none", help="Camera, or a video file in its place.")
    ] = "0",
    microphone: Annotated[
        str,
        _device(
            metavar="NAME|FILE|default|none",
            help="Microphone by number or part of its name, or a file in its place.",
        ),
    ] = "default",
    push_to_talk: Annotated[
        bool,
        typer.Option("--push-to-talk", help="Listen only for 2 s after a press of a."),
    ] = False,
    record_to: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for recordings (key r); each gets a subfolder."),
    ] = Path(),
    fullscreen: Annotated[bool, typer.Option("--fullscreen", help="Fill the screen.")] = False,
    loop: Annotated[bool, _device("--loop", help="Play files in a loop.")] = False,
    asr: Annotated[
        str | None, _setting(metavar="ENGINE", help="Speech recognizer: auto, none or a name.")
    ] = None,
    face_model: FaceModel = None,
    speech_model: SpeechModel = None,
    text_model: TextModel = None,
    config: Annotated[
        Path | None,
        _setting(metavar="FILE", help="Settings as YAML or TOML; see `emofuse config --live`."),
    ] = None,
    fps: Annotated[float | None, _setting(help="Pictures per second (25).")] = None,
    detector: Annotated[
        str | None, _setting(metavar="NAME", help=f"Face detector: {names('detectors')}.")
    ] = None,
    detect_every: Annotated[
        int | None, _setting(min=1, help="Detect faces on every n-th picture (3).")
    ] = None,
) -> None:
    """Analyze camera and microphone live, in a window.

    Keys: space pauses, r records, a listens (with --push-to-talk), f toggles full screen,
    q quits. Nothing leaves this machine, and nothing is stored unless you record it.
    """
    window = _window()
    from ..analyzer import Analyzer, read_config
    from ..config.loader import Flag
    from ..streaming import live_config
    from ..streaming.feed import open_devices

    given = {
        **model_flags(face_model, speech_model, text_model),
        "transcribe.engine": Flag("--asr", asr),
        "fps": Flag("--fps", fps),
        "face.detector": Flag("--detector", detector),
        "face.detect_every": Flag("--detect-every", detect_every),
    }
    flags = {key: flag for key, flag in given.items() if flag.value is not None}
    analyzer = Analyzer(read_config(config, flags, live_config()))
    sources, notes = open_devices(
        _camera(camera), _microphone(microphone), loop=loop, fps=analyzer.config.fps
    )
    settings = window.WindowConfig(
        fullscreen=fullscreen, push_to_talk=push_to_talk, record_to=record_to
    )
    shown = window.LiveWindow(analyzer, sources, notes, settings)
    shown.run()
    for folder in shown.recordings:
        typer.echo(folder)


def devices(as_json: AsJson = False) -> None:
    """List cameras and microphones."""
    from ..sources.camera import list_cameras
    from ..sources.microphone import list_microphones

    cameras = list_cameras()
    try:
        microphones, problem = list_microphones(), None
    except EmofuseError as error:
        microphones, problem = [], str(error)
    if as_json:
        import json
        from dataclasses import asdict

        found: dict[str, Any] = {
            "cameras": [asdict(c) for c in cameras],
            "microphones": [asdict(m) for m in microphones],
            "problem": problem,
        }
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo("Cameras" if cameras else "Cameras: none found")
    for camera in cameras:
        typer.echo(f"  {camera.number}  {camera.name}")
    typer.echo("Microphones" if microphones else f"Microphones: {problem or 'none found'}")
    for microphone in microphones:
        default = "  (default)" if microphone.default else ""
        typer.echo(f"  {microphone.number}  {microphone.name}{default}")


def _window() -> Any:
    """Import the window, or say which extra brings it."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame  # noqa: F401
    except ImportError:
        raise MissingExtra("live", "the window of emofuse live") from None
    from ..window import window

    return window


def _camera(text: str) -> int | str | bool:
    if text == "none":
        return False
    if text.isdigit():
        return int(text)
    if not Path(text).exists():
        raise InputError(
            f"--camera: got {text!r}, expected a camera's number (see `emofuse devices`), "
            "a video file or none"
        )
    return text


def _microphone(text: str) -> str | bool:
    return {"none": False, "default": True}.get(text, text)
