"""The timeline: all estimates about one medium, in order, with what produced them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Estimates in order (by start, subject, modality), with what produced them.

    `duration_ns` is how much of the medium was really read.

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

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield one flat dict of plain types per estimate.

        Keys: ``file, start, end`` (seconds), ``subject, modality, label``, one key
        per label of the union of the taxonomies in use, ``confidence, valence, arousal,
        quality, model, uncertain`` (the reason, or None). What a model does not tell
        is None, not 0.
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
        """
        import pandas as pd  # only who asks for a frame pays for pandas

        columns = ["file", "start", "end", "subject", "modality", "label", *self.labels]
        columns += ["confidence", "valence", "arousal", "quality", "model", "uncertain"]
        frame = pd.DataFrame(list(self.records()), columns=columns)
        for edge in ("start", "end"):
            frame[edge] = pd.to_timedelta(frame[edge].astype(float), unit="s")
        indexed: pd.DataFrame = frame.set_index(["file", "start", "end"])
        return indexed


def _order(e: Estimate) -> tuple[Span, Subject, str]:
    return e.span, e.subject, e.modality.value
