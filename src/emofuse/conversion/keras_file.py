"""Keras models, of version 3 and of the times before: checked, then converted to ONNX once.

Keras reads them on our torch (extra `keras`). What a file may name is checked before Keras
sees it: layers that Keras itself has, none that carry code or read other files.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EmofuseError, InputError, MissingExtra
from .files import LARGEST, Format, format_of
from .found import Found
from .onnx_file import read as read_onnx

TOLERANCE = 1e-4
"""Largest difference from Keras's own answers that is the same model."""

_REFUSED = {
    "Lambda": "code of its own",
    "TFOpLambda": "operations of TensorFlow",
    "SlicingOpLambda": "operations of TensorFlow",
    "TensorFlowOpLayer": "operations of TensorFlow",
    "TorchModuleWrapper": "a pickled PyTorch module",
    "JaxLayer": "code of its own",
    "FlaxLayer": "code of its own",
    "TFSMLayer": "a TensorFlow program",
}
_ROOMS = (
    "layers",
    "initializers",
    "regularizers",
    "constraints",
    "activations",
    "dtype_policies",
    "mixed_precision",
    "models",
    "engine",
)
_JUST_TRAINING = ("compile_config", "build_config", "training_config")


def read(path: Path, work: Path, weights: Path | None = None) -> Found:
    """Check a Keras model, convert it to ONNX and compare both on random input.

    Args:
        path: ``.keras``, ``.h5``, or a JSON architecture.
        work: folder for the graph.
        weights: of an architecture.

    Raises:
        MissingExtra: without the extra `keras`.
        InputError: if it is damaged, carries code, or answers otherwise as ONNX.
    """
    keras = _keras()
    with _quiet():
        model = _load(keras, path, weights, work)
        x = _random_input(model, path)
        expected = np.asarray(model.predict(x, verbose=0))
        _use_native_lstm(keras, model.layers)
        out = work / "converted.onnx"
        _to_onnx(model, x, out, path)
    found = read_onnx(out, work)
    from ..models.runtime import Session

    session = Session(found.graph, gpu=False)
    got = session.answer(x)[0]
    difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
    if not difference <= TOLERANCE:
        raise InputError(
            f"{path}, converted to ONNX, answers otherwise than Keras does (by {difference:.2g}, "
            f"allowed is {TOLERANCE:g}); export it to ONNX yourself: model.export(…, format='onnx')"
        )
    raw = {"standard": "raw"} if _scales_inside(model) else found.preparation
    return Found(
        found.graph,
        f"Keras ({path.suffix.lower().lstrip('.')})",
        found.scores,
        found.multi_label,
        preparation=raw,
        checked=difference,
    )


def refuse_code(config: Any, path: Path) -> None:
    """Refuse a configuration that names anything but layers of Keras itself.

    Raises:
        InputError: if it does.
    """
    for name, module, registered in _named(config):
        if name in _REFUSED:
            raise InputError(
                f"{path} has a layer {name!r}, which holds {_REFUSED[name]}: it is not run. "
                "Replace it (Rescaling scales, Normalization standardizes), or export the model to "
                ".onnx or .tflite where it was made"
            )
        if not _is_own(module or "keras") or ">" in (registered or ""):
            raise InputError(
                f"{path} names {registered or f'{module}.{name}'}, which is not a layer of Keras "
                "itself: its code would have to be run. Export the model to .onnx or .tflite where "
                "it was made"
            )


def _is_own(module: str) -> bool:
    """Whether a module is one of Keras itself that holds layers and their parts."""
    for prefix in ("tensorflow.python.", "tensorflow.", "tf_"):
        module = module.removeprefix(prefix)
    home, *rooms = module.split(".")
    if rooms[:1] == ["src"]:
        rooms = rooms[1:]
    return home == "keras" and (not rooms or rooms[0] in _ROOMS)


