"""What `emofuse` shows in a terminal, with rich: progress, summaries, tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core.estimates import SubjectKind
from ..core.media import MediaKind
from ..core.modality import name_of
from ..core.observation import Observation
from ..core.time import NS, clock
from ..export.summary import (
    Person,
    Summary,
    count,
    count_of_faces,
    describe,
    describe_doubt,
    person_name,
    short_clock,
    to_mapping,
)
from ..models import metrics_table as figures
from ..models.card import Card, ModelFile
from ..models.store import Store, megabytes
from .doctor import Check, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from ..batch.inputs import Failure, Job
    from ..batch.results import Outcome
    from ..batch.run import Batch
    from ..group.keyframes import Keyframe

CAVEAT = "emofuse reports expressions: what faces, voices and words show, not what people feel."

_TIMED = (MediaKind.VIDEO, MediaKind.AUDIO)

_MOST = 8  # people shown in the terminal; all are in the results

_ROOMY = 110
"""Characters from which on a line holds everything about a model."""

_WARM = 0.3  # seconds before a speed means anything


def stdout() -> Console:
    """Return a console for results. Nothing is taken for markup or colored by itself."""
    return Console(force_jupyter=False, highlight=False, markup=False, emoji=False, soft_wrap=False)


def stderr() -> Console:
    """Return a console for progress and errors."""
    return Console(
        stderr=True,
        force_jupyter=False,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


class ProgressBars:
    """A bar for each medium in work, and for several one for all. Cleared when done.

    Args:
        jobs: what will be analyzed.
        enabled: False shows nothing.
    """

    def __init__(self, jobs: Sequence[Job], enabled: bool = True) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[where]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=stderr(),
            transient=True,
            disable=not enabled,
        )
        self._bars: dict[Job, _Bar] = {}
        self._done, self._count, self._heard_ns = 0, len(jobs), 0
        self._started = time.perf_counter()
        # Sizes are known before the media are opened, lengths are not.
        self._sizes = {job: max(_size(job.path), 1) for job in jobs}
        self._all = self._progress.add_task(
            "", total=sum(self._sizes.values()), where="", speed="", visible=self._count > 1
        )
        self._show_all()

    def begin(self, job: Job) -> _Bar:
        """Show a medium; call the bar with how far it is."""
        self._progress.start()
        task = self._progress.add_task(job.path.name, total=None, where="loading", speed="")
        self._bars[job] = bar = _Bar(self._progress, task, self._show_all)
        return bar

    def end(self, job: Job) -> None:
        """Take a medium's bar away."""
        self._done += 1
        bar = self._bars.pop(job, None)
        if bar is not None:
            self._heard_ns += bar.done_ns
            self._progress.remove_task(bar.task)
        self._sizes[job] *= -1  # done
        self._show_all()

    def _show_all(self) -> None:
        bars = self._bars.copy()
        finished = sum(-size for size in self._sizes.values() if size < 0)
        running = sum(self._sizes[job] * bar.part for job, bar in bars.items())
        media = self._heard_ns + sum(bar.done_ns for bar in bars.values())
        speed = media / NS / max(time.perf_counter() - self._started, 1e-9)
        self._progress.update(
            self._all,
            completed=finished + running,
            description=f"{self._done} of {self._count} files",
            where=short_clock(media),
            speed=f"{speed:.1f}× real time" if media else "",
        )

    def print(self, what: RenderableType, screen: Console) -> None:
        """Print above the bars."""
        self._progress.stop()
        screen.print(what, crop=False)
        if self._count > 1:
            self._progress.start()

    def clear(self) -> None:
        """Take the bars away, so that something else can be printed."""
        self._progress.stop()

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()


