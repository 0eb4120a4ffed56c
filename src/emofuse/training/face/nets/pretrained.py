"""Published ImageNet weights for the nets of the field: optional, pinned, read without pickles.

VGG16, ResNet-50 and the MobileNets name their parameters as torchvision does, so
its published state dicts load as they are. The first eight hex digits of a file's
sha256 stand in its name:

===============  ===============================================================
``vgg16``        ``vgg16_bn-6c64b313.pth``, ``vgg16-397923af.pth`` (no norms)
``resnet50``     ``resnet50-11ad3fa6.pth``
``mobilenet-v2`` ``mobilenet_v2-7ebf99e0.pth``
``mobilenet-v3`` ``mobilenet_v3_small-047dcff4.pth``, ``mobilenet_v3_large-5c1a4163.pth``
===============  ===============================================================

The head for ImageNet's classes is left out where the labels differ. For grey faces
the first kernels are summed over the three colours: that is what a colour net
computes of a grey picture.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ....errors import InputError
from ....io.download import download, file_digest
from ....models.store import Store

_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")


class HasHead(Protocol):
    """A net that knows which of its parameters a new set of labels replaces."""

    @property
    def HEAD(self) -> tuple[str, ...]: ...  # noqa: D102, N802

    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...  # noqa: D102


Net = TypeVar("Net", bound=HasHead)


class Pretrainable(Protocol):
    """A config whose net can start from published weights.

    ``pretrained`` is a file or an http(s) URL, ``sha256`` its digest in hex or how
    that begins (≥ 8 digits); None: as the file's name says.
    """

    @property
    def pretrained(self) -> str | None: ...  # noqa: D102

    @property
    def sha256(self) -> str | None: ...  # noqa: D102


def check_pin(config: Pretrainable) -> None:
    """Refuse weights from the network that nothing pins, and digests that are none.

    Raises:
        ValueError: if so.
    """
    if config.sha256 is not None and not re.fullmatch(r"[0-9a-f]{8,64}", config.sha256):
        raise ValueError(f"sha256 must be 8 to 64 hex digits in lower case, got {config.sha256!r}")
    if config.pretrained is not None and _is_url(config.pretrained) and not _pin(config):
        raise ValueError(
            f"weights from the network need a sha256, in the file's name or beside it: "
            f"{config.pretrained}"
        )


def start(net: Net, config: Pretrainable) -> Net:
    """Give a fresh net the published weights that its config names, if any.

    Raises:
        InputError: if they cannot be fetched, are not what was pinned, or do not fit.
    """
    if config.pretrained is None:
        return net
    path = _fetched(config) if _is_url(config.pretrained) else Path(config.pretrained)
    if not path.is_file():
        raise InputError(f"no pretrained weights at {path}; give a file or an http(s) URL")
    pin = _pin(config)
    if pin is not None and not file_digest(path).startswith(pin):
        raise InputError(
            f"the pretrained weights {path} have the sha256 {file_digest(path)[:16]}…, expected "
            f"{pin[:16]}…: they are damaged or others; get them again"
        )
    return copy_published(net, read_weights(path), path.name)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, ``.safetensors`` or torch's own format (tensors only, no code).

    Raises:
        InputError: if the file holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as e:
        reason = (str(e).splitlines() or [type(e).__name__])[0]
        raise InputError(f"{path} does not hold weights that can be read safely: {reason}") from e
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(f"{path} holds {type(found).__name__}, expected a state dict of tensors")
    return dict(found)


def copy_published(net: Net, source: Mapping[str, Tensor], name: str = "the weights") -> Net:
    """Copy a published state dict into a net; a head of other sizes stays as it is.

    Raises:
        InputError: if the trunk is another's; the message names the first difference.
    """
    own = net.state_dict()
    taken = {}
    for key, value in own.items():
        found = source.get(key)
        if found is not None and _is_for_colour(found, value):
            found = found.sum(dim=1, keepdim=True)
        if found is not None and found.shape == value.shape:
            taken[key] = found
        elif not key.startswith(net.HEAD) and not key.endswith("num_batches_tracked"):
            has = "lacks it" if found is None else f"has {tuple(found.shape)}"
            raise InputError(
                f"{name} does not fit {type(net).__name__}: {key} must be {tuple(value.shape)}, "
                f"the file {has}; choose the sizes that were published"
            )
    net.load_state_dict(own | taken)
    return net


def _is_for_colour(found: Tensor, value: Tensor) -> bool:
    """Whether these are first kernels for three colours where ours are for grey."""
    return found.ndim == value.ndim == 4 and (found.shape[1], value.shape[1]) == (3, 1)


def _fetched(config: Pretrainable) -> Path:
    """Return the file of a URL, from the cache if it was fetched before."""
    url, pin = str(config.pretrained), str(_pin(config))
    store = Store()
    path = store.cache_dir / "pretrained" / pin[:16] / Path(urlsplit(url).path).name
    if path.is_file():
        return path
    if store.offline:
        raise InputError(
            f"{url} is not on this machine and downloads are switched off (EMOFUSE_OFFLINE): "
            f"fetch it elsewhere and put it at {path}"
        )
    download(url, path, f"sha256:{pin}")
    return path


def _pin(config: Pretrainable) -> str | None:
    if config.sha256 is not None:
        return config.sha256
    in_name = _IN_NAME.search(config.pretrained or "")
    return in_name.group(1) if in_name else None


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))
