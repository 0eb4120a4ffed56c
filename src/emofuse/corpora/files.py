"""Looks at the media of a corpus: are they there, can they be opened, how long are they."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.download import file_digest
from ..io.images import read_image
from . import tree

Progress = Callable[[int, int], None]
"""Called with how many of how many are done."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was found out about one medium.

    Args:
        bytes: its size; 0 if it is missing.
        digest: sha256 of its content in hex; empty if it is missing.
        seconds: how long it lasts; None for pictures and where nothing says.
        missing: whether there is no such file.
        fault: why it cannot be read; empty if it can.
    """

    bytes: int = 0
    digest: str = ""
    seconds: float | None = None
    missing: bool = False
    fault: str = ""


def examine(paths: Iterable[Path], progress: Progress | None = None) -> dict[Path, FileFacts]:
    """Read and open each file once.

    Sounds and films are opened and their first packet is decoded, pictures are decoded
    coarsely; what breaks off in the middle of a recording is not noticed.

    Args:
        paths: of the media; of equal ones, one is looked at.
        progress: is told after each file.
    """
    distinct = list(dict.fromkeys(paths))
    found = {}
    for number, path in enumerate(distinct, 1):
        found[path] = _facts(path)
        if progress is not None:
            progress(number, len(distinct))
    return found


def _facts(path: Path) -> FileFacts:
    try:
        size, digest = path.stat().st_size, file_digest(path)
    except FileNotFoundError:
        return FileFacts(missing=True)
    except OSError as e:
        return FileFacts(fault=e.strerror or str(e))
    if not size:
        return FileFacts(0, digest, fault="it is empty")
    try:
        return FileFacts(size, digest, _open(path))
    except (InputError, OSError, ValueError, EOFError) as e:  # av's are among these
        return FileFacts(size, digest, fault=_reason(e))


def _open(path: Path) -> float | None:
    """Open a medium; return its length in seconds, or None of a picture.

    Raises:
        InputError, OSError, ValueError, EOFError: if it is not what its ending says.
    """
    if path.suffix.lower() in tree.IMAGE:
        read_image(path, max_side=64)  # of a JPEG, an eighth of the work is enough
        return None
    return _open_recording(path)


def _open_recording(path: Path) -> float | None:
    import av

    with av.open(str(path)) as container:
        stream = next((s for s in container.streams if s.type in ("audio", "video")), None)
        if stream is None:
            raise ValueError("it holds neither sound nor pictures")
        if next(iter(container.decode(stream)), None) is None:
            raise ValueError("nothing in it can be decoded")
        if container.duration is not None:
            return float(container.duration / av.time_base)
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return None


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:120]
