"""Writing what a model consists of besides its graph: the card and the golden pair."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..io.download import file_digest
from .card import Card, read_card
from .recogniser import OnnxRecogniser


def write_card(fields: Mapping[str, Any], out_dir: Path, files: Mapping[str, Path]) -> Card:
    """Write ``ID.toml`` with a description of the files and return the card that it describes.

    Raises:
        ModelError: if the fields do not make a card.
    """
    path = out_dir / f"{fields['id']}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    described = {role: describe(file) for role, file in files.items()}
    path.write_text(to_toml({**fields, "files": described}), encoding="utf-8")
    return read_card(path)


def write_golden(recogniser: OnnxRecogniser, samples: Sequence[Any], out_dir: Path) -> Path:
    """Write raw samples and the logits that they give, for a test to replay.

    ``ID.golden.npz`` holds ``input_0``, ``input_1`` … (what `prepare` takes; a text as
    an array of one string) and ``logits``, float32 (samples, labels).
    """
    path = out_dir / f"{recogniser.model_id}.golden.npz"
    logits = recogniser.logits([recogniser.prepare(sample) for sample in samples])
    inputs = {f"input_{i}": np.asarray(sample) for i, sample in enumerate(samples)}
    np.savez_compressed(path, logits=logits, **inputs)  # type: ignore[arg-type]
    return path


def to_toml(fields: Mapping[str, Any]) -> str:
    """Write plain types as TOML: scalars and lists first, then tables and lists of tables.

    None is left out, as TOML has no such value.
    """
    return "\n".join(_toml_lines(fields, ())).strip() + "\n"


def _toml_lines(fields: Mapping[str, Any], under: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    tables: list[str] = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            name = (*under, _key(key))
            tables += ["", f"[{'.'.join(name)}]", *_toml_lines(value, name)]
        elif _is_list_of_tables(value):
            name = (*under, _key(key))
            for row in value:
                tables += ["", f"[[{'.'.join(name)}]]", *_toml_lines(row, name)]
        elif value is not None:
            lines.append(f"{_key(key)} = {_toml_value(value)}")
    return lines + tables


def _is_list_of_tables(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple)) and len(value) > 0
    return is_list and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise ValueError(f"a card cannot hold the number {value}")
        return repr(float(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False)  # TOML's strings escape as JSON's do
    raise TypeError(f"cannot write {type(value).__name__} as TOML: {value!r}")


def describe(path: Path) -> dict[str, Any]:
    """Return what a card says of a file."""
    return {"name": path.name, "sha256": file_digest(path), "bytes": path.stat().st_size}
