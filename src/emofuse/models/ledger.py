"""What this machine has met of downloadable models: digests, and licences accepted.

Of a file whose publisher states no digest, the first download is trusted and its sha256
written down here; whatever comes later must be the same ("trust on first use").
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..io.atomic import write_atomic
from .card import Card, ModelFile


class Ledger:
    """A small JSON file in the cache.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self, file: ModelFile) -> ModelFile:
        """Return a file with the digest and size that its first download had."""
        met = self._read().get("trusted", {}).get(_name(file))
        if met is None or (file.sha256 and not file.member):
            return file
        return replace(file, sha256=met["sha256"], bytes=met["bytes"])

    def trust(self, file: ModelFile, sha256: str, size: int) -> None:
        """Write down what a file is, from now on."""
        entry = {"sha256": sha256, "bytes": size}
        self._write("trusted", _name(file), entry)

    def forget(self, file: ModelFile) -> None:
        """Strike out a file: its next download is a first one again."""
        if _name(file) in self._read().get("trusted", {}):
            self._write("trusted", _name(file), None)

    def accepted(self, card: Card) -> bool:
        """Whether the terms of a model have been accepted, here or by ``EMOFUSE_ACCEPT``."""
        named = os.environ.get("EMOFUSE_ACCEPT", "").replace(",", " ").split()
        return card.id in named or self._read().get("accepted", {}).get(card.id) == card.licence

    def accept(self, card: Card) -> None:
        """Write down that its terms are accepted; other terms will have to be accepted anew."""
        self._write("accepted", card.id, card.licence)

    def _read(self) -> dict[str, Any]:
        try:
            read = json.loads(self.path.read_text(encoding="utf-8"))
            if not all(isinstance(read[part], dict) for part in read):
                raise ValueError
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, TypeError) as e:
            raise ModelError(
                f"{self.path}, where the digests of downloaded models are kept, is damaged: {e}; "
                "delete it, and pull these models again"
            ) from e
        found: dict[str, Any] = read
        return found

    def _write(self, part: str, key: str, value: Any) -> None:
        kept = self._read()
        kept[part] = {**kept.get(part, {}), key: value}
        if value is None:
            del kept[part][key]
        try:
            write_atomic(self.path, json.dumps(kept, indent=1, sort_keys=True))
        except OSError as e:
            raise ModelError(
                f"cannot write {self.path}: {e.strerror or e}; name a folder that can be written "
                "in EMOFUSE_CACHE"
            ) from e


def _name(file: ModelFile) -> str:
    return f"{file.url}#{file.member}" if file.member else str(file.url)
