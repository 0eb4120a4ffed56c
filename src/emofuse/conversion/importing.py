"""From a model's file to a card, a golden pair and a first answer."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core.labels import CANONICAL, LabelMap, Taxonomy
from ..core.modality import Modality
from ..corpora.labels import canonical_map, map_of
from ..errors import EmofuseError, InputError, ModelError
from ..models.card import Card, Scores
from ..models.golden import golden_path, read_golden
from ..models.recogniser import OnnxRecogniser
from ..models.registry import factory
from ..models.runtime import Graph, answer, open_graph
from ..models.store import WEIGHTS, Store, own_folder
from ..models.write import write_card, write_golden
from . import found as seen
from . import hub, keras_file, onnx_file, own_net, tflite_file
from .files import Format, format_of
from .found import Found
from .questions import Ask, read_input, required

_RECOGNISERS = {
    Modality.FACE: "face",
    Modality.SPEECH: "speech-external",
    Modality.TEXT: "text",
}


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What is told of a model besides its file; what is None is read off it, or asked for.

    Args:
        paths: the file or folder; an architecture and its weights; or a hub id.
        id: of the model; default: the file's name.
        labels: in the order of the output.
        modality: what it is for.
        input: how its input is prepared, see `questions.read_input`.
        label_map: a TOML file with ``map`` and ``drop`` for labels without a usual name.
        scores: ``probabilities`` or ``logits``, against what the last operator tells.
        multi_label: each label answered for itself; None: as the last operator tells.
        tokenizer: ``tokenizer.json`` of a text model, or its folder.
        seconds: of sound that a speech model hears at once.
        licence: of the weights.
        summary: one line for people.
        out: folder for the model; default: `own_folder()`.
        overwrite: replace a model of the same id there.
        net: configuration of the training, for weights of a net of our own.
    """

    paths: tuple[str, ...]
    id: str | None = None
    labels: tuple[str, ...] = ()
    modality: Modality | None = None
    input: str = ""
    label_map: Path | None = None
    scores: Scores | None = None
    multi_label: bool | None = None
    tokenizer: Path | None = None
    seconds: float = 3.0
    licence: str | None = None
    summary: str | None = None
    out: Path | None = None
    overwrite: bool = False
    net: Path | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that was imported.

    Args:
        card: its card.
        path: where the card is.
        tried_on: the included sample that it was tried on, for people.
        answer: its probabilities for that, by label.
        found: what its file told.
    """

    card: Card
    path: Path
    tried_on: str
    answer: Mapping[str, float]
    found: Found


def import_model(plan: ImportPlan, ask: Ask = lambda *_: None) -> Imported:
    """Import a model into a folder that the store reads.

    Args:
        plan: the file, and what is told of it.
        ask: asks for what is missing; by default nobody is asked.

    Raises:
        InputError: if the file cannot be used, or something about it is not known; the
            message says which option tells it.
        MissingExtra: if an extra is needed to read it.
        ModelError: if the model gives no usable answers.
    """
    folder = plan.out or own_folder()
    model_id = plan.id or _id_of(plan.paths)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", model_id):
        raise InputError(f"--id: got {model_id!r}, expected letters, digits, '.', '_' and '-'")
    if (folder / f"{model_id}.toml").exists() and not plan.overwrite:
        raise InputError(
            f"there is a model {model_id!r} in {folder} already: give another --id, or --overwrite"
        )
    with tempfile.TemporaryDirectory(prefix="emofuse-import-") as work:
        found = _read(plan, Path(work))
        fields, graph = _fields(plan, found, model_id, ask)
        made = Path(work) / "made"
        made.mkdir()
        files = {"weights": made / f"{model_id}{graph.suffix}"}
        shutil.move(graph, files["weights"])
        if tokenizer := _tokenizer(plan, found, fields):
            files["tokenizer"] = made / f"{model_id}.tokenizer.json"
            shutil.copyfile(tokenizer, files["tokenizer"])
        try:
            card = write_card(fields, made, files)
            tried_on, said = _try(card, files, made)
        except ValueError as e:
            raise InputError(f"{' '.join(plan.paths)}: {e}") from e
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(made.iterdir(), key=lambda p: p.suffix == ".toml"):  # the card last
            shutil.move(path, folder / path.name)
    return Imported(card, folder / f"{model_id}.toml", tried_on, said, replace(found, graph=folder))


def _id_of(paths: Sequence[str]) -> str:
    name = Path(paths[0]).resolve().name
    return re.sub(r"[^\w.-]+", "-", name.rsplit(".", 1)[0] if "." in name else name).strip("-.")


def _read(plan: ImportPlan, work: Path) -> Found:
    first, *more = plan.paths
    if hub.is_hub_id(first):
        return hub.read(hub.fetch(first), work, plan.seconds)
    path = Path(first)
    kind = format_of(path)
    if kind is Format.HDF5 and len(more) == 1 and format_of(Path(more[0])) is Format.ARCHITECTURE:
        path, more, kind = Path(more[0]), [first], Format.ARCHITECTURE
    weights = Path(more[0]) if more else None
    if len(more) > (kind is Format.ARCHITECTURE):
        raise InputError(
            f"one model at a time: got {len(plan.paths)} files; two belong together only where "
            "one is a Keras architecture (.json) and the other its weights (.h5)"
        )
    if kind in (Format.SAFETENSORS, Format.STATE_DICT):
        if plan.input:
            raise InputError("--input: the training's configuration says it already; omit it")
        return own_net.read(path, work, kind, plan.net, plan.labels, plan.modality, plan.tokenizer)
    if plan.net is not None:
        raise InputError(f"--net: {path} brings its net itself; omit it")
    read = {
        Format.ONNX: onnx_file.read,
        Format.TFLITE: tflite_file.read,
        Format.KERAS: keras_file.read,
        Format.HDF5: keras_file.read,
        Format.ARCHITECTURE: partial(keras_file.read, weights=weights),
        Format.FOLDER: partial(hub.read, seconds=plan.seconds),
    }[kind]
    found: Found = read(path, work)  # type: ignore[operator]
    return found


def _fields(plan: ImportPlan, found: Found, model_id: str, ask: Ask) -> tuple[dict[str, Any], Path]:
    """Return the card's fields and the graph."""
    graph = open_graph(found.graph)
    modality = _modality(plan, found, graph)
    preparation = _preparation(plan, found, graph, modality, ask)
    scores = plan.scores or found.scores or Scores.LOGITS
    multi = found.multi_label if plan.multi_label is None else plan.multi_label
    # A net of our own may answer with fewer labels than it learned.
    labels = found.labels if found.fields else plan.labels or found.labels
    columns = _columns(graph, modality, preparation)
    if not labels:
        text = required(
            ask,
            f"What are the {columns} labels, in the order of the output",
            "angry,disgust,fear,happy,sad,surprise,neutral",
            "--labels",
        )
        labels = tuple(x.strip() for x in text.split(","))
    if len(labels) != columns:
        raise InputError(
            f"--labels: got {len(labels)} ({', '.join(labels)}), but the model answers with "
            f"{columns} values: name them all, in its order"
        )
    taxonomy = Taxonomy("canonical" if set(labels) <= set(CANONICAL.labels) else model_id, labels)
    taxonomy = replace(taxonomy, multi_label=multi)
    label_map = _map(taxonomy, plan.label_map, ask)
    fields: dict[str, Any] = {
        "id": model_id,
        "modality": modality.value,
        "recogniser": _RECOGNISERS[modality],
        "summary": plan.summary or f"Imported from {found.kind}: {Path(plan.paths[0]).name}",
        "taxonomy": taxonomy.name,
        "labels": list(labels),
        "multi_label": multi,
        "scores": scores.value,
        "licence": plan.licence or found.licence or "unknown",
        "notes": _notes(found),
        "preparation": preparation,
    }
    if modality is Modality.SPEECH:
        look = min(1.0, plan.seconds / 3)
        fields["window"] = {"seconds": plan.seconds, "hop": look, "lookahead": look}
    if label_map is not None:
        fields["map"] = {k: dict(row) for k, row in label_map.weights.items()}
        fields["drop"] = dict(label_map.dropped)
    return {**fields, **found.fields}, found.graph


