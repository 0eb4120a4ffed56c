"""The wheel, built and put into an environment that holds what it asks for and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import emofuse

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\[([a-z-]+)\]$", re.MULTILINE)  # of an error of mypy
NOT_NEEDED = ("pandas", "scipy", "tokenizers", "torch", "fastapi", "matplotlib")


def requirements() -> list[Requirement]:
    """What `emofuse analyze` needs, as the project file has it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"]]


def closure() -> dict[str, Distribution]:
    """All that is installed with it, by name."""
    found: dict[str, Distribution] = {}
    wanted = requirements()
    while wanted:
        requirement = wanted.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in found or not (requirement.marker is None or requirement.marker.evaluate()):
            continue
        found[name] = distribution(name)
        for line in found[name].requires or ():
            if (needed := Requirement(line)).marker is None or "extra" not in str(needed.marker):
                wanted.append(needed)
    return found


def test_few_packages_are_needed() -> None:
    names = closure()
    assert not set(NOT_NEEDED) & names.keys()
    assert len(names) <= 30 + 4 * (sys.version_info < (3, 11)), sorted(names)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment. Nothing is downloaded: what it needs is lent by this one."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    bin_ = home / ("Scripts" if os.name == "nt" else "bin")
    packages = next(home.glob("[Ll]ib/**/site-packages"))
    for lent in closure().values():
        for top in {Path(f.parts[0]) for f in lent.files or () if f.parts[0] != ".."}:
            place, source = packages / top, Path(str(lent.locate_file(top)))
            if top.name != "__pycache__" and not place.exists():
                place.symlink_to(source, target_is_directory=source.is_dir())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return bin_ / "python"