def _named(config: Any) -> Iterator[tuple[str, str | None, str | None]]:
    """Everything that a configuration would make: class, module, registered name."""
    if isinstance(config, Mapping):
        name = config.get("class_name")
        if isinstance(name, str) and "config" in config:
            yield name, config.get("module"), config.get("registered_name")
        for key, value in config.items():
            if key not in _JUST_TRAINING:
                yield from _named(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _named(value)


def _keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtra("keras", "importing a Keras model") from None
    if keras.backend.backend() != "torch":
        raise InputError(
            f"Keras runs on {keras.backend.backend()} here, and models are converted on torch: "
            "unset KERAS_BACKEND, or set it to torch"
        )
    return keras


def _load(keras: Any, path: Path, weights: Path | None, work: Path) -> Any:
    kind = format_of(path)
    config = _config(path, kind)
    refuse_code(config, path)
    try:
        if kind is Format.ARCHITECTURE:
            return _from_architecture(keras, path, config, weights, work)
        if kind is Format.HDF5:
            _check_hdf5(path)
            whole = work / "whole.h5"
            shutil.copyfile(path, whole)
            return _from_hdf5(keras, whole, config)
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except EmofuseError:
        raise
    except Exception as e:  # Keras raises nothing narrower
        raise InputError(
            f"Keras {keras.__version__} cannot read {path}: {_first_line(e)}; save it as .keras "
            "with a current version, or export it to .onnx or .tflite where it was made"
        ) from e


def _from_hdf5(keras: Any, path: Path, config: Any) -> Any:
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(_modern(config))
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _modern(config: Any) -> Any:
    """Drop from a configuration of Keras 2 what changes nothing and Keras 3 does not know."""
    if isinstance(config, list):
        return [_modern(value) for value in config]
    if not isinstance(config, dict):
        return config
    out = {key: _modern(value) for key, value in config.items()}
    settings = out.get("config")
    if isinstance(settings, dict):
        if settings.get("time_major") is False:
            del settings["time_major"]
        if out.get("class_name") == "DepthwiseConv2D" and settings.get("groups") == 1:
            del settings["groups"]
        if out.get("class_name") == "BatchNormalization" and isinstance(settings.get("axis"), list):
            settings["axis"] = settings["axis"][0]
        if isinstance(settings.get("layers"), list) and "output_layers" in settings:
            out["config"] = _renumbered(settings)
    return out


def _renumbered(graph: dict[str, Any]) -> dict[str, Any]:
    """Count the calls of a model inside a model from 0, as Keras 3 does.

    Keras 2 counted the call by which the inner model was made, too.
    """
    inner = {
        layer["name"]
        for layer in graph["layers"]
        if layer.get("class_name") in ("Functional", "Model", "Sequential") and "name" in layer
    }
    named = {
        "layers": [x.get("inbound_nodes") for x in graph["layers"]],
        "to": graph["output_layers"],
    }
    first: dict[str, int] = {}
    for name, call in _calls(named, inner):
        first[name] = min(call, first.get(name, call))
    layers = [
        {**layer, "inbound_nodes": _shifted(layer.get("inbound_nodes"), first)}
        for layer in graph["layers"]
    ]
    return {**graph, "layers": layers, "output_layers": _shifted(graph["output_layers"], first)}


def _is_call(value: Any, names: Collection[str]) -> bool:
    is_list = isinstance(value, list) and len(value) >= 3
    return is_list and value[0] in names and isinstance(value[1], int)


def _calls(value: Any, names: Collection[str]) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _calls(part, names)
    elif isinstance(value, list):
        if value and isinstance(value[0], str):
            if _is_call(value, names):
                yield value[0], value[1]
            return
        for part in value:
            yield from _calls(part, names)


def _shifted(value: Any, first: Mapping[str, int]) -> Any:
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], str):
        return (
            [value[0], value[1] - first[value[0]], *value[2:]] if _is_call(value, first) else value
        )
    return [_shifted(part, first) for part in value]


def _from_architecture(
    keras: Any, path: Path, config: Any, weights: Path | None, work: Path
) -> Any:
    if weights is None:
        raise InputError(
            f"{path} is an architecture without weights: name both, as in "
            f"emofuse models import {path.name} weights.h5"
        )
    if format_of(weights) is not Format.HDF5:
        raise InputError(f"{weights} holds no Keras weights; expected a .h5 file")
    _check_hdf5(weights)
    import h5py

    with h5py.File(weights, "r") as old:
        if "layer_names" in old.attrs:  # of Keras 2: as one file, the way it saved whole models
            whole = work / "whole.h5"
            with h5py.File(whole, "w") as file:
                group = file.create_group("model_weights")
                for name, value in old.attrs.items():
                    group.attrs[name] = value
                for name in old:
                    old.copy(name, group)
            return _from_hdf5(keras, whole, config)
    kind = keras.Sequential if config.get("class_name") == "Sequential" else keras.Model
    model = kind.from_config(_modern(config)["config"])
    model.load_weights(weights)
    return model


