"""Weights of a net of `emofuse train`, without its graph: the training's code builds the net.

The tensors are read as safetensors, or by ``torch.load(weights_only=True)``; nothing in the file
is run. They must fit the net that the training's configuration describes, name by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.loader import read as read_config
from ..config.loader import read_file
from ..core.labels import CANONICAL, Taxonomy
from ..core.modality import Modality
from ..errors import InputError, MissingExtra
from ..models.card import Scores
from .files import Format
from .found import Found

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..training.core.trainer import Trainer

_TRAINED = (Modality.FACE, Modality.SPEECH, Modality.TEXT)
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # where checkpoints keep the tensors


def read(
    path: Path,
    work: Path,
    kind: Format,
    config: Path | None = None,
    labels: Sequence[str] = (),
    modality: Modality | None = None,
    tokenizer: Path | None = None,
) -> Found:
    """Build the net of a training, load its weights and write it as ONNX.

    Args:
        path: the weights, ``.safetensors`` or a state dict of tensors alone.
        work: folder for the graph.
        kind: which of the two it is.
        config: of the training; default: ``config.yaml`` beside the weights.
        labels: that the net learned; default: those in ``about.json`` beside the configuration.
        modality: of the net; default: that of its name.
        tokenizer: ``tokenizer.json`` of a text net, or its folder; default: the run's.

    Raises:
        InputError: if there is no configuration, or the weights are of another net.
        MissingExtra: if torch is not installed.
        ModelError: if ONNX Runtime answers otherwise than torch.
    """
    config = _config(path, config)
    try:
        trainer = _trainer(config, labels, modality, tokenizer)
        from ..training.core.export import write_onnx
    except ImportError as e:
        if (e.name or "emofuse").split(".")[0] == "emofuse":
            raise
        raise MissingExtra("train", f"building the net of {config}") from e
    net = trainer.new_net(fresh=False)
    _load(net, _tensors(path, kind), path)
    pieces = [piece for sample in trainer.examples() for piece in trainer.pieces(sample)]
    rows = trainer.collate([trainer.row(piece) for piece in pieces])
    example = tuple(trainer.tensor(x) for x in rows)
    graph = work / "own_net.onnx"
    width = write_onnx(trainer.exportable(net), example, graph, trainer.axes)
    fields = {"recogniser": trainer.recogniser_name, "embedding": width, **trainer.card_fields()}
    return Found(
        graph,
        f"weights of the net {trainer.plan.kind.name}",
        scores=Scores.LOGITS,
        labels=trainer.output_labels.labels,
        modality=trainer.modality,
        preparation=trainer.card_preparation(),
        tokenizer=getattr(trainer, "tokenizer", None),
        licence=trainer.config.licence or None,
        notes=("Neither calibrated nor measured: `emofuse train` does both.",),
        fields=fields,
    )


def _config(path: Path, told: Path | None) -> Path:
    config = told or path.with_name("config.yaml")
    if not config.is_file():
        missing = f"there is no {config}" if told else "no config.yaml lies beside it"
        raise InputError(
            f"{path} holds weights without a net, and {missing}: name the configuration that it "
            "was trained with, --net CONFIG.yaml (of a model of the Transformers library, import "
            "the folder with its config.json)"
        )
    return config


def _trainer(
    config: Path, labels: Sequence[str], modality: Modality | None, tokenizer: Path | None
) -> Trainer[Any]:
    """Return the trainer of a configuration, without any corpus."""
    modality = modality or _modality(config)
    if modality not in _TRAINED:
        raise InputError(f"--modality: got {modality.value!r}, expected face, speech or text")
    task = import_module(f"emofuse.training.{modality.value}.task")
    settings = read_config(task.CONFIG, config, {})
    net = {k: v for k, v in settings.net.items() if k not in ("pretrained", "sha256")}
    settings = replace(settings, run=config.parent, out=None, init=None, net=net)
    if modality is Modality.TEXT:
        settings = _with_tokenizer(settings, tokenizer)
    learned = tuple(labels) or _learned(config)
    known = set(learned) <= set(CANONICAL.labels)
    names = [c.name for c in settings.corpora]
    name = CANONICAL.name if known else names[0] if names else settings.id
    trainer: Trainer[Any] = task.TRAINER(settings, Taxonomy(name, learned))
    return trainer


def _modality(config: Path) -> Modality:
    """Tell by the net's name what a configuration trains."""
    from ..training.core.nets import names

    net = read_file(config).get("net")
    name = net.get("name") if isinstance(net, Mapping) else None
    found = [m for m in _TRAINED if name in names(m)]
    if len(found) != 1:
        raise InputError(
            f"{config}: net: got {name!r}, which does not tell what it is for; say --modality "
            "face, speech or text"
        )
    return found[0]


def _with_tokenizer(settings: Any, told: Path | None) -> Any:
    folder = told or settings.encoder or settings.run
    file = folder / "tokenizer.json" if folder.is_dir() else folder
    if file.name != "tokenizer.json" or not file.is_file():
        raise InputError(
            f"a text net needs its tokenizer, and there is no {file}: give --tokenizer, the "
            "tokenizer.json or its folder"
        )
    return replace(settings, encoder=None, run=file.parent)


def _learned(config: Path) -> tuple[str, ...]:
    """Return the labels that a run noted in its ``about.json``."""
    about = config.with_name("about.json")
    try:
        learned = json.loads(about.read_text(encoding="utf-8")).get("learned")
    except (OSError, ValueError, AttributeError):
        learned = None
    if not isinstance(learned, list) or not learned:
        raise InputError(
            f"which labels the net learned is not known, for {about} does not tell it: give "
            "--labels, in the order of its output"
        )
    return tuple(map(str, learned))


def _tensors(path: Path, kind: Format) -> dict[str, Tensor]:
    import torch

    if kind is Format.SAFETENSORS:
        from ..training.core.checkpoint import read_tensors

        return read_tensors(path)[0]
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # the unpickler raises families of its own
        raise InputError(
            f"{path} holds more than tensors, and only these are read ({_first(e)}); save the "
            "net's state_dict() as safetensors"
        ) from e
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(torch.is_tensor(x) for x in found.values()):
        raise InputError(
            f"{path} is no state dict: expected names with tensors; save net.state_dict()"
        )
    return dict(found)


def _load(net: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load weights, every one of them and no others."""
    import torch

    own = net.state_dict()
    shapes = [
        f"{k} {tuple(v.shape)} in place of {tuple(own[k].shape)}"
        for k, v in tensors.items()
        if k in own and own[k].shape != v.shape
    ]
    problems = {
        "it lacks": [k for k in own if k not in tensors],
        "it has besides": [k for k in tensors if k not in own],
        "of another shape are": shapes,
    }
    told = [f"{what} {_few(names)}" for what, names in problems.items() if names]
    if told:
        raise InputError(
            f"{path} does not fit the net of the configuration: {'; '.join(told)}. Name the "
            "configuration (--net) and --labels of its training; of a run it is best.safetensors "
            "that is imported"
        )
    if bad := [k for k, v in tensors.items() if not torch.isfinite(v).all()]:
        raise InputError(f"{path} holds values that are no numbers, in {_few(bad)}: it is damaged")
    net.load_state_dict(dict(tensors))
    net.eval()


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
