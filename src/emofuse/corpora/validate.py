"""Finds what is wrong with a corpus before a model learns it.

A corpus is judged whole: `check` looks at the manifest and, unless it is of text,
at every medium, and gives one `Report`. Findings are refused (`Report.refuse`)
unless the user allows them, or drops the samples that they name (`Report.without`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from ..errors import InputError
from .files import FileFacts, Progress, examine
from .manifest import Entry, Manifest, Split


class Problem(str, Enum):
    """What can be wrong; the values are the words of ``--allow`` and ``--drop``."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    DUPLICATES = "duplicates"
    CONFLICTS = "conflicts"
    SPEAKERS = "speakers"
    SPLITS = "splits"

    @property
    def meaning(self) -> str:
        """The problem in a phrase."""
        return {
            Problem.MISSING: "media that are not there",
            Problem.UNREADABLE: "media that are empty or cannot be opened",
            Problem.DUPLICATES: "samples whose content is another's, under the same label",
            Problem.CONFLICTS: "samples whose content is another's, under another label",
            Problem.SPEAKERS: "speakers in more than one split or fold",
            Problem.SPLITS: "splits or folds that hold nothing",
        }[self]

    @property
    def droppable(self) -> bool:
        """Whether leaving samples out mends it."""
        return self not in (Problem.SPEAKERS, Problem.SPLITS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of a corpus.

    Args:
        problem: what is wrong.
        count: how many samples, speakers or splits have it.
        detail: more about them, in a phrase.
        examples: some of their names.
        drop: ids of the samples without which the problem is gone.
    """

    problem: Problem
    count: int
    detail: str = ""
    examples: tuple[str, ...] = ()
    drop: frozenset[str] = frozenset()

    def __str__(self) -> str:
        more = "; ".join(part for part in (self.detail, _listed(self.examples)) if part)
        return f"{self.problem.value}: {self.count} {self.problem.meaning}" + (
            f" ({more})" if more else ""
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a corpus.

    Args:
        manifest: what was looked at.
        findings: its problems, one of a kind at most; empty if it is sound.
        files: what was found out about each medium.
        notes: what is worth knowing and no reason to refuse the corpus.
    """

    manifest: Manifest
    findings: tuple[Finding, ...] = ()
    files: Mapping[Path, FileFacts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    def refused(self, allow: Collection[Problem] = ()) -> tuple[Finding, ...]:
        """Return the findings that are not allowed."""
        return tuple(finding for finding in self.findings if finding.problem not in allow)

    def refuse(self, allow: Collection[Problem] = ()) -> None:
        """Let the corpus pass if it is sound, or what is wrong is allowed.

        Raises:
            InputError: with all problems that are not allowed.
        """
        if refused := self.refused(allow):
            lines = [f"{self.manifest.corpus} has problems: {remedy(refused)}", *map(str, refused)]
            raise InputError("\n".join(lines))

    def without(self, drop: Collection[Problem]) -> Manifest:
        """Return the manifest without the samples that have one of these problems.

        Of equal samples one stays: of the most held-back split, so that figures stay
        comparable and nothing that is tested was learned; of conflicting ones none does.

        Raises:
            InputError: if a problem cannot be mended in this way, or nothing is left.
        """
        if stubborn := [problem.value for problem in drop if not problem.droppable]:
            raise InputError(
                f"--drop cannot mend {', '.join(stubborn)}: assign splits and folds by speaker, "
                f"or accept it with --allow {','.join(stubborn)}"
            )
        gone = {i for finding in self.findings if finding.problem in drop for i in finding.drop}
        left = self.manifest.where(lambda entry: entry.id not in gone)
        if not left.entries:
            raise InputError(f"nothing of {self.manifest.corpus} is left after --drop")
        return left


def remedy(refused: Collection[Finding]) -> str:
    """Say what can be done about problems, as a clause."""
    mendable = ",".join(f.problem.value for f in refused if f.problem.droppable)
    drop = f"leave the samples out with --drop {mendable}, or " if mendable else ""
    words = ",".join(f.problem.value for f in refused)
    return f"mend them, or {drop}accept them with --allow {words}"


def check(manifest: Manifest, progress: Progress | None = None) -> Report:
    """Look at a corpus and all its media.

    Texts that occur more than once are noted, not refused: people write *thank you*
    more than once, and mean it differently.

    Args:
        manifest: of the corpus.
        progress: is told how many of how many media were looked at.

    Raises:
        InputError: if the manifest has no entries.
    """
    if not manifest.entries:
        raise InputError(f"the corpus {manifest.corpus} is empty: nothing to look at")
    files = examine((e.path for e in manifest if e.path is not None), progress)
    findings = (
        _missing(manifest, files),
        _unreadable(manifest, files),
        *_repeated(manifest, files),
        _speakers(manifest),
        _splits(manifest),
    )
    return Report(manifest, tuple(f for f in findings if f), files, tuple(_notes(manifest)))


def _missing(manifest: Manifest, files: Mapping[Path, FileFacts]) -> Finding | None:
    lost = [e for e in manifest if e.path is not None and files[e.path].missing]
    return _finding(Problem.MISSING, lost, [str(e.path) for e in lost])


def _unreadable(manifest: Manifest, files: Mapping[Path, FileFacts]) -> Finding | None:
    bad = [e for e in manifest if e.path is not None and files[e.path].fault]
    named = [f"{e.path}: {files[e.path].fault}" for e in bad if e.path is not None]
    return _finding(Problem.UNREADABLE, bad, named)


def _repeated(manifest: Manifest, files: Mapping[Path, FileFacts]) -> list[Finding | None]:
    """Find samples with the same content, in the same stretch of it."""
    same: dict[object, list[Entry]] = defaultdict(list)
    for entry in manifest:
        facts = files[entry.path] if entry.path is not None else None
        if facts is not None and facts.bytes and not facts.fault:
            same[facts.digest, entry.start, entry.end].append(entry)
    groups = [group for group in same.values() if len(group) > 1]
    equal = [group for group in groups if _labels_agree(group)]
    unequal = [group for group in groups if not _labels_agree(group)]
    spare = [entry for group in equal for entry in _spare(group)]
    return [
        _finding(Problem.DUPLICATES, spare, _pairs(equal), _crossing(equal)),
        _finding(
            Problem.CONFLICTS,
            [entry for group in unequal for entry in group],
            _pairs(unequal),
            _crossing(unequal),
        ),
    ]


def _labels_agree(group: Iterable[Entry]) -> bool:
    """Whether equal content has one label; of votes, the majority counts."""
    majorities = set()
    for entry in group:
        most = max(entry.labels.values(), default=0.0)
        majorities.add(frozenset(k for k, v in entry.labels.items() if v == most))
    return len(majorities) == 1


_HELD_BACK = {Split.TEST: 0, Split.VALIDATION: 1, Split.TRAIN: 2}


def _spare(group: Iterable[Entry]) -> list[Entry]:
    return sorted(group, key=lambda entry: _HELD_BACK[entry.split])[1:]


def _crossing(groups: Collection[list[Entry]]) -> str:
    across = sum(len({_part(entry) for entry in group}) > 1 for group in groups)
    return f"{across} of {len(groups)} contents cross splits or folds" if across else ""


def _pairs(groups: Iterable[list[Entry]]) -> list[str]:
    return [" = ".join(entry.id for entry in group[:3]) for group in groups]


def _part(entry: Entry) -> tuple[Split, int | None]:
    return entry.split, entry.fold


def _speakers(manifest: Manifest) -> Finding | None:
    parts: dict[str, set[tuple[Split, int | None]]] = defaultdict(set)
    for entry in manifest:
        if entry.speaker is not None:
            parts[entry.speaker].add(_part(entry))
    crossing = sorted(speaker for speaker, where in parts.items() if len(where) > 1)
    if not crossing:
        return None
    detail = f"of {len(parts)} speakers"
    return Finding(Problem.SPEAKERS, len(crossing), detail, tuple(crossing[:3]))


def _splits(manifest: Manifest) -> Finding | None:
    """Find what is empty: training, everything that is held back, or a fold between others.

    A corpus without folds that is all for training has not been split, which is no problem.
    """
    there = {entry.split for entry in manifest}
    folds = {entry.fold for entry in manifest if entry.fold is not None}
    empty = [f"fold {fold}" for fold in range(max(folds, default=0)) if fold not in folds]
    if not folds and Split.TRAIN not in there:
        empty.append("train")
    if len(folds) == 1 and there == {Split.TRAIN}:
        empty.append("validation and test")
    if not empty:
        return None
    return Finding(Problem.SPLITS, len(empty), examples=tuple(empty[:3]))


def _notes(manifest: Manifest) -> Iterable[str]:
    if unlabelled := sum(not entry.labels for entry in manifest):
        yield f"{unlabelled} samples have no label: nobody gave them one"
    if unused := [x for x in manifest.taxonomy.labels if all(x not in e.labels for e in manifest)]:
        yield f"no sample is labelled {', '.join(unused)}"
    if all(entry.split is Split.TRAIN and entry.fold is None for entry in manifest):
        yield "it has neither splits nor folds: training holds some of it out to validate on"
    texts: dict[str, set[Split]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for entry in manifest:
        if entry.path is None and entry.text:
            texts[entry.text].add(entry.split)
            counts[entry.text] += 1
    if again := sum(count - 1 for count in counts.values()):
        across = sum(len(splits) > 1 for splits in texts.values())
        yield f"{again} texts repeat another; {across} of them occur in more than one split"


def _finding(
    problem: Problem, entries: Collection[Entry], examples: Collection[str], detail: str = ""
) -> Finding | None:
    if not entries:
        return None
    ids = frozenset(entry.id for entry in entries)
    return Finding(problem, len(ids), detail, tuple(list(examples)[:3]), ids)


def _listed(names: Collection[str]) -> str:
    return f"such as {', '.join(names)}" if names else ""
