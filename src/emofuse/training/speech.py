"""Training of the speech model on CREMA-D and RAVDESS.

Sound is read as everything else reads it, changed as rooms, microphones and
the cutting into windows change it, and then goes through the very `prepare`
that the recogniser uses. CREMA-D's test speakers and RAVDESS' test fold are
first touched when the finished model is measured.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..corpora.labels import load_map, soft_target
from ..corpora.manifest import Manifest, Split
from ..corpora.recipes import crema_d, ravdess
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.speech import LABELS, Cut, answers, evaluate, to_labels, voiced_range
from ..models.card import Calibration, Card
from ..sources.audio import read_audio
from ..speech.recognise import Preparation, SpeechRecogniser, prepare
from .curves import draw_curves
from .data import shuffled
from .export import export, write_card, write_golden
from .loop import BEST, Batch, LoopConfig, Optimiser, Task, fit, load_weights
from .nets.speech.mel_cnn import SpeechNet
from .sound import Augment, Clip, SoundAugmentation, Waveform


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """What the net is taught to answer.

    Args:
        votes: share of the crowd's vote on the voice alone in CREMA-D's targets;
            the rest is the acted emotion.
        teacher: share of a teacher's posteriors in RAVDESS' targets (distillation,
            Hinton et al. 2015); used where the teacher's table has the clip.
        smoothing: share spread evenly over the labels that the corpus knows.
    """

    votes: float = 0.1
    teacher: float = 0.5
    smoothing: float = 0.05

    def __post_init__(self) -> None:
        if not all(0 <= s <= 1 for s in (self.votes, self.teacher, self.smoothing)):
            raise ValueError(f"shares must lie in [0, 1], got {self}")


@dataclass(frozen=True, slots=True)
class NetConfig:
    """Size of the net; see `SpeechNet`."""

    widths: tuple[int, int, int, int] = (32, 48, 80, 128)
    embedding: int = 192
    dropout: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))


@dataclass(frozen=True, slots=True)
class SpeechTraining:
    """Everything that decides a training of the speech model.

    Args:
        id: of the model that is made.
        data: folder that the recipes of CREMA-D and RAVDESS read.
        run: folder of the run; it goes on from there if it was interrupted.
        out: where the finished model is put (``weights/``, ``zoo/``).
        noise: folder with noises (``*.flac``) and room impulse responses
            (``rir*.wav``); None trains without either.
        teacher: CSV with columns ``clip, fold`` and ``voiceW2V_LABEL`` for each
            native label of RAVDESS; None trains on labels alone.
        batch: pictures a step.
        preparation: what the model looks at.
        net: its size.
        targets: what it is taught.
        augment: how sound is changed.
        loop: how it is trained.
    """

    id: str = "speech-compact-v1"
    data: Path = Path("data")
    run: Path = Path("runs/speech")
    out: Path = Path("runs/speech/model")
    noise: Path | None = None
    teacher: Path | None = None
    batch: int = 64
    preparation: Preparation = field(default_factory=Preparation)
    net: NetConfig = field(default_factory=NetConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    augment: SoundAugmentation = field(default_factory=SoundAugmentation)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=32, lr=2e-3, weight_decay=0.05, optimiser=Optimiser.ADAMW, ema=0.998
        )
    )

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise ValueError(f"need batch >= 2, got {self.batch}")


def train(config: SpeechTraining) -> Path:
    """Train the speech model, or go on where an interrupted training stopped; then ship it.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if data is missing or the run folder holds another run.
    """
    net = build(config)
    batches = Batches(training_clips(config), config)
    heard = _Validation.of(_validation_clips(config), config.preparation)
    fit(Task(net, batches, batches.steps, heard, select="uar"), config.loop, config.run)
    draw_curves(config.run)
    card = ship(config)
    return config.out / "zoo" / f"{card.id}.toml"


def ship(config: SpeechTraining) -> Card:
    """Export the best weights of a run: graph, calibration, figures, card, golden pair.

    The temperature comes from the windows of CREMA-D's validation speakers. As
    these never play surprise, the prior is the mean of two: over them, and over
    RAVDESS' training folds. The test speakers are measured here, once everything
    is chosen.
    """
    net = load_weights(build(config), config.run / BEST)
    fields = _card_fields(config)
    example = torch.zeros(2, *config.preparation.shape)
    recogniser = _recogniser(export(net, (example,), fields, config.out), config.out)
    fields |= _calibrate(recogniser, config)
    files = {role: asdict(file) for role, file in recogniser.card.files.items()}
    recogniser = _recogniser(write_card({**fields, "files": files}, config.out), config.out)
    fields["metrics"] = [asdict(m) for m in evaluate(recogniser, config.data)]
    card = write_card({**fields, "files": files}, config.out)
    write_golden(recogniser, drawn_voices(), config.out)
    return card


def drawn_voices() -> list[Waveform]:
    """Make three voice-like sounds (16 kHz, up to a second) for golden pairs.

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
        n = int(16_000 * seconds)
        phase = np.cumsum(np.linspace(low, high, n)) / 16_000
        sound = rng.normal(0, 0.01, n)
        for harmonic in range(1, 20):
            hz = harmonic * (low + high) / 2
            gain = sum(np.exp(-(((hz - f) / 200) ** 2)) for f in formants) + 0.05
            sound += gain * np.sin(2 * np.pi * harmonic * phase) / 8
        sound *= np.hanning(n)
        voices.append((np.round(sound * 64) / 64).astype(np.float32))
    return voices


