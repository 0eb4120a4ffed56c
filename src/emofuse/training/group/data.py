"""The clips of a group model's corpora, prepared once and kept on the disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config.loader import to_mapping
from ...core.labels import Taxonomy
from ...corpora.manifest import Entry, Split
from ...errors import InputError
from ...face.detect import Detection
from ...face.detectors import make_detector
from ...group.keyframes import select_keyframes
from ...group.scores import make_scorer
from ...group.streams import Clip, Crop, Select, Stream, StreamPreparation, even, read_clip
from ...io.atomic import atomic_path
from ...models.store import Store
from ..core.checkpoint import disk_errors
from ..core.console import log
from ..core.corpora import Corpus, Labels, learned_labels, load_corpora
from ..core.samples import Samples, read_samples
from .config import GroupTraining, Selection

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The clips of one split of one corpus.

    Args:
        samples: their labels; the media are the files of the prepared clips.
        here: which streams each has, bool (clips, 4), in the order of `Stream`.
    """

    samples: Samples[Path]
    here: NDArray[np.bool_]

    def having(self, stream: Stream) -> Samples[Path]:
        """Return the samples that have a stream."""
        index = np.flatnonzero(self.here[:, list(Stream).index(stream)]).tolist()
        s = self.samples
        return replace(
            s,
            entries=tuple(s.entries[i] for i in index),
            media=[s.media[i] for i in index],
            **{name: getattr(s, name)[index] for name in ("label", "secondary", "target", "known")},
        )


class GroupData:
    """What a group model is trained on.

    Args:
        config: of the training.

    Raises:
        InputError: if a corpus is missing or the corpora have different labels.
    """

    def __init__(self, config: GroupTraining) -> None:
        self.config = config
        self.corpora: list[Corpus] = load_corpora(config.corpora, config.data, Labels.NATIVE)
        self.labels: Taxonomy = learned_labels(self.corpora, Labels.NATIVE)
        self._folder = config.clips or config.run / "clips"
        store = Store()
        self._detector = make_detector(config.preparation.detector, store)
        self._select: Select = even
        if config.selection is Selection.SENTIMENT:
            self._select = select_keyframes(make_scorer(config.scorer, store))

    @cached_property
    def train(self) -> list[Part]:
        """The clips to learn from, a corpus each."""
        return [self._part(corpus, Split.TRAIN) for corpus in self.corpora]

    @cached_property
    def validation(self) -> list[Part]:
        """The clips to choose and calibrate with, of the corpora that have any."""
        there = [c for c in self.corpora if len(c.manifest.of(Split.VALIDATION))]
        return [self._part(corpus, Split.VALIDATION) for corpus in there]

    @cached_property
    def preparation(self) -> StreamPreparation:
        """The preparation, with those streams of which there is anything to learn from."""
        wanted = self.config.preparation
        order = list(Stream)
        counts = np.sum([p.here.sum(axis=0) for p in self.train], axis=0)
        chosen = np.sum([p.here.sum(axis=0) for p in self.validation], axis=0)
        found = []
        for stream in wanted.streams:
            n, m = int(counts[order.index(stream)]), int(chosen[order.index(stream)])
            log(f"{stream.value}: {n} clips to learn from, {m} to choose by")
            if n and m:
                found.append(stream)
        if not found:
            raise InputError("there is nothing to see or hear in the training data")
        return replace(wanted, streams=tuple(found))

    def _part(self, corpus: Corpus, split: Split) -> Part:
        samples = read_samples(
            corpus,
            split,
            self.labels,
            self.config.targets,
            self._prepared,
            skip_unreadable=self.config.skip_unreadable,
        )
        log(f"{corpus.name}: {len(samples)} clips, {split.value}")
        flags = [load(path)[: len(Stream)] > 0 for path in samples.media]
        return Part(samples, np.stack(flags) if flags else np.zeros((0, len(Stream)), bool))

    def _prepared(self, entry: Entry) -> Path:
        """Return the file of an entry's prepared clip; prepare it, if that was not done yet."""
        if entry.path is None:
            raise InputError("it has no medium")
        path = self._folder / f"{_key(entry, self.config)}.npy"
        if not path.exists():
            clip = self._read(entry)
            if not clip.streams:
                raise InputError(f"{entry.path} holds nothing to see or hear")
            with disk_errors(f"what is in {self._folder}"):
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as part, part.open("wb") as file:
                    np.save(file, self.config.preparation.pack(clip))
        return path

    def _read(self, entry: Entry) -> Clip:
        assert entry.path is not None
        return read_clip(
            entry.path,
            self.config.preparation,
            self._detector,
            self._select,
            boxes=[Detection(box, 1.0) for box in entry.boxes] or None,
            span=(entry.start, entry.end),
        )


def load(path: Path) -> NDArray[np.uint8]:
    """Open a prepared clip; only what is looked at is read.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        clip: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as e:
        raise InputError(f"{path} is damaged ({e}): remove it, it is made anew") from e
    return clip


def random_crops(stream: Stream, n: int, rng: np.random.Generator) -> list[Crop]:
    """Draw crops for training; pictures are mirrored in half of the cases, sound never."""
    places, mirrored = rng.random((n, 2)), rng.random(n) < 0.5
    return [
        Crop(float(top), float(left), bool(mirror) and stream is not Stream.AUDIO)
        for (top, left), mirror in zip(places, mirrored, strict=True)
    ]


def inputs(
    preparation: StreamPreparation, stream: Stream, paths: Sequence[Path], crops: Sequence[Crop]
) -> Floats:
    """Read what a stream's net sees of clips, (clips, channels, [time,] side, side)."""
    pairs = zip(paths, crops, strict=True)
    return preparation.batch(stream, [preparation.see(load(p), stream, c) for p, c in pairs])


def _key(entry: Entry, config: GroupTraining) -> str:
    """Name a prepared clip after everything that decides it, less what is cut out of it later."""
    assert entry.path is not None
    try:
        stat = entry.path.stat()
    except OSError as e:
        raise InputError(f"cannot read {entry.path}: {e.strerror}") from e
    how: Mapping[str, object] = {
        k: v
        for k, v in to_mapping(config.preparation).items()
        if k not in ("streams", "side", "widths")
    }
    boxes = [list(box) for box in entry.boxes]
    chosen = [config.selection.value, config.scorer]
    what = [str(entry.path.absolute()), stat.st_size, stat.st_mtime_ns, entry.start, entry.end]
    return hashlib.sha256(json.dumps([what, boxes, how, chosen]).encode()).hexdigest()[:32]
