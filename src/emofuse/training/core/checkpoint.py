"""Saving so that nothing finished is lost: written beside, brought to the disk, then renamed.

Weights are safetensors, everything else is text; nothing is pickled. Whoever is
killed in the middle of a save, or meets a full disk, finds the previous file.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...errors import InputError
from ...io.atomic import atomic_path, write_atomic

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn errors of the disk into one line that says what is intact and what to do.

    Args:
        what: what is left as it was, e.g. ``"the run in RUN, up to epoch 3"``.

    Raises:
        InputError: in place of an error of the file system.
    """
    try:
        yield
    except (OSError, SafetensorError) as e:
        full = getattr(e, "errno", None) in _NO_ROOM or any(
            sign in str(e) for sign in ("No space left", "File too large", "quota exceeded")
        )
        if isinstance(e, FileExistsError | NotADirectoryError):
            raise InputError(f"cannot save into {e.filename}: a file is there") from e
        reason = "there is no room left on the disk" if full else str(e)
        remedy = "free some space" if full else "make its folder writable"
        raise InputError(
            f"cannot save: {reason}. Nothing is lost: {what} is intact; {remedy} and run the "
            "same command again"
        ) from e


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, about: Mapping[str, Any] | None = None
) -> None:
    """Save tensors in one atomic step.

    Args:
        tensors: by name.
        path: a ``.safetensors`` file.
        about: plain types, kept in the file's header as JSON under ``about``.

    Raises:
        OSError, SafetensorError: if they cannot be written; the previous file is intact.
    """
    header = None if about is None else {"about": json.dumps(about)}
    with atomic_path(path, durable=True) as part:
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, part, header)


def save_text(text: str, path: Path) -> None:
    """Save a text in one atomic step.

    Raises:
        OSError: if it cannot be written; the previous file is intact.
    """
    write_atomic(path, text, durable=True)


def read_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of `save_tensors`: tensors by name, and what is said about them.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        with safe_open(path, "pt", device=device) as f:
            about = json.loads((f.metadata() or {}).get("about", "{}"))
            return {name: f.get_tensor(name) for name in f.keys()}, about  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as e:
        raise InputError(f"{path} is not a checkpoint that can be read: {e}") from e


def load_weights(net: nn.Module, path: Path) -> nn.Module:
    """Load the weights of a training into a net, set it to evaluation mode and return it.

    Raises:
        InputError: if the file is of another net.
    """
    try:
        net.load_state_dict(load_file(path))
    except (RuntimeError, OSError, SafetensorError) as e:
        raise InputError(f"{path} does not fit {type(net).__name__}: {e}") from e
    return net.eval()


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What a net took over from a file of weights.

    Args:
        names: tensors that were taken.
        unknown: tensors of the file that the net has not.
        misfits: tensors of another shape than the net's.
        fresh: tensors of the net that the file did not give.
    """

    names: tuple[str, ...]
    unknown: tuple[str, ...]
    misfits: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"took {len(self.names)} tensors"]
        for what, names in (
            ("not in this net", self.unknown),
            ("of another shape", self.misfits),
            ("left as drawn", self.fresh),
        ):
            if names:
                parts.append(f"{len(names)} {what} ({_few(names)})")
        return "; ".join(parts)


def start_from(net: nn.Module, path: Path) -> LoadedWeights:
    """Start a net from the weights of another training, as far as names and shapes fit.

    Args:
        net: changed in place.
        path: a ``.safetensors`` file: ``best.safetensors`` of a run, or its
            ``state.safetensors``, of which the averaged weights are taken.

    Raises:
        InputError: if the file cannot be read or next to nothing in it fits.
    """
    tensors, _ = read_tensors(path)
    averaged = {k.removeprefix("average."): v for k, v in tensors.items() if k[:8] == "average."}
    found, own = averaged or tensors, net.state_dict()
    fitting = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    # A few norms fit anything of the same names.
    if _size(fitting) < 0.05 * _size(found) or not _size(fitting):
        raise InputError(
            f"init: next to nothing in {path} fits the net: it has {_few(tuple(found))}; the net "
            f"has {_few(tuple(own))}. Name weights of the same kind of net and sizes"
        )
    net.load_state_dict(fitting, strict=False)
    return LoadedWeights(
        tuple(fitting),
        tuple(k for k in found if k not in own),
        tuple(k for k in found if k in own and k not in fitting),
        tuple(k for k in own if k not in fitting),
    )


def _size(tensors: Mapping[str, Tensor]) -> int:
    return sum(v.numel() for v in tensors.values() if v.is_floating_point())


def _few(names: Sequence[str], n: int = 4) -> str:
    return ", ".join(names[:n]) + (" …" if len(names) > n else "")
