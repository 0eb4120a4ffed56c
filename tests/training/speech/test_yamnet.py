"""YAMNet in torch is YAMNet.

What TensorFlow Lite's own interpreter (LiteRT 2.3.0) makes of `sound` is kept in
yamnet.npz: the log-mel patch it computes and the embedding. Needs yamnet.tflite;
what reads such files is tested on a file made here as well.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.speech.made_tflite import made_file
from tests.training.speech.voices import assert_ships, learn

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.speech.recognise import Preparation
from emofuse.training.core.nets import kind
from emofuse.training.speech.nets import yamnet
from emofuse.training.speech.nets.tflite_weights import Layer, read_layers

pytestmark = pytest.mark.slow  # trains nets


REFERENCE = Path(__file__).with_name("yamnet.npz")
ROOT = Path(__file__).parents[3]
FILE = Path(os.environ.get("EMOFUSE_DATA", ROOT.parent / "shared" / "data")) / "models"
FILE /= "yamnet.tflite"
needs_yamnet = pytest.mark.skipif(
    not FILE.exists(), reason="no models/yamnet.tflite in the folder EMOFUSE_DATA"
)


def sound() -> np.ndarray:
    """A gliding tone with overtones in hiss, of one patch."""
    t = np.arange(15_600) / 16_000
    tone = sum(np.sin(2 * np.pi * k * (120 * t + 90 * t**2)) / k for k in range(1, 12))
    hiss = np.random.default_rng(5).normal(0, 0.01, t.size)
    return (0.08 * tone * (1 + np.sin(25 * t)) + hiss).astype(np.float32)


@pytest.fixture(scope="module")
def layers() -> tuple[Layer, ...]:
    return yamnet.read_yamnet(FILE)


@needs_yamnet
def test_embeddings_are_those_of_the_published_file(layers: tuple[Layer, ...]) -> None:
    """As close as int8 allows; closer if activations are rounded as there.

    Then layers are equal to the interpreter's (all 27 on one sound, on another until a
    value lies just between two steps), and what is left is how such ties spread.
    """
    net = yamnet.Yamnet(layers).eval()
    with np.load(REFERENCE) as kept, torch.inference_mode():
        expected, log_mel = kept["embedding"], kept["log_mel"]
        patches = net.patches(torch.from_numpy(sound())[None])
        np.testing.assert_allclose(patches[0, 0], log_mel, atol=3e-3)  # kept as float16
        found = net.embed_patches(patches)[0, 0].numpy()
        rounded = rounding_as_the_file(net, layers, patches[0])
    assert likeness(found, expected) > 0.9985
    assert likeness(rounded, expected) > 0.999
    assert np.abs(rounded - expected).mean() < 2e-3


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def rounding_as_the_file(net: Any, layers: tuple[Layer, ...], patch: Any) -> np.ndarray:
    (into,) = (x.output for x in read_layers(FILE) if x.operation == "QUANTIZE")
    assert into is not None
    ranges = [x.output for x in layers if x.operation.endswith("CONV_2D")]
    maps = to_int8(patch[:, None], into)
    for layer, law in zip(net.layers, ranges, strict=True):
        assert law is not None
        maps = to_int8(torch.relu(layer(maps)), law)
    return maps.mean(dim=(2, 3))[0].numpy()


def to_int8(values: Any, law: tuple[float, float]) -> Any:
    scale = (law[1] - law[0]) / 255
    zero = round(-128 - law[0] / scale)
    return (torch.clamp(torch.round(values / scale) + zero, -128, 127) - zero) * scale


@needs_yamnet
def test_longer_sound_has_more_patches(layers: tuple[Layer, ...]) -> None:
    net = yamnet.Yamnet(layers).eval()
    x = torch.from_numpy(np.tile(sound(), 3))[None]
    with torch.inference_mode():
        assert net(x[:, :15_600]).shape == (1, 1, 1024)
        assert net(x).shape == (1, 5, 1024)
        torch.testing.assert_close(net(x[:, 2 * 7680 :])[:, 0], net(x)[:, 2], atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="needs 15600 samples, got 15599"):
        net(x[:, :15_599])


@needs_yamnet
@pytest.mark.parametrize("frozen", [True, False])
def test_it_learns_voices_frozen_or_not(frozen: bool, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = kind(Modality.SPEECH, "yamnet")
    preparation = Preparation(**architecture.preparation, seconds=1.0)
    config = architecture.config(labels=4, weights=FILE, frozen=frozen, hidden=32, dropout=0.1)
    net = architecture.build(config)
    before = [p.clone() for p in net.yamnet.parameters()]
    learn(net, preparation, steps=20 if frozen else 12, lr=3e-3 if frozen else 3e-4)
    same = [torch.equal(a, b) for a, b in zip(before, net.yamnet.parameters(), strict=True)]
    assert all(same) if frozen else not any(same)
    if frozen:
        assert_ships(net, preparation, tmp_path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    build = kind(Modality.SPEECH, "yamnet")
    with pytest.raises(InputError, match="no YAMNet at"):
        build.build(build.config(labels=4, weights=tmp_path / "absent.tflite"))
    other = tmp_path / "other.tflite"
    other.write_bytes(b"\0\0\0\0TFL3 something else")
    with pytest.raises(InputError, match=r"sha256 begins with .*expected 10c95ea3"):
        build.build(build.config(labels=4, weights=other))


def test_without_a_network_it_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path))
    monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    with pytest.raises(InputError, match=r"downloads are off; fetch https://.*put it at .*yamnet"):
        yamnet.fetch_yamnet()


@pytest.fixture
def mirror() -> Iterator[SimpleNamespace]:
    """A server that gives the same answer to every request."""
    state = SimpleNamespace(answer=b"", asked=0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@needs_yamnet
def test_it_is_fetched_once_from_a_mirror_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Any
) -> None:
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EMOFUSE_MIRROR", mirror.url)
    mirror.answer = b"a login page"
    with pytest.raises(InputError, match=r"YAMNet from .* is not what was published"):
        yamnet.fetch_yamnet()
    mirror.answer = FILE.read_bytes()
    found = yamnet.fetch_yamnet()
    assert found.read_bytes() == mirror.answer
    asked = mirror.asked
    assert yamnet.fetch_yamnet() == found
    assert mirror.asked == asked


def test_constants_are_read_with_their_scales(tmp_path: Path) -> None:
    """A file made here: one dense layer with int8 weights, a scale for each output."""
    path = tmp_path / "made.tflite"
    weights = np.array([[1, -2, 3], [100, 0, -128]], np.int8)
    path.write_bytes(made_file(weights, scales=[0.5, 0.25], biases=[1.5, -2.0]))
    (layer,) = read_layers(path)
    assert layer.operation == "FULLY_CONNECTED"
    np.testing.assert_array_equal(layer.constants[0], [[0.5, -1, 1.5], [25, 0, -32]])
    np.testing.assert_array_equal(layer.constants[1], [1.5, -2])
    assert layer.output is None
    path.write_bytes(b"PK\3\4 a zip")
    with pytest.raises(InputError, match="not a TensorFlow Lite file"):
        list(read_layers(path))
