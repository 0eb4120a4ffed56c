"""The one wrapper around LiteRT, which runs TFLite files; the extra `tflite` brings it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra, ModelError


class LiteRtSession:
    """A TFLite file ready to run, a row at a time; see `runtime.Session`.

    Quantized inputs and outputs are converted from and to float32 with the scales that
    the file holds, so that a model in int8 takes and gives what one in float32 does.

    Args:
        path: the ``.tflite`` file.
        threads: threads of one inference (≥ 1).

    Raises:
        MissingExtra: without LiteRT.
        ModelError: if the file cannot be loaded.
    """

    batch: int | None = 1

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise MissingExtra("tflite", f"the model file {path.name}") from None
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as e:
            raise ModelError(f"cannot load the model file {path}: {e}") from e
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self.inputs: tuple[str, ...] = tuple(i["name"] for i in self._inputs)
        self.outputs: tuple[str, ...] = tuple(o["name"] for o in self._outputs)
        self.shapes: tuple[tuple[int | None, ...], ...] = tuple(
            tuple(None if n < 1 else int(n) for n in i["shape_signature"]) for i in self._inputs
        )

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph on named inputs of one row and return its outputs in order."""
        for detail in self._inputs:
            row = feeds[detail["name"]]
            if tuple(detail["shape"]) != row.shape:
                self._interpreter.resize_tensor_input(detail["index"], row.shape)
                self._interpreter.allocate_tensors()
                self._inputs = self._interpreter.get_input_details()
        for detail in self._inputs:
            self._interpreter.set_tensor(detail["index"], _quantized(feeds[detail["name"]], detail))
        self._interpreter.invoke()
        return [_real(self._interpreter.get_tensor(o["index"]), o) for o in self._outputs]

    @property
    def providers(self) -> list[str]:
        """What computes."""
        return ["LiteRT"]


def _quantized(values: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[Any]:
    scale, zero = detail["quantization"]
    kind = np.dtype(detail["dtype"])
    if not scale or kind.kind == "f":
        return values.astype(kind, copy=False)
    bounds = np.iinfo(kind)
    levels: NDArray[Any] = np.clip(np.round(values / scale) + zero, bounds.min, bounds.max)
    return levels.astype(kind)


def _real(values: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[Any]:
    scale, zero = detail["quantization"]
    if not scale or values.dtype.kind == "f":
        return values.astype(np.float32) if values.dtype == np.float16 else values
    real: NDArray[Any] = (values.astype(np.float32) - zero) * np.float32(scale)
    return real
