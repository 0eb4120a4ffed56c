"""What tests of several rooms share: media of the repository, and shared data where it lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# How long an example takes depends on the machine: no test is timed. The same examples are tried
# in every run, so that a change fails by what it changed; HYPOTHESIS_PROFILE=search looks for more.
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session", autouse=True)
def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Name a folder for what all workers of a test run share, e.g. a net that was trained once."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    os.environ["EMOFUSE_TEST_RUN"] = str(shared)


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of small clips that the repository holds."""
    return ROOT / "tests" / "media"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of corpora and real clips, which is not part of the project."""
    folder = Path(os.environ.get("EMOFUSE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no shared data: set EMOFUSE_DATA to the folder that holds the corpora")
    return folder
