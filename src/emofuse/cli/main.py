"""The command line. Heavy imports are inside the commands: `emofuse --help` stays quick.

Exit codes: 0 all went well; 1 `emofuse doctor` found that the main job cannot
work; 2 some input, flag or model could not be used (of several inputs the others
were still analyzed); 3 a bug in emofuse; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import __version__
from ..errors import EmofuseError, InputError
from . import annotate, compare, convert, corpus, export, keyframes, live, models, runs, serve
from . import evaluate as evaluation
from . import train as training
from .analysis import RunOptions, analyze_media
from .config import app as config_app
from .observe import observe
from .options import (
    AsJson,
    FaceModel,
    Overwrite,
    Quiet,
    SpeechModel,
    TextModel,
    affect_flags,
    complain,
    model_flags,
    names,
    panel,
    read_formats,
    read_weights,
    result,
    set_flags,
    sets_help,
)

if TYPE_CHECKING:
    from ..analyzer import AnalyzerConfig
    from ..batch.inputs import Failure, TranscriptChoice

BAD_INPUT, BUG, INTERRUPTED = 2, 3, 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
_YES_NO = ("true", "false", "yes", "no", "on", "off")

app = typer.Typer(
    name="emofuse",
    help="Reads emotional expression from face, voice and words, and fuses the three.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(models.app, name="models")
app.add_typer(config_app, name="config")
app.add_typer(corpus.app, name="corpus")
app.add_typer(runs.app, name="runs")
app.add_typer(evaluation.app, name="evaluate")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. No traceback without ``--debug``."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = ["--help" if arg == "-h" else arg for arg in args if arg != "--debug"]
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            # A file name or sign that the terminal cannot show must not end in an error.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = _run(args, debug)
    return code if _flush() else code or BAD_INPUT


def _run(args: Sequence[str], debug: bool) -> int:
    """Run a command and return its exit code; put what goes wrong into words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("once", RuntimeWarning)
            warnings.showwarning = _warn
            root = command()
            _refuse_files_as_commands(root, args)
            _refuse_values_of_flags(root, args)
            _refuse_web_addresses(args)
            _refuse_empty_names(root, args)
            root(args=args, prog_name="emofuse", obj=debug)
        return 0
    except SystemExit as e:
        return _exit_code(e)
    except EmofuseError as e:
        if debug:
            raise
        complain(str(e))
        return BAD_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        _silence(sys.stdout)
        return 0
    except Exception as e:
        if debug:
            raise
        if isinstance(e, OSError) and e.errno in _NO_ROOM:
            complain(_unwritten(e))
            _silence(sys.stdout)
            return BAD_INPUT
        complain(
            f"unexpected {type(e).__name__}: {e}. This is a bug in emofuse: please report it "
            f"with what the same command prints with --debug (emofuse --debug {args[0]} …)"
        )
        return BUG


def command() -> Any:
    """Return the command line with all its commands, as click knows it."""
    root = typer.main.get_command(app)
    for option in _options(root):
        if _is_switch(option):
            option.metavar = ""  # typer's help would say <bool>, as if a value had to follow
    return root


def _options(group: Any) -> Iterator[Any]:
    """Yield the options of a command and of all below it."""
    shown = group.get_params(typer.Context(group))  # with --help
    yield from (p for p in shown if p.param_type_name == "option")
    for below in getattr(group, "commands", {}).values():
        yield from _options(below)


def _is_switch(option: Any) -> bool:
    return bool(option.is_bool_flag)


def _refuse_files_as_commands(root: Any, args: Sequence[str]) -> None:
    """Say how ``emofuse clip.mp4`` is meant to be called.

    Raises:
        InputError: if a file or folder stands in place of a command.
    """
    first = next(iter(args), "")
    if first and first not in root.commands and Path(first).exists():
        raise InputError(f"{first} is no command; to analyze it: emofuse analyze {first}")


def _refuse_values_of_flags(root: Any, args: Sequence[str]) -> None:
    """Refuse ``--overwrite true``: the word would be taken for a file.

    Raises:
        InputError: if a flag is followed by a word for yes or no that is no file.
    """
    switches = {name for flag in _options(root) if _is_switch(flag) for name in flag.opts}
    for flag, word in itertools.pairwise(args):
        if flag in switches and word.lower() in _YES_NO and not Path(word).exists():
            raise InputError(f"{flag} takes no value: leave out {word!r}")


