"""What `emofuse analyze` and `emofuse batch` do with their options."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .options import complain

if TYPE_CHECKING:
    from ..analyzer import AnalyzerConfig
    from ..batch.inputs import Failure, TranscriptChoice
    from ..batch.ray import RayRunner
    from ..batch.results import Outcome, Results
    from ..batch.run import Batch, Runner
    from ..core.protocols import ProgressCallback
    from .display import ProgressBars

_MEMORY_MB = 4000
"""Most memory that a worker process may take, in MB."""

_STALL_S = 300.0
"""Seconds without any progress after which a file is given up."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a command line wants its media analyzed.

    Args:
        workers: how many files at once; None: one per processor core.
        retry_failed: whether what failed in an earlier run is tried again.
        dry_run: only say what would be done.
        quiet: print errors only.
        as_json: print the outcomes as JSON.
        ray: address of a Ray cluster; None: work on this machine.
        journal: folder of the journal where results go to a store.
    """

    workers: int | None = None
    retry_failed: bool = False
    dry_run: bool = False
    quiet: bool = False
    as_json: bool = False
    ray: str | None = None
    journal: Path | None = None


def analyze_media(
    paths: Sequence[Path],
    out: Path | None,
    overwrite: bool,
    formats: tuple[str, ...],
    transcript: Path | TranscriptChoice,
    settings: AnalyzerConfig,
    options: RunOptions,
) -> Sequence[Failure]:
    """Analyze media, print what came of them and return the failures."""
    from ..batch.inputs import make_plan
    from ..batch.run import Batch, digest_of
    from . import display as show

    plan = make_plan(paths, transcript)
    if plan.failures and not plan.jobs:
        complain(show.failures(plan.failures))
        return plan.failures
    results = _place(out, formats, plan.batch, overwrite, options.journal)
    identity = settings.identity if settings.identity.across_files else None
    digest = digest_of(settings, formats)
    with Batch(plan, results, digest, options.retry_failed, identity) as batch:
        if options.dry_run:
            show.stdout().print(show.intention(batch), soft_wrap=True)
            return plan.failures
        return _run(batch, settings, options)


def _run(batch: Batch, settings: AnalyzerConfig, options: RunOptions) -> Sequence[Failure]:
    from . import display as show

    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    screen, talk = show.stdout(), not (options.quiet or options.as_json)
    enabled = not options.quiet and show.is_terminal()
    with show.ProgressBars([task.job for task in batch.tasks], enabled) as bars:
        try:
            with closing(_results(batch, settings, options, bars)) as results:
                for result in results:
                    if isinstance(result, tuple):
                        failures.append(result)
                        continue
                    outcomes.append(result)
                    if talk:
                        bars.print(show.outcome(result), screen)
        except KeyboardInterrupt:
            if batch.resumable:
                bars.clear()
                complain(show.interrupted(batch, len(outcomes), len(failures)))
            raise
    if options.as_json:
        screen.print_json(data=show.report_mapping(batch, outcomes, failures))
    elif talk:
        for line in show.closing(batch, bool(outcomes)):
            screen.print(line, soft_wrap=True)
    if failures:
        complain(show.failures(failures, len(batch.plan.jobs) + len(batch.plan.failures)))
    return failures


def _results(
    batch: Batch, settings: AnalyzerConfig, options: RunOptions, bars: ProgressBars
) -> Generator[Outcome | Failure, None, None]:
    """Media are analyzed in processes of their own: a decoder may crash there."""
    from ..batch.run import ProcessRunner, run
    from ..io.worker import Limits

    if not batch.plan.batch:
        return _alone(batch, _process(batch, settings), bars.begin(batch.plan.jobs[0]))
    kind: type[ProcessRunner] | type[RayRunner] = ProcessRunner
    cores = os.cpu_count() or 1
    if options.ray is not None and batch.tasks:
        from ..batch import ray

        kind, cores = ray.RayRunner, ray.connect(options.ray)
    count = min(options.workers or cores, len(batch.tasks))
    limits = Limits(stall=_STALL_S)
    runners = [kind(settings, batch.results, _MEMORY_MB, limits) for _ in range(count)]
    return run(batch, runners, bars.begin, bars.end)


def _process(batch: Batch, settings: AnalyzerConfig) -> Runner:
    from ..batch.run import ProcessRunner
    from ..io.worker import Limits

    return ProcessRunner(settings, batch.results, _MEMORY_MB, Limits(stall=_STALL_S))


def _alone(
    batch: Batch, runner: Runner, progress: ProgressCallback
) -> Generator[Outcome | Failure, None, None]:
    """Analyze one file; Ctrl-C lets what does it clear up."""
    from ..batch.run import run_alone
    from ..io.worker import Cancelled

    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield from run_alone(batch, runner, progress, stop)
    except Cancelled:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


def _place(
    out: Path | None,
    formats: tuple[str, ...],
    batch: bool,
    overwrite: bool,
    journal: Path | None,
) -> Results:
    """Say where results go; those in a store have their journal on this machine."""
    from ..batch.results import Results
    from ..io.remote import as_url

    url = None if out is None else as_url(out)
    if url is None:
        return Results(out, formats, batch, overwrite)
    if not batch:
        raise InputError(f"--out {url}: give a folder or a pattern of media, got one file")
    return Results(journal or _journal_of(url), formats, batch, overwrite, url)


def _journal_of(url: str) -> Path:
    """Return the folder of the journal of a place in a store."""
    from platformdirs import user_state_path

    digest = hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
    return user_state_path("emofuse") / "batches" / digest
