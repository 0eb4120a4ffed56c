"""A cluster of several nodes on this machine, and an S3 store on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from emofuse.analyzer import AnalyzerConfig
from emofuse.batch.inputs import make_plan
from emofuse.batch.journal import Journal, State
from emofuse.batch.ray import RayRunner
from emofuse.batch.results import Outcome, Results
from emofuse.batch.run import Batch, ProcessRunner, digest_of, run
from emofuse.io.remote import list_files, upload
from emofuse.io.worker import Limits
from emofuse.text.transcribe import NONE, TranscribeConfig

pytestmark = pytest.mark.slow

FORMATS = ("json", "parquet")
CONFIG = AnalyzerConfig(transcribe=TranscribeConfig(engine=NONE))
LIMITS = Limits(stall=120.0)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a bucket; ``%s`` is a path in it."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install moto[s3]")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="corpus")
    yield f"s3://corpus/%s?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture
def clips(media: Path, tmp_path: Path) -> Path:
    """Six photos in two folders, a clip with its transcript, and a file that is no picture."""
    root = tmp_path / "in"
    for n in range(6):
        (root / f"S{n % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(media / "portrait.jpg", root / f"S{n % 2}" / f"{n}.jpg")
    shutil.copy(media / "talking.mp4", root / "talk.mp4")
    shutil.copy(media / "talking.srt", root / "talk.srt")
    (root / "broken.jpg").write_bytes(b"no picture")
    return root


def test_a_store_is_read_and_written(store: str, clips: Path, tmp_path: Path) -> None:
    upload(clips, store % "in")
    found = list_files(store % "in")
    assert [f.below.as_posix() for f in found][:3] == ["S0/0.jpg", "S0/2.jpg", "S0/4.jpg"]
    plan = make_plan([Path(store % "in")])
    assert {job.name for job in plan.jobs} >= {"S0/0", "S1/5", "talk"}
    (talk,) = (job for job in plan.jobs if job.name == "talk")
    assert talk.remote_transcript is not None
    results = Results(tmp_path / "journal", (*FORMATS, "html"), True, url=store % "out")
    settings = digest_of(CONFIG, FORMATS)
    with Batch(plan, results, settings) as batch:
        made = list(run(batch, [ProcessRunner(CONFIG, results, None, LIMITS)]))
    assert sum(isinstance(m, Outcome) for m in made) == 7
    written = {f.below.as_posix() for f in list_files(store % "out")}
    assert {"index.html", "failures.csv", "viewer.js", "talk/timeline.json"} <= written
    assert "dataset/S0/0.parquet" in written
    with Batch(plan, results, settings) as batch:
        assert batch.tasks == []
        assert len(batch.finished) == 7


def test_every_file_is_in_the_result_once_though_a_node_dies(
    store: str, clips: Path, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'emofuse[ray]'")
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    from ray.cluster_utils import Cluster

    upload(clips, store % "in")
    plan = make_plan([Path(store % "in")])
    out = tmp_path / "out"
    results = Results(out, FORMATS, True)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        lost, _ = (cluster.add_node(num_cpus=1) for _ in range(2))
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        with Batch(plan, results, digest_of(CONFIG, FORMATS)) as batch:
            runners = [RayRunner(CONFIG, results, None, LIMITS) for _ in range(2)]
            made = []
            for result in run(batch, runners):
                made.append(result)
                if len(made) == 2:
                    cluster.remove_node(lost, allow_graceful=False)
                    cluster.add_node(num_cpus=1)
    finally:
        ray.shutdown()
        cluster.shutdown()
    failed = [m for m in made if not isinstance(m, Outcome)]
    assert len(made) == 8
    assert ["broken.jpg" in str(m) for m in failed] == [True], failed
    rows = duckdb.sql(
        f"SELECT file, count(DISTINCT person) AS people, count(*) AS slots "
        f"FROM '{out}/dataset/**/*.parquet' GROUP BY file ORDER BY file"
    ).fetchall()
    files = [file for file, _, _ in rows]
    assert len(files) == len(set(files)) == 7
    assert all(file.startswith("s3://corpus/in/") for file in files)
    photos = [(people, slots) for file, people, slots in rows if ".jpg" in file]
    assert photos == [(1, 1)] * 6
    with Journal(out) as journal:
        states = [entry.state for entry in journal.entries()]
    assert sorted(states) == [State.DONE] * 7 + [State.FAILED]