class _Bar:
    """One medium's bar: media time, media speed, time left."""

    def __init__(self, progress: Progress, task: TaskID, moved: Callable[[], None]) -> None:
        self.task, self.done_ns, self.part = task, 0, 0.0
        self._progress, self._moved, self._started = progress, moved, 0.0

    def __call__(self, done_ns: int, total_ns: int | None) -> None:
        """Show that `done_ns` of `total_ns` are done."""
        now = time.perf_counter()
        if not self._started:  # loading models is not the media's fault
            self._started = now
        self.done_ns, self.part = done_ns, min(1.0, done_ns / total_ns) if total_ns else 0.0
        of = f" / {short_clock(total_ns)}" if total_ns else ""
        elapsed = now - self._started
        self._progress.update(
            self.task,
            completed=done_ns,
            total=total_ns,
            where=f"{short_clock(done_ns)}{of}",
            speed=f"{done_ns / NS / elapsed:.1f}× real time" if elapsed > _WARM else "",
        )
        self._moved()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def outcome(result: Outcome) -> RenderableType:
    """Show what came of one medium: who expressed what, remarks, where the files lie."""
    summary = result.summary
    parts: list[RenderableType] = [_heading(summary)]
    if summary.people:
        parts.append(Padding(people(summary), (0, 0, 0, 2)))
    else:
        parts.append(_line("  No face, voice or words were found."))
    if len(summary.people) > _MOST:
        parts.append(_line(f"  and {len(summary.people) - _MOST} more, present for less long"))
    parts.extend(_line(f"  {remark}") for remark in _remarks(result))
    return Group(*parts, Text())


def people(summary: Summary) -> Table:
    """Make the table of a summary's people, longest present first."""
    timed = summary.kind in _TIMED
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Who", no_wrap=True)
    table.add_column("Expressed", ratio=1)
    if timed:
        table.add_column("Present", no_wrap=True)
        table.add_column("Sure", justify="right", no_wrap=True)
    table.add_column("From", no_wrap=True)
    for person in summary.shown[:_MOST]:
        sure = f"{person.confidence:.0%}"
        table.add_row(
            Text(person.name or person_name(person.subject, summary.kind)),
            Text(_says(person, summary)),
            *((_presence(person), sure) if timed else ()),
            _from(person, summary),
        )
    return table


def _from(person: Person, summary: Summary) -> str:
    if person.subject.kind is SubjectKind.GROUP and summary.mood:
        return f"{count_of_faces(summary.mood)}, {summary.mood.read:.0%} read"
    return " + ".join(name_of(m) for m in person.modalities)


def _says(person: Person, summary: Summary) -> str:
    says = describe(person, timed=summary.timed)
    doubt = describe_doubt(person) if summary.timed else ""
    return f"{says}; {doubt}" if doubt else says


def keyframes(found: Sequence[Keyframe]) -> Table:
    """Return a table of chosen keyframes."""
    table = Table("time", "mood", "score", "difference", box=None, padding=(0, 2))
    for keyframe in found:
        mood = keyframe.mood.label if keyframe.mood else "nothing to go by"
        at = clock(keyframe.at.start_ns)
        table.add_row(at, mood, f"{keyframe.score:.0%}", f"{keyframe.difference:.1%}")
    return table


def failures(failed: Sequence[Failure], of: int = 1) -> str:
    """Say which media came to nothing and why: a line each."""
    lines = [str(error) for _, error in failed]
    if of > 1:
        lines.append(f"{len(failed)} of {of} inputs could not be analyzed")
    return "\n".join(lines)


def closing(batch: Batch, analyzed: bool) -> list[str]:
    """Say last what was skipped, where the results of all lie, and what they are not."""
    lines = []
    if batch.plan.skipped:
        lines.append(
            f"Skipped {count(batch.plan.skipped, 'other file')} in the folders (not media)."
        )
    if batch.finished:
        lines.append(f"{count(len(batch.finished), 'file')} finished by an earlier run.")
    if batch.files:
        lines.append(f"Results of all inputs: {', '.join(map(str, batch.files))}")
    return [*lines, CAVEAT] if analyzed or batch.finished else lines


def intention(batch: Batch) -> str:
    """Say what a run would do."""
    todo = [task.job for task in batch.tasks]
    size = megabytes(sum(_size(job.path) for job in todo))
    lines = [f"{job.path} → {_home(batch, job)}" for job in todo]
    lines.append(f"{count(len(todo), 'file')} to analyze, {size}.")
    if batch.failed_before:
        failed = count(len(batch.failed_before), "file")
        lines.append(f"{failed} failed in an earlier run; --retry-failed tries again.")
    return "\n".join([*lines, *closing(batch, False)])


def _home(batch: Batch, job: Job) -> str:
    files = tuple(batch.results.files(job).values())
    return str(files[0].parent) if files else "summary only"


def interrupted(batch: Batch, done: int, failed: int) -> str:
    """Say after Ctrl-C what is done and how to go on."""
    left = len(batch.tasks) - done - failed
    return (
        f"{done + len(batch.finished)} done, {failed} failed, {left} left; "
        "finished results are kept: run the same command again to go on"
    )


