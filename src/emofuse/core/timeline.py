"""The timeline: all estimates about one medium, in order, with what produced them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from .estimates import Estimate, Modality, Subject
from .identity import People
from .media import Diagnostic, MediaInfo
from .modality import modalities
from .time import Span, to_ns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a timeline, so that it can be made again.

    Args:
        version: of emofuse.
        models: modality → model id (for `FUSED`, the strategy's name).
        components: other parts by role, e.g. ``{"detector": "haar", "asr": "pocketsphinx"}``.
        settings: the configuration as plain types.
    """

    version: str
    models: Mapping[Modality, str]
    components: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


class RemarkKind(str, Enum):
    """What somebody put down by hand at a place of a timeline."""

    MARK = "mark"
    NOTE = "note"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something put down by hand: a mark, a note, or that a stretch was left out.

    Args:
        kind: which of them.
        span: where; a mark has no length.
        text: the mark's name or the note's words.
        subject: whom it is about; None: everybody.
    """

    kind: RemarkKind
    span: Span
    text: str = ""
    subject: Subject | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Estimates in order (by start, subject, modality), with what produced them.

    Args:
        media: what was analyzed.
        estimates: what was found.
        provenance: what found it.
        notes: what the user should know about the result.
        duration_ns: how much of the medium was really read.
        names: of people, given by hand.
        remarks: put down by hand (see `emofuse.annotations`), in order of time.
        people: who is who; None where nobody asked.

    Example:
        >>> from emofuse.core.media import MediaKind
        >>> empty = Timeline(MediaInfo("a.wav", MediaKind.AUDIO), (), Provenance("0", {}))
        >>> len(empty), empty.subjects
        (0, ())
    """

    media: MediaInfo
    estimates: tuple[Estimate, ...]
    provenance: Provenance
    notes: tuple[Diagnostic, ...] = ()
    duration_ns: int = 0
    names: Mapping[Subject, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    people: People | None = None

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.estimates, key=_order))
        object.__setattr__(self, "estimates", ordered)

    def __len__(self) -> int:
        return len(self.estimates)

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.estimates)

    def of(self, modality: Modality, subject: Subject | None = None) -> tuple[Estimate, ...]:
        """Return the estimates of one modality, of one subject or of all."""
        return tuple(
            e
            for e in self.estimates
            if e.modality is modality and (subject is None or e.subject == subject)
        )

    @property
    def fused(self) -> tuple[Estimate, ...]:
        """The fused estimates: one per subject and moment."""
        return self.of(Modality.FUSED)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Everybody the timeline speaks of, in order."""
        return tuple(sorted({e.subject for e in self.estimates}))

    @property
    def by_hand(self) -> bool:
        """Whether anything in it was changed, named or put down by hand."""
        return bool(self.names or self.remarks or any(e.machine for e in self.estimates))

    def digest(self) -> str:
        """Return 16 hex digits that change when a time, a subject or a probability does.

        They tell results apart, e.g. of other settings; notes and places of files do not
        count. A result that was written and read has the same.
        """
        hashed = hashlib.blake2b(digest_size=8)
        for e in self.estimates:
            line = f"{e.span.start_ns} {e.span.end_ns} {e.subject} {e.modality} {e.label}\n"
            hashed.update(line.encode())
            hashed.update(e.probabilities.values.astype("<f4").tobytes())
        return hashed.hexdigest()

    def records(self, *, full: bool = False) -> Iterator[dict[str, Any]]:
        """Yield one flat dict of plain types per estimate.

        Keys: ``file, start, end`` (seconds), ``subject, modality, label``, one key
        per label of the union of the taxonomies in use, ``confidence, valence, arousal,
        quality, model, uncertain`` (the reason, or None), ``source`` (``machine``, or
        ``hand`` where the label was set by hand). What a model does not tell is None, not 0.

        Args:
            full: also ``disagreement``, ``weight_MODALITY`` for each modality (of fused
                estimates), ``text`` (the words), and all other that is kept of the evidence by
                its name, as ``snr`` or ``box`` (see `Estimate.details_mapping`).
        """
        labels = self.labels
        for e in self.estimates:
            known = dict(e.probabilities.items())
            row = {
                "file": self.media.path or self.media.name,
                "start": e.span.start,
                "end": e.span.end,
                "subject": str(e.subject),
                "modality": e.modality.value,
                "label": e.label,
                **{label: known.get(label) for label in labels},
                "confidence": e.confidence,
                "valence": e.affect.valence if e.affect else None,
                "arousal": e.affect.arousal if e.affect else None,
                "quality": e.quality,
                "model": e.model_id,
                "uncertain": e.uncertain.reason.value if e.uncertain else None,
                "source": e.source.value,
            }
            yield row | _more(e) if full else row

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that some estimate scores, the fused ones' order first."""
        seen: dict[str, None] = {}
        ordered = sorted(
            {e.modality for e in self.estimates}, key=lambda m: m is not Modality.FUSED
        )
        for modality in ordered:
            for taxonomy in {e.probabilities.taxonomy: None for e in self.of(modality)}:
                seen.update(dict.fromkeys(taxonomy.labels))
        return tuple(seen)

    def between(self, start: float, end: float) -> Timeline:
        """Return what starts within a stretch of time; times stay those of the medium.

        Args:
            start: in seconds, inclusive.
            end: in seconds, exclusive.
        """
        first, last = to_ns(start), to_ns(end)
        return self._only(lambda e: first <= e.span.start_ns < last)

    def person(self, who: Subject | str) -> Timeline:
        """Return what is said of one person.

        Args:
            who: the subject, its id (``"face-1"``) or the name that people are shown (``"Face 1"``,
                or what a transcript calls a speaker).

        Raises:
            InputError: if there is nobody of that name; the message says who there is.
        """
        from ..export.summary import find_subjects

        subjects = {who} if isinstance(who, Subject) else set(find_subjects(self, who))
        return self._only(lambda e: e.subject in subjects)

    def modality(self, which: Modality | str) -> Timeline:
        """Return the estimates of one modality, or the fused ones (``"fused"``).

        Raises:
            ValueError: if there is no such modality.
        """
        wanted = Modality.FUSED if which == "fused" else Modality(which)
        return self._only(lambda e: e.modality is wanted)

    def _only(self, wanted: Callable[[Estimate], bool]) -> Timeline:
        return replace(self, estimates=tuple(e for e in self.estimates if wanted(e)))

    def to_frame(self, *, full: bool = False) -> pd.DataFrame:
        """Return the records as a pandas frame indexed by (file, start, end).

        Start and end are Timedeltas, as in audformat's segmented tables; the columns
        ``start_s`` and ``end_s`` have them as seconds.

        Args:
            full: with weights, disagreement, words and the details of the evidence; see `records`.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        pandas = _pandas()
        columns = ["file", "start", "end", "subject", "modality", "label", *self.labels]
        columns += ["confidence", "valence", "arousal", "quality", "model", "uncertain", "source"]
        rows = list(self.records(full=full))
        more = dict.fromkeys(name for row in rows for name in row if name not in columns)
        frame = pandas.DataFrame(rows, columns=[*columns, *more])
        for edge in ("start", "end"):
            seconds = frame[edge].astype(float)
            frame[f"{edge}_s"], frame[edge] = seconds, pandas.to_timedelta(seconds, unit="s")
        indexed: pd.DataFrame = frame.set_index(["file", "start", "end"])
        return indexed

    def summary(self) -> pd.DataFrame:
        """Return a frame with a row per person: time, shares, means, transitions.

        The columns are those of ``summary.csv``; see `emofuse.export.people.summary_rows`.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        from ..export.people import summary_rows

        frame: pd.DataFrame = _pandas().DataFrame(list(summary_rows(self)))
        return frame

    @classmethod
    def load(cls, path: Path | str) -> Timeline:
        """Read a timeline, and what was corrected by hand beside it.

        Args:
            path: its JSON file, or the folder of results that it lies in.

        Raises:
            InputError: if it cannot be read, is no timeline, or the annotations are of another.
        """
        from ..annotations import load_result

        return load_result(path)

    def save(self, path: Path | str, *, format: str | None = None, overwrite: bool = False) -> None:
        """Write it in any format, told by the name of the file.

        Args:
            path: e.g. ``"a.json"``, ``"a.xlsx"``, ``"a.eaf"``, ``"slots.csv"``.
            format: the name of the format where the file's does not tell, e.g. ``"slots"``.
            overwrite: replace an existing file.

        Raises:
            InputError: if there is no such format, or `path` is taken or cannot be written.
            MissingExtra: if the format needs a package that is not installed.
        """
        from ..export import export, format_of

        path = Path(path)
        export(self, format or format_of(path), path, overwrite=overwrite)

    def to_json(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write it as JSON, exactly; `load` reads it back. See `save` for the errors."""
        self.save(path, format="json", overwrite=overwrite)

    def to_csv(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write it as a table, a row per estimate. See `save` for the errors."""
        self.save(path, format="csv", overwrite=overwrite)

    def plot(
        self,
        *,
        people: Sequence[str] | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Figure:
        """Draw a figure: each person's probabilities along time, uncertainty, modalities.

        Args:
            people: whom, by id or name; default: the six who are there longest.
            start: first second; default: the start of the medium.
            end: last second; default: its end.

        Returns:
            A matplotlib figure: `savefig` writes it.

        Raises:
            InputError: if there is nobody of a name, or `start` is not before `end`.
            MissingExtra: if matplotlib is not installed.
        """
        from ..export.figure import draw

        return draw(self, people=people, start=start, end=end)

    def _repr_html_(self) -> str:
        """Show it in a notebook: who expressed what, as strips along time."""
        from ..export.strips import fragment

        return fragment(self)


def _pandas() -> Any:
    """Import pandas: only who asks for a frame pays for it.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        import pandas
    except ImportError as e:
        raise MissingExtra("pandas", "a table of pandas") from e
    return pandas


def _order(e: Estimate) -> tuple[Span, Subject, str]:
    return e.span, e.subject, e.modality.value


def _more(e: Estimate) -> dict[str, Any]:
    """Return what only full records have."""
    weights = e.fusion.modality_weights if e.fusion else {}
    return {
        "disagreement": e.fusion.disagreement if e.fusion else None,
        **{f"weight_{m}": weights.get(m) for m in modalities()},
        "text": None,
        **e.details_mapping(),
    }
