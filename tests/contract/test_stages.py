"""What every stage must do: end, start anew, keep its promises.

Each stage is fed what it meets in use, decoded from a real clip.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emofuse.core.estimates import SPEAKER, Estimate, Modality
from emofuse.core.media import AudioChunk, Frame, Sample, Track, Utterance, Watermark, WindowSpec
from emofuse.core.protocols import Slot, Stage
from emofuse.core.time import NS
from emofuse.engine.active_speaker import ActiveSpeakerAttribution
from emofuse.engine.align import Aligner
from emofuse.engine.pipeline import Chain, Fork, Fuse, Select
from emofuse.engine.smooth import ExponentialSmoother, HmmSmoother, RollingMean
from emofuse.engine.windows import Recognise, Windower
from emofuse.face.detect import HaarDetector
from emofuse.face.mouth import MouthMotion
from emofuse.face.track import FaceTracker
from emofuse.fusion.config import FusionConfig
from emofuse.fusion.factory import make_fuser
from emofuse.models.registry import load
from emofuse.sources.file import open_source
from emofuse.speech.quality import grade
from emofuse.speech.resample import Resample
from emofuse.speech.vad import VoiceActivityDetector
from emofuse.text.sentences import Sentences
from emofuse.text.transcribe import Transcribe, TranscribeConfig, make_transcriber

SPEC = WindowSpec(3 * NS, NS, NS)


def tracker() -> FaceTracker:
    return FaceTracker(HaarDetector())


def windower() -> Windower:
    return Windower(SPEC, SPEAKER, grade)


def recognise_faces() -> Recognise:
    return Recognise(load("face-v4"), Modality.FACE, batch=4, max_wait_ns=NS)


def recognise_words() -> Recognise:
    return Recognise(load("text-minilm-v2"), Modality.TEXT, batch=4, max_wait_ns=NS)


def transcribe() -> Transcribe:
    pytest.importorskip("pocketsphinx", reason="speech recognition is an extra: emofuse[asr]")
    engine = make_transcriber(TranscribeConfig(engine="pocketsphinx"))
    assert engine is not None
    return Transcribe(engine)


def faces() -> list[Stage]:
    return [Select(Track.VIDEO), tracker(), recognise_faces()]


# Stage by name → (itself, the stages before it).
STAGES: dict[str, tuple[Callable[[], Stage], Callable[[], list[Stage]]]] = {
    "select": (lambda: Select(Track.AUDIO), list),
    "resample": (Resample, lambda: [Select(Track.AUDIO)]),
    "voice": (VoiceActivityDetector, lambda: [Select(Track.AUDIO), Resample()]),
    "windows": (windower, lambda: [Select(Track.AUDIO), Resample(), VoiceActivityDetector()]),
    "transcribe": (transcribe, lambda: [Select(Track.AUDIO), Resample(), VoiceActivityDetector()]),
    "sentences": (Sentences, lambda: [Select(Track.TEXT)]),
    "tracker": (tracker, lambda: [Select(Track.VIDEO)]),
    "recognise-faces": (recognise_faces, lambda: [Select(Track.VIDEO), tracker()]),
    "recognise-words": (recognise_words, lambda: [Select(Track.TEXT), Sentences()]),
    "align": (lambda: Aligner(NS // 2, [Modality.FACE]), faces),
    "fuse": (
        lambda: Fuse(make_fuser(FusionConfig())),
        lambda: [*faces(), Aligner(NS // 2, [Modality.FACE])],
    ),
    "smooth": (
        lambda: ExponentialSmoother(NS // 2),
        lambda: [*faces(), Aligner(NS // 2, [Modality.FACE]), Fuse(make_fuser(FusionConfig()))],
    ),
    "tracker-with-mouths": (
        lambda: FaceTracker(HaarDetector(), mouths=MouthMotion()),
        lambda: [Select(Track.VIDEO)],
    ),
    "link": (ActiveSpeakerAttribution, lambda: [*faces(), Aligner(NS // 2, [Modality.FACE])]),
    "mean": (
        lambda: RollingMean(2 * NS),
        lambda: [*faces(), Aligner(NS // 2, [Modality.FACE]), Fuse(make_fuser(FusionConfig()))],
    ),
    "hmm": (
        lambda: HmmSmoother(NS, 8 * NS),
        lambda: [*faces(), Aligner(NS // 2, [Modality.FACE]), Fuse(make_fuser(FusionConfig()))],
    ),
    "chain": (lambda: Chain(Select(Track.AUDIO), Resample()), list),
    "fork": (lambda: Fork(Select(Track.AUDIO), Select(Track.VIDEO)), list),
}

# Whose progress speaks of what; of everything else, any progress does.
TRACKS = {
    Frame: (Track.VIDEO,),
    AudioChunk: (Track.AUDIO, Modality.SPEECH),
    Utterance: (Track.TEXT, Modality.TEXT),
}


@pytest.fixture(scope="module")
def packets(media: Path) -> list:
    with closing(open_source(media / "talking.mp4")) as source:
        return list(source.packets())


@pytest.fixture(scope="module", params=list(STAGES))
def stage_and_items(request: pytest.FixtureRequest, packets: list) -> tuple[Stage, list]:
    make, before = STAGES[request.param]
    items = packets
    for stage in before():
        items = run(stage, items)
    return make(), items


def run(stage: Stage, items: list) -> list:
    return [out for item in items for out in stage.feed(item)] + list(stage.flush())


def content(item: Any) -> Any:
    """What can be compared of an item."""
    if isinstance(item, Estimate):
        scores = item.probabilities.values.round(4).tolist()
        return (item.subject, item.span, item.modality, round(item.quality, 5), scores)
    if isinstance(item, Sample):
        data = item.data if isinstance(item.data, str) else np.asarray(item.data).tolist()
        return (item.subject, item.span, round(item.quality, 5), data)
    if isinstance(item, Slot):
        return (item.subject, item.span, [content(e) for e in item.evidence.values()])
    if isinstance(item, AudioChunk):
        return (item.first, item.rate, item.samples.tolist())
    return item.at if isinstance(item, Frame) else item


def start_of(item: Any) -> int:
    return item.at.start_ns if isinstance(item, Frame) else item.span.start_ns


def test_it_is_a_stage_and_says_something(stage_and_items: tuple[Stage, list]) -> None:
    stage, items = stage_and_items
    stage.reset()
    assert isinstance(stage, Stage)
    out = run(stage, items)
    assert any(isinstance(x, Watermark) for x in out)
    assert any(not isinstance(x, Watermark) for x in out)


def test_reset_makes_it_as_new(stage_and_items: tuple[Stage, list]) -> None:
    stage, items = stage_and_items
    stage.reset()
    first = [content(x) for x in run(stage, items)]
    stage.reset()
    for item in items[: len(items) // 2]:  # leave it in the middle of something
        list(stage.feed(item))
    stage.reset()
    assert [content(x) for x in run(stage, items)] == first


def test_flush_leaves_nothing(stage_and_items: tuple[Stage, list]) -> None:
    stage, items = stage_and_items
    stage.reset()
    run(stage, items)
    assert [x for x in stage.flush() if not isinstance(x, Watermark)] == []


def test_progress_is_a_promise(stage_and_items: tuple[Stage, list]) -> None:
    """It never goes back, and nothing of its track that starts before it comes after it."""
    stage, items = stage_and_items
    stage.reset()
    promised: dict = {}
    for item in run(stage, items):
        if isinstance(item, Watermark):
            assert item.upto_ns >= promised.get(item.track, 0)
            promised[item.track] = item.upto_ns
        else:
            tracks = TRACKS.get(type(item), promised)
            assert start_of(item) >= max((promised.get(t, 0) for t in tracks), default=0)