def _modality(plan: ImportPlan, found: Found, graph: Graph) -> Modality:
    seen_as = found.modality or seen.modality_of(graph)
    modality = plan.modality or seen_as
    if modality is None:
        raise InputError(
            "what the model is for cannot be seen: say --modality face, speech or text"
        )
    if modality not in _RECOGNISERS:
        raise InputError(f"--modality: got {modality.value!r}, expected face, speech or text")
    told = found.modality or (Modality.TEXT if seen_as is Modality.TEXT else None)
    if told is not None and told is not modality:
        raise InputError(f"--modality: got {modality.value}, but this is a model for {told.value}")
    if modality is Modality.TEXT and seen_as is not Modality.TEXT:
        shape = " × ".join("?" if n is None else str(n) for n in graph.shapes[0])
        raise InputError(
            f"--modality: got text, but the model takes {shape} numbers, not token ids; is it for "
            f"{seen_as.value if seen_as else 'something else'}?"
        )
    return modality


def _preparation(
    plan: ImportPlan, found: Found, graph: Graph, modality: Modality, ask: Ask
) -> dict[str, Any]:
    told = {**found.preparation, **read_input(plan.input, modality)}
    if found.fields:
        return told
    if modality is Modality.TEXT:
        return {"max_tokens": 128, "spell_out": False, **told}
    if modality is Modality.FACE:
        return _face(told, graph, ask)
    if found.modality is Modality.SPEECH:  # the folder said all of it
        return told
    if "features" not in told:
        text = required(
            ask,
            "What does the model look at",
            "waveform, or mfcc,coefficients=40, or logmel,mels=128,rate=22050",
            "--input",
        )
        told |= read_input(text, modality)
    told = _without_seconds(told, plan)
    try:
        return {**seen.speech_input(graph, told), **told}
    except (TypeError, ValueError) as e:
        raise InputError(f"--input: {e}") from e


