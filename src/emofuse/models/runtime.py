"""The one wrapper around ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

if TYPE_CHECKING:
    import onnxruntime


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

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph on named inputs and return its outputs in order."""
        outputs: list[NDArray[Any]] = self._session.run(None, dict(feeds))
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
