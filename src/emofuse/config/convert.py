"""From a training ``config.yaml`` of the usual face-and-voice projects to ours.

Such a file has the sections ``facial_model``, ``speech_model``, ``fusion_model`` and
``training``. Everything in it is either translated or named among what is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError

_FACE_NETS = {
    "vgg": "vgg16",
    "resnet": "resnet50",
    "mobilenetv3": "mobilenet-v3",
    "mobilenet": "mobilenet-v2",
    "cnn": "cnn4",
}
_SPEECH_NETS = {
    "wav2vec": "wav2vec2",
    "hubert": "wav2vec2",
    "wavlm": "wav2vec2",
    "whisper": "whisper",
    "yamnet": "yamnet",
    "attention": "cnn-attention",
    "cnnlstm": "cnn-lstm",
    "crnn": "cnn-lstm",
    "lstm": "mfcc-bilstm",
    "gru": "mfcc-bilstm",
    "mel": "mel-cnn",
    "cnn": "mfcc-cnn",
}
_STRATEGIES = {
    "transformer": "transformer",
    "attention": "attention",
    "hybrid": "hybrid",
    "early": "feature",
    "feature": "feature",
    "concat": "feature",
    "intermediate": "feature",
    "confidence": "confidence",
    "product": "logpool",
    "logpool": "logpool",
    "weighted": "weighted",
    "average": "weighted",
    "mean": "weighted",
    "late": "weighted",
    "decision": "weighted",
}
"""Part of a name, without signs → what it is here; the first that fits."""

_NAMES = ("architecture", "type", "name", "model", "model_type", "backbone", "net")
_WEIGHTS = {"facial": "face", "face": "face", "speech": "speech", "audio": "speech", "text": "text"}


@dataclass(slots=True)
class Converted:
    """What came of an old configuration.

    Args:
        files: name of a file, e.g. ``face.yaml`` → what it holds.
        notes: what was left out or put otherwise, and why: one sentence each.
    """

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def convert(old: Mapping[str, Any]) -> Converted:
    """Translate a configuration.

    Args:
        old: sections and their keys.

    Returns:
        ``face.yaml`` and ``speech.yaml`` for `emofuse train`, ``fusion.yaml`` for
        `emofuse train fusion` or ``analyze.yaml`` for `emofuse analyze`, whichever follow.

    Raises:
        InputError: if none of the sections is there, or one is no section.

    Example:
        >>> made = convert({"facial_model": {"architecture": "VGG16", "input_size": [48, 48]}})
        >>> made.files["face.yaml"]["net"], made.files["face.yaml"]["preparation"]
        ({'name': 'vgg16'}, {'side': 48})
    """
    sections = {name: _section(old, name) for name in (*_SECTIONS, "training")}
    if not any(sections[name] for name in _SECTIONS):
        raise InputError(
            f"expected some of the sections {', '.join(_SECTIONS)} and training, got "
            f"{', '.join(map(str, old)) or 'nothing'}"
        )
    out = Converted()
    out.notes += [f"{key}: no such section is known here" for key in old if key not in sections]
    for name, translate in _SECTIONS.items():
        if sections[name]:
            with _understood(name):
                translate(_Reader(name, sections[name]), out)
    training = _Reader("training", sections["training"])
    with _understood("training"):
        common = _training(training, out)
    for name, made in out.files.items():
        if name != "analyze.yaml":
            made.update({k: v for k, v in common.items() if k not in made})
    out.notes += list(training.left())
    return out


@contextmanager
def _understood(section: str) -> Iterator[None]:
    """Put into words that a value is of another kind than it should be."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        raise InputError(f"{section}: a value cannot be translated: {str(e)[:200]}") from e


def to_files(made: Converted) -> dict[str, str]:
    """Write each file as YAML, its notes as comments on top."""
    notes = "".join(f"# Not translated: {note}\n" for note in made.notes)
    return {
        name: notes + "".join(f"{key}: {json.dumps(value)}\n" for key, value in tree.items())
        for name, tree in made.files.items()
    }


