"""Classifiers of the Transformers library, with the head that they were trained with.

A folder with ``config.json`` and weights (``model.safetensors``, or ``pytorch_model.bin``
read as tensors alone) becomes one ONNX graph. Code that comes with a model is not run.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.modality import Modality
from ..errors import InputError, MissingExtra
from ..models.card import Scores
from .files import refuse_large
from .found import Found

TOLERANCE = 1e-4
"""Largest difference of probabilities from the library's own that is the same model."""

_CLASSES = {
    "ForSequenceClassification": Modality.SPEECH,
    "ForAudioClassification": Modality.SPEECH,
    "ForImageClassification": Modality.FACE,
}
_SOUND = ("wav2vec2", "hubert", "wavlm", "unispeech", "sew", "data2vec-audio", "whisper")
_PATTERNS = ("*.json", "*.safetensors", "pytorch_model.bin", "*.txt", "tokenizer*")


def fetch(model_id: str) -> Path:
    """Return the folder of a model of the hub, ``owner/name``; download it if it is not here.

    Raises:
        MissingExtra: without the extra `hub`.
        InputError: if it cannot be had.
    """
    from ..io.download import is_offline

    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtra("hub", f"the model {model_id}") from None
    try:
        return Path(
            snapshot_download(
                model_id, allow_patterns=list(_PATTERNS), local_files_only=is_offline()
            )
        )
    except Exception as e:  # the client raises classes of several libraries
        raise InputError(
            f"the model {model_id} cannot be had: {str(e).splitlines()[0]}; check its name and the "
            "network, or name a folder that holds it"
        ) from e


def is_hub_id(text: str) -> bool:
    """Whether a text may be the name of a model of the hub.

    Example:
        >>> is_hub_id("superb/wav2vec2-base-superb-er"), is_hub_id("./model.onnx")
        (True, False)
    """
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", text)) and not Path(text).exists()


def read(folder: Path, work: Path, seconds: float = 3.0) -> Found:
    """Convert a model and compare it with the library's own answers.

    Args:
        folder: with ``config.json``, weights, and what says how input is prepared.
        work: folder for the graph.
        seconds: length of sound that the conversion is tried with.

    Raises:
        MissingExtra: without the extras `hub` and `train`.
        InputError: if it is no classifier, needs code of its own, or cannot be converted.
    """
    config = _json(folder / "config.json")
    modality = _modality(config, folder)
    model = _load(folder, config, modality)
    labels = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    preparation, example, tokenizer = _PREPARED[modality](folder, model, seconds)
    out = work / "model.onnx"
    difference = _export(model, example, out, modality, folder)
    multi = config.get("problem_type") == "multi_label_classification"
    return Found(
        out,
        f"Transformers ({type(model).__name__})",
        Scores.LOGITS,
        multi,
        labels,
        modality,
        preparation,
        tokenizer,
        _licence(folder),
        difference,
    )


def _modality(config: Mapping[str, Any], folder: Path) -> Modality:
    if "auto_map" in config:
        raise InputError(
            f"{folder} comes with code of its own (auto_map), which is not run; only architectures "
            "of the Transformers library itself can be imported"
        )
    names = config.get("architectures") or []
    for name in names:
        for ending, modality in _CLASSES.items():
            if name.endswith(ending):
                is_text = ending == "ForSequenceClassification" and not name.lower().startswith(
                    tuple(s.replace("-", "") for s in _SOUND)
                )
                return Modality.TEXT if is_text else modality
    raise InputError(
        f"{folder} holds {', '.join(names) or 'no architecture'}; expected a classifier with its "
        "head: one of …ForAudioClassification, …ForImageClassification, …ForSequenceClassification"
    )


def _load(folder: Path, config: Mapping[str, Any], modality: Modality) -> Any:
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtra("hub", "importing a model of the Transformers library") from None
    weights = [p for p in sorted(folder.iterdir()) if p.suffix in (".safetensors", ".bin")]
    if not any(p.name.startswith(("model", "pytorch_model")) for p in weights):
        raise InputError(
            f"{folder} holds no weights: expected model.safetensors or pytorch_model.bin"
        )
    for path in weights:
        refuse_large(path)
    kind = {
        Modality.SPEECH: transformers.AutoModelForAudioClassification,
        Modality.FACE: transformers.AutoModelForImageClassification,
        Modality.TEXT: transformers.AutoModelForSequenceClassification,
    }[modality]
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, told = kind.from_pretrained(
                folder,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                attn_implementation="eager",
                dtype=torch.float32,
            )
    except Exception as e:  # the library raises nothing narrower
        raise InputError(
            f"the Transformers library cannot read {folder}: {str(e).splitlines()[0]}; get the "
            "model again, or save it as safetensors"
        ) from e
    missing = sorted(k for k in told["missing_keys"] if "position_ids" not in k)
    if missing:
        raise InputError(
            f"the weights in {folder} lack {', '.join(missing[:3])}: this model would answer by "
            "chance; get one that was trained with its head"
        )
    for name, values in model.named_parameters():
        if torch.isnan(values).any():
            raise InputError(f"the weights {name!r} in {folder} hold values that are no numbers")
    return model.eval()


