"""Telling model files apart by their content, and refusing what cannot be read safely."""

from __future__ import annotations

import struct
import zipfile
from enum import Enum
from pathlib import Path

from ..errors import InputError

LARGEST = 2 << 30
"""Largest model in bytes: what an ONNX file can hold."""

_RATIO = 200  # unpacked bytes per packed one beyond which an archive is a bomb


class Format(str, Enum):
    """What a file is."""

    ONNX = "ONNX"
    TFLITE = "TFLite"
    KERAS = "Keras"
    HDF5 = "Keras (HDF5)"
    ARCHITECTURE = "Keras architecture (JSON)"
    SAFETENSORS = "safetensors"
    STATE_DICT = "PyTorch state dict"
    FOLDER = "Transformers"


def format_of(path: Path) -> Format:
    """Return what a file or folder is, by its content.

    Raises:
        InputError: if it is missing, too large, unsafe, or no model that can be read.
    """
    if path.is_dir():
        return _format_of_folder(path)
    if not path.is_file():
        raise InputError(f"no file or folder {path}; expected a model's file or folder")
    refuse_large(path)
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] == b"TFL3":
        return Format.TFLITE
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return Format.HDF5
    if head[:4] == b"PK\x03\x04":
        return _format_of_archive(path)
    if head[:1] == b"\x80" and 2 <= head[1] <= 5:
        raise InputError(_pickle(path))
    if (
        len(head) > 8
        and 2 <= struct.unpack("<Q", head[:8])[0] <= path.stat().st_size
        and (head[8:9] == b"{")
    ):
        return Format.SAFETENSORS
    if head.lstrip()[:1] == b"{":
        return Format.ARCHITECTURE
    if head[:1] == b"\x08" or path.suffix.lower() == ".onnx":
        return Format.ONNX
    raise InputError(f"{path} is no model that can be read; {_EXPECTED}")


_EXPECTED = (
    "expected .onnx, .tflite, .keras, .h5 (or architecture .json and weights .h5), .safetensors, "
    "a state dict, or a folder of the Transformers library"
)


def refuse_large(path: Path) -> None:
    """Refuse a file of more than `LARGEST` bytes.

    Raises:
        InputError: if it is.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise InputError(
            f"{path} has {size / 1e9:.1f} GB, at most {LARGEST / 1e9:.1f} GB can be imported: "
            "export a smaller model, or this one in float16 or int8"
        )


def refuse_bomb(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that unpacks to far more than it is.

    Raises:
        InputError: if it does.
    """
    members = archive.infolist()
    whole, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if whole > LARGEST or whole > _RATIO * max(packed, 4096):
        raise InputError(
            f"{path} would unpack from {packed / 1e6:.1f} to {whole / 1e6:.0f} MB, as no model "
            "does; save the model anew with the library that made it"
        )


def _format_of_archive(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(archive, path)
            names = archive.namelist()
    except zipfile.BadZipFile as e:
        raise InputError(f"{path} is a damaged archive ({e}); save or copy it again") from e
    if "config.json" in names and any(n.endswith("model.weights.h5") for n in names):
        return Format.KERAS
    if any(n.endswith("constants.pkl") or "/code/" in n for n in names):
        raise InputError(
            f"{path} is TorchScript, which carries code; save its state dict as safetensors, or "
            "export it with torch.onnx.export"
        )
    if any(n.endswith("data.pkl") for n in names):
        return Format.STATE_DICT
    raise InputError(f"{path} is an archive of something else; {_EXPECTED}")


def _format_of_folder(path: Path) -> Format:
    if (path / "config.json").is_file():
        return Format.FOLDER
    if (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path} is a TensorFlow SavedModel, which carries a program; save the model as .keras "
            "or .tflite instead"
        )
    raise InputError(f"{path} has no config.json; expected a folder of the Transformers library")


def _pickle(path: Path) -> str:
    return (
        f"{path} is a pickle, and reading one runs whatever it holds: it is not opened. Save the "
        "model's weights as safetensors, or the whole model as .onnx, .keras or .tflite"
    )
