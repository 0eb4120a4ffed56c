"""The seams of emofuse. Whoever implements one can replace that part.

One contract suite (`tests/contract`) runs over every implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .estimates import Estimate, Modality, Prediction, Subject
from .labels import Taxonomy
from .media import Frame, Grade, MediaInfo, Packet, Track
from .time import Span
from .timeline import Timeline

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
T = TypeVar("T")

ProgressCallback = Callable[[int, "int | None"], None]
"""Called with the media time that is done and the whole duration if known, in nanoseconds."""


@runtime_checkable
class Recogniser(Protocol):
    """Turns prepared samples into probabilities, and embeddings if its model gives any."""

    @property
    def model_id(self) -> str:
        """Name of the model, as in its card."""
        ...

    @property
    def taxonomy(self) -> Taxonomy:
        """Labels of the probabilities."""
        ...

    @property
    def embedding(self) -> int | None:
        """Width of the embeddings; None if there are none."""
        ...

    def prepare(self, sample: Any) -> NDArray[Any]:
        """Turn one `Sample.data` into one row of a batch. Pure; training calls this too."""
        ...

    def infer(self, batch: Sequence[NDArray[Any]]) -> Sequence[Prediction]:
        """Predict prepared samples, one prediction each, in order."""
        ...


@runtime_checkable
class LogitRecogniser(Recogniser, Protocol):
    """A recogniser that also gives what its model says before calibration.

    Calibration, distillation and the fitting of fusers need it; `logits_of` asks for it.
    """

    def logits(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return uncalibrated logits of prepared samples: float32, (len(rows), labels)."""
        ...

    def outputs(
        self, rows: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the logits and, if there are any, the embeddings, (len(rows), `embedding`)."""
        ...


@runtime_checkable
class Stage(Protocol[In, Out]):
    """A step of a stream: detector, tracker, voice activity, transcriber, smoother.

    `feed` takes one item and yields what it can already say. It must not matter
    how a stream was cut into items. `flush` yields the rest at the end; `reset`
    makes the stage as new. `Watermark` goes in and comes out, translated to the
    stage's own track.
    """

    def feed(self, item: In) -> Iterable[Out]:
        """Take one item; yield what follows from it."""
        ...

    def flush(self) -> Iterable[Out]:
        """Yield what is still held, as if the stream ended here."""
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """All that is known of one subject in one hop of time: at most one estimate a modality."""

    subject: Subject
    span: Span
    evidence: Mapping[Modality, Estimate] = field(default_factory=dict)


class StageContext(Protocol):
    """What a `FrontEnd` is told: for which media file, and with which settings."""

    @property
    def config(self) -> Any:
        """The `AnalyzerConfig`."""
        ...

    @property
    def store(self) -> Any:
        """The `models.store.Store`."""
        ...

    @property
    def info(self) -> MediaInfo:
        """What is known of the media file."""
        ...

    @property
    def track(self) -> Track:
        """The track that the modality is read from."""
        ...

    @property
    def attributes_speech(self) -> bool:
        """Whether voices will be given to the faces whose mouths move."""
        ...

    @property
    def identifies(self) -> bool:
        """Whether it will be told whose faces and voices they are: portraits are wanted."""
        ...

    def windower(self, subject: Subject, quality: Callable[[Any, int], Grade]) -> Stage[Any, Any]:
        """Make the stage that cuts voiced sound as the modality's model wants it.

        Args:
            subject: whose samples they are.
            quality: grades a waveform, float32 (n,), at a rate in Hz.
        """
        ...

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """Return what was made under a name for an earlier media file, or make it."""
        ...


class FrontEnd(Protocol):
    """The way of a modality from a track's packets to samples."""

    def available(self, context: StageContext) -> bool:
        """Whether it can work here."""
        ...

    def components(self, context: StageContext) -> Mapping[str, str]:
        """Name what takes part, by role, for the provenance."""
        ...

    def stages(self, context: StageContext) -> Sequence[Stage[Any, Any]]:
        """Return the stages from packets and `Watermark` to `Sample` and `Watermark`.

        Of a video they are fed frames, of a text utterances, of audio voiced chunks,
        mono at 16 kHz. Whatever track their watermarks name, they count as the modality's.
        """
        ...


@runtime_checkable
class Fuser(Protocol):
    """Makes one estimate of a slot; any modality may be missing."""

    @property
    def taxonomy(self) -> Taxonomy:
        """Labels of the fused probabilities."""
        ...

    def reset(self) -> None:
        """Forget the stream: the next slot is the first of another one."""
        ...

    def fuse(self, slot: Slot) -> Estimate | None:
        """Return the fused estimate, or None if the slot holds no evidence."""
        ...


@runtime_checkable
class Source(Protocol):
    """A media file or a device that is read once, from its start."""

    @property
    def info(self) -> MediaInfo:
        """What is known before reading."""
        ...

    def packets(self) -> Iterator[Packet]:
        """Yield packets in presentation-time order within each track."""
        ...

    def close(self) -> None:
        """Let go of files and devices; harmless when called twice."""
        ...


@runtime_checkable
class Exporter(Protocol):
    """Writes what is found about one medium: one file in one format, or something of its own.

    It is given every sampled frame and every estimate as they come, and the
    timeline at the end; it takes what it needs. Nothing is to appear under the
    file's name before `close`; one that is never closed leaves nothing.
    """

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Take one item; kinds that do not matter to it are ignored."""
        ...

    def close(self) -> None:
        """Finish what is being written; harmless when called twice."""
        ...


class ExportFormat(Protocol):
    """Makes exporters; usually a class that is one."""

    name: str
    """What users call the format, e.g. ``json``."""
    suffix: str
    """How its files end, e.g. ``.json``."""
    content_type: str
    """What HTTP calls it."""
    summary: str
    """What it is for, in a few words."""

    def __call__(
        self, path: Path, *, overwrite: bool = False, shared: Path | None = None
    ) -> Exporter:
        """Return an exporter that writes to `path`.

        Args:
            path: the file.
            overwrite: replace an existing one.
            shared: the folder of the batch that the file belongs to, for what its
                files have in common; None if it stands alone.
        """
        ...
