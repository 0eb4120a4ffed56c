"""Programs written for other libraries find what they expect."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emofuse.compat import FER, DeepFace, Detector, EmotionPredictor, pipeline
from emofuse.compat.faces import EKMAN
from emofuse.errors import InputError, ModelError
from emofuse.models.store import WEIGHTS, ZOO


@pytest.fixture(scope="module")
def portrait(media: Path) -> Path:
    return media / "portrait.jpg"


@pytest.fixture(scope="module")
def voice(media: Path) -> Path:
    return media / "speech.ogg"


@pytest.fixture(scope="module")
def bgr(portrait: Path) -> np.ndarray:
    """As OpenCV reads it."""
    with Image.open(portrait) as picture:
        return np.array(picture.convert("RGB"))[:, :, ::-1]


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor()


# EmotionPredictor


def test_a_face_and_a_voice(predictor: EmotionPredictor, portrait: Path, voice: Path) -> None:
    result = predictor.predict_from_file(image_path=str(portrait), audio_path=str(voice))
    for name in ("facial", "speech", "fusion"):
        said = result[name]
        assert said["confidence"] == max(said["probabilities"].values())
        assert said["probabilities"][said["emotion"]] == said["confidence"]
        assert sum(said["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    alone = predictor.predict_from_file(image_path=portrait)
    assert alone["speech"] is None
    assert alone["facial"]["emotion"] == result["facial"]["emotion"]


def test_weights_of_the_predictor(portrait: Path, voice: Path) -> None:
    deaf = EmotionPredictor(weights={"facial": 1, "speech": 0})
    result = deaf.predict_from_file(portrait, voice)
    assert result["fusion"]["emotion"] == result["facial"]["emotion"]
    with pytest.raises(InputError, match="expected facial and speech"):
        EmotionPredictor(weights={"face": 1})


def test_a_model_is_given_by_its_card_its_folder_or_its_id(tmp_path: Path, portrait: Path) -> None:
    for file in (ZOO / "face-v4.toml", WEIGHTS / "face-v4.onnx"):
        shutil.copy(file, tmp_path)
    card = tmp_path / "face-v4.toml"
    card.write_text(card.read_text().replace('id = "face-v4"', 'id = "mine"'))
    for given in (card, tmp_path, str(tmp_path)):
        assert EmotionPredictor(facial_model_path=given).predict_from_file(portrait)["facial"]
    assert EmotionPredictor(facial_model_path="face-v4").predict_from_file(portrait)["facial"]
    with pytest.raises(InputError, match="is a model for face, expected one for speech"):
        EmotionPredictor(speech_model_path=card)


@pytest.mark.parametrize("path", ["face_model.keras", "model.h5", "model.onnx", "model.pkl"])
def test_a_foreign_model_has_to_be_imported_first(path: str) -> None:
    with pytest.raises(InputError, match=f"models import {path} --modality face"):
        EmotionPredictor(facial_model_path=path)


def test_an_unknown_model_is_named(portrait: Path) -> None:
    with pytest.raises(ModelError, match="no model 'nope'"):
        EmotionPredictor(facial_model_path="nope").predict_from_file(portrait)


# DeepFace


def test_deepface_analyze(portrait: Path, bgr: np.ndarray) -> None:
    (result,) = DeepFace.analyze(img_path=str(portrait), actions=["emotion"], silent=True)
    assert list(result["emotion"]) == list(EKMAN)
    assert sum(result["emotion"].values()) == pytest.approx(100)
    assert result["emotion"][result["dominant_emotion"]] == max(result["emotion"].values())
    region = result["region"]
    assert 0 < region["x"] < region["x"] + region["w"] <= bgr.shape[1]
    (of_array,) = DeepFace.analyze(bgr)
    assert of_array["emotion"] == pytest.approx(result["emotion"], abs=1e-3), "arrays are BGR"
    both = DeepFace.analyze([str(portrait), bgr])
    assert [len(faces) for faces in both] == [1, 1]


def test_deepface_without_a_face() -> None:
    blank = np.full((120, 120, 3), 100, np.uint8)
    with pytest.raises(ValueError, match="Face could not be detected"):
        DeepFace.analyze(blank)
    (result,) = DeepFace.analyze(blank, enforce_detection=False)
    assert result["region"] == {"x": 0, "y": 0, "w": 120, "h": 120, "left_eye": None,
                                "right_eye": None}  # fmt: skip


@pytest.mark.parametrize("given", [{"actions": ["age"]}, {"actions": []}, {"anti_spoofing": True}])
def test_what_deepface_can_and_emofuse_cannot(given: dict, portrait: Path) -> None:
    with pytest.raises(InputError):
        DeepFace.analyze(portrait, **given)


# FER, transformers, py-feat


def test_fer(portrait: Path, bgr: np.ndarray) -> None:
    detector = FER(mtcnn=True)
    (face,) = detector.detect_emotions(str(portrait))
    assert set(face["emotions"]) == set(EKMAN)
    assert face["box"].shape == (4,)
    label, score = detector.top_emotion(bgr)
    assert label is not None
    assert face["emotions"][label] == score == max(face["emotions"].values())
    blank = np.zeros((90, 90, 3), np.uint8)
    assert detector.detect_emotions(blank) == []
    assert detector.top_emotion(blank) == (None, None)


def test_pipelines(portrait: Path, voice: Path) -> None:
    (top,) = pipeline("text-classification")("What a wonderful day!")
    assert top["label"] == "happy"
    faces = pipeline("image-classification", device=-1)
    scores = [row["score"] for row in faces(str(portrait))]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    voices = pipeline("audio-classification", model="speech-v4")
    assert len(voices(str(voice), top_k=3)) == 3
    noise = {"array": np.zeros(16_000), "sampling_rate": 16_000}
    with pytest.raises(InputError, match="no voice"):
        voices(noise)
    with pytest.raises(InputError, match="sampling_rate"):
        voices({"array": np.zeros(9)})
    with pytest.raises(InputError, match="no task 'translation'"):
        pipeline("translation")


def test_pyfeat_columns(portrait: Path, media: Path) -> None:
    table = Detector(emotion_model="resmasknet").detect([str(portrait), str(portrait)])
    assert list(table.frame) == [0, 1]
    emotions = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert table[emotions].sum(axis=1).to_numpy() == pytest.approx(1)
    assert (table.FaceRectWidth > 20).all()
    video = Detector().detect(media / "talking.mp4", data_type="video")
    assert video.frame.is_monotonic_increasing
    assert len(video) > 3
