"""Trains speech models; by default on CREMA-D and RAVDESS.

Sound is read as everything else reads it, changed as rooms, microphones and
the cutting into windows change it, and then goes through the very `prepare`
that the recogniser uses. CREMA-D's test speakers and RAVDESS' test fold are
first touched when the finished model is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...core.estimates import Modality
from ...corpora.manifest import Entry
from ...corruptions.audio import Waveform
from ...errors import InputError
from ...evaluation.predict.segmentation import voiced_range
from ...sources.audio import read_audio
from ...speech.recognise import Preparation, SpeechRecogniser, prepare
from ..core.config import Training
from ..core.corpora import CorpusChoice
from ..core.embedding_cache import FrozenEncoderCache
from ..core.loop import Batch, LoopConfig, Optimizer, Task
from ..core.measure import predict_in_batches
from ..core.samples import Samples, drawn
from ..core.targets import TargetConfig
from ..core.teacher import TeacherChoice
from ..core.trainer import Batches, Rows, Trainer
from .augment import Augment, Clip, SoundAugmentation


def _default_loop() -> LoopConfig:
    return LoopConfig(epochs=32, lr=2e-3, weight_decay=0.05, optimizer=Optimizer.ADAMW, ema=0.998)


def _default_targets() -> TargetConfig:
    return TargetConfig(votes=0.1, teacher=0.5, smoothing=0.05)


@dataclass(frozen=True, slots=True)
class SpeechTraining(Training):
    """Everything that decides a training of a speech model.

    Args:
        id: of the model that is made.
        data: folder of the corpora; without `corpora`, of CREMA-D and RAVDESS.
        run: folder of the run; it goes on from there if it was interrupted.
        batch: pictures a step.
        net: name of the net and its sizes.
        preparation: what the model looks at (keys of `Preparation`), where it is not
            as the net wants it.
        noise: folder with noises (``*.flac``) and room impulse responses
            (``rir*.wav``); None trains without either.
        teacher: where `corpora` are left out: CSV with columns ``clip, fold`` and
            ``voiceW2V_LABEL`` for each native label of RAVDESS; None trains on labels
            alone.
        targets: what it is taught; `votes` is the share of the crowd's vote on the
            voice in CREMA-D's targets, `teacher` the teacher's share in RAVDESS'.
        augment: how sound is changed.
        copies: how many augmented copies of each clip a frozen encoder is given; epochs
            draw from them, see `FrozenEncoderCache`. 0: it is given every clip anew in each
            epoch, as an encoder that is trained must be.
        loop: how it is trained.

    See `Training` for the rest.
    """

    id: str = "speech"
    run: Path = Path("runs/speech")
    net: Mapping[str, Any] = field(
        default_factory=lambda: {"name": "mel-cnn", "widths": [32, 48, 80, 128]}
    )
    targets: TargetConfig = field(default_factory=_default_targets)
    loop: LoopConfig = field(default_factory=_default_loop)
    noise: Path | None = None
    teacher: Path | None = None
    augment: SoundAugmentation = field(default_factory=SoundAugmentation)
    copies: int = 0

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        if self.copies < 0:
            raise ValueError(f"need copies >= 0, got {self.copies}")
        if self.teacher is not None and self.corpora:
            raise ValueError("teacher: with corpora, name it at the corpus that it is about")


class SpeechTrainer(Trainer[Clip]):
    """Trains a speech model. See `Trainer`."""

    modality = Modality.SPEECH
    recogniser = SpeechRecogniser
    recogniser_name = "speech"
    preparation_class = Preparation
    select = "uar"

    @staticmethod
    def default_corpora(config: Any) -> tuple[CorpusChoice, ...]:
        """Return CREMA-D with the crowd's vote on the voice, and RAVDESS with its teacher."""
        teacher = None
        if config.teacher is not None:
            # 01-… is the recording with picture, 03-… its sound alone.
            teacher = TeacherChoice(config.teacher, "voiceW2V_", ("01-", "03-"))
        return (
            CorpusChoice("crema-d", secondary_labels="voice", medium="audio"),
            CorpusChoice("ravdess", teacher=teacher, medium="audio"),
        )

    def read(self, entry: Entry) -> Clip:
        """Read a clip, or the part of its medium that it is."""
        if entry.path is None:
            raise InputError("it has no sound file")
        rate = self.preparation.rate
        sound = read_audio(entry.path, rate)
        start = round((entry.start or 0.0) * rate)
        end = len(sound) if entry.end is None else round(entry.end * rate)
        sound = sound[start:end]
        if len(sound) < rate // 20:
            raise InputError(f"{entry.path} has {len(sound) / rate:.2f} s of sound there")
        return Clip(sound.astype(np.float16), voiced_range(sound, rate))

    def facts(self) -> dict[str, Any]:
        """Return labels and the size of what the net looks at."""
        shape = self.preparation.shape
        names = ("samples",) if len(shape) == 1 else ("rows", "frames")
        sizes = dict(zip(names, shape, strict=True))
        rate, mels = self.preparation.rate, self.preparation.mel.mels
        return {"labels": len(self.learned), **sizes, "mels": mels, "rate": rate}

    def batches(self, learn: Sequence[Samples[Clip]]) -> Batches:
        """Cut, change, prepare and mix clips."""
        config, augment = self.config, self.augment

        def batches(epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
            cache = self.cache
            if cache is not None:
                cache.grow(min(config.copies, epoch + 1))
            for places in drawn(learn, config.batch, rng):
                if cache is not None:
                    rows = cache.draw(places, rng)
                else:
                    rows = np.stack([augment(learn[k].media[i], rng) for k, i in places])
                target = np.stack([learn[k].target[i] for k, i in places])
                known = np.stack([learn[k].known[i] for k, i in places])
                if rng.random() < config.augment.mixup:
                    _mix(rows, target, known, config.augment.mixup_alpha, rng)
                yield Batch((self.tensor(rows),), torch.from_numpy(target), torch.from_numpy(known))

        return batches

    @cached_property
    def augment(self) -> Augment:
        """What changes the training clips."""
        return Augment(self.config.augment, self.preparation, self.config.noise)

    @cached_property
    def cache(self) -> FrozenEncoderCache | None:
        """What a frozen encoder gives for the training samples, if it is to be asked only once."""
        if not self.config.copies:
            return None
        loop = self.config.loop
        net = self.new_net().to(loop.torch_device)
        if not getattr(net, "frozen_encoder", False):
            raise InputError(
                f"copies: got {self.config.copies}, but the encoder of {self.plan.kind.name} "
                "changes while it is trained; freeze it (net.frozen or net.freeze) or leave "
                "`copies` out"
            )
        return FrozenEncoderCache(net, self.train_samples, self.augment, loop.seed, loop.bf16)  # type: ignore[arg-type]

    @cached_property
    def _encoded_validation(self) -> list[Rows]:
        """What the frozen encoder gives for the validation samples."""
        assert self.cache is not None
        return [(list(self.cache.encode(rows)), owner) for rows, owner in self.validation_rows]

    def task(self) -> Task:
        """Put together what `fit` needs."""
        task = super().task()
        if self.cache is not None:
            task.net.takes_encoded = True  # type: ignore[assignment]
        return task

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Measure a net on the validation samples."""
        if self.cache is None:
            return super().validate(net)
        device = self.config.loop.torch_device
        exportable = self.exportable(net).to(device)

        def ask(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
            logits = net(torch.from_numpy(np.stack(rows)).to(device))
            answers: NDArray[np.float32] = exportable.answer(logits).cpu().numpy()
            return answers

        with torch.inference_mode():
            return self.measure(
                [predict_in_batches(*rows, ask) for rows in self._encoded_validation]
            )

    def pieces(self, medium: Clip) -> list[Any]:
        """Return the voiced part of the clip; its middle, if that is too long."""
        (start, end), most = medium.voiced, self.preparation.samples
        start += max(0, end - start - most) // 2
        return [medium.sound[start : min(end, start + most)].astype(np.float32)]

    def row(self, piece: Any) -> NDArray[np.float32]:
        """Prepare a waveform."""
        return prepare(piece, self.preparation)

    def examples(self) -> Sequence[Any]:
        """Return made-up voices."""
        return drawn_voices(self.preparation.rate)

    def card_fields(self) -> dict[str, Any]:
        """Return the windows that the model wants."""
        return {"window": {"seconds": self.preparation.seconds, "hop": 1.0, "lookahead": 1.0}}


CONFIG, TRAINER = SpeechTraining, SpeechTrainer


def drawn_voices(rate: int = 16_000) -> list[Waveform]:
    """Make three voice-like sounds (up to a second) for golden pairs.

    A buzz of falling or rising pitch through two resonances, in coarse steps so
    that it packs well: recordings of people have no place there.
    """
    rng = np.random.default_rng(1)
    voices = []
    for seconds, low, high, formants in (
        (1.0, 120, 90, (500, 1500)),
        (0.6, 180, 320, (700, 1200)),
        (0.3, 220, 200, (300, 2300)),
    ):
        n = int(rate * seconds)
        phase = np.cumsum(np.linspace(low, high, n)) / rate
        sound = rng.normal(0, 0.01, n)
        for harmonic in range(1, 20):
            hz = harmonic * (low + high) / 2
            gain = sum(np.exp(-(((hz - f) / 200) ** 2)) for f in formants) + 0.05
            sound += gain * np.sin(2 * np.pi * harmonic * phase) / 8
        sound *= np.hanning(n)
        voices.append((np.round(sound * 64) / 64).astype(np.float32))
    return voices


def _mix(
    rows: NDArray[np.float32],
    target: NDArray[np.float32],
    known: NDArray[np.bool_],
    alpha: float,
    rng: np.random.Generator,
) -> None:
    """Blend pairs in place, within a corpus: a blend of two knows what both know."""
    share = np.float32(rng.beta(alpha, alpha))
    for mask in np.unique(known, axis=0):
        index = np.flatnonzero((known == mask).all(axis=1))
        partners = rng.permutation(index)
        for array in (rows, target):
            array[index] = share * array[index] + (1 - share) * array[partners]