class _Reader:
    """A section, of which the keys that nobody asked for are known in the end."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name, self.values, self._asked = name, values, set[str]()

    def get(self, *keys: str) -> Any:
        """Return the value of the first of some keys that is there; None: none is."""
        self._asked.update(keys)
        return next((self.values[k] for k in keys if self.values.get(k) is not None), None)

    def left(self) -> Iterator[str]:
        for key, value in self.values.items():
            if key not in self._asked:
                yield f"{self.name}.{key} = {json.dumps(value, default=str)}: has no counterpart"


def _section(old: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = old.get(name) or {}
    if not isinstance(section, Mapping):
        raise InputError(f"{name}: got {section!r}, expected a section with keys and values")
    return section


def _known(table: Mapping[str, str], name: Any) -> str | None:
    plain = "".join(c for c in str(name).lower() if c.isalnum())
    return next((ours for part, ours in table.items() if part in plain), None)


def _net(reader: _Reader, table: Mapping[str, str], default: str, out: Converted) -> dict[str, Any]:
    name = reader.get(*_NAMES)
    net = _known(table, name)
    if name is not None and net is None:
        out.notes.append(f"{reader.name}: there is no net {name!r} here; {default} is put instead")
    dropout = reader.get("dropout", "dropout_rate")
    made: dict[str, Any] = {"name": net or default}
    return made | ({} if dropout is None else {"dropout": float(dropout)})


def _face(reader: _Reader, out: Converted) -> None:
    made: dict[str, Any] = {"id": "face-mine", "net": _net(reader, _FACE_NETS, "cnn4", out)}
    size = reader.get("input_size", "image_size", "img_size", "input_shape")
    if size is not None:
        made["preparation"] = {"side": int(size[0] if isinstance(size, list) else size)}
    _labels(reader, out)
    if reader.get("pretrained", "weights"):
        out.notes.append("facial_model: for pretrained weights name their file in net.pretrained")
    _model_file(reader, out)
    out.files["face.yaml"] = made
    out.notes += list(reader.left())


def _speech(reader: _Reader, out: Converted) -> None:
    net = _net(reader, _SPEECH_NETS, "mfcc-cnn", out)
    made: dict[str, Any] = {"id": "speech-mine", "net": net}
    preparation: dict[str, Any] = {}
    if (n := reader.get("n_mfcc", "num_mfcc", "mfcc")) is not None and net["name"].startswith(
        "mfcc"
    ):
        preparation["coefficients"] = int(n)
    if (bands := reader.get("n_mels", "num_mels")) is not None:
        preparation["mel"] = {"mels": int(bands)}
    if (
        seconds := reader.get("duration", "max_duration", "seconds", "max_length_seconds")
    ) is not None:
        preparation["seconds"] = float(seconds)
    rate = reader.get("sample_rate", "sampling_rate", "sr")
    if rate not in (None, 16_000):
        out.notes.append(f"speech_model: {rate} Hz; sound is brought to 16000 Hz here")
    if preparation:
        made["preparation"] = preparation
    _labels(reader, out)
    _model_file(reader, out)
    out.files["speech.yaml"] = made
    out.notes += list(reader.left())


def _fusion(reader: _Reader, out: Converted) -> None:
    name = reader.get("strategy", "fusion_type", "method", *_NAMES)
    strategy = _known(_STRATEGIES, name) or "weighted"
    if name is not None and _known(_STRATEGIES, name) is None:
        out.notes.append(
            f"fusion_model: there is no strategy {name!r} here; weighted is put instead"
        )
    weights = {
        _WEIGHTS[part]: float(value)
        for part in _WEIGHTS
        if (value := reader.get(f"{part}_weight", f"{part}_weights")) is not None
    }
    given = reader.get("weights")
    if isinstance(given, Mapping):
        weights |= {_WEIGHTS.get(str(k), str(k)): float(v) for k, v in given.items()}
    elif isinstance(given, list):
        weights |= dict(zip(("face", "speech", "text"), map(float, given), strict=False))
    if strategy in ("weighted", "confidence", "logpool"):
        fusion: dict[str, Any] = {"strategy": strategy} | ({"weights": weights} if weights else {})
        out.files["analyze.yaml"] = {"fusion": fusion}
    else:
        made: dict[str, Any] = {"strategy": strategy, "run": "runs/fusion"}
        if (width := reader.get("hidden_dim", "hidden_size", "hidden_units", "dim")) is not None:
            made["width"] = int(width[0] if isinstance(width, list) else width)
        if (dropout := reader.get("dropout", "dropout_rate")) is not None:
            made["dropout"] = float(dropout)
        out.files["fusion.yaml"] = made
        if weights:
            out.notes.append(f"fusion_model: {strategy} learns its weights; {weights} are left out")
    _labels(reader, out)
    _model_file(reader, out)
    out.notes += list(reader.left())


def _labels(reader: _Reader, out: Converted) -> None:
    """Labels follow from the corpora here."""
    count = reader.get("num_classes", "n_classes", "num_emotions")
    labels = reader.get("classes", "emotions", "labels", "class_names")
    if count is not None or labels is not None:
        out.notes.append(
            f"{reader.name}: {labels or f'{count} classes'}; the labels follow from the corpora "
            "that are trained on (`labels: native` keeps the corpus' own)"
        )


def _model_file(reader: _Reader, out: Converted) -> None:
    path = reader.get("model_path", "path", "checkpoint", "weights_path", "save_path")
    if path is not None:
        out.notes.append(f"{reader.name}: {path}; `emofuse models import` takes a trained model")


def _training(reader: _Reader, out: Converted) -> dict[str, Any]:
    made: dict[str, Any] = {}
    loop: dict[str, Any] = {}
    if (batch := reader.get("batch_size", "batch")) is not None:
        made["batch"] = int(batch)
    wanted: tuple[tuple[str, tuple[str, ...], Callable[[Any], Any]], ...] = (
        ("epochs", ("epochs", "num_epochs", "n_epochs", "max_epochs"), int),
        ("lr", ("learning_rate", "lr"), float),
        ("weight_decay", ("weight_decay", "l2"), float),
        ("seed", ("seed", "random_seed", "random_state"), int),
        ("grad_clip", ("grad_clip", "gradient_clip", "max_grad_norm"), float),
    )
    for ours, keys, kind in wanted:
        if (value := reader.get(*keys)) is not None:
            loop[ours] = kind(value)
    patience = reader.get("early_stopping_patience", "patience", "early_stopping")
    if isinstance(patience, Mapping):
        patience = patience.get("patience")
    if patience is not None and patience is not False:
        loop["patience"] = 10 if patience is True else int(patience)
    if (optimizer := reader.get("optimizer")) is not None:
        loop["optimizer"] = "sgd" if "sgd" in str(optimizer).lower() else "adamw"
    if (device := reader.get("device")) is not None:
        loop["device"] = "auto" if str(device) == "gpu" else str(device)
    if (
        share := reader.get("validation_split", "val_split", "test_split", "test_size")
    ) is not None:
        out.notes.append(f"training: a split of {share}; splits are the corpora's, by speakers")
    return made | ({"loop": loop} if loop else {})


_SECTIONS: dict[str, Callable[[_Reader, Converted], None]] = {
    "facial_model": _face,
    "speech_model": _speech,
    "fusion_model": _fusion,
}
