"""A short run of the fuzzer: the same cases every time; `make fuzz` is the long one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.fuzz.mutate import LONGEST, mutated
from tests.fuzz.run import BAD, run
from tests.fuzz.seeds import Kind, make_seeds
from tests.fuzz.targets import ANALYZED, REFUSED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
def test_damaged_files_are_analyzed_or_refused(folder: Path) -> None:
    results = run(folder, cases=21, seed=1)
    bad = [r for r in results if r.outcome in BAD]
    assert not bad, "\n\n".join(f"{r.case} ({r.seed_file}): {r.told}" for r in bad)
    assert {r.outcome for r in results} == {ANALYZED, REFUSED}
    assert run(folder, cases=21, seed=1) == results  # from the journal


@pytest.mark.slow
def test_odd_requests_are_answered(folder: Path) -> None:
    pytest.importorskip("schemathesis", reason="pip install schemathesis")
    pytest.importorskip("fastapi", reason="no server without the extra: pip install 'emofuse[web]'")
    from tests.fuzz.web import run_web

    results = run_web(folder, count=40, sessions=2, seed=1)
    bad = [r for r in results if r.outcome in BAD]
    assert not bad, "\n\n".join(f"{r.case} ({r.seed_file}): {r.told}" for r in bad)
    assert len(results) > 30


def test_seeds_are_read_as_they_are(folder: Path) -> None:
    """There is something of every kind to damage."""
    seeds = make_seeds(folder / "seeds")
    assert all(seeds[kind] for kind in Kind)
    assert len(seeds[Kind.MEDIA]) > 20


@pytest.mark.parametrize("is_text", [True, False])
def test_mutations_depend_on_the_random_numbers_alone(is_text: bool) -> None:
    def made(seed: int) -> bytes:
        return mutated(Random(seed), b"1\n00:00:01,000 --> 00:00:02,000\nHi.\n" * 9, b"b", is_text)

    assert [made(n) for n in range(50)] == [made(n) for n in range(50)]
    assert len({made(n) for n in range(50)}) > 40
    assert all(len(made(n)) <= LONGEST for n in range(50))