def report_mapping(
    batch: Batch, outcomes: Sequence[Outcome], failed: Sequence[Failure]
) -> dict[str, Any]:
    """Return everything that came of a command line as plain types, for ``--json``."""
    return {
        "media": [outcome_mapping(result) for result in outcomes],
        "failed": [{"file": str(path), "error": str(error)} for path, error in failed],
        "finished_before": [entry.path for entry in batch.finished],
        "skipped": batch.plan.skipped,
        "results": [str(path) for path in batch.files],
        "about": CAVEAT,
    }


def outcome_mapping(result: Outcome) -> dict[str, Any]:
    """Return an outcome as plain types, for ``--json``."""
    summary = result.summary
    return {
        "file": summary.file,
        "kind": summary.kind.value,
        "duration": summary.duration_ns / NS,
        "seconds": round(result.seconds, 3),
        "text_source": result.text_source,
        "transcript": str(result.job.transcript) if result.job.transcript else None,
        **to_mapping(summary),
        "notes": [{"code": n.code, "message": n.message} for n in summary.notes],
        "results": {kind: str(path) for kind, path in result.files.items()},
    }


def observation(found: Observation) -> RenderableType:
    """Show what a face, a voice and words say, and all of them together."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, right in (("", False), ("Label", False), ("Confidence", True), ("Weight", True)):
        table.add_column(name, justify="right" if right else "left")
    if any(e.affect for e in found):
        table.add_column("Valence, arousal")
    weights = found.fused.fusion.modality_weights if found.fused and found.fused.fusion else {}
    for e in found:
        table.add_row(
            name_of(e.modality),
            "uncertain" if e.uncertain else e.label,
            f"{e.confidence:.0%}",
            f"{weights[e.modality]:.0%}" if e.modality in weights else "",
            *([f"{e.affect.valence:+.2f}, {e.affect.arousal:+.2f}"] if e.affect else []),
        )
    told = [note.message for note in found.notes]
    told += [found.fused.doubt] if found.fused and found.fused.doubt else []
    return Group(table, *(Text(line) for line in (*told, CAVEAT)))


def cards(some: Sequence[Card], store: Store, width: int) -> Table:
    """Make a table of models; where it is narrow, one of two columns.

    Args:
        some: the models.
        store: knows where they are.
        width: of the screen, in characters.
    """
    if width < _ROOMY:
        return _narrow(some, store)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Model", "For", "Labels"):
        table.add_column(name, no_wrap=name != "Labels")
    table.add_column("Size", justify="right", no_wrap=True)
    for name in ("Licence", "Where", "Measured"):
        table.add_column(name)
    for card in some:
        table.add_row(
            card.id,
            card.modality.value,
            str(len(card.taxonomy)),
            _bytes(card),
            Text(card.licence),
            store.location(card).value,
            Text(key_metric(card)),
        )
    return table


def _narrow(some: Sequence[Card], store: Store) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Model", no_wrap=True)
    table.add_column("Reads, labels, size, where; licence; measured", ratio=1)
    for card in some:
        here = store.location(card).value
        labels = count(len(card.taxonomy), "label")
        lines = [f"{card.modality.value}, {labels}, {_bytes(card)}, {here}", card.licence]
        table.add_row(card.id, Text("\n".join(filter(None, (*lines, key_metric(card))))))
    return table


def _bytes(card: Card) -> str:
    if all(file.bytes for file in card.files.values()):
        return megabytes(card.bytes)
    return f"> {megabytes(card.bytes)}" if card.bytes else "?"


def key_metric(card: Card) -> str:
    """Return the first figures of a card, which are its headline; empty if it has none."""
    for row in figures.rows(card.metrics)[:1]:
        measure, value = next(iter(row.values.items()))
        return f"{figures.MEASURES[measure]} {value:.1%} on {row.name}"
    return ""


def card(card: Card, store: Store) -> RenderableType:
    """Show one model's card."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1)
    rows = [
        ("Model", card.id),
        ("", card.summary),
        ("For", card.modality.value),
        ("Labels", ", ".join(card.taxonomy.labels)),
        ("Licence", card.licence),
        *([("Terms", card.terms)] if card.terms else []),
        ("Size", f"{_bytes(card)}, {store.location(card).value}"),
        *(("Trained on", _corpus(c.name, c.licence, c.used)) for c in card.data),
    ]
    rows.extend(("File", _file(f)) for f in card.files.values())
    rows.extend(("Note", note) for note in card.notes)
    for name, value in rows:
        table.add_row(name, Text(value))
    return Group(table, *_measured(card)) if card.metrics else table


