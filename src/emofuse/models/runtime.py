"""What runs a model's graph: ONNX Runtime, or LiteRT for a TFLite file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

if TYPE_CHECKING:
    import onnxruntime


class Graph(Protocol):
    """A graph ready to run."""

    inputs: tuple[str, ...]
    """Names of its inputs."""
    outputs: tuple[str, ...]
    """Names of its outputs."""
    shapes: tuple[tuple[int | None, ...], ...]
    """Shape of each input; None where it is free."""
    batch: int | None
    """How many rows it takes at once; None: any number."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph on named inputs and return its outputs in order."""
        ...

    @property
    def providers(self) -> list[str]:
        """What computes, the preferred first."""
        ...


_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def open_graph(path: Path, threads: int = 1) -> Graph:
    """Load a graph with the runtime that its file is for: ``.tflite``, else ONNX.

    Raises:
        MissingExtra: if the runtime is not installed.
        ModelError: if the file cannot be loaded.
    """
    if path.suffix.lower() == ".tflite":
        from .litert import LiteRtSession

        return LiteRtSession(path, threads)
    return Session(path, threads)


def answer(graph: Graph, *batch: NDArray[Any]) -> list[NDArray[Any]]:
    """Run a graph on its inputs by position, in as many steps as its batch size asks for.

    Returns:
        Its outputs in order, each with as many rows as the inputs.
    """
    rows, size = len(batch[0]), graph.batch or len(batch[0])
    steps = []
    for start in range(0, rows, size):
        part = [_filled(x[start : start + size], size) for x in batch]
        out = graph.run(dict(zip(graph.inputs, part, strict=True)))
        steps.append([x[: rows - start] for x in out])
    return [np.concatenate(x) for x in zip(*steps, strict=True)] if len(steps) > 1 else steps[0]


def _filled(rows: NDArray[Any], size: int) -> NDArray[Any]:
    """Repeat the last row until there are `size`: a fixed batch takes no fewer."""
    missing = size - len(rows)
    return np.concatenate((rows, np.repeat(rows[-1:], missing, axis=0))) if missing else rows


class Session:
    """An ONNX graph ready to run.

    One intra-op thread and no spinning by default: several sessions beside each
    other on a small machine are then fastest, and an idle one costs nothing.

    Args:
        path: the ``.onnx`` file.
        threads: intra-op threads (≥ 1).
        gpu: use a GPU provider if this build of ONNX Runtime has one.

    Raises:
        ModelError: if the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 1, gpu: bool = True) -> None:
        self._session = _open(path, threads, gpu)
        self.inputs: tuple[str, ...] = tuple(i.name for i in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())
        self.shapes: tuple[tuple[int | None, ...], ...] = tuple(
            tuple(n if isinstance(n, int) else None for n in i.shape)
            for i in self._session.get_inputs()
        )
        self._types = {i.name: _TYPES.get(i.type) for i in self._session.get_inputs()}
        self.batch: int | None = next((s[0] for s in self.shapes if s), None)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph on named inputs and return its outputs in order."""
        typed = {name: np.asarray(x, self._types[name]) for name, x in feeds.items()}
        outputs: list[NDArray[Any]] = self._session.run(None, typed)
        return outputs

    def answer(self, *batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the graph on its inputs by position and return its outputs in order."""
        return self.run(dict(zip(self.inputs, batch, strict=True)))

    def logits(self, *batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the graph on its inputs by position and return its first output."""
        out: NDArray[np.float32] = self.answer(*batch)[0]
        return out

    @property
    def providers(self) -> list[str]:
        """Execution providers in use, best first."""
        providers: list[str] = self._session.get_providers()
        return providers


def _open(path: Path, threads: int, gpu: bool) -> onnxruntime.InferenceSession:
    import onnxruntime as ort  # heavy; only who runs a model pays

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    wanted = ["CUDAExecutionProvider", "CoreMLExecutionProvider"] if gpu else []
    available = ort.get_available_providers()
    providers = [p for p in wanted if p in available] + ["CPUExecutionProvider"]
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as e:  # ONNX Runtime raises a family of its own classes
        raise ModelError(f"cannot load the model file {path}: {e}") from e
