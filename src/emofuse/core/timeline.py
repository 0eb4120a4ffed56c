"""The timeline: all estimates about one medium, in order, with what produced them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from .estimates import Estimate, Modality, Subject
from .media import Diagnostic, MediaInfo
from .time import Span

if TYPE_CHECKING:
    import pandas as pd


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

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield one flat dict of plain types per estimate.

        Keys: ``file, start, end`` (seconds), ``subject, modality, label``, one key
        per label of the union of the taxonomies in use, ``confidence, valence, arousal,
        quality, model, uncertain`` (the reason, or None), ``source`` (``machine``, or
        ``hand`` where the label was set by hand). What a model does not tell is None, not 0.
        """
        labels = self.labels
        for e in self.estimates:
            known = dict(e.probabilities.items())
            yield {
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

    def to_frame(self) -> pd.DataFrame:
        """Return the records as a pandas frame indexed by (file, start, end).

        Start and end are Timedeltas, as in audformat's segmented tables.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        try:
            import pandas as pd  # only who asks for a frame pays for pandas
        except ImportError as e:
            raise MissingExtra("pandas", "a table of pandas") from e

        columns = ["file", "start", "end", "subject", "modality", "label", *self.labels]
        columns += ["confidence", "valence", "arousal", "quality", "model", "uncertain", "source"]
        frame = pd.DataFrame(list(self.records()), columns=columns)
        for edge in ("start", "end"):
            frame[edge] = pd.to_timedelta(frame[edge].astype(float), unit="s")
        indexed: pd.DataFrame = frame.set_index(["file", "start", "end"])
        return indexed


def _order(e: Estimate) -> tuple[Span, Subject, str]:
    return e.span, e.subject, e.modality.value
