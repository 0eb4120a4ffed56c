"""Imports of files that the real libraries made: how near, how long, how much memory.

    python -m benchmarks.imports --files FILES --hub HUB

FILES holds model files with what their library answers beside each (NAME.npz: x, y), as
tests/conversion/data/make_files.py makes small ones; HUB holds folders of the Transformers
library, which the import itself compares with the library. ``--only`` names some of them, and
the result says which were left out. The embedded face model is imported as somebody else's ONNX
file would be, and compared with itself. Each import runs in a process of
its own; times are of a cold start.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from emofuse.models.store import WEIGHTS

from .common import write_result

SEVEN = "angry,disgust,fear,happy,sad,surprise,neutral"
EIGHT = f"{SEVEN},contempt"
FILES = {
    "cnn_keras2.h5": (SEVEN, "unit"),
    "cnn_keras2.json": (SEVEN, "unit"),
    "cnn_keras3.keras": (SEVEN, "unit"),
    "mobilenetv2_keras2.h5": (SEVEN, "raw"),
    "mobilenetv2_keras3.keras": (SEVEN, "raw"),
    "lstm_keras2.h5": (EIGHT, "mfcc,coefficients=40"),
    "lstm_keras3.keras": (EIGHT, "mfcc,coefficients=40"),
    "cnn_float.tflite": (SEVEN, "unit"),
    "cnn_fp16.tflite": (SEVEN, "unit"),
    "cnn_int8.tflite": (SEVEN, "unit"),
}


OWN = WEIGHTS / "face-v4.onnx"
OWN_LABELS = "neutral,happy,sad,angry,fear,disgust,surprise,contempt"


def bring(path: Path, labels: str | None, told: str) -> dict[str, float]:
    """Import one model, and say how far its answers are from its library's."""
    from emofuse.conversion.importing import ImportPlan, import_model
    from emofuse.models.golden import read_golden
    from emofuse.models.recogniser import OnnxRecogniser
    from emofuse.models.registry import load
    from emofuse.models.runtime import answer, open_graph
    from emofuse.models.store import Store

    paths = [str(path)]
    if path.suffix == ".json":
        paths.append(str(path.with_suffix(".weights.h5")))
    with tempfile.TemporaryDirectory() as out:
        plan = ImportPlan(tuple(paths), "m", tuple(labels.split(",")) if labels else (), input=told)
        if "distilbert" in path.name:
            places = Path(out) / "map.toml"
            places.write_text('[map]\nlove = "happy"\n')
            plan = ImportPlan(plan.paths, "m", label_map=places)
        start = time.perf_counter()
        made = import_model(replace(plan, out=Path(out) / "models"))
        seconds = time.perf_counter() - start
        graph = Path(out) / "models" / made.card.files["weights"].name
        difference = made.found.checked or 0.0
        if path == OWN:
            store = Store(folders=[Path(out) / "models"])
            mine, own = (cast(OnnxRecogniser, load(n, store)).logits for n in ("m", "face-v4"))
            rows = load("face-v4").prepare
            faces = [rows(x) for x in read_golden(OWN.with_suffix(".golden.npz")).inputs]
            difference = float(np.abs(mine(faces) - own(faces)).max())
        elif path.is_file():
            theirs = np.load(path.with_suffix(".npz"))
            ours = answer(open_graph(graph), theirs["x"])[0]
            difference = float(np.abs(ours - theirs["y"]).max())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"difference": difference, "seconds": seconds, "peak_mb": peak}


def main() -> None:
    """Import everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--one", nargs=3)
    given = parser.parse_args()
    if given.one:
        name, labels, told = given.one
        print(json.dumps(bring(Path(name), labels or None, told)))
        return
    jobs = [(given.files / name, *how) for name, how in FILES.items()]
    jobs.append((OWN, OWN_LABELS, "self,floor=8"))
    jobs += [(folder, "", "") for folder in sorted(given.hub.iterdir())] if given.hub else []
    left_out = [p.name for p, *_ in jobs if given.only and p.name not in given.only]
    jobs = [job for job in jobs if job[0].name not in left_out]
    rows = []
    for path, labels, told in jobs:
        command = [sys.executable, "-m", "benchmarks.imports", "--files", str(given.files)]
        done = subprocess.run(
            [*command, "--one", str(path), labels, told], capture_output=True, text=True
        )
        lines = done.stdout.strip().splitlines() or ["{}"]
        row = json.loads(lines[-1]) if lines[-1].startswith("{") else {}
        problem = None if row else done.stderr.strip().splitlines()[-1][:200]
        rows.append({"file": path.name, **row, **({"problem": problem} if problem else {})})
        print(rows[-1], flush=True)
    write_result("imports", {"imports": rows, "left_out": left_out})


if __name__ == "__main__":
    main()