def _use_native_lstm(keras: Any, layers: Iterable[Any]) -> None:
    """Let torch's own LSTM stand in for Keras's loop, which would be unrolled step by step."""
    for layer in layers:
        if isinstance(layer, keras.layers.Bidirectional):
            _use_native_lstm(keras, (layer.forward_layer, layer.backward_layer))
        elif isinstance(layer, keras.Model):
            _use_native_lstm(keras, layer.layers)
        elif isinstance(layer, keras.layers.LSTM) and _is_plain(keras, layer):
            layer.inner_loop = partial(_lstm, layer)


def _is_plain(keras: Any, layer: Any) -> bool:
    used = (layer.activation, layer.recurrent_activation)
    return used == (keras.activations.tanh, keras.activations.sigmoid)


def _lstm(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
    import torch

    if mask is not None:
        raise InputError("it masks time steps, which cannot be converted")
    weights = [layer.cell.kernel.value.T, layer.cell.recurrent_kernel.value.T]
    if layer.use_bias:
        bias = layer.cell.bias.value
        weights += [bias, torch.zeros_like(bias)]
    x = torch.flip(sequences, dims=[1]) if layer.go_backwards else sequences
    state = tuple(s.unsqueeze(0) for s in initial_state)
    outputs, h, c = torch._VF.lstm(x, state, weights, layer.use_bias, 1, 0.0, False, False, True)
    return outputs[:, -1], outputs, [h[0], c[0]]


def _config(path: Path, kind: Format) -> Any:
    try:
        if kind is Format.ARCHITECTURE:
            return json.loads(path.read_text(encoding="utf-8"))
        if kind is Format.KERAS:
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        import h5py

        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"{path} is a damaged Keras file: {e}; save the model again") from e
    if text is None:
        raise InputError(
            f"{path} holds weights without an architecture: name its .json too, as in "
            f"emofuse models import model.json {path.name}"
        )
    return json.loads(text)


def _check_hdf5(path: Path) -> None:
    """Refuse data that lie in other files, or would unpack to more than any model."""
    import h5py

    size = 0

    def visit(group: Any) -> None:
        nonlocal size
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise InputError(f"{path} points into another file ({link.filename!r}): refused")
            item = group[name]
            if isinstance(item, h5py.Group):
                visit(item)
                continue
            if item.external:
                raise InputError(f"{path} keeps {name!r} in another file: refused")
            size += item.size * item.dtype.itemsize
            if item.dtype.kind == "f" and size <= LARGEST and np.isnan(item[()]).any():
                raise InputError(
                    f"{path}: the weights {item.name!r} hold values that are no numbers (NaN): "
                    "the training went astray; save an earlier checkpoint"
                )

    try:
        with h5py.File(path, "r") as file:
            visit(file)
    except (OSError, RuntimeError) as e:
        raise InputError(f"{path} is a damaged HDF5 file: {e}; save or copy it again") from e
    if size > LARGEST:
        raise InputError(
            f"{path} unpacks to {size / 1e9:.1f} GB, at most {LARGEST / 1e9:.1f} GB can be imported"
        )


def _random_input(model: Any, path: Path) -> Any:
    inputs = model.inputs
    if len(inputs) != 1:
        raise InputError(f"{path} takes {len(inputs)} inputs; a model of one face or voice has one")
    shape = [96 if n is None else int(n) for n in inputs[0].shape[1:]]
    return np.random.default_rng(0).random((2, *shape), np.float32)


def _to_onnx(model: Any, x: Any, out: Path, path: Path) -> None:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, rows: Any) -> Any:
            return self.model(rows, training=False)

    try:
        torch.onnx.export(
            Net().eval(),
            (torch.from_numpy(x),),
            out,
            dynamo=True,
            external_data=False,
            dynamic_shapes=({0: "batch"},),
            optimize=True,
            verbose=False,
        )
    except Exception as e:  # the exporter raises a family of its own
        raise InputError(
            f"{path} cannot be converted to ONNX: {_first_line(e)}; export it to .onnx or .tflite "
            "where it was made"
        ) from e
    from ..training.core.export import forget_origin

    forget_origin(out)


def _scales_inside(model: Any) -> bool:
    layers = [layer for part in model.layers for layer in getattr(part, "layers", [part])]
    return any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in layers[:6])


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
    return line if len(line) <= 200 else f"{line[:200]}…"


@contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