def _refuse_web_addresses(args: Sequence[str]) -> None:
    """Refuse a web address in place of a file, while it is still spelt as it was given.

    Raises:
        InputError: if there is one that is not the text to read.
    """
    for before, word in zip(("", *args), args, strict=False):
        if word.lower().startswith(("http://", "https://")) and before != "--text":
            raise InputError(f"{word} is on the web: download it first, and give the file")


def _refuse_empty_names(root: Any, args: Sequence[str]) -> None:
    """Refuse ``--out "$OUT"`` of an empty variable: it would stand for the current folder.

    Raises:
        InputError: if the name of a file or folder is empty.
    """
    of_text = {
        name
        for option in _options(root)
        if not _is_switch(option) and option.type_descriptor.annotation is not Path
        for name in option.opts
    } - {"--transcript"}  # a word or a file
    for before, word in zip(("", *args), args, strict=False):
        name = word[:-1] if word.startswith("--") and word.endswith("=") else before
        if (not word or name != before) and name not in of_text:
            raise InputError(
                f"got an empty name in place of a file or folder, after {name or 'emofuse'}: is a "
                "variable empty? The current folder is ."
            )


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emofuse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks of errors.")] = False,
) -> None:
    # Both have done their work by now; they are parameters so that the help names them.
    pass


_part = panel("What is analyzed")
_setting = panel("Settings (they override --config)")
_many = panel("Several files")
_observed = panel("One observation (in place of PATH)")


