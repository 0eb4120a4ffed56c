"""Published weights: from a file and from a server, pinned, and refused where they do not fit."""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.training.core.nets import kind

ENDS: dict[str, tuple[str, ...]] = {
    "vgg16": ("features.0.weight", "features.1.running_var", "features.41.bias"),
    "resnet50": ("conv1.weight", "layer1.0.downsample.1.running_mean", "layer4.2.bn3.bias"),
    "mobilenet-v2": ("features.0.0.weight", "features.1.conv.2.bias", "features.18.1.weight"),
    "mobilenet-v3": (
        "features.0.0.weight",
        "features.1.block.1.fc2.bias",
        "features.12.1.num_batches_tracked",
    ),
}
"""Names in the published state dicts: the stem, a block, the end of the trunk."""

HEADS = {
    "vgg16": "classifier.6",
    "resnet50": "fc",
    "mobilenet-v2": "classifier.1",
    "mobilenet-v3": "classifier.3",
}
SMALL: dict[str, dict[str, Any]] = {
    "vgg16": {"widths": (16, 16, 16, 32, 32), "dense": (24, 24), "grid": 2, "last_pool": True},
    "resnet50": {"base": 4},
    "mobilenet-v2": {"scale": 0.25},
    "mobilenet-v3": {"scale": 0.25},
}


def config(name: str, **more: Any) -> Any:
    return kind(Modality.FACE, name).config(**(SMALL[name] | more))


def build(config: Any, name: str) -> Any:
    return kind(Modality.FACE, name).build(config)


def published(name: str) -> dict[str, torch.Tensor]:
    """A state dict laid out as the published one is: a thousand classes, three colours."""
    torch.manual_seed(5)
    state = build(config(name, labels=1000, channels=3), name).state_dict()
    return {k: torch.rand_like(v) if v.is_floating_point() else v.clone() for k, v in state.items()}


@pytest.fixture
def weights(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, Path]:
    name = getattr(request, "param", "mobilenet-v3")
    path = tmp_path / "plain.pth"
    torch.save(published(name), path)
    return name, path


@pytest.mark.parametrize("name", SMALL)
def test_names_are_those_that_were_published(name: str) -> None:
    state = build(config(name), name).state_dict()
    assert set(ENDS[name]) <= set(state)
    assert {k.rsplit(".", 1)[0] for k in list(state)[-2:]} == {HEADS[name]}


@pytest.mark.parametrize("weights", SMALL, indirect=True)
def test_a_file_gives_the_trunk_and_leaves_the_head(weights: tuple[str, Path]) -> None:
    name, path = weights
    source = torch.load(path, weights_only=True)
    torch.manual_seed(0)
    net = build(config(name, channels=3, pretrained=str(path)), name)
    torch.manual_seed(0)
    fresh = build(config(name, channels=3), name).state_dict()
    for key, value in net.state_dict().items():
        expected = fresh if key.startswith(HEADS[name]) else source
        torch.testing.assert_close(value, expected[key], msg=key)


@pytest.mark.parametrize("weights", SMALL, indirect=True)
def test_a_grey_net_sees_a_grey_picture_as_the_colour_net_does(weights: tuple[str, Path]) -> None:
    name, path = weights
    grey = build(config(name, pretrained=str(path)), name).eval()
    colour = build(config(name, channels=3, pretrained=str(path)), name).eval()
    faces = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            grey.embed(faces), colour.embed(faces.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-3
        )


def test_the_published_vgg_without_norms_fits_too(tmp_path: Path) -> None:
    plain = build(config("vgg16", labels=1000, channels=3, batch_norm=False), "vgg16")
    assert {"features.28.weight", "classifier.6.bias"} <= set(plain.state_dict())
    torch.save(plain.state_dict(), tmp_path / "vgg.pth")
    again = config("vgg16", channels=3, batch_norm=False, pretrained=str(tmp_path / "vgg.pth"))
    kernel = build(again, "vgg16").features[28].weight
    torch.testing.assert_close(kernel, plain.features[28].weight)
    with pytest.raises(InputError, match=r"vgg.pth does not fit Vgg16: features\.1\.weight must"):
        build(replace(again, batch_norm=True), "vgg16")


