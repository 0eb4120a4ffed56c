"""What the window knows."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pygame", reason="the window is an extra: emofuse[live]")

from emofuse.core.details import Details, FaceDetails, TextDetails
from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import AudioChunk, Diagnostic, Frame
from emofuse.core.time import NS, Span
from emofuse.streaming import Measurement, MeasurementKind
from emofuse.window.state import WAVE_RATE, WAVE_SECONDS, LiveState

FACE = Subject(SubjectKind.FACE, 2)


def estimate(
    modality: Modality, subject: Subject = FACE, details: Details | None = None
) -> Estimate:
    scores = Probabilities(CANONICAL, np.full(8, 0.125))
    return Estimate(subject, Span(0, NS), scores, modality, 1.0, "made", details=details)


def test_a_person_is_the_latest_face_and_what_is_said_now() -> None:
    state = LiveState()
    seen = estimate(Modality.FACE, details=FaceDetails(box=(0.1, 0.2, 0.3, 0.4)))
    now = estimate(Modality.FUSED)
    state.hear(Measurement(MeasurementKind.FRAME, seen, 0))
    (person,) = state.snapshot().people
    assert person.estimate is seen
    np.testing.assert_allclose(person.box, (0.1, 0.2, 0.3, 0.4))
    state.hear(Measurement(MeasurementKind.NOW, now, 0))
    (person,) = state.snapshot().people
    assert person.estimate is now


def test_boxes_glide_to_where_the_face_is() -> None:
    state = LiveState()
    for x in (0.1, 0.3):
        face = estimate(Modality.FACE, details=FaceDetails(box=(x, 0.2, 0.3, 0.4)))
        state.hear(Measurement(MeasurementKind.FRAME, face, 0))
        (person,) = state.snapshot().people
    assert 0.1 <= person.box[0] < 0.3
    for _ in range(200_000):
        if (person := state.snapshot().people[0]).box[0] > 0.29:
            break
    assert person.box[0] > 0.29


def test_voice_and_words_come_from_the_timeline() -> None:
    state = LiveState()
    voice, words = (
        estimate(Modality.SPEECH, SPEAKER),
        estimate(Modality.TEXT, SPEAKER, details=TextDetails("hi")),
    )
    for e in (voice, words, estimate(Modality.FACE)):
        state.hear(Measurement(MeasurementKind.TIMELINE, e, 0))
    snap = state.snapshot()
    assert (snap.voice, snap.words, snap.people) == (voice, words, ())


def test_the_waveform_is_the_peaks_of_the_last_seconds_however_sound_is_cut() -> None:
    rng = np.random.default_rng(1)
    sound = rng.normal(0, 0.1, 16_000 * 5).astype(np.float32)
    whole, cut = LiveState(), LiveState()
    whole.see(AudioChunk(sound, 16_000, 0))
    for at in range(0, len(sound), 777):
        cut.see(AudioChunk(sound[at : at + 777], 16_000, at))
    wave = whole.snapshot().wave
    assert len(wave) == WAVE_RATE * WAVE_SECONDS
    np.testing.assert_array_equal(wave, cut.snapshot().wave)
    assert wave[-1] == np.abs(sound[-160:]).max()


def test_the_newest_picture_is_shown_and_notes_are_read() -> None:
    state = LiveState(origin_ns=1000)
    for i in range(3):
        state.see(Frame(np.full((2, 2, 3), i, np.uint8), Span(i, i + 1)))
    state.see(Diagnostic("camera-lost", "the camera is lost"))
    state.wait(0, timeout=0)
    snap = state.snapshot()
    assert snap.picture is not None
    assert (snap.picture.number, snap.picture.at_ns, snap.picture.image.max()) == (3, 1002, 2)
    assert snap.notes == ("the camera is lost",)
