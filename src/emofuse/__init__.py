"""emofuse reads emotional expression from face, voice and words, and fuses the three.

    import emofuse
    timeline = emofuse.analyze("interview.mp4")

It reports *expressions*: what a face, a voice or a text shows. What a person
truly feels, no program can know.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analyzer import Analyzer, AnalyzerConfig
    from .core.estimates import Estimate, Modality, Probabilities, Subject
    from .core.observation import Observation
    from .core.timeline import Timeline
    from .errors import EmofuseError, InputError, MissingExtra, ModelError
    from .observe import Observer, analyze
    from .streaming import live

    __version__: str

__all__ = [
    "Analyzer",
    "AnalyzerConfig",
    "EmofuseError",
    "Estimate",
    "InputError",
    "MissingExtra",
    "Modality",
    "ModelError",
    "Observation",
    "Observer",
    "Probabilities",
    "Subject",
    "Timeline",
    "__version__",
    "analyze",
    "live",
]

# ONNX Runtime's wheels for Linux report their use to Microsoft unless this is set before they load.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOME = {
    "Analyzer": "analyzer",
    "AnalyzerConfig": "analyzer",
    "analyze": "observe",
    "Observer": "observe",
    "Observation": "core.observation",
    "live": "streaming",
    "Estimate": "core.estimates",
    "Modality": "core.estimates",
    "Probabilities": "core.estimates",
    "Subject": "core.estimates",
    "Timeline": "core.timeline",
    "EmofuseError": "errors",
    "InputError": "errors",
    "MissingExtra": "errors",
    "ModelError": "errors",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing emofuse costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        globals()[name] = version("emofuse")
        return globals()[name]
    if name not in _HOME:
        raise AttributeError(f"module 'emofuse' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