def test_safetensors_and_wrapped_state_dicts_are_read(
    weights: tuple[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    name, path = weights
    source = torch.load(path, weights_only=True)
    save_file(source, tmp_path / "a.safetensors")
    torch.save({"state_dict": source, "epoch": 3}, tmp_path / "b.pth")
    for file in ("a.safetensors", "b.pth"):
        net = build(config(name, channels=3, pretrained=str(tmp_path / file)), name)
        torch.testing.assert_close(net.features[0][0].weight, source["features.0.0.weight"])


# What is refused


def test_other_sizes_are_named(weights: tuple[str, Path]) -> None:
    name, path = weights
    with pytest.raises(InputError, match=r"plain.pth does not fit MobileNetV3: .* must be .*has"):
        build(config(name, scale=0.5, channels=3, pretrained=str(path)), name)
    with pytest.raises(InputError, match=r"does not fit ResNet: conv1.weight must .* lacks it"):
        build(config("resnet50", pretrained=str(path)), "resnet50")


def test_a_missing_a_damaged_and_a_wrong_file_are_told_apart(
    weights: tuple[str, Path], tmp_path: Path
) -> None:
    name, path = weights
    with pytest.raises(InputError, match=r"no pretrained weights at .*nowhere"):
        build(config(name, pretrained=str(tmp_path / "nowhere.pth")), name)
    pinned = path.rename(tmp_path / "net-0123abcd.pth")
    with pytest.raises(InputError, match=r"sha256 .*, expected 0123abcd"):
        build(config(name, pretrained=str(pinned)), name)
    (tmp_path / "cut.pth").write_bytes(pinned.read_bytes()[:1000])
    with pytest.raises(InputError, match="does not hold weights that can be read safely"):
        build(config(name, pretrained=str(tmp_path / "cut.pth")), name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds list, expected a state dict"):
        build(config(name, pretrained=str(tmp_path / "list.pth")), name)


class Trap:
    """What unpickling would run."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trap-was-run"),))


def test_no_code_in_a_file_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: tuple[str, Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Trap()))
    for file in ("trap.pth", "raw.pth"):
        with pytest.raises(InputError, match="can be read safely"):
            build(config("resnet50", pretrained=str(tmp_path / file)), "resnet50")
    assert not (tmp_path / "trap-was-run").exists()


@pytest.mark.parametrize(
    "more",
    [
        {"pretrained": "https://models.invalid/net.pth"},
        {"pretrained": "https://models.invalid/net-1234.pth"},
        {"pretrained": "net.pth", "sha256": "short"},
        {"sha256": "0123ABCD"},
    ],
)
def test_weights_from_the_network_are_pinned(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="sha256"):
        config("resnet50", **more)


# From a server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serves what its `content` holds; `asked` are the paths that were asked for."""
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path / "cache"))
    for name in ("EMOFUSE_OFFLINE", "EMOFUSE_MIRROR"):
        monkeypatch.delenv(name, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            httpd.asked.append(self.path)
            body = httpd.content.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    httpd: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.content, httpd.asked = {}, []
    httpd.base = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_url_is_fetched_once_and_kept(server: Any, weights: tuple[str, Path]) -> None:
    name, path = weights
    body = path.read_bytes()
    url = f"/net-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    server.content[url] = body
    wanted = config(name, channels=3, pretrained=server.base + url)
    source = torch.load(path, weights_only=True)
    for _ in range(2):
        torch.testing.assert_close(
            build(wanted, name).features[0][0].weight, source["features.0.0.weight"]
        )
    assert server.asked == [url]


def test_a_full_digest_beside_the_url_is_compared(
    server: Any, weights: tuple[str, Path], tmp_path: Path
) -> None:
    name, path = weights
    body = path.read_bytes()
    server.content["/net.pth"] = body
    wanted = config(name, channels=3, pretrained=f"{server.base}/net.pth", sha256="0" * 64)
    with pytest.raises(InputError, match=r"its sha256 is another.*nothing was kept"):
        build(wanted, name)
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    build(replace(wanted, sha256=hashlib.sha256(body).hexdigest()), name)


def test_what_the_network_does_wrong_is_said(
    server: Any, monkeypatch: pytest.MonkeyPatch, weights: tuple[str, Path]
) -> None:
    wanted = config("resnet50", pretrained=f"{server.base}/net-0123abcd.pth")
    with pytest.raises(InputError, match=r"cannot download .*404.*put it at"):
        build(wanted, "resnet50")
    monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    with pytest.raises(InputError, match=r"downloads are switched off .*put it at"):
        build(wanted, "resnet50")
    assert len(server.asked) == 1


def test_a_mirror_is_asked_instead(
    server: Any, monkeypatch: pytest.MonkeyPatch, weights: tuple[str, Path]
) -> None:
    name, path = weights
    body = path.read_bytes()
    file = f"/models/net-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    server.content["/mirror" + file] = body
    monkeypatch.setenv("EMOFUSE_MIRROR", f"{server.base}/mirror")
    build(config(name, channels=3, pretrained=f"https://models.invalid{file}"), name)
    assert server.asked == ["/mirror" + file]