def _without_seconds(told: Mapping[str, Any], plan: ImportPlan) -> dict[str, Any]:
    """``seconds`` in --input cuts the sound to a length before features are made."""
    out = dict(told)
    if (seconds := out.pop("seconds", None)) is not None:
        out["samples"] = round(seconds * out.get("rate", 22_050))
    return out


def _face(told: dict[str, Any], graph: Graph, ask: Ask) -> dict[str, Any]:
    read = seen.face_input(graph)
    for key in ("side", "colour", "layout"):
        wanted, got = read.get(key), told.get(key)
        both_colours = {wanted, got} == {"rgb", "bgr"}
        if None not in (wanted, got) and wanted != got and not both_colours:
            raise InputError(f"--input: got {got}, but the model takes {wanted} ({key})")
    out = {**read, **told}
    if "side" not in out:
        text = required(ask, "How large are the pictures", "224x224", "--input")
        out |= read_input(text, Modality.FACE)
    if "standard" not in out:
        text = required(
            ask,
            "How were the pixels scaled",
            "unit (x/255), signed (-1 to 1), raw (0 to 255), imagenet, self (each face's own mean "
            "and deviation), caffe, or mean=.5,deviation=.25",
            "--input",
        )
        out |= read_input(text, Modality.FACE)
    return out


def _columns(graph: Graph, modality: Modality, preparation: Mapping[str, Any]) -> int:
    """Ask the graph for one answer and count its columns."""
    shape = [1, *(_some(n, modality, preparation) for n in graph.shapes[0][1:])]
    if modality is Modality.TEXT:
        feeds = [np.ones(shape, np.int64) for _ in graph.inputs]
    else:
        feeds = [np.full(shape, 0.5, np.float32)]
    try:
        scores = answer(graph, *feeds)[0]
    except Exception as e:  # the runtimes raise families of their own
        raise InputError(
            f"the model does not run on an input of {' × '.join(map(str, shape))}: "
            f"{str(e).splitlines()[0]}"
        ) from e
    return int(scores.size)


