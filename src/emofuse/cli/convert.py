"""`emofuse models import` and `emofuse models export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import AsJson, panel

if TYPE_CHECKING:
    from ..conversion.importing import Imported

_told = panel("What the file may not say (it is asked for on a terminal)")
_kept = panel("What becomes of it")


def import_model(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            show_default=False,
            help=".onnx, .tflite, .keras, .h5; architecture .json and weights .h5; .safetensors or "
            "a state dict of `emofuse train`; or a folder of the Transformers library, or "
            "owner/name of its hub.",
        ),
    ],
    labels: Annotated[
        str | None, _told(metavar="A,B,…|FILE", help="Labels in the order of the output.")
    ] = None,
    modality: Annotated[
        str | None, _told(metavar="face|speech|text", help="What the model is for.")
    ] = None,
    prepared: Annotated[
        str,
        _told(
            "--input",
            metavar="WORDS",
            help="How the input was prepared, e.g. 48x48,grey,unit or mfcc,coefficients=40,"
            "rate=22050 or waveform (docs/importing.md).",
        ),
    ] = "",
    label_map: Annotated[
        str | None,
        _told(
            "--map",
            metavar="A=B,…|FILE",
            help="Where labels go among the canonical ones, e.g. calm=neutral,boredom=none; or a "
            "TOML file with \\[map] and \\[drop].",
        ),
    ] = None,
    output: Annotated[
        str | None,
        _told(metavar="probabilities|logits", help="What the model's output is, if it looks else."),
    ] = None,
    net: Annotated[
        Path | None,
        _told(
            metavar="CONFIG",
            help="Configuration that weights without a net were trained with; default: "
            "config.yaml beside them.",
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None, _told(metavar="FILE|DIR", help="tokenizer.json of a text model.")
    ] = None,
    seconds: Annotated[
        float, _told(min=0.2, help="Seconds of sound that a speech model hears at once.")
    ] = 3.0,
    model_id: Annotated[
        str | None, _kept("--id", help="Name of the model; default: the file's.")
    ] = None,
    licence: Annotated[str | None, _kept(help="Licence of the weights.")] = None,
    to: Annotated[
        Path | None,
        _kept(metavar="DIR", help="Folder; default: the first of EMOFUSE_MODELS, else your own."),
    ] = None,
    overwrite: Annotated[
        bool, _kept("--overwrite", help="Replace a model of the same name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import a model of another library; then --face-model ID (or speech, text) uses it.

    The file is read, never run: pickles, layers with code and operators of plug-ins are refused.
    """
    import tempfile

    from ..conversion.importing import ImportPlan, import_model
    from ..core.modality import Modality
    from ..models.card import Scores

    try:
        wanted = None if modality is None else Modality(modality)
    except ValueError as e:
        raise InputError(f"--modality: {e}") from None
    if output not in (None, "probabilities", "logits"):
        raise InputError(f"--output: got {output!r}, expected probabilities or logits")
    with tempfile.TemporaryDirectory() as work:
        plan = ImportPlan(
            paths=tuple(paths),
            id=model_id,
            labels=_labels(labels),
            modality=wanted,
            input=prepared,
            label_map=_map_file(label_map, Path(work)),
            scores=None if output is None else Scores(output),
            tokenizer=tokenizer,
            seconds=seconds,
            licence=licence,
            out=to,
            overwrite=overwrite,
            net=net,
        )
        made = import_model(plan, _ask if sys.stdin.isatty() else lambda *_: None)
    _show(made, as_json)


def export_model(
    model_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", metavar="onnx|tflite|openvino", help="The format.")
    ] = "tflite",
    int8: Annotated[
        bool, typer.Option("--int8", help="Also a file with weights in int8 (tflite).")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a model for other runtimes, and compare its answers there with those here."""
    from ..conversion.exporting import Target, export_model
    from ..models.store import megabytes
    from . import display as show

    try:
        target = Target(to)
    except ValueError:
        known = ", ".join(t.value for t in Target)
        raise InputError(f"--to: got {to!r}, expected one of {known}") from None
    files = export_model(model_id, target, out, int8=int8, overwrite=overwrite)
    if as_json:
        rows = [
            {
                "path": str(f.path),
                "bytes": f.bytes,
                "milliseconds": f.milliseconds,
                "difference": f.difference,
                "same_labels": f.same_labels,
                "onnx_bytes": f.onnx_bytes,
                "onnx_milliseconds": f.onnx_milliseconds,
            }
            for f in files
        ]
        show.stdout().print_json(data=rows)
        return
    for f in files:
        same = "the same labels" if f.same_labels else "NOT the same labels"
        typer.echo(
            f"{f.path}: {megabytes(f.bytes)}, {f.milliseconds:.1f} ms a sample (ONNX here: "
            f"{megabytes(f.onnx_bytes)}, {f.onnx_milliseconds:.1f} ms); logits differ by up to "
            f"{f.difference:.2g} from the model's, {same}"
        )


def _labels(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    path = Path(text)
    if "," not in text and path.is_file():
        if path.stat().st_size > 64 * 1024:
            raise InputError(f"--labels: {path} is no list of labels, it has over 64 kB")
        text = ",".join(path.read_text(encoding="utf-8").splitlines())
    return tuple(x.strip() for x in text.split(",") if x.strip())


def _map_file(text: str | None, work: Path) -> Path | None:
    """Return the map as a file: ``calm=neutral,boredom=none`` is written as one."""
    if text is None or "=" not in text:
        return None if text is None else Path(text)
    import json

    places = {"map": ["[map]"], "drop": ["[drop]"]}
    for part in text.split(","):
        label, _, target = (x.strip() for x in part.partition("="))
        table = "map" if target not in ("", "none") else "drop"
        value = target if table == "map" else "left out when the model was imported"
        places[table].append(f"{json.dumps(label)} = {json.dumps(value)}")
    path = work / "map.toml"
    path.write_text("\n".join(places["map"] + places["drop"]) + "\n", encoding="utf-8")
    return path


def _ask(question: str, examples: str, option: str) -> str | None:
    typer.echo(f"{question}? ({examples}; {option} answers it beforehand)", err=True)
    return str(typer.prompt("", prompt_suffix="> ", default="", show_default=False, err=True))


def _show(made: Imported, as_json: bool) -> None:
    from ..models.describe import card_mapping
    from ..models.store import Store
    from . import display as show

    card = made.card
    best = sorted(made.answer.items(), key=lambda kv: -kv[1])
    if as_json:
        store = Store(folders=[made.path.parent])
        data = {**card_mapping(card, store), "path": str(made.path), "answer": made.answer}
        show.stdout().print_json(data=data)
        return
    shape = ", ".join(f"{k} {_short(v)}" for k, v in card.preparation.items())
    typer.echo(f"{card.id}: {made.found.kind}, for {card.modality.value}")
    typer.echo(f"  input    {shape}")
    typer.echo(
        f"  output   {len(card.taxonomy)} {card.scores.value}: {', '.join(card.taxonomy.labels)}"
    )
    if card.label_map is not None:
        typer.echo(f"  labels   {card.label_map.told}")
    if made.found.checked is not None:
        typer.echo(f"  checked  answers as the original does, to {made.found.checked:.1g}")
    typer.echo(f"  tried    on {made.tried_on}: {', '.join(f'{k} {v:.0%}' for k, v in best[:3])}")
    typer.echo(f"  card     {made.path}")
    typer.echo(f"Use it: emofuse analyze … --{card.modality.value}-model {card.id}")


def _short(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
