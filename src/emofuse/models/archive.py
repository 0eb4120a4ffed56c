"""One file out of a downloaded zip."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from ..errors import ModelError
from ..io.atomic import atomic_path

LARGEST = 4_000_000_000
"""Bytes of an unpacked file at most: weights are not larger, and zip bombs are."""


def unpack(archive: Path, member: str, path: Path) -> None:
    """Unpack one member of a zip to `path`, whatever folder it has in there.

    Raises:
        ModelError: if it is no zip, has no such member, or that is too large.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            info = zipped.getinfo(member)
            if info.file_size > LARGEST:
                raise ModelError(
                    f"{member} in {archive.name} would unpack to {info.file_size} bytes, allowed "
                    f"are {LARGEST}; it is no model"
                )
            # zipfile reads no more than the size that the member declares, and checks its CRC.
            with zipped.open(info) as source, atomic_path(path) as part, part.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
    except KeyError:
        raise ModelError(
            f"{archive.name} holds no {member}: its publisher has changed it; look for a newer "
            "emofuse"
        ) from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as e:
        raise ModelError(f"{archive.name} is no zip that can be read: {e}; pull it again") from e