def _some(size: int | None, modality: Modality, preparation: Mapping[str, Any]) -> int:
    if size is not None:
        return size
    if modality is Modality.FACE:
        return int(preparation.get("side", 96))
    if modality is Modality.TEXT:
        return 8
    if tuple(preparation.get("features", ())) == ("waveform",):
        return int(preparation.get("rate", 16_000))
    return 100


def _map(taxonomy: Taxonomy, file: Path | None, ask: Ask) -> LabelMap | None:
    """Return where the labels go; None if they are canonical ones."""
    if set(taxonomy.labels) <= set(CANONICAL.labels) and not taxonomy.multi_label:
        return None
    try:
        return canonical_map(taxonomy) if file is None else map_of(taxonomy, file)
    except InputError as e:
        if file is not None:
            raise
        return _asked(taxonomy, ask, e)


def _asked(taxonomy: Taxonomy, ask: Ask, problem: InputError) -> LabelMap:
    targets: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for label in taxonomy.labels:
        try:
            (row,) = canonical_map(Taxonomy("one", (label,))).weights.values()
            targets[label] = next(iter(row))
        except InputError:
            where = ask(f"Where does {label!r} go", ", ".join((*CANONICAL.labels, "none")), "--map")
            if where is None:
                raise problem from None
            if where.strip() in CANONICAL.labels:
                targets[label] = where.strip()
            else:
                dropped[label] = "left out when the model was imported"
    return LabelMap.of_names(taxonomy, CANONICAL, targets, dropped)


def _tokenizer(plan: ImportPlan, found: Found, fields: Mapping[str, Any]) -> Path | None:
    if fields["modality"] != Modality.TEXT.value:
        return None
    path = found.tokenizer if found.fields else plan.tokenizer or found.tokenizer
    if path is not None and path.is_dir():
        path = path / "tokenizer.json"
    if path is None or not path.is_file():
        raise InputError(
            f"a text model needs its tokenizer{f', and there is no {path}' if path else ''}: give "
            "--tokenizer, the tokenizer.json or its folder"
        )
    return path


def _notes(found: Found) -> list[str]:
    notes = list(found.notes)
    if found.checked is not None:
        notes.append(
            f"Converted to ONNX; answers differ from the original's by up to {found.checked:.1g}."
        )
    return notes


def _try(card: Card, files: Mapping[str, Path], folder: Path) -> tuple[str, dict[str, float]]:
    """Ask the model about an included sample, and keep the answer as its golden pair."""
    like = {
        Modality.FACE: ("face-v4", "an included face"),
        Modality.SPEECH: ("speech-v4", "an included voice"),
        Modality.TEXT: ("text-minilm-v2", "the sentence"),
    }
    own, what = like[card.modality]
    store = Store(folders=())
    samples = list(read_golden(golden_path(store.card(own), WEIGHTS)).inputs)[:2]
    recogniser = factory(card)(card, files, 1)
    assert isinstance(recogniser, OnnxRecogniser)
    try:
        (said,) = recogniser.infer([recogniser.prepare(samples[0])])
        logits = recogniser.logits([recogniser.prepare(s) for s in samples])
    except EmofuseError:
        raise
    except Exception as e:  # the runtimes raise families of their own
        raise InputError(
            f"the model does not run on {what}: {str(e).splitlines()[0]}; check --input"
        ) from e
    if not np.isfinite(logits).all():
        raise ModelError(
            "the model answers with values that are no numbers (NaN): its weights are damaged, or "
            "its training went astray; import an earlier checkpoint"
        )
    write_golden(recogniser, samples, folder)
    if card.modality is Modality.TEXT:
        what = f"{what} {samples[0]!r}"
    by_label = zip(card.taxonomy.labels, said.probabilities.values.tolist(), strict=True)
    return what, dict(by_label)
