"""What a TFLite file tells, and what in it is refused."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingExtra
from ..models.card import Scores
from .found import Found

_TRANSPARENT = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "CAST", "SQUEEZE")
_LARGEST_LABELS = 64 * 1024  # bytes of a label file inside


def read(path: Path, work: Path) -> Found:
    """Check a TFLite file and describe it.

    Raises:
        MissingExtra: without the extra `tflite`.
        InputError: if it is damaged, or asks for operators of a plug-in or of TensorFlow.
    """
    try:
        import tflite
    except ImportError:
        raise MissingExtra("tflite", "importing a TFLite file") from None
    try:
        model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        graph = model.Subgraphs(0)
        names = _operators(tflite, model, graph, path)
        scores, multi_label = _scores(graph, names)
        preparation = _quantization(tflite, graph)
    except (IndexError, TypeError, ValueError, AttributeError, __import__("struct").error) as e:
        raise InputError(f"{path} is a damaged TFLite file: {e}; convert the model again") from e
    out = work / "model.tflite"
    shutil.copyfile(path, out)
    return Found(out, "TFLite", scores, multi_label, _labels(path), preparation=preparation)


def _operators(tflite: Any, model: Any, graph: Any, path: Path) -> list[str]:
    """Names of the operators in order; those of plug-ins are refused."""
    by_code = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    names = []
    for i in range(graph.OperatorsLength()):
        code = model.OperatorCodes(graph.Operators(i).OpcodeIndex())
        custom = code.CustomCode()
        if custom is not None:
            raise InputError(
                f"{path} uses the operator {custom.decode(errors='replace')!r} of a plug-in or of "
                "TensorFlow itself, which LiteRT does not have; convert the model with "
                "TFLITE_BUILTINS only"
            )
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        names.append(by_code.get(number, str(number)))
    return names


def _scores(graph: Any, names: list[str]) -> tuple[Scores, bool]:
    """Tell by the last operator what the first output is."""
    producer = {
        int(graph.Operators(i).Outputs(j)): i
        for i in range(graph.OperatorsLength())
        for j in range(graph.Operators(i).OutputsLength())
    }
    tensor = int(graph.Outputs(0))
    while tensor in producer:
        i = producer[tensor]
        if names[i] in ("SOFTMAX", "LOGISTIC"):
            return Scores.PROBABILITIES, names[i] == "LOGISTIC"
        if names[i] not in _TRANSPARENT:
            break
        tensor = int(graph.Operators(i).Inputs(0))
    return Scores.LOGITS, False


def _quantization(tflite: Any, graph: Any) -> dict[str, Any]:
    """Read the range of the input off its scale and zero point."""
    tensor = graph.Tensors(int(graph.Inputs(0)))
    quantization = tensor.Quantization()
    if quantization is None or quantization.ScaleLength() != 1 or len(tensor.ShapeAsNumpy()) < 3:
        return {}
    scale, zero = float(quantization.Scale(0)), int(quantization.ZeroPoint(0))
    levels = {tflite.TensorType.INT8: -128, tflite.TensorType.UINT8: 0}
    lowest = levels.get(tensor.Type())
    if lowest is None:
        return {}
    low, high = (lowest - zero) * scale, (lowest + 255 - zero) * scale
    for name, wanted in (("unit", (0, 1)), ("signed", (-1, 1)), ("raw", (0, 255))):
        width = wanted[1] - wanted[0]
        if max(abs(low - wanted[0]), abs(high - wanted[1])) < 0.03 * width:
            return {"standard": name}
    return {}


def _labels(path: Path) -> tuple[str, ...]:
    """Labels that came packed into the file as metadata."""
    if not zipfile.is_zipfile(path):
        return ()
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".txt") and member.file_size <= _LARGEST_LABELS:
                lines = archive.read(member).decode("utf-8", "replace").splitlines()
                return tuple(line.strip() for line in lines if line.strip())
    return ()