@app.command(
    help="Analyze media: who expressed what and when.\n\n"
    "The results of one file are DIR/timeline.json, .csv and .html. With several files, or a "
    "folder, each file gets a folder of its own, beside DIR/timeline.csv with everything and "
    "DIR/index.html. Without --out only a summary is printed.\n\n"
    "--image, --audio and --text in place of PATH take a face, a voice and words as one "
    "observation: what each says, and all of them together (DIR/observation.json)."
)
def analyze(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH…",
            show_default=False,
            help="Video, audio, image or text files, or folders of video, audio and images.",
        ),
    ] = None,
    image: Annotated[
        Path | None, _observed(metavar="FILE", help="Image of a face.", show_default=False)
    ] = None,
    audio: Annotated[
        Path | None, _observed(metavar="FILE", help="Sound of a voice.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, _observed(metavar="TEXT", help="What is said.", show_default=False)
    ] = None,
    face_crop: Annotated[
        bool, _observed("--face-crop", help="The image is nothing but a face; do not look for it.")
    ] = False,
    out: Annotated[Path | None, result(metavar="DIR", help="Folder for the results.")] = None,
    formats: Annotated[
        str, result("--format", metavar="LIST", help=f"Formats to write: {names('exporters')}.")
    ] = "json,csv,html",
    overwrite: Overwrite = False,
    as_json: Annotated[bool, result("--json", help="Print the summary as JSON.")] = False,
    quiet: Quiet = False,
    transcript: Annotated[
        str,
        _part(
            metavar="FILE|auto|none",
            help="What is said, as srt, vtt or txt. auto: clip.srt or clip.vtt beside clip.mp4.",
        ),
    ] = "auto",
    asr: Annotated[
        str | None,
        _part(
            metavar="ENGINE",
            help="Speech recognizer, used if there is no transcript and no subtitles: "
            f"auto, none, {names('transcribers')}.",
        ),
    ] = None,
    subtitle_track: Annotated[
        str | None,
        _part(
            metavar="N|LANG", help="Subtitle track to read, e.g. 2 or eng (the first readable one)."
        ),
    ] = None,
    audio_track: Annotated[
        str | None,
        _part(
            metavar="N|LANG", help="Sound track to hear, e.g. 2 or eng (the first with a voice)."
        ),
    ] = None,
    channels: Annotated[
        str | None,
        _part(
            metavar="mix|speakers", help="Mix the channels, or make each a speaker, as in calls."
        ),
    ] = None,
    hwaccel: Annotated[
        str | None,
        _part(metavar="DEVICE", help="Decode video on a device, e.g. cuda or videotoolbox."),
    ] = None,
    no_face: Annotated[bool, _part("--no-face", help="Skip faces.")] = False,
    no_speech: Annotated[bool, _part("--no-speech", help="Skip the voice.")] = False,
    no_text: Annotated[bool, _part("--no-text", help="Skip what is said.")] = False,
    no_identity: Annotated[
        bool,
        _part("--no-identity", help="Do not tell who is who: name face tracks and one voice."),
    ] = False,
    same_people: Annotated[
        bool,
        _many("--same-people", help="Find the same people in all files (DIR/people.csv)."),
    ] = False,
    group: Annotated[
        bool,
        _part("--group", help="The mood of the group, too: of each photo or second of a video."),
    ] = False,
    model: Annotated[
        str | None,
        _part(metavar="ID", help="Model of the group, e.g. one of four streams (group-v1)."),
    ] = None,
    scenes: Annotated[
        bool, _part("--scenes", help="The group's mood from cut to cut of a video.")
    ] = False,
    config: Annotated[
        Path | None,
        _setting(
            metavar="FILE", help="Settings as YAML or TOML; `emofuse config` prints them all."
        ),
    ] = None,
    fps: Annotated[float | None, _setting(help="Frames per second to analyze (8).")] = None,
    slot: Annotated[
        float | None,
        _setting(metavar="SECONDS", help="Length of a slot of the fused timeline (0.5)."),
    ] = None,
    detector: Annotated[
        str | None, _setting(metavar="NAME", help=f"Face detector: {names('detectors')}.")
    ] = None,
    fusion: Annotated[
        str | None,
        _setting(
            metavar="NAME",
            help=f"Fusion: {names('fusers')}.",
        ),
    ] = None,
    fuser: Annotated[
        str | None,
        _setting(
            metavar="ID", help="A trained fuser of that strategy (see `emofuse train fusion`)."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        _setting(
            metavar="LIST",
            help="How much each modality counts, e.g. face=.6,speech=.4; others do not.",
        ),
    ] = None,
    models_: Annotated[
        str | None,
        _setting("--models", metavar="SET", help=f"Set of models: {sets_help()}."),
    ] = None,
    affect_model: Annotated[
        str | None,
        _setting(metavar="ID", help="A further model, of which valence and arousal are taken."),
    ] = None,
    face_model: FaceModel = None,
    speech_model: SpeechModel = None,
    text_model: TextModel = None,
    smoothing: Annotated[
        str | None,
        _setting(metavar="NAME", help="Smoothing over time: none, mean, exponential or hmm."),
    ] = None,
    threads: Annotated[int | None, _setting(min=1, help="Threads per model (1).")] = None,
    workers: Annotated[
        int | None,
        _many(min=1, metavar="N", help="Files analyzed at once (one per processor core)."),
    ] = None,
    retry_failed: Annotated[
        bool, _many("--retry-failed", help="Try files again that failed in an earlier run.")
    ] = False,
    ray: Annotated[
        str | None,
        _many(metavar="auto|local|ADDRESS", help="Work on a Ray cluster (extra 'ray')."),
    ] = None,
    journal: Annotated[
        Path | None,
        _many(metavar="DIR", help="Folder of the journal where --out is in a store (s3://…)."),
    ] = None,
    dry_run: Annotated[bool, _many("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Analyze media: who expressed what and when."""
    from ..config.loader import Flag

    flags = {
        **set_flags(models_),
        **affect_flags(affect_model),
        **model_flags(face_model, speech_model, text_model),
        "fps": Flag("--fps", fps),
        "slot_seconds": Flag("--slot", slot),
        "subtitle_track": Flag("--subtitle-track", subtitle_track),
        "audio_track": Flag("--audio-track", audio_track),
        "channels": Flag("--channels", channels),
        "hwaccel": Flag("--hwaccel", hwaccel),
        **({"face.detector": Flag("--detector", detector)} if detector else {}),
        "fusion.weights": Flag("--weights", read_weights(weights)),
        "fusion.strategy": Flag("--fusion", fusion),
        "fusion.model": Flag("--fuser", fuser),
        "smoothing.method": Flag("--smoothing", smoothing),
        "transcribe.engine": Flag("--asr", asr),
        "threads": Flag("--threads", threads),
        "identity.enabled": Flag("--no-identity", False if no_identity else None),
        "identity.across_files": Flag("--same-people", same_people or None),
        "group.enabled": Flag("--group", group or None),
        "group.model": Flag("--model", model),
        "group.scenes": Flag("--scenes", scenes or None),
    }
    given = {key: flag for key, flag in flags.items() if flag.value is not None}
    if (model or scenes) and not group:
        raise InputError("--model and --scenes say how a group is looked at; give --group, too")
    if same_people and no_identity:
        raise InputError("--same-people needs to know who is who; leave --no-identity out")
    left_out = {"face": no_face, "speech": no_speech, "text": no_text}
    choices = read_formats(formats), _transcript(transcript)
    settings = _settings(config, given, {name for name, yes in left_out.items() if yes})
    if image is not None or audio is not None or text is not None:
        if paths:
            raise InputError("give either PATH, or --image, --audio and --text; not both")
        if group:
            raise InputError("--group goes with PATH: one observation is of one person")
        observe(image, audio, text, face_crop, settings, out, overwrite, as_json)
        return
    if not paths:
        raise InputError("nothing to analyze; give files or folders, or --image, --audio, --text")
    options = RunOptions(workers, retry_failed, dry_run, quiet, as_json, ray, journal)
    failures = analyze_media(paths, out, overwrite, *choices, settings, options)
    if context.obj:
        _print_causes(failures)
    if failures:
        raise typer.Exit(BAD_INPUT)


@app.command(
    "batch",
    help="Analyze a folder, a pattern or a manifest of any size, and go on where it stopped.\n\n"
    "PATH may be a folder, a quoted pattern ('clips/**/*.mp4') or a csv file with a column "
    "'file' and, if wanted, 'transcript'. A run that was interrupted, killed or lost power goes "
    "on when the same command is given again: finished files (same content, settings and version) "
    "are not done again. `emofuse analyze FOLDER` does the same.",
)
@functools.wraps(analyze)
def batch(**options: Any) -> None:
    """Analyze many media."""
    if options["out"] is None:
        raise InputError("emofuse batch needs --out DIR: the folder for the results")
    analyze(**options)


def _settings(config: Path | None, flags: dict[str, Any], without: set[str]) -> AnalyzerConfig:
    from dataclasses import replace

    from ..analyzer import read_config

    settings = read_config(config, flags)
    if not without:
        return settings
    left = tuple(m for m in settings.modalities if m.value not in without)
    if not left:
        raise InputError(
            "nothing is left to analyze without "
            f"{', '.join(sorted(m.value for m in settings.modalities))}; leave one of them on"
        )
    return replace(settings, modalities=left)


def _transcript(text: str) -> Path | TranscriptChoice:
    from ..batch.inputs import TranscriptChoice

    try:
        return TranscriptChoice(text)
    except ValueError:
        return Path(text)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the installation: what works on this machine and how to get the rest."""
    from ..models.store import Store
    from . import display as show
    from .doctor import examine, healthy

    checks = list(examine(Store()))
    if as_json:
        data = {"healthy": healthy(checks), "checks": [show.check_mapping(c) for c in checks]}
        show.stdout().print_json(data=data)
    else:
        show.stdout().print(show.checks(checks))
    if not healthy(checks):
        raise typer.Exit(1)


app.command("annotate")(annotate.annotate)
app.command("agreement")(annotate.agreement)
app.command("train")(training.train)
app.command("tune")(training.tune)
app.command("export")(export.export)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.command("live")(live.live)
app.command("keyframes")(keyframes.keyframes)
app.command("devices")(live.devices)
models.app.command("import")(convert.import_model)
models.app.command("export")(convert.export_model)
models.app.command("embed")(training.embed)


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


def _warn(message: Warning | str, *where: object, **more: object) -> None:
    complain(f"warning: {message}")


def _print_causes(failures: Sequence[Failure]) -> None:
    import traceback

    for _, error in failures:
        traceback.print_exception(type(error), error, error.__traceback__)


def _open_closed_streams() -> None:
    """Give streams that were closed before we started (``>&-``) somewhere to go.

    Otherwise the next file that is opened takes their place, and what we print goes there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("r+", encoding="utf-8")  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)
            try:
                os.fstat(number)
            except OSError:
                os.dup2(stream.fileno(), number)


def _flush() -> bool:
    """Notice now, not while Python ends, that output has nowhere to go; False: it was wanted."""
    wanted = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            _silence(stream)
        except OSError as e:
            _silence(stream)
            wanted = False
            if stream is sys.stdout:
                complain(_unwritten(e))
    return wanted


def _unwritten(error: OSError) -> str:
    return f"cannot write the output: {error.strerror}; make room, or send it elsewhere"


def _silence(stream: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
