"""Edits applied to a timeline. Pure: the timeline that was found stays as it is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.estimates import Estimate, Modality, Subject, SubjectKind
from ..core.media import Diagnostic
from ..core.modality import modalities
from ..core.time import NS, Span, clock, to_ns
from ..core.timeline import Remark, RemarkKind, Timeline
from ..errors import EmofuseError, InputError
from ..export.json import read_json, read_subject
from ..export.summary import person_name
from .edits import (
    Confirm,
    Edit,
    Exclude,
    Mark,
    Merge,
    Name,
    Note,
    SetLabel,
    Split,
)
from .log import FILE, Annotations, read_annotations
from .merged import Merging

TOGETHER_NS = NS
"""Two faces that are seen at once for longer than this are two people."""


def load_result(path: Path | str) -> Timeline:
    """Read a result with what was corrected by hand, if there is anything.

    Args:
        path: its JSON file, or the folder with ``timeline.json``.

    Raises:
        InputError: if it cannot be read, or the annotations beside it are not its own.
    """
    path = result_file(path)
    timeline, beside = read_json(path), path.parent / FILE
    return apply(timeline, read_annotations(beside)) if beside.exists() else timeline


def result_file(path: Path | str) -> Path:
    """Return the JSON file of a result that is given by it or by its folder."""
    path = Path(path)
    return path / "timeline.json" if path.is_dir() else path


def apply(timeline: Timeline, annotations: Annotations) -> Timeline:
    """Return a timeline with its edits.

    An edit of a stretch concerns the estimates whose middle lies in it. An edit that can no
    longer be done, because an earlier one was undone, is left out, and a note says so.

    Args:
        timeline: as it was found.
        annotations: its own.

    Returns:
        A timeline whose changed estimates keep what was found in `Estimate.machine`, with
        `names` and `remarks`.

    Raises:
        InputError: if the annotations are of another result.
    """
    annotations.check_fits(timeline)
    draft = _Draft.of(timeline)
    for edit in annotations.active:
        try:
            draft.do(edit)
        except InputError as e:
            draft.notes.append(Diagnostic("edit-left-out", f"An edit by hand is left out: {e}."))
    return draft.timeline(timeline)


def check(timeline: Timeline, annotations: Annotations, since: int = 0) -> None:
    """Check that new edits can be done; older ones that no longer can do not matter.

    Args:
        timeline: as it was found.
        annotations: with the new edits.
        since: number of the first new edit.

    Raises:
        InputError: with the first one that cannot.
    """
    new = {edit.id for edit in annotations.edits[since:]}
    draft = _Draft.of(timeline)
    for edit in annotations.active:
        try:
            draft.do(edit)
        except InputError:
            if edit.id in new:
                raise


@dataclass
class _Draft:
    """A timeline while it is edited: estimates by person and modality, by their middles."""

    estimates: dict[Subject, dict[Modality, list[Estimate]]]
    any_fused: bool
    merging: Merging
    names: dict[Subject, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    @classmethod
    def of(cls, timeline: Timeline) -> _Draft:
        rows = {s: dict[Modality, list[Estimate]]() for s in timeline.subjects}
        for e in timeline:
            rows[e.subject].setdefault(e.modality, []).append(e)
        for lane in (lane for lanes in rows.values() for lane in lanes.values()):
            lane.sort(key=_middle)
        any_fused = any(Modality.FUSED in lanes for lanes in rows.values())
        names, remarks = dict(timeline.names), list(timeline.remarks)
        return cls(rows, any_fused, Merging(timeline), names, remarks)

    def timeline(self, found: Timeline) -> Timeline:
        return replace(
            found,
            estimates=tuple(
                e for lanes in self.estimates.values() for lane in lanes.values() for e in lane
            ),
            names={s: name for s, name in self.names.items() if s in self.estimates},
            remarks=tuple(sorted(self.remarks, key=lambda r: r.span)),
            notes=(*found.notes, *self.notes),
        )

    def do(self, edit: Edit) -> None:
        """Do an edit.

        Raises:
            InputError: if it cannot be done.
        """
        acts: dict[type, Callable[[Any], None]] = {
            Name: self._name,
            Merge: self._merge,
            Split: self._split,
            SetLabel: self._set_label,
            Confirm: self._confirm,
            Exclude: self._exclude,
            Mark: self._mark,
            Note: self._note,
        }
        acts[type(edit)](edit)

    def _name(self, edit: Name) -> None:
        subject = self._known(edit.subject)
        if edit.name:
            self.names[subject] = edit.name
        else:
            self.names.pop(subject, None)

    def _merge(self, edit: Merge) -> None:
        one, into = self._known(edit.subject), self._known(edit.into)
        if one == into or SubjectKind.GROUP in (one.kind, into.kind):
            raise InputError(f"cannot merge {one} into {into}: choose two different people")
        self._refuse_together(one, into)
        lanes = self.estimates[into]
        for modality, lane in self.estimates.pop(one).items():
            both = [*lanes.get(modality, ()), *(e.given_to(into) for e in lane)]
            if modality is Modality.FUSED:
                both = self._fused(into, lanes.get(modality, []), lane) or both
            lanes[modality] = _one_each(both)
        if (name := self.names.pop(one, None)) is not None:
            self.names.setdefault(into, name)

    def _fused(
        self, subject: Subject, first: Sequence[Estimate], second: Sequence[Estimate]
    ) -> list[Estimate]:
        """Fuse anew what two people said who are one; nothing if that cannot be done here."""
        try:
            return self.merging.fused(subject, first, second)
        except EmofuseError as e:
            told = f"where both had a result that of the better evidence counts: {e}"
            name = self._called(subject)
            note = Diagnostic("merge-not-fused", f"{name} was merged but not fused anew, {told}.")
            self.notes.append(note)
            return []

    def _refuse_together(self, one: Subject, other: Subject) -> None:
        """Refuse to make one person of two faces in one picture."""
        seen = {e.span for e in self.estimates[one].get(Modality.FACE, ())}
        faces = self.estimates[other].get(Modality.FACE, ())
        both = [e.span for e in faces if e.span in seen]
        if sum(span.duration_ns for span in both) > TOGETHER_NS:
            names = " and ".join(self._called(s) for s in (one, other))
            raise InputError(
                f"{names} are both seen at {clock(both[0].start_ns)}, so they are two people; "
                "split one of them first if only a part of it is the other"
            )

    def _split(self, edit: Split) -> None:
        subject, into, at_ns = self._known(edit.subject), read_subject(edit.into), to_ns(edit.at)
        if into in self.estimates or into.kind is not subject.kind:
            raise InputError(
                f"cannot split {subject} into {into}: expected a {subject.kind.value} of a "
                "number that nobody has"
            )
        lanes = self.estimates[subject]
        cuts = {m: _first_at(lane, 2 * at_ns) for m, lane in lanes.items()}
        if not any(cuts.values()) or all(cuts[m] == len(lane) for m, lane in lanes.items()):
            raise InputError(
                f"{self._called(subject)} is not there both before and after {clock(at_ns)}, so "
                "there is nothing to split"
            )
        later = {m: [e.given_to(into) for e in lane[cuts[m] :]] for m, lane in lanes.items()}
        self.estimates[subject] = {m: lane[: cuts[m]] for m, lane in lanes.items() if cuts[m]}
        self.estimates[into] = {m: lane for m, lane in later.items() if lane}

    def _set_label(self, edit: SetLabel) -> None:
        self._relabel(edit, lambda e: e.labelled(edit.label))

    def _confirm(self, edit: Confirm) -> None:
        self._relabel(edit, lambda e: e.labelled(e.label))

    def _relabel(self, edit: SetLabel | Confirm, change: Callable[[Estimate], Estimate]) -> None:
        subject = self._known(edit.subject)
        lanes = self.estimates[subject]
        order = (Modality.FUSED,) if self.any_fused else modalities()
        lane = next((lanes[m] for m in order if m in lanes), [])
        chosen = _part(lane, edit.span)
        try:
            changed = [change(e) for e in lane[chosen]]
        except KeyError as e:
            raise InputError(str(e.args[0])) from None
        if not changed:
            raise InputError(f"{self._called(subject)} has no result during {edit.span}")
        lane[chosen] = changed

    def _exclude(self, edit: Exclude) -> None:
        subject = None if edit.subject is None else self._known(edit.subject)
        for who in list(self.estimates) if subject is None else [subject]:
            for lane in self.estimates[who].values():
                del lane[_part(lane, edit.span)]
        self.remarks.append(Remark(RemarkKind.EXCLUDED, edit.span, subject=subject))

    def _mark(self, edit: Mark) -> None:
        at_ns = to_ns(edit.at)
        self.remarks.append(Remark(RemarkKind.MARK, Span(at_ns, at_ns), edit.text))

    def _note(self, edit: Note) -> None:
        subject = None if edit.subject is None else self._known(edit.subject)
        self.remarks.append(Remark(RemarkKind.NOTE, edit.span, edit.text, subject))

    def _known(self, text: str) -> Subject:
        subject = read_subject(text)
        if subject not in self.estimates:
            raise InputError(
                f"there is no {text}; there are {_some([str(s) for s in sorted(self.estimates)])}"
            )
        return subject

    def _called(self, subject: Subject) -> str:
        return self.names.get(subject) or person_name(subject)


def _some(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nobody") + more


def _middle(e: Estimate) -> int:
    """Twice the middle of an estimate's span, in ns: a whole number."""
    return e.span.start_ns + e.span.end_ns


def _first_at(lane: list[Estimate], middle: int) -> int:
    return bisect_left(lane, middle, key=_middle)


def _part(lane: list[Estimate], span: Span) -> slice:
    """Return where the estimates are whose middles lie in a stretch, or in a moment."""
    first, end = 2 * span.start_ns, 2 * span.end_ns
    return slice(_first_at(lane, first), _first_at(lane, end if end > first else end + 1))


def _one_each(estimates: Iterable[Estimate]) -> list[Estimate]:
    """Of several results of one person, moment and modality, keep a hand's or the best's."""
    best: dict[Span, Estimate] = {}
    for e in estimates:
        held = best.get(e.span)
        if held is None or (e.set_by_hand, e.quality) > (held.set_by_hand, held.quality):
            best[e.span] = e
    return sorted(best.values(), key=_middle)