def _file(file: ModelFile) -> str:
    digest = file.sha256 or "not published: the first download is trusted"
    return f"{file.name}  sha256 {digest}"


def _measured(card: Card) -> Iterator[RenderableType]:
    """Show a card's figures as a table, then how they came about."""
    found = figures.rows(card.metrics)
    shown = figures.measures(found)
    how = list(dict.fromkeys(row.protocol for row in found))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Measured on", ratio=1)
    for measure in shown:
        table.add_column(figures.MEASURES[measure], justify="right", no_wrap=True)
    table.add_column("How", style="dim", justify="right", no_wrap=True)
    for row in found:
        values = [f"{row.values[m]:.1%}" if m in row.values else "" for m in shown]
        table.add_row(Text(row.name), *values, str(how.index(row.protocol) + 1))
    yield from ("", table, "")
    notes = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    notes.add_column(style="dim", justify="right", no_wrap=True)
    notes.add_column(ratio=1)
    for number, protocol in enumerate(how, start=1):
        notes.add_row(str(number), Text(protocol))
    if (more := len(card.metrics) - sum(len(row.values) for row in found)) > 0:
        notes.add_row("", Text(f"{more} more figures: emofuse models show {card.id} --json"))
    seeds = sorted({m.seeds for m in card.metrics})
    notes.add_row("", Text(f"Training runs per figure: {', '.join(map(str, seeds))}."))
    for command in dict.fromkeys(m.command for m in card.metrics if m.command):
        notes.add_row("", Text(f"Reproduce with: {command}"))
    yield notes


_MARKS = {Status.WORKS: ("✓", "green"), Status.ABSENT: ("–", "dim"), Status.FAILS: ("✗", "red")}


def checks(results: Sequence[Check]) -> RenderableType:
    """Show what works on this machine, and a verdict."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    area = ""
    for check in results:
        sign, style = _MARKS[check.status]
        heading = Text(check.area if check.area != area else "", "bold")
        table.add_row(Text(sign, style), heading, Text(check.name), Text(check.detail))
        area = check.area
    failing = [check.name for check in results if check.status is Status.FAILS]
    verdict = (
        f"Not ready: {', '.join(failing)} (✗) must be fixed first."
        if failing
        else "Ready. Items marked – are optional."
    )
    return Group(table, Text(), Text(verdict))


def check_mapping(check: Check) -> dict[str, str]:
    """Return one check as plain types."""
    return {
        "area": check.area,
        "name": check.name,
        "status": check.status.value,
        "detail": check.detail,
    }


def is_terminal() -> bool:
    """Whether progress on stderr is seen by somebody."""
    return sys.stderr.isatty()


def _line(text: str) -> Text:
    """A line that only the terminal breaks, so that paths in it can be copied."""
    return Text(text, no_wrap=True, overflow="ignore")


def _heading(summary: Summary) -> Text:
    length = f", {short_clock(summary.duration_ns)}" if summary.kind in _TIMED else ""
    return Text.assemble(
        (summary.file, "bold"),
        f"  {summary.kind.value}{length}",
        no_wrap=True,
        overflow="ignore",
    )


def _remarks(result: Outcome) -> Iterator[str]:
    summary = result.summary
    if result.text_source not in (None, "none") and summary.kind in _TIMED:
        beside = ", which lies beside it" if _is_sidecar(result) else ""
        yield f"Text from {result.text_source}{beside}."
    for note in summary.notes:
        yield f"Note: {note.message}"
    if summary.kind in _TIMED:
        yield f"Analyzed in {result.seconds:.1f} s, {result.speed:.1f}× real time."
    if result.files:
        yield f"Results: {_files(list(result.files.values()))}"


def _is_sidecar(result: Outcome) -> bool:
    transcript = result.job.transcript
    return (
        transcript is not None
        and transcript.parent == result.job.path.parent
        and transcript.stem == result.job.path.stem
    )


def _presence(person: Person) -> str:
    return f"{short_clock(person.present_ns)} ({person.coverage:.0%})"


def _files(paths: Sequence[Path]) -> str:
    """Name files that differ in their endings only: ``out/timeline.html, .csv``."""
    first, *others = sorted(paths, key=lambda p: p.suffix != ".html")
    return ", ".join([str(first), *(p.suffix for p in others)])


def _corpus(name: str, licence: str, used: str) -> str:
    return f"{name} ({licence})" + (f": {used}" if used else "")
