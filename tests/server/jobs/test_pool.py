"""Workers that crash, hang and have bugs do no harm to anything else."""

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emofuse.analyzer import AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.core.media import MediaKind
from emofuse.export.json import read_json
from emofuse.io.media_types import ContentType
from emofuse.server.http.errors import ApiError
from emofuse.server.jobs.pool import FairQueue, Pool, WorkItem
from emofuse.server.jobs.tasks import Analysis, Facts, Probe, Upload
from emofuse.server.jobs.worker import Cancelled, WorkerConfig
from emofuse.server.options import AnalysisOptions
from emofuse.server.settings import Limits

TROUBLE = """
import os, pathlib, signal, time
import numpy as np
from emofuse.models.recogniser import Prediction

class Moody:
    '''Does what the file beside it says, once.'''
    embedding = None
    def __init__(self, card, files, threads):
        self.card, self.model_id, self.taxonomy = card, card.id, card.taxonomy
        self._mood = files["weights"].with_name("mood")
    def prepare(self, sample):
        return np.zeros(1, np.float32)
    def infer(self, batch):
        mood = self._mood.read_text() if self._mood.exists() else ""
        self._mood.unlink(missing_ok=True)
        if mood == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if mood == "hang":
            time.sleep(600)
        if mood == "internal_error":
            raise RuntimeError("boom")
        if mood == "greedy":
            np.ones(10 ** 10)
        from emofuse.core.estimates import Probabilities
        return [Prediction(Probabilities(self.taxonomy, np.array([0.5, 0.5])), None) for _ in batch]
"""


def item(name: str = "", timeout: float = 60.0) -> WorkItem:
    return WorkItem(Probe((), None, 1.0), timeout, started=lambda: None)


def test_clients_take_turns() -> None:
    queue = FairQueue(10)
    items = {name: item() for name in ("a1", "a2", "a3", "b1", "c1", "b2")}
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.put(name[0], items[name])
    names = {id(t): name for name, t in items.items()}
    order = [names[id(queue.get())] for _ in range(6)]
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_full_queue_says_so() -> None:
    queue = FairQueue(2)
    queue.put("a", item())
    queue.put("b", item())
    with pytest.raises(ApiError) as error:
        queue.put("c", item())
    assert (error.value.code, error.value.status) == ("busy", 429)
    assert error.value.retry_after is not None


def test_a_closed_queue_empties_and_ends() -> None:
    queue = FairQueue(2)
    queue.put("a", item())
    queue.close()
    assert queue.get() is not None
    assert queue.get() is None
    with pytest.raises(ApiError, match="stopping"):
        queue.put("a", item())


@pytest.fixture(scope="module")
def moody_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pool, Path, list[None]]]:
    """A pool of one worker whose face model does what a file says."""
    folder = tmp_path_factory.mktemp("moody")
    info = folder / "moody-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[emofuse.recognisers]\nmoody = emofuse_moody:Moody\n")
    (folder / "emofuse_moody.py").write_text(TROUBLE)
    (folder / "moody.bin").write_bytes(b"x")
    (folder / "moody.toml").write_text(
        'id = "moody"\nmodality = "face"\nrecogniser = "moody"\nsummary = "fails"\n'
        'labels = ["neutral", "happy"]\nlicence = "MIT"\n[files.weights]\n'
        f'name = "moody.bin"\nsha256 = "{hashlib.sha256(b"x").hexdigest()}"\nbytes = 1\n'
    )
    restarts: list[None] = []
    config = AnalyzerConfig(modalities=(Modality.FACE,), models={Modality.FACE: "moody"})
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        worker_config = WorkerConfig(config, Limits(), memory_mb=4096)
        pool = Pool(1, 4, worker_config, lambda: restarts.append(None))
        yield pool, folder / "mood", restarts
        pool.close(grace=1.0)


@pytest.fixture
def moody(
    moody_pool: tuple[Pool, Path, list[None]], monkeypatch: pytest.MonkeyPatch
) -> tuple[Pool, Path, list[None]]:
    """The pool, in an environment in which its processes find the model when they start."""
    monkeypatch.setenv("EMOFUSE_MODELS", str(moody_pool[1].parent))
    return moody_pool


def analysis(media: Path, out: Path) -> Analysis:
    kind = ContentType(MediaKind.IMAGE, ".jpg", "image/jpeg")
    path = media / "portrait.jpg"
    upload = Upload(path, "me.jpg", kind, path.stat().st_size)
    probe = Probe((upload,), None, 60.0)
    return Analysis(probe, AnalysisOptions(modalities=("face",)), out, ("json",))


def outcome(pool: Pool, item: WorkItem) -> Facts | BaseException | None:
    result = pool.submit("me", item)
    return result.exception(120) or result.result()


def test_a_crash_is_told_and_the_next_task_goes_well(
    moody: tuple[Pool, Path, list[None]], media: Path, tmp_path: Path
) -> None:
    pool, mood, restarts = moody
    before = len(restarts)
    mood.write_text("crash")
    error = outcome(pool, WorkItem(analysis(media, tmp_path), 60.0))
    assert isinstance(error, ApiError)
    assert error.code == "crashed", error.message
    assert f"signal {signal.SIGSEGV.value}" in error.message
    assert len(restarts) == before + 1
    facts = outcome(pool, WorkItem(analysis(media, tmp_path), 60.0))
    assert isinstance(facts, Facts)
    assert (facts.kind, facts.width, facts.height) == ("image", 200, 200)
    assert read_json(tmp_path / "timeline.json").media.name == "me.jpg"


def test_a_hanging_task_is_stopped_when_asked(
    moody: tuple[Pool, Path, list[None]], media: Path, tmp_path: Path
) -> None:
    pool, mood, _ = moody
    mood.write_text("hang")
    stuck = WorkItem(analysis(media, tmp_path), 60.0)
    result = pool.submit("me", stuck)
    deadline = time.monotonic() + 60
    while mood.exists():
        assert time.monotonic() < deadline, result
        time.sleep(0.05)
    stuck.stop.set()
    with pytest.raises(Cancelled):
        result.result(30)


@pytest.mark.parametrize(("mood", "code"), [("internal_error", "internal"), ("greedy", "crashed")])
def test_bugs_and_greed_are_told(
    moody: tuple[Pool, Path, list[None]], media: Path, tmp_path: Path, mood: str, code: str
) -> None:
    pool, file, restarts = moody
    before = len(restarts)
    file.write_text(mood)
    error = outcome(pool, WorkItem(analysis(media, tmp_path), 60.0))
    assert isinstance(error, ApiError)
    assert error.code == code
    assert "boom" not in error.message
    assert len(restarts) == before  # the process lives on


def test_who_takes_too_long_is_stopped_and_who_waits_can_give_up(
    moody: tuple[Pool, Path, list[None]], media: Path, tmp_path: Path
) -> None:
    pool, mood, _ = moody
    mood.write_text("hang")
    first = WorkItem(analysis(media, tmp_path), 2.0)
    begun = threading.Event()
    first.started = begun.set
    pool.submit("me", first)
    assert begun.wait(30)
    second = WorkItem(analysis(media, tmp_path), 60.0)
    waiting = pool.submit("me", second)
    second.stop.set()
    error = first.result.exception(60)
    assert isinstance(error, ApiError)
    assert (error.code, error.status) == ("took-too-long", 504)
    with pytest.raises(Cancelled):
        waiting.result(60)
