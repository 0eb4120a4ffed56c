import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emofuse.analyzer import Analyzer
from emofuse.batch.run import analyze_one
from emofuse.cli.main import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    def failed_cleanly(self, code: int = 2) -> str:
        """Check that it failed as users should see it, and return the message."""
        assert self.code == code, (self.out, self.err)
        assert "Traceback" not in self.out + self.err
        assert self.err.startswith("emofuse: "), self.err
        return self.err


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def own_surroundings(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No test obeys the environment of whoever runs it, or downloads anything."""
    for name in ("EMOFUSE_MIRROR", "EMOFUSE_MODELS", "EMOFUSE_LICENCES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "120")


class Here:
    """Analyzes one file in this process: starting another costs every test a second."""

    def __init__(self, batch: Any, settings: Any) -> None:
        self._analyzer, self._results = Analyzer(settings), batch.results

    def __call__(self, task: Any, progress: Any, stop: Any) -> Any:
        return analyze_one(self._analyzer, self._results, task, progress)

    def close(self) -> None:
        """Nothing runs on."""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`test_a_crash_is_told` and what runs `COMMAND` have processes of their own."""
    monkeypatch.setattr("emofuse.cli.analysis._process", Here)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process: `run("analyze", path)`."""

    def run_cli(*args: object) -> Ran:
        capsys.readouterr()
        code = main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run_cli


@pytest.fixture
def talking(media: Path, tmp_path: Path) -> Path:
    """The clip of one face that speaks twice, in a folder of its own without transcript."""
    return Path(shutil.copy(media / "talking.mp4", tmp_path / "talking.mp4"))


TROUBLES = ("bug", "impatient", "crash", "greedy")

TROUBLE = """
import os, signal, time
import numpy as np

class Trouble:
    def __init__(self, card, files, threads):
        self.card, self.model_id, self.taxonomy = card, card.id, card.taxonomy
    def prepare(self, sample):
        return np.zeros(1, np.float32)

class Bug(Trouble):
    def infer(self, batch):
        raise RuntimeError("boom")

class Impatient(Trouble):
    def infer(self, batch):
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(30)
        raise AssertionError("the signal came too late")

class Crash(Trouble):
    def infer(self, batch):
        os.kill(os.getpid(), signal.SIGSEGV)

class Greedy(Trouble):
    def infer(self, batch):
        bytearray(8 << 30)
"""


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install recognisers that fail in several ways; returns the folder of their package."""
    site, models = tmp_path / "site", tmp_path / "models"
    info = site / "trouble-1.0.dist-info"
    info.mkdir(parents=True)
    models.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trouble\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[emofuse.recognisers]\n"
        + "".join(f"{name} = emofuse_test_trouble:{name.title()}\n" for name in TROUBLES)
    )
    (site / "emofuse_test_trouble.py").write_text(TROUBLE)
    for name in TROUBLES:
        (models / f"{name}.bin").write_bytes(b"x")
        (models / f"{name}.toml").write_text(
            f'id = "{name}"\nmodality = "face"\nrecogniser = "{name}"\nsummary = "fails"\n'
            'labels = ["neutral", "happy"]\nlicence = "MIT"\n[files.weights]\n'
            f'name = "{name}.bin"\nsha256 = "{hashlib.sha256(b"x").hexdigest()}"\nbytes = 1\n'
        )
        (tmp_path / f"{name}.yaml").write_text(f"modalities: [face]\nmodels:\n  face: {name}\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("EMOFUSE_MODELS", str(models))
    return site
