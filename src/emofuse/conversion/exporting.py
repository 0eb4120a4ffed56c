"""Our models for other runtimes, checked there against the answers here.

TFLite is written by onnx2tf (2.6 or newer), which runs as a program of its own: it needs
Python 3.12 and pins the versions of what it uses. Weights in int8 come from Google's AI Edge
Quantizer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtra, ModelError
from ..io.files import refuse_existing
from ..models.golden import golden_path, read_golden
from ..models.recogniser import OnnxRecogniser
from ..models.registry import load
from ..models.runtime import answer, open_graph
from ..models.store import Store

if TYPE_CHECKING:
    import onnx

_TIMEOUT = 600  # seconds that the converter may take


class Target(str, Enum):
    """What a model can be exported to."""

    ONNX = "onnx"
    TFLITE = "tflite"
    OPENVINO = "openvino"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and how it compares.

    Args:
        path: the file.
        bytes: its size, with the files beside it that belong to it.
        milliseconds: median time of a sample, one thread.
        difference: largest difference of logits from the model's on its golden inputs.
        same_labels: whether the same label is the best for each of them.
        onnx_bytes: size of the model that it was made from.
        onnx_milliseconds: median time of a sample there, one thread.
    """

    path: Path
    bytes: int
    milliseconds: float
    difference: float
    same_labels: bool
    onnx_bytes: int
    onnx_milliseconds: float


def export_model(
    model_id: str,
    target: Target,
    out: Path,
    *,
    int8: bool = False,
    overwrite: bool = False,
    store: Store | None = None,
) -> list[Exported]:
    """Export a model, in float32 and on request with weights in int8.

    Args:
        model_id: of a card.
        target: the format.
        out: folder for the files.
        int8: also write weights in int8, with inputs and outputs in float32; TFLite only.
        overwrite: replace files.
        store: where the model is; default: `Store()`.

    Raises:
        InputError: if the model cannot be exported to that format, or a file is in the way.
        MissingExtra: if the converter is not installed.
        ModelError: if the converter fails, or its file answers otherwise.
    """
    store = store or Store()
    card = store.card(model_id)
    recogniser = load(model_id, store)
    source = store.files(card)["weights"]
    if not isinstance(recogniser, OnnxRecogniser):
        raise InputError(f"{model_id!r} is no model of one graph and cannot be exported")
    if source.suffix != ".onnx":
        raise InputError(f"{model_id!r} is a {source.suffix} file itself: {source}")
    if int8 and target is not Target.TFLITE:
        raise InputError(f"--int8 is for tflite; got {target.value}")
    samples = list(read_golden(golden_path(card, store.home(card))).inputs)
    rows = [recogniser.prepare(sample) for sample in samples]
    with tempfile.TemporaryDirectory(prefix="emofuse-export-") as work:
        made = _WRITERS[target](source, Path(work), model_id, rows[0])
        if int8:
            made.append(_with_int8(made[0], Path(work) / f"{model_id}-int8.tflite"))
        for path in made:
            refuse_existing(out / path.name, overwrite)
        out.mkdir(parents=True, exist_ok=True)
        before = source.stat().st_size, _answers(source, rows, Target.ONNX)[1]
        return [_compared(path, out, recogniser, rows, target, before) for path in made]


def _onnx(source: Path, work: Path, model_id: str, row: Any) -> list[Path]:
    path = work / f"{model_id}.onnx"
    shutil.copyfile(source, path)
    return [path]


def _openvino(source: Path, work: Path, model_id: str, row: Any) -> list[Path]:
    try:
        import openvino
    except ImportError:
        raise MissingExtra("openvino", "exporting to OpenVINO") from None
    path = work / f"{model_id}.xml"
    openvino.save_model(openvino.convert_model(str(source)), str(path), compress_to_fp16=False)
    return [path]


def _tflite(source: Path, work: Path, model_id: str, row: Any) -> list[Path]:
    from .onnx_file import load as load_onnx

    program = _converter()
    model = load_onnx(source)
    _to_plain_float(model, row.shape)
    import onnx

    plain = work / f"{model_id}.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), plain)
    name = model.graph.input[0].name
    command = [program, "-i", str(plain), "-o", str(work / "out"), "-n", "-kat", name]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            env=environment,
            cwd=work,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"onnx2tf took more than {_TIMEOUT} s for {model_id!r}") from None
    written = work / "out" / f"{model_id}_float32.tflite"
    if done.returncode or not written.is_file():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelError(f"onnx2tf could not convert {model_id!r}: {last[0][:300]}")
    path = work / f"{model_id}.tflite"
    written.replace(path)
    return [path]


_WRITERS = {Target.ONNX: _onnx, Target.TFLITE: _tflite, Target.OPENVINO: _openvino}


