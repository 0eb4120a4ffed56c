"""Exports the face detector: a small ONNX graph, its figures and its card."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

from ...corpora.manifest import Split
from ...errors import ModelError
from ...face.detect import CompactConfig, CompactDetector, Detector
from ...models.card import Card
from ...models.runtime import Session
from ...models.write import write_card
from ..core.export import forget_origin
from ..core.quantize import quantize
from .detection_metrics import MetricState, compare, from_rows
from .net import MEAN, SPREAD, STRIDES, DetectorNet
from .photos import Photo

TOLERANCE = 1e-3
"""Largest difference that is allowed between torch's and ONNX Runtime's answers."""

SMALLEST = 1024
"""Kernels with fewer weights than this stay float32."""


def export(
    net: DetectorNet,
    model_id: str,
    out: Path,
    photos: Sequence[Photo],
    split: Split = Split.TEST,
    config: CompactConfig | None = None,
) -> Card:
    """Write ``ID.onnx``, ``ID.toml`` and ``ID.golden.npz`` into a folder.

    Args:
        net: trained.
        model_id: id of the model that is made.
        out: the model's folder.
        photos: to measure on; none that was learned from.
        split: of these photos.
        config: how the detector will look.

    Raises:
        ModelError: if ONNX Runtime answers otherwise than torch.
    """
    path = out / f"{model_id}.onnx"
    config = config or CompactConfig()
    write_onnx(net, path)
    figures = measure(CompactDetector(path, config), photos)
    card = write_card(_card_fields(model_id, config, figures, split), out, {"weights": path})
    np.savez_compressed(out / f"{model_id}.golden.npz", **golden(path))  # type: ignore[arg-type]
    return card


def write_onnx(net: DetectorNet, path: Path) -> None:
    """Write the net as one ONNX file for pictures of any size, kernels stored as int8.

    Raises:
        ModelError: if ONNX Runtime answers otherwise than torch did before the
            kernels were rounded.
    """
    exported = InferenceNet(net)
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros((1, 96, 128, 3), dtype=torch.uint8)
    names = [f"stride_{stride}" for stride in STRIDES]
    rows, columns = (torch.export.Dim(n, min=1, max=1024) for n in ("rows", "columns"))
    torch.onnx.export(
        exported.eval(),
        (example,),
        path,
        input_names=["pictures"],
        output_names=names,
        dynamo=True,
        external_data=False,
        dynamic_shapes=({1: 32 * rows, 2: 32 * columns},),
        optimize=True,
        verbose=False,
    )
    forget_origin(path)
    for shape in ((1, 96, 128, 3), (1, 256, 64, 3)):
        _check(exported, path, shape)
    quantize(path, SMALLEST)


class InferenceNet(nn.Module):
    """The net as it is run: norms and the scaling of pixels folded into the kernels.

    Args:
        net: trained; it is copied.
    """

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = _without_norms(copy.deepcopy(net).float().eval())
        stem = self.net.stem[0]
        self.margin = stem.padding[0]  # type: ignore[index]
        stem.padding = (0, 0)  # type: ignore[assignment]
        with torch.no_grad():
            stem.weight /= SPREAD  # type: ignore[assignment, operator]
            stem.bias -= MEAN * stem.weight.sum(dim=(1, 2, 3))  # type: ignore[operator]

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """See `DetectorNet.forward`."""
        x = pictures.permute(0, 3, 1, 2).float()
        return self.net.answers(functional.pad(x, [self.margin] * 4, value=MEAN))  # type: ignore[list-item]


def measure(
    detector: Detector, photos: Sequence[Photo], sizes: Sequence[float] = (40.0, 20.0)
) -> dict[float, MetricState]:
    """Compare a detector with the photos' known faces, from several sizes (pixels) on."""
    found = [detector.detect(p.pixels) for p in photos]
    known = [from_rows(p.faces) for p in photos]
    pairs = list(zip(found, known, strict=True))
    return {s: sum((compare(f, k, smallest=s) for f, k in pairs), MetricState()) for s in sizes}


def golden(path: Path) -> dict[str, NDArray[Any]]:
    """Return pictures of drawn faces and, for each, the surest cell's answers of every grid."""
    session = Session(path)
    pictures = [_drawing(side, seed) for seed, side in enumerate((64, 128, 224))]
    rows = [surest(session.run({session.inputs[0]: p[None]})) for p in pictures]
    return {f"input_{i}": p for i, p in enumerate(pictures)} | {"logits": np.stack(rows)}