def build(config: SpeechTraining) -> SpeechNet:
    """Build the untrained net, the same one for the same seed."""
    torch.manual_seed(config.loop.seed)
    size = config.net
    mels = config.preparation.mel.mels
    net = SpeechNet(len(LABELS), mels, size.widths, size.embedding, size.dropout)
    return net.to(memory_format=torch.channels_last)  # faster on CPUs, the same numbers


def training_clips(config: SpeechTraining) -> list[Clip]:
    """Load what may be learnt from: CREMA-D's training speakers, RAVDESS without its test fold."""
    acted = crema_d.load(config.data).of(Split.TRAIN).without(crema_d.CONFLICTING)
    voted = {e.id: e.labels for e in crema_d.load(config.data, crema_d.Labelling.VOICE)}
    played = ravdess.load(config.data).of(Split.TRAIN)
    teacher = {} if config.teacher is None else read_teacher(config.teacher)
    spec, rate = config.targets, config.preparation.rate
    return [
        *_clips(acted, voted, spec.votes, spec.smoothing, rate),
        *_clips(played, teacher, spec.teacher, spec.smoothing, rate),
    ]


def read_teacher(path: Path) -> dict[str, dict[str, float]]:
    """Read a voice model's out-of-fold posteriors for RAVDESS.

    Returns:
        Clip id (as in the sound corpus) → native label → probability, for the
        training folds only.

    Raises:
        InputError: if the file is missing or lacks a column.
    """
    native = load_map("ravdess").source.labels
    rows: dict[str, dict[str, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                if int(row["fold"]) != ravdess.TEST_FOLD:
                    # 01-… is the recording with picture, 03-… its sound alone.
                    clip = "03" + row["clip"][2:]
                    rows[clip] = {x: float(row[f"voiceW2V_{x}"]) for x in native}
    except (OSError, KeyError, ValueError) as e:
        raise InputError(f"{path} is not a table of a teacher's posteriors: {e!r}") from e
    return rows


class Batches:
    """Shuffled, augmented, prepared batches of an epoch.

    Args:
        clips: what to learn from.
        config: of the training.
    """

    def __init__(self, clips: Sequence[Clip], config: SpeechTraining) -> None:
        self._clips = clips
        self._config = config
        self._augment = Augment(config.augment, config.preparation, config.noise)
        self.steps = len(clips) // config.batch
        if not self.steps:
            raise InputError(f"a batch needs {config.batch} clips, the data has {len(clips)}")

    def __call__(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield `steps` batches."""
        for chosen in shuffled(len(self._clips), self._config.batch, rng):
            clips = [self._clips[i] for i in chosen]
            pictures = np.stack([self._augment(c, rng) for c in clips])
            target = np.stack([c.target for c in clips])
            known = np.stack([c.known for c in clips])
            if rng.random() < self._config.augment.mixup:
                self._mix(pictures, target, known, rng)
            yield Batch(
                (torch.from_numpy(pictures),), torch.from_numpy(target), torch.from_numpy(known)
            )

    def _mix(
        self,
        pictures: NDArray[np.float32],
        target: NDArray[np.float32],
        known: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        """Blend pairs in place, within a corpus: a blend of two knows what both know."""
        alpha = self._config.augment.mixup_alpha
        share = np.float32(rng.beta(alpha, alpha))
        for mask in np.unique(known, axis=0):
            rows = np.flatnonzero((known == mask).all(axis=1))
            partners = rng.permutation(rows)
            for array in (pictures, target):
                array[rows] = share * array[rows] + (1 - share) * array[partners]


def _clips(
    manifest: Manifest,
    second: Mapping[str, Mapping[str, float]],
    share: float,
    smoothing: float,
    rate: int,
) -> Iterator[Clip]:
    """Load a manifest; `second` is another opinion on some clips, with its share."""
    to = to_labels(manifest.taxonomy.name)
    known = to.covered
    even = (known / known.sum()).astype(np.float32)
    for entry in manifest:
        target = soft_target(entry.labels, to)
        opinion = soft_target(second.get(entry.id, {}), to)
        if opinion.any():
            target = (1 - share) * target + share * opinion
        target = (1 - smoothing) * target + smoothing * even
        assert entry.path is not None
        sound = read_audio(entry.path, rate)
        yield Clip(sound.astype(np.float16), voiced_range(sound, rate), target, known)


@dataclass(frozen=True, slots=True, eq=False)
class _Validation:
    """Measures a net on the voiced part of each clip (its middle, if that is too long)."""

    pictures: Tensor
    actual: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, manifest: Manifest, preparation: Preparation) -> _Validation:
        to = to_labels(manifest.taxonomy.name)
        pictures, actual = [], []
        for entry in manifest:
            assert entry.path is not None
            sound = read_audio(entry.path, preparation.rate)
            start, end = voiced_range(sound, preparation.rate)
            start += max(0, end - start - preparation.samples) // 2
            sound = sound[start : min(end, start + preparation.samples)]
            pictures.append(prepare(sound, preparation))
            actual.append(int(soft_target(entry.labels, to).argmax()))
        return cls(torch.from_numpy(np.stack(pictures)), np.array(actual), to.covered)

    def __call__(self, net: nn.Module) -> dict[str, float]:
        out = torch.cat([net(part).float() for part in self.pictures.split(64)]).numpy()
        logits = np.where(self.known, out, -1e4)
        return {
            "uar": metrics.uar(self.actual, logits.argmax(axis=1), len(LABELS)),
            "log_loss": metrics.log_loss(metrics.one_hot(self.actual, len(LABELS)), logits),
        }


def _validation_clips(config: SpeechTraining) -> Manifest:
    return crema_d.load(config.data).of(Split.VALIDATION).without(crema_d.CONFLICTING)


def _calibrate(recogniser: SpeechRecogniser, config: SpeechTraining) -> dict[str, Any]:
    heard = answers(recogniser, _validation_clips(config), to_labels("crema_d"), Cut.CLIP)
    closed = np.where(heard.known, heard.logits, -1e4)
    targets = metrics.one_hot(heard.actual[heard.clip], len(LABELS))
    calibration = Calibration(round(metrics.fit_temperature(targets, closed), 4))
    played = ravdess.load(config.data).of(Split.TRAIN)
    learnt = answers(recogniser, played, to_labels("ravdess"), Cut.CLIP)
    means = [calibration.probabilities(x.logits).mean(axis=0) for x in (heard, learnt)]
    return {
        "calibration": {"temperature": calibration.temperature},
        "prior": [round(float(p), 5) for p in np.mean(means, axis=0)],
    }


def _recogniser(card: Card, out: Path) -> SpeechRecogniser:
    return SpeechRecogniser(card, {r: out / "weights" / f.name for r, f in card.files.items()})


def _card_fields(config: SpeechTraining) -> dict[str, Any]:
    taught = (
        f"Taught {1 - config.targets.votes:.0%} by CREMA-D's acted emotion and "
        f"{config.targets.votes:.0%} by the crowd's vote on the voice alone"
    )
    if config.teacher is not None:
        taught += (
            f", and {config.targets.teacher:.0%} of RAVDESS' targets are the out-of-fold "
            "posteriors of a wav2vec2-xlsr model (Luna-Jiménez et al. 2021, MIT). That teacher "
            "had heard the actors of fold 3, so the figures on fold 3 are not quite as unseen as "
            "those on CREMA-D's test speakers"
        )
    return {
        "id": config.id,
        "modality": "speech",
        "recogniser": "speech",
        "summary": "A compact convolutional net over log-mel pictures of a voice: seven emotions",
        "taxonomy": LABELS.name,
        "labels": list(LABELS.labels),
        "licence": "CC BY-NC-SA 4.0 (as its training data, RAVDESS): not for commercial use",
        "notes": [
            "Trained once (one seed); the epoch was chosen by UAR on CREMA-D's validation.",
            taught + ".",
            "Surprise is known from RAVDESS alone (CREMA-D's actors never play it, so it is left "
            "out of their loss); RAVDESS' calm counts as neutral; there is no contempt.",
            "The prior is the mean of two: the model's mean answer on CREMA-D's validation "
            "speakers, who never play surprise, and on RAVDESS' training folds.",
            "Voice activity detection cuts closer to the voice than the clips it learnt from, "
            "and breath and pauses help it: compare the figures 'in use' with those of whole "
            "clips. On pieces of a second it is much weaker.",
            "The temperature, fitted on whole clips of validation speakers, makes it too sure on "
            "CREMA-D's test speakers, who are harder: compare ece with ece_uncalibrated.",
            "Both corpora are acted English, spoken by North Americans in studios. People agree "
            "with the acted emotion of CREMA-D in 41 % of clips from the voice alone. What a "
            "voice expresses is not what a person feels.",
        ],
        "preparation": asdict(config.preparation),
        "window": {"seconds": config.preparation.seconds, "hop": 1.0, "lookahead": 1.0},
        "data": [
            {
                "name": "CREMA-D",
                "licence": "ODbL 1.0 (database), DbCL 1.0 (contents)",
                "used": "56 training speakers, without six clips that conflict; 18 validation "
                "speakers to choose and calibrate",
                "citation": "Cao et al., CREMA-D: crowd-sourced emotional multimodal actors "
                "dataset, IEEE Transactions on Affective Computing 5(4), 2014",
            },
            {
                "name": "RAVDESS",
                "licence": "CC BY-NC-SA 4.0",
                "used": "speech of the 19 actors of folds 0, 1, 2 and 4",
                "citation": "Livingstone and Russo, The Ryerson audio-visual database of "
                "emotional speech and song, PLoS ONE 13(5), 2018",
            },
            *_noise_corpora(config),
        ],
    }


def _noise_corpora(config: SpeechTraining) -> list[dict[str, Any]]:
    if config.noise is None:
        return []
    return [
        {
            "name": "Speech Commands, background noise; room impulse responses of SpeechBrain",
            "licence": "CC BY 4.0; Apache-2.0",
            "used": "four everyday noises and four rooms, mixed into the training clips",
            "citation": "Warden, Speech Commands, arXiv:1804.03209, 2018",
        }
    ]