def _sound(folder: Path, model: Any, seconds: float) -> tuple[dict[str, Any], Any, Path | None]:
    import torch

    told = _json(folder / "preprocessor_config.json", optional=True)
    if told.get("feature_extractor_type") not in (None, "Wav2Vec2FeatureExtractor"):
        raise InputError(
            f"{folder} looks at {told['feature_extractor_type']}'s features; models of raw sound "
            "(wav2vec 2.0, HuBERT, WavLM) can be imported"
        )
    rate = int(told.get("sampling_rate", 16_000))
    preparation = {
        "features": ["waveform"],
        "rate": rate,
        "standard": "clip" if told.get("do_normalize", True) else "none",
    }
    return preparation, torch.randn(2, int(rate * seconds)), None


def _picture(folder: Path, model: Any, seconds: float) -> tuple[dict[str, Any], Any, Path | None]:
    import torch

    told = _json(folder / "preprocessor_config.json", optional=True)
    size = told.get("size", getattr(model.config, "image_size", 224))
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    if told.get("do_center_crop") and isinstance(told.get("crop_size"), Mapping):
        size = told["crop_size"]["height"]
    preparation: dict[str, Any] = {"side": int(size), "colour": "rgb", "layout": "nchw"}
    if told.get("do_normalize", True):
        preparation["standard"] = "set"
        preparation["mean"] = list(told.get("image_mean", (0.5, 0.5, 0.5)))
        preparation["deviation"] = list(told.get("image_std", (0.5, 0.5, 0.5)))
    else:
        preparation["standard"] = "unit"
    channels = int(getattr(model.config, "num_channels", 3))
    return preparation, torch.randn(2, channels, int(size), int(size)), None


def _words(folder: Path, model: Any, seconds: float) -> tuple[dict[str, Any], Any, Path | None]:
    import torch

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(
            f"{folder} has no tokenizer.json; write one with "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…)"
        )
    longest = int(getattr(model.config, "max_position_embeddings", 128))
    preparation = {"max_tokens": min(128, longest - 2), "spell_out": False}
    return preparation, torch.randint(5, min(100, int(model.config.vocab_size)), (2, 12)), path


_PREPARED = {Modality.SPEECH: _sound, Modality.FACE: _picture, Modality.TEXT: _words}


def _export(model: Any, example: Any, out: Path, modality: Modality, folder: Path) -> float:
    """Write the graph, and return the largest difference of its probabilities."""
    import torch

    from ..models.runtime import Session
    from ..training.core.export import _quiet, forget_origin

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, first: Any, attention_mask: Any = None) -> Any:
            given = {} if attention_mask is None else {"attention_mask": attention_mask}
            return self.model(first, **given).logits

    words = modality is Modality.TEXT
    inputs = (example, torch.ones_like(example)) if words else (example,)
    length = {1: "length"} if modality is not Modality.FACE else {}
    axes: Any = [{0: "batch", **length} for _ in inputs]
    names = ["input_ids", "attention_mask"] if words else ["input_values"]
    try:
        with _quiet():
            torch.onnx.export(
                Net().eval(),
                inputs,
                out,
                dynamo=True,
                external_data=False,
                dynamic_shapes=tuple(axes),
                input_names=names,
                output_names=["logits"],
                verbose=False,
            )
        forget_origin(out)
        session = Session(out, gpu=False)
        worst = 0.0
        for cut in (example.shape[-1], example.shape[-1] // 2 if length else example.shape[-1]):
            given = tuple(x[..., :cut] if length else x for x in inputs)
            with torch.inference_mode():
                expected = Net().eval()(*given).softmax(-1).numpy()
            got = torch.from_numpy(session.answer(*(x.numpy() for x in given))[0]).softmax(-1)
            worst = max(worst, float(np.abs(got.numpy() - expected).max()))
    except Exception as e:  # the exporter raises a family of its own
        raise InputError(
            f"{folder} cannot be converted to ONNX: {str(e).splitlines()[0]}; export it with "
            "optimum-cli, and import the .onnx file"
        ) from e
    if not worst <= TOLERANCE:
        raise InputError(
            f"{folder}, converted to ONNX, answers otherwise than the library does (by {worst:.2g})"
        )
    return worst


def _licence(folder: Path) -> str | None:
    readme = folder / "README.md"
    if not readme.is_file():
        return None
    head = readme.read_text(encoding="utf-8", errors="replace")[:4000]
    told = re.search(r"^license:\s*([^\s#]+)", head, re.MULTILINE)
    return told[1] if told else None


def _json(path: Path, optional: bool = False) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told
    except FileNotFoundError:
        if optional:
            return {}
        raise InputError(f"no file {path}") from None
    except (OSError, ValueError) as e:
        raise InputError(f"{path} cannot be read: {e}") from e