def surest(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the answers of each grid's surest cell, one after the other: float32 (45,)."""
    cells = [grid[0].reshape(grid.shape[1], -1) for grid in maps]
    return np.concatenate([c[:, c[0].argmax()] for c in cells]).astype(np.float32)


def _drawing(side: int, seed: int) -> NDArray[np.uint8]:
    """Draw a simple face in a picture of 160 × 256: golden pairs show no person."""
    rng = np.random.default_rng(seed)
    picture = np.full((160, 256, 3), rng.integers(60, 200, 3), np.uint8)
    y, x = np.mgrid[:160, :256].astype(np.float32)
    x, y = (x - 128) * 2 / side, (y - 80) * 2 / side
    parts = (
        ((x / 0.75) ** 2 + (y / 0.95) ** 2 < 1, (225, 180, 150)),
        ((np.abs(np.abs(x) - 0.3) < 0.14) & (np.abs(y + 0.2) < 0.07), (50, 35, 30)),
        ((np.abs(x) < 0.07) & (np.abs(y - 0.15) < 0.12), (180, 130, 110)),
        ((np.abs(x) < 0.3) & (np.abs(y - 0.5) < 0.07), (150, 60, 60)),
    )
    for where, colour in parts:
        picture[where] = colour
    return picture


def _without_norms(net: DetectorNet) -> DetectorNet:
    """Fold each batch norm into the convolution before it."""
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i] = fuse_conv_bn_eval(module[i], module[i + 1])  # type: ignore[arg-type, type-var]
                    module[i + 1] = nn.Identity()
    return net


def _check(exported: InferenceNet, path: Path, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    session = Session(path, gpu=False)
    got = session.run({session.inputs[0]: picture})
    with torch.inference_mode():
        wanted = [m.numpy() for m in exported(torch.from_numpy(picture))]
    for name, g, w in zip(session.outputs, got, wanted, strict=True):
        apart = float(np.abs(g - w).max()) if g.shape == w.shape else float("inf")
        if not apart <= TOLERANCE:
            raise ModelError(
                f"{path.name}: ONNX Runtime's {name} differs from torch's by {apart:.2g} "
                f"(shapes {g.shape} and {w.shape}), allowed is {TOLERANCE}"
            )


def _card_fields(
    model_id: str, config: CompactConfig, figures: Mapping[float, MetricState], split: Split
) -> dict[str, Any]:
    metrics = [
        {
            "corpus": "natural photos",
            "split": f"{split.value} (by hash of the name)",
            "name": f"{name}, faces of at least {smallest:g} pixels",
            "value": round(getattr(tally, name), 4),
            "protocol": "against YuNet 2023mar's finds with a score of at least 0.7, one to one "
            f"at IoU 0.5; {tally.faces} faces in {tally.pictures} photos",
            "command": "EMOFUSE_DATA=… python -m benchmarks.face_detection",
        }
        for smallest, tally in figures.items()
        for name in ("recall", "precision")
        if math.isfinite(getattr(tally, name))
    ]
    return {
        "id": model_id,
        "modality": "face",
        "recogniser": "detector",
        "summary": "Embedded face detector with five landmarks; learned from YuNet's finds",
        "taxonomy": "face",
        "labels": ["face"],
        "multi_label": True,
        "licence": "research use only (as the photos that it was trained on)",
        "notes": [
            "Finds faces and says where eyes, nose and mouth are; it reads no expressions.",
            "Distilled: its truth is what YuNet 2023mar (MIT) says of every cell of made scenes, "
            "and what it found on larger versions of the photos. It repeats YuNet's mistakes, and "
            "the figures measure agreement with it.",
            "Trained once (one seed) on scenes made of a few thousand photos from the web, many of "
            "them of masked or dark-skinned people; no film was learned from. In old film and in "
            "crowds it misses faces and now and then takes other things, a clock say, for some.",
            "The score from which on a find counts was chosen on photos kept for that.",
        ],
        "preparation": {
            "side": config.side,
            "again": config.again,
            "min_score": config.min_score,
            "colour": "rgb",
            "multiple": STRIDES[-1],
        },
        "data": [
            {
                "name": "natural photos from the web",
                "licence": "mixed and unknown; for experiments only",
                "used": "photos with faces, less those of the validation and test splits and "
                "their near-duplicates",
                "citation": "boxes and landmarks: YuNet 2023mar (Wu, Peng & Yu 2023), MIT",
            }
        ],
        "metrics": metrics,
    }
