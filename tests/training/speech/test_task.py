"""The speech trainer from files to a finished model, on a small synthesised corpus."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from emofuse.core.labels import CANONICAL
from emofuse.errors import InputError
from emofuse.evaluation.predict.segmentation import voiced_range
from emofuse.models.card import read_card
from emofuse.models.golden import read_golden, replay
from emofuse.speech.recognise import Preparation, SpeechRecogniser
from emofuse.training.core.checkpoint import read_tensors
from emofuse.training.core.exporter import Exporter
from emofuse.training.core.loop import STATE, LoopConfig, Optimizer, fit
from emofuse.training.core.targets import TargetConfig
from emofuse.training.core.train import train
from emofuse.training.speech.augment import Augment, Clip, SoundAugmentation
from emofuse.training.speech.nets.mel_cnn import SpeechNet
from emofuse.training.speech.nets.whisper import WhisperNet
from emofuse.training.speech.task import SpeechTrainer, SpeechTraining

pytestmark = pytest.mark.slow  # trains nets


RATE = 16_000
PITCH = {"ANG": 300.0, "SAD": 110.0, "angry": 300.0, "surprised": 500.0}


def voice(hz: float, seed: int, seconds: float = 1.2) -> np.ndarray:
    """A buzz of one pitch, with silence around it."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    hz *= rng.uniform(0.95, 1.05)
    tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 12))
    tone *= (t > 0.2) & (t < seconds - 0.2)
    return (0.1 * tone + rng.normal(0, 1e-3, t.size)).astype(np.float32)


