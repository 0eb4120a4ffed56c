"""A program that uses the public names passes `mypy --strict`, as it would at a user's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import emofuse

CODE = re.compile(r"\[([a-z-]+)\]$", re.MULTILINE)

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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it knows of the package: the second test costs little."""
    return tmp_path_factory.mktemp("types")


def check(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `mypy --strict` on a program, away from this project's own settings of mypy."""
    file = folder / "program.py"
    file.write_text(program, encoding="utf-8")
    source = Path(emofuse.__file__).parents[1]
    options = ["--strict", "--config-file=", "--follow-imports=silent", "--cache-dir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(file)],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(source)},
        capture_output=True,
        text=True,
    )


def test_the_program_uses_every_public_name() -> None:
    words = re.findall(r"\w+", PROGRAM)
    uses = {name: words.count(name) for name in emofuse.__all__}
    assert all(count >= 2 for count in uses.values()), uses  # imported, and used


@pytest.mark.slow
def test_public_names_are_typed(folder: Path) -> None:
    pytest.importorskip("mypy")
    found = check(PROGRAM + CLIENT + "reveal_type(live)\n", folder)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Iterator[emofuse.core.estimates.Estimate]" in found.stdout  # not Any


@pytest.mark.slow
def test_wrong_use_of_a_public_name_is_an_error(folder: Path) -> None:
    pytest.importorskip("mypy")
    wrong = 'import emofuse\nemofuse.analyze(1).fused.append("x")\n'
    remote = 'from emofuse.client import Client\nClient().submit("a.mp4", slot="long")["status"]\n'
    found = check(wrong + remote, folder)
    assert found.returncode == 1, found.stdout + found.stderr
    assert {"call-overload", "arg-type", "typeddict-item"} <= set(CODE.findall(found.stdout))
