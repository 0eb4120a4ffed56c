"""What is not a model, not this model, or not safe, is refused in words that say what to do."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
from tests.conversion.conftest import SEVEN, MakeOnnx, needs_keras

from emofuse.conversion import files, keras_file
from emofuse.conversion.importing import ImportPlan, import_model
from emofuse.core.modality import Modality
from emofuse.errors import EmofuseError, InputError


def refuse(path: Path, match: str, **told: object) -> None:
    with pytest.raises(EmofuseError, match=match):
        import_model(
            ImportPlan(
                **{  # type: ignore[arg-type]
                    "paths": (str(path),),
                    "labels": SEVEN,
                    "input": "unit",
                    "out": path.parent / "m",
                    **told,
                }
            )
        )
    assert not list((path.parent / "m").glob("*"))


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> object:
        return (Path.write_text, (Path("ran"), "code ran"))


def test_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    refuse(path, "pickle.*not opened.*safetensors")
    assert not (tmp_path / "ran").exists()


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(30_000_000))
    refuse(path, "would unpack")


def test_two_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(files.LARGEST + 1)  # sparse: takes no room
    refuse(path, "at most .* GB.*float16")


def test_operators_of_a_plugin(make_onnx: MakeOnnx) -> None:
    refuse(make_onnx(last="Secret", domain="evil.ops"), "evil.ops::Secret.*standard operators")


def test_weights_outside_the_folder(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    import onnx

    path = make_onnx()
    model = onnx.load(path)
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = weights.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    path.write_bytes(model.SerializeToString())
    refuse(path, "passwd.*not a file in its folder")


def test_weights_that_are_no_numbers(make_onnx: MakeOnnx) -> None:
    refuse(make_onnx(nan=True), "NaN")


def test_labels_that_do_not_fit(make_onnx: MakeOnnx) -> None:
    refuse(make_onnx(labels=8), "got 7 .*8 values")


def test_a_model_for_something_else(make_onnx: MakeOnnx) -> None:
    path = make_onnx(("n", 3, 32, 32))
    refuse(path, "not token ids", modality=Modality.TEXT, input="")
    refuse(path, "no model for voices", modality=Modality.SPEECH, input="mfcc")
    refuse(path, "got 48.*takes 32", input="48x48,unit")


def test_garbage(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08not a protobuf at all" * 99)
    refuse(path, "damaged")
    path.write_bytes(b"hello")
    path = path.rename(tmp_path / "model.bin")
    refuse(path, "no model that can be read")


def test_truncated_tflite(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite")
    path = tmp_path / "cut.tflite"
    path.write_bytes((data / "int8.tflite").read_bytes()[:900])
    refuse(path, "damaged|cannot load")


@needs_keras
def test_layers_with_code(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "lambda.keras"
    path.write_bytes((data / "lambda.keras").read_bytes())
    refuse(path, "Lambda.*not run.*Rescaling")


@pytest.mark.parametrize(
    "named",
    [
        {"class_name": "Lambda", "config": {}},
        {"class_name": "Mine", "module": "mine.layers", "config": {}},
        {"class_name": "function", "module": "builtins", "config": "eval"},
        {"class_name": "function", "module": "keras.utils", "config": "get_file"},
        {"class_name": "function", "module": "keras.src.utils.file_utils", "config": "get_file"},
        {"class_name": "Mine", "module": None, "registered_name": "mine>Mine", "config": {}},
        {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/"}},
    ],
)
def test_names_of_code_in_a_configuration(named: dict[str, object]) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"deep": [named]}]}}
    with pytest.raises(InputError):
        keras_file.refuse_code(config, Path("model.keras"))
