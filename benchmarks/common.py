"""What every benchmark writes beside its figures: when, of what, on what."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def data_root() -> Path | None:
    """Folder of the corpora and real clips, if this machine has them."""
    folder = Path(os.environ.get("EMOFUSE_DATA", ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def write_result(name: str, figures: dict[str, Any]) -> Path:
    """Write figures to ``benchmarks/results/NAME.json`` and print them."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    described = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    result = {
        "benchmark": name,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": described or "unknown",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return path
