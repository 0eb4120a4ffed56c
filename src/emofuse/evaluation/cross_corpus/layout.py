"""The folder of the corpora, with archives unpacked into a cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ...corpora.fetch import unpack
from ...errors import InputError
from ...io.atomic import atomic_path
from ..predict.inference import Progress

ARCHIVES = ("crema-d", "ravdess", "fer2013", "emodb", "nemo", "tess", "ck48", "kdef")
"""Archives that are looked for, in the folder and one below: ``NAME.tar``."""


def unpacked(
    root: Path, cache: Path, progress: Progress = lambda name, total: lambda: None
) -> Path:
    """Return a folder that holds what `root` holds, its archives unpacked.

    Nothing is written into `root`: what lies beside the archives is linked.

    Args:
        root: folder of the corpora.
        cache: where archives are unpacked; those of an earlier call are used again.
        progress: starts a progress bar.

    Returns:
        `root` itself, if it holds no archive that is wanted.

    Raises:
        InputError: if `root` is no folder, or an archive is damaged.
    """
    if not root.is_dir():
        raise InputError(f"there is no folder {root}: give the folder of the corpora (--data)")
    archives = [path for path in _archives(root) if not path.with_suffix("").is_dir()]
    if not archives:
        return root
    home = cache / "media" / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    try:
        home.mkdir(parents=True, exist_ok=True)
        for path in root.resolve().iterdir():
            link = home / path.name
            if path.suffix.lower() != ".tar" and not link.is_symlink():
                link.symlink_to(path, target_is_directory=path.is_dir())
    except OSError as e:
        raise InputError(f"cannot write {home}: {e}; choose another folder (--cache)") from e
    tick = progress("archives", len(archives))
    for path in archives:
        _unpack_once(path, home)
        tick()
    return home


def _archives(root: Path) -> list[Path]:
    found = (*root.glob("*.tar"), *root.glob("*/*.tar"))
    return sorted(path for path in found if path.stem in ARCHIVES)


def _unpack_once(archive: Path, home: Path) -> None:
    """Unpack an archive, unless that very one was unpacked in full before."""
    state = archive.stat()
    stamp, text = home / f".{archive.stem}", f"{state.st_size} {state.st_mtime_ns}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == text:
        return
    unpack(archive, home)
    with atomic_path(stamp) as part:
        part.write_text(text, encoding="utf-8")