def write_opus(path: Path, x: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(x[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        resampler = av.AudioResampler("flt", "mono", 48_000, 960)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both corpora with two emotions each, told apart by pitch, and a teacher."""
    root = tmp_path_factory.mktemp("corpus")
    acted, played, taught = [], [], []
    for split, n in (("train", 8), ("validation", 4), ("test", 4)):
        for i in range(n):
            emotion = ("ANG", "SAD")[i % 2]
            clip = f"{split}_{i}"
            acted.append(
                {"clip": clip, "speaker": split, "sex": "x", "sentence": "DFA"}
                | {"emotion": emotion, "split": split, "voice_vote": "N"}
                | {"conflicting_duplicate": int(split == "train" and i == 7)}
            )
            path = root / "crema-d" / "AudioWAV" / f"{clip}.opus"
            write_opus(path, voice(PITCH[emotion], i))
    for i in range(8):
        fold, emotion = (3 if i > 5 else 0), ("angry", "surprised")[i % 2]
        clip = f"03-01-05-01-01-0{i}-{fold + 1:02d}"
        played.append(
            {"clip": clip, "speaker": fold + 1, "sex": "x", "statement": "01"}
            | {"emotion": emotion, "fold": fold}
        )
        path = root / "ravdess" / f"Actor_{fold + 1:02d}" / f"{clip}.opus"
        write_opus(path, voice(PITCH[emotion], 50 + i))
        calm = {f"voiceW2V_{x}": float(x == "calm") for x in _native()}
        taught.append({"clip": "01" + clip[2:], "fold": fold, **calm})
    for name, rows in (("crema-d", acted), ("ravdess", played), ("teacher", taught)):
        with (root / f"{name}.csv").open("w", newline="") as f:
            writer = csv.DictWriter(f, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return root


def _native() -> tuple[str, ...]:
    from emofuse.corpora.labels import taxonomy

    return taxonomy("ravdess").labels


@pytest.fixture(scope="module")
def config(corpus: Path) -> SpeechTraining:
    return SpeechTraining(
        data=corpus,
        run=corpus / "run",
        teacher=corpus / "teacher.csv",
        batch=4,
        net={"name": "mel-cnn", "widths": [8, 8, 8, 8], "embedding": 16, "dropout": 0.0},
        loop=LoopConfig(
            epochs=2, lr=5e-3, optimizer=Optimizer.ADAMW, warmup=0.5, ema=0.5, bf16=False
        ),
    )


@pytest.mark.filterwarnings("ignore")
def test_from_files_to_a_model(config: SpeechTraining) -> None:
    card = read_card(train(SpeechTrainer(config)))
    files = {r: config.model / f.name for r, f in card.files.items()}
    recogniser = SpeechRecogniser(card, files)
    assert recogniser.preparation == Preparation()
    assert card.embedding == 32
    replay(recogniser, read_golden(config.model / f"{card.id}.golden.npz"))
    assert sum(card.prior or ()) == pytest.approx(1, abs=1e-3)
    assert {m.split for m in card.metrics} == {"validation"}


def test_what_is_learnt_from(config: SpeechTraining) -> None:
    """Training speakers alone, no conflicting clip; votes, teacher and smoothing in the target."""
    acted, played = SpeechTrainer(config).train_samples
    assert (len(acted), len(played)) == (7, 6)
    at = CANONICAL.index  # contempt, which no corpus of speech knows, is the last
    np.testing.assert_allclose(acted.target.sum(axis=1), 1, rtol=1e-6)
    assert acted.target[0, at("angry")] == pytest.approx(0.95 * 0.9 + 0.05 / 6)
    assert acted.target[0, at("neutral")] == pytest.approx(0.95 * 0.1 + 0.05 / 6)
    assert acted.target[0, at("surprise")] == 0
    assert not acted.known[0, at("surprise")]
    assert played.target[-1, at("surprise")] == pytest.approx(0.95 * 0.5 + 0.05 / 7)
    assert played.target[-1, at("neutral")] == pytest.approx(0.95 * 0.5 + 0.05 / 7)
    assert played.known.all()
    assert {e.fold for e in played.entries} == {0}


def test_batches_depend_on_the_generator_alone(config: SpeechTraining) -> None:
    trainer = SpeechTrainer(config)
    batches = trainer.batches(trainer.train_samples)

    def epoch(seed: int) -> list[np.ndarray]:
        return [b.inputs[0].numpy() for b in batches(0, np.random.default_rng(seed))]

    one, again, other = epoch(1), epoch(1), epoch(2)
    assert len(one) == trainer.steps() == 3
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[0], other[0])


def test_a_blend_of_two_corpora_teaches_no_absence(config: SpeechTraining) -> None:
    trainer = SpeechTrainer(config)
    for batch in trainer.batches(trainer.train_samples)(0, np.random.default_rng(0)):
        assert batch.mask is not None
        assert (batch.target[~batch.mask] == 0).all()
        torch.testing.assert_close(batch.target.sum(dim=1), torch.ones(len(batch.target)))


def test_every_change_leaves_a_picture() -> None:
    always = SoundAugmentation(trim=1, crop=1, speed=1, noise=1, tilt=1, equalize=1, narrow=1)
    x = voice(200, 1, 4.0)
    clip = Clip(x.astype(np.float16), voiced_range(x, RATE))
    augment = Augment(always, Preparation())
    rng = np.random.default_rng(0)
    pictures = [augment(clip, rng) for _ in range(20)]
    assert all(p.shape == Preparation().shape and np.isfinite(p).all() for p in pictures)
    assert len({p.tobytes() for p in pictures}) == 20


def test_voiced_range_leaves_silence_out() -> None:
    start, end = voiced_range(voice(150, 3, 2.0), RATE)
    assert start == pytest.approx(0.1 * RATE, abs=0.03 * RATE)
    assert end == pytest.approx(1.9 * RATE, abs=0.03 * RATE)


def test_the_net_takes_pictures_of_any_length() -> None:
    net = SpeechNet(7, widths=(8, 8, 8, 8), embedding=16).eval()
    assert net(torch.zeros(2, 64, 186)).shape == (2, 7)
    assert net(torch.zeros(1, 64, 40)).shape == (1, 7)
    with pytest.raises(ValueError, match="multiple of 16"):
        SpeechNet(7, mels=60)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="batch"):
        SpeechTraining(batch=1)
    with pytest.raises(ValueError, match="probabilities"):
        SoundAugmentation(noise=1.5)
    with pytest.raises(ValueError, match="shares"):
        TargetConfig(teacher=-1)


@pytest.fixture
def frozen(config: SpeechTraining, tmp_path: Path) -> SpeechTraining:
    """A small Whisper that does not learn and hears two copies of each clip."""
    sizes = {"width": 32, "heads": 2, "layers": 1, "hidden": 16, "dropout": 0.1, "frozen": True}
    loop = replace(config.loop, epochs=12, lr=2e-2)
    return replace(
        config, run=tmp_path / "run", net={"name": "whisper", **sizes}, copies=2, loop=loop
    )


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_encoder_is_asked_once(
    frozen: SpeechTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve epochs only two are heard; the exported model hears for itself again."""
    asked = []
    encode = WhisperNet.encode

    def counted(net: WhisperNet, pictures: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_exporting():
            asked.append(len(pictures))
        return encode(net, pictures)

    monkeypatch.setattr(WhisperNet, "encode", counted)
    trainer = SpeechTrainer(frozen)
    fit(trainer.task(), frozen.loop, frozen.run)
    learned, chosen = (
        sum(map(len, trainer.train_samples)),
        sum(len(rows) for rows, _ in trainer.validation_rows),
    )
    assert sum(asked) == 2 * learned + chosen
    monkeypatch.undo()
    card = Exporter(trainer).export()
    recogniser = SpeechRecogniser(card, {r: frozen.model / f.name for r, f in card.files.items()})
    rows = [recogniser.prepare(voice(PITCH[e], 99)) for e in ("ANG", "SAD")]
    angry, sad = recogniser.logits(rows)[:, CANONICAL.index("angry")]
    assert angry > sad


@pytest.mark.filterwarnings("ignore")
def test_copies_are_the_same_after_an_interruption(frozen: SpeechTraining) -> None:
    fit(SpeechTrainer(frozen).task(), frozen.loop, frozen.run)
    whole, _ = read_tensors(frozen.run / STATE, "cpu")
    broken = replace(frozen, run=frozen.run.parent / "broken")

    def stop(figures: Mapping[str, float]) -> None:
        if figures["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(SpeechTrainer(broken).task(), broken.loop, broken.run, stop)
    fit(SpeechTrainer(broken).task(), broken.loop, broken.run)
    again, _ = read_tensors(broken.run / STATE, "cpu")
    for name in whole:
        torch.testing.assert_close(again[name], whole[name], msg=name)


def test_an_encoder_that_learns_is_asked_anew(config: SpeechTraining, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the encoder of mel-cnn changes while it is trained"):
        SpeechTrainer(replace(config, run=tmp_path, copies=2)).task()
    with pytest.raises(ValueError, match="need copies >= 0"):
        replace(config, copies=-1)