def ran(python: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "EMOFUSE"))}
    return subprocess.run(
        [python, *words], cwd=cwd, env=kept, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_it_holds_what_the_documentation_names(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"emofuse/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    assert configs
    assert configs <= names
    assert {"emofuse/py.typed", "emofuse/server/static/index.html"} <= names
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks"))]


@pytest.mark.slow
def test_it_analyzes_a_clip_with_nothing_else_installed(
    python: Path, media: Path, tmp_path: Path
) -> None:
    clip = shutil.copy(media / "talking.mp4", tmp_path)
    done = ran(python, "-m", "emofuse", "analyze", clip, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    timeline = json.loads((tmp_path / "out" / "timeline.json").read_text("utf-8"))
    assert timeline["estimates"]
    assert {"face", "speech"} <= timeline["provenance"]["models"].keys()
    missing = ran(python, "-c", f"import {NOT_NEEDED[0]}", cwd=tmp_path)
    assert missing.returncode == 1, "the environment holds more than was asked for"


@pytest.mark.slow
def test_its_settings_can_be_copied(python: Path, tmp_path: Path) -> None:
    done = ran(python, "-m", "emofuse", "config", "copy", "ravdess", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ravdess.yaml").read_bytes() == (ROOT / "configs/ravdess.yaml").read_bytes()


@pytest.mark.slow
def test_what_is_missing_is_said_with_its_extra(python: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import emofuse\ntry:\n    emofuse.Analyzer().analyze('a.txt').to_frame()\n"
        "except emofuse.MissingExtra as error:\n    print(error)\n"
        "from emofuse.client import Client\n"
        "try:\n    list(Client().live([]))\n"
        "except emofuse.MissingExtra as error:\n    print(error)\n"
    )
    (tmp_path / "a.txt").write_text("What a wonderful day.")
    told = ran(python, "program.py", cwd=tmp_path).stdout
    assert "emofuse[pandas]" in told
    assert "emofuse[web]" in told
    (tmp_path / "a.ass").write_text("[Script Info]\n[Events]\n")
    assert "emofuse[ass]" in ran(python, "-m", "emofuse", "analyze", "a.ass", cwd=tmp_path).stderr
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    (tmp_path / "a.heic").write_bytes(heic)
    done = ran(python, "-m", "emofuse", "analyze", "a.heic", cwd=tmp_path)
    assert "emofuse[heif]" in done.stderr
    assert "Traceback" not in done.stderr


PROGRAM = """
from emofuse import (
    Analyzer,
    AnalyzerConfig,
    EmofuseError,
    Estimate,
    InputError,
    MissingExtra,
    Modality,
    ModelError,
    Observation,
    Observer,
    Probabilities,
    Subject,
    Timeline,
    __version__,
    analyze,
    live,
)


def describe(subject: Subject, probabilities: Probabilities) -> str:
    return f"{subject}: {probabilities.label} {probabilities.confidence:.2f}"


def faces(timeline: Timeline) -> list[Estimate]:
    return list(timeline.of(Modality.FACE))


def read(path: str) -> Timeline | None:
    try:
        return Analyzer(AnalyzerConfig(fps=5.0)).analyze(path)
    except (InputError, ModelError, MissingExtra) as error:
        general: EmofuseError = error
        print(general)
        return None


version: str = __version__
for estimate in faces(analyze("interview.mp4")):
    line: str = describe(estimate.subject, estimate.probabilities)
seen: Observation = analyze(image="face.jpg", audio="voice.wav", weights={"face": 1.0})
several: list[Observation] = analyze(text=["Well."])
again: Observation = Observer().fuse(seen, {"speech": 1.0})
for estimate in live():
    label: str = estimate.label
"""


CLIENT = """
from emofuse.client import AnalysisOptions, Client, Job, LiveMessage, Picture, ServerError


def told(message: LiveMessage) -> list[str]:
    if message["type"] == "measurement":
        return [estimate["label"] for estimate in message["estimates"]]
    return [message["error"]["message"]] if message["type"] == "error" else []


options: AnalysisOptions = {"slot": 1.0, "weights": {"face": 0.6}, "modalities": ["face"]}
with Client(token="a token of 16 letters") as client:
    job: Job = client.submit("interview.mp4", transcript="interview.srt", **options)
    state: str = client.wait(job)["state"]
    found: Timeline = client.result(job)
    for message in client.live([Picture(0.0, b"")], audio=False):
        print(told(message))
    try:
        seen_there = client.observe(image="face.jpg", fps=None)["fused"]
    except ServerError as refused:
        print(refused.code, client.health()["status"])
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it knows of the package: the second check costs little."""
    return tmp_path_factory.mktemp("mypy")


def check(program: str, python: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run `mypy --strict` on a user's program, away from this project and its settings."""
    (cache / "program.py").write_text(program, "utf-8")
    options = ["--strict", "--config-file=", "--python-executable", str(python)]
    options += ["--follow-imports=silent", "--cache-dir", str(cache / "cache")]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, "program.py"],
        cwd=cache,
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")},
        capture_output=True,
        text=True,
    )


def test_the_program_uses_every_public_name() -> None:
    words = re.findall(r"\w+", PROGRAM)
    uses = {name: words.count(name) for name in emofuse.__all__}
    assert all(count >= 2 for count in uses.values()), uses  # imported, and used


@pytest.mark.slow
def test_a_program_with_every_public_name_is_typed(python: Path, cache: Path) -> None:
    pytest.importorskip("mypy")
    done = check(PROGRAM + CLIENT + "reveal_type(live)\n", python, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Iterator[emofuse.core.estimates.Estimate]" in done.stdout  # not Any


@pytest.mark.slow
def test_wrong_use_of_a_public_name_is_an_error(python: Path, cache: Path) -> None:
    pytest.importorskip("mypy")
    wrong = 'import emofuse\nemofuse.analyze(1).fused.append("x")\n'
    remote = 'from emofuse.client import Client\nClient().submit("a.mp4", slot="long")["status"]\n'
    done = check(wrong + remote, python, cache)
    assert done.returncode == 1, done.stdout + done.stderr
    assert {"call-overload", "arg-type", "typeddict-item"} <= set(CODE.findall(done.stdout))