def _converter() -> str:
    """Find onnx2tf: named by the environment, on the path, or beside this Python."""
    beside = Path(sys.executable).with_name("onnx2tf")
    found = os.environ.get("EMOFUSE_ONNX2TF") or shutil.which("onnx2tf")
    if not found and beside.is_file():
        found = str(beside)
    if not found:
        raise InputError(
            "exporting to TFLite needs the program onnx2tf (2.6 or newer, Python 3.12): install it "
            "in an environment of its own, as with  pipx install onnx2tf , and put it on PATH or "
            "name it in EMOFUSE_ONNX2TF"
        )
    return found


def _to_plain_float(model: onnx.ModelProto, row: Sequence[int]) -> None:
    """Turn a graph with weights in int8 or float16 into one of float32 for single rows."""
    from onnx import helper, numpy_helper

    graph = model.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    instead: dict[str, str] = {}
    quantized: dict[str, str] = {}
    kept = []
    for node in graph.node:
        inputs = [instead.get(name, name) for name in node.input]
        if node.op_type == "Cast" and inputs[0] in values:
            kind = helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
            values[node.output[0]] = values[inputs[0]].astype(kind)
        elif node.op_type == "DequantizeLinear" and inputs[0] in values:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            values[node.output[0]] = _real(*(values[name] for name in inputs), axis=axis)
        elif node.op_type == "QuantizeLinear":
            quantized[node.output[0]] = inputs[0]
        elif node.op_type == "DequantizeLinear" and inputs[0] in quantized:
            instead[node.output[0]] = quantized[inputs[0]]
        else:
            node.input[:] = inputs
            kept.append(node)
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:], graph.value_info[:], graph.output[1:]
    graph.node.extend(kept)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in values.items() if k in used
    )
    for dimension, size in zip(graph.input[0].type.tensor_type.shape.dim, (1, *row), strict=True):
        dimension.dim_value = size
    graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1


def _real(
    levels: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None = None, *, axis: int = 1
) -> NDArray[np.float32]:
    shape = [1] * levels.ndim
    if scale.ndim:
        shape[axis] = -1
    offset = 0 if zero is None else zero.astype(np.float32).reshape(shape if zero.ndim else ())
    factor = scale.reshape(shape) if scale.ndim else scale
    real: NDArray[np.float32] = ((levels.astype(np.float32) - offset) * factor).astype(np.float32)
    return real


def _with_int8(path: Path, out: Path) -> Path:
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError:
        raise MissingExtra("tflite-export", "weights in int8") from None
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        made = quantizer.Quantizer(str(path), recipe.dynamic_wi8_afp32()).quantize()
        made.export_model(str(out))
    return out


def _compared(
    path: Path,
    out: Path,
    recogniser: OnnxRecogniser,
    rows: Sequence[NDArray[Any]],
    target: Target,
    before: tuple[int, float],
) -> Exported:
    said, milliseconds = _answers(path, rows, target)
    difference, same = _distance(said, recogniser, rows)
    parts = [path, *([path.with_suffix(".bin")] if target is Target.OPENVINO else [])]
    for part in parts:
        shutil.move(part, out / part.name)
    size = sum((out / part.name).stat().st_size for part in parts)
    return Exported(out / path.name, size, milliseconds, difference, same, *before)


def _distance(
    said: NDArray[Any], recogniser: OnnxRecogniser, rows: Sequence[NDArray[Any]]
) -> tuple[float, bool]:
    card = recogniser.card
    logits = card.scores.logits(said[:, : len(card.taxonomy)], card.taxonomy.multi_label)
    expected = np.concatenate([recogniser.logits([row]) for row in rows])
    difference = float(np.abs(logits - expected).max())
    return difference, bool((logits.argmax(1) == expected.argmax(1)).all())


def _answers(
    path: Path, rows: Sequence[NDArray[Any]], target: Target
) -> tuple[NDArray[Any], float]:
    """Run the file on each row: its first output, and the median time of a row in ms."""
    ask = _openvino_graph(path) if target is Target.OPENVINO else None
    graph = None if ask else open_graph(path)
    said, times = [], []
    for row in [rows[0], *rows]:  # the first run is not counted
        start = time.perf_counter()
        said.append(ask(row[None]) if ask else answer(graph, row[None])[0])  # type: ignore[arg-type]
        times.append(time.perf_counter() - start)
    return np.concatenate(said[1:]), float(np.median(times[1:]) * 1e3)


def _openvino_graph(path: Path) -> Any:
    import openvino

    settings: Mapping[str, Any] = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", dict(settings))
    return lambda batch: np.asarray(compiled(batch)[compiled.output(0)])
