"""CachedPredictions are what the pipeline's own recognisers say, kept and found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from tests.evaluation.synthetic import made

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.core.labels import CANONICAL
from emofuse.corpora.labels import taxonomy
from emofuse.corpora.manifest import Entry, Manifest, Split
from emofuse.errors import InputError
from emofuse.evaluation.predict import cached
from emofuse.evaluation.protocol.robustness import corruptions
from emofuse.models.recogniser import OnnxRecogniser
from emofuse.models.registry import load


@pytest.fixture(scope="module")
def face() -> OnnxRecogniser:
    model = load("face-v4")
    assert isinstance(model, OnnxRecogniser)
    return model


@pytest.fixture
def faces(tmp_path: Path, media: Path) -> Manifest:
    """Pieces of a portrait, called by FER2013's labels."""
    picture = Image.open(media / "portrait.jpg").convert("RGB")
    labels, entries = taxonomy("fer2013").labels, []
    for i in range(6):
        path = tmp_path / f"{i}.png"
        picture.resize((60 + i, 60 + i)).crop((i, i, i + 48, i + 48)).save(path)
        split = Split.TEST if i % 2 else Split.VALIDATION
        entries.append(Entry(str(i), path, {labels[i]: 1.0}, split, speaker="a", fold=i))
    return Manifest("made", taxonomy("fer2013"), tuple(entries))


def test_a_face_is_read_as_the_recogniser_answers(faces: Manifest, face: OnnxRecogniser) -> None:
    found = cached.compute(faces, face)
    crops = [np.asarray(Image.open(e.path)) for e in faces if e.path]
    answers = face.infer([face.prepare(crop) for crop in crops])
    expected = np.stack([a.probabilities.values for a in answers])
    assert found.probabilities == pytest.approx(expected, abs=1e-5)
    assert found.embeddings is not None
    assert face.embedding == found.embeddings.shape[1]
    assert found.embeddings == pytest.approx(
        np.stack([a.embedding for a in answers if a.embedding is not None]), abs=1e-4
    )
    calibrated = face.card.calibration.probabilities(found.logits)
    assert calibrated == pytest.approx(found.probabilities, abs=1e-5)
    assert (found.quality > 0).all()
    assert set(found.labels) <= set(CANONICAL.labels)
    assert found.sha256 == face.card.files["weights"].sha256


def test_spoilt_faces_are_worse_evidence(faces: Manifest, face: OnnxRecogniser) -> None:
    blur = next(s for s in corruptions(Modality.FACE) if s.name == "blur, 2 of 48 px")
    corrupted = cached.compute(faces, face, corruption=blur)
    assert (corrupted.quality < cached.compute(faces, face).quality).all()
    assert corrupted.condition == blur.name


def test_a_clip_is_read_as_an_analysis_hears_it(media: Path) -> None:
    voice = load(AnalyzerConfig().models[Modality.SPEECH])
    assert isinstance(voice, OnnxRecogniser)
    entry = Entry("speech", media / "speech.ogg", {"neutral": 1.0}, Split.TEST)
    found = cached.compute(Manifest("one", taxonomy("ravdess"), (entry,)), voice)
    config = AnalyzerConfig(modalities=(Modality.SPEECH,))
    heard = Analyzer(config).analyze(media / "speech.ogg").of(Modality.SPEECH)
    seconds = np.array([e.span.duration for e in heard])
    expected = seconds @ np.stack([e.probabilities.values for e in heard]) / seconds.sum()
    assert found.probabilities[0] == pytest.approx(expected, abs=0.02)
    quality = seconds @ [e.quality for e in heard] / seconds.sum()
    assert found.quality[0] == pytest.approx(quality, abs=0.02)


def test_silence_gives_no_reading(tmp_path: Path) -> None:
    voice = load("speech-v4")
    assert isinstance(voice, OnnxRecogniser)
    wavfile.write(tmp_path / "silence.wav", 16000, np.zeros(16000, np.int16))
    entry = Entry("silence", tmp_path / "silence.wav", {"neutral": 1.0}, Split.TEST)
    found = cached.compute(Manifest("one", taxonomy("ravdess"), (entry,)), voice)
    assert found.quality[0] == 0
    assert found.estimate(0) is None
    assert found.probabilities[0] == pytest.approx(voice.card.prior, abs=1e-4)


def test_readings_are_kept_whole(tmp_path: Path) -> None:
    whole = made(Modality.FACE, 20)
    whole.save(tmp_path / "x.parquet")
    back = cached.load(tmp_path / "x.parquet")
    for name in whole.__slots__:
        ours, theirs = getattr(whole, name), getattr(back, name)
        assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


def test_what_is_kept_is_not_asked_again_until_something_changes(
    faces: Manifest, face: OnnxRecogniser, tmp_path: Path
) -> None:
    asked: list[str] = []

    def progress(name: str, total: int):  # type: ignore[no-untyped-def]
        asked.append(name)
        return lambda: None

    first = cached.load_or_compute(faces, face, tmp_path, progress=progress)
    again = cached.load_or_compute(faces, face, tmp_path, progress=progress)
    assert asked == [first.name]
    assert np.array_equal(first.probabilities, again.probabilities)
    fewer = replace(faces, entries=faces.entries[:3])
    assert len(cached.load_or_compute(fewer, face, tmp_path, progress=progress)) == 3
    assert len(asked) == 2


def test_another_labelling_changes_labels_alone(faces: Manifest, face: OnnxRecogniser) -> None:
    found = cached.compute(faces, face)
    votes = [{"happiness": 6.0, "neutral": 4.0}, {"anger": 5.0, "fear": 5.0}, {"NF": 10.0}]
    entries = tuple(Entry(str(i), labels=v) for i, v in enumerate(votes))
    other = found.labelled(Manifest("FER+", taxonomy("ferplus"), entries))
    assert other.labels == ("happy", "", "", "", "", "")
    assert np.array_equal(other.probabilities, found.probabilities)


def test_rows_are_chosen_together() -> None:
    whole = made(Modality.SPEECH, 10)
    chosen = whole.where(np.array([7, 2]))
    assert chosen.ids == (whole.ids[7], whole.ids[2])
    assert np.array_equal(chosen.probabilities, whole.probabilities[[7, 2]])
    assert len(whole.of("validation")) == 0


def test_labels_that_are_not_asked_for_leave_the_others_their_ratios() -> None:
    whole = made(Modality.FACE, 5)
    p = whole.over(("sad", "happy", "surprise"))
    assert p.sum(axis=1) == pytest.approx(np.ones(5))
    assert p[:, 0] / p[:, 1] == pytest.approx(
        whole.probabilities[:, 2] / whole.probabilities[:, 1], rel=1e-3
    )
    assert (p[:, 2] < 1e-6).all()


def test_a_damaged_table_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="holds no cached predictions"):
        cached.load(tmp_path / "x.parquet")


def test_a_corpus_that_is_not_there_is_named(tmp_path: Path, face: OnnxRecogniser) -> None:
    found, missing = cached.collect(tmp_path, {Modality.FACE: face}, None)
    assert not found
    assert len(missing) == 1
    assert "fer2013" in missing[0]
