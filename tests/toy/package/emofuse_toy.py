"""A stranger's package: one of everything that emofuse lets others add, and a modality."""

from dataclasses import dataclass

import numpy as np

from emofuse.core.details import Details
from emofuse.core.estimates import SPEAKER, Prediction, Probabilities
from emofuse.core.labels import Taxonomy
from emofuse.core.media import Frame, Sample, Utterance
from emofuse.core.modality import Modality, ModalitySpec, Track
from emofuse.corpora.manifest import Entry, Manifest, Split
from emofuse.corpora.recipe import Medium, Recipe
from emofuse.export.whole import WholeTimeline
from emofuse.face.detect import Detection
from emofuse.fusion.rules import WeightedFuser


class GlowRecogniser:
    """Says that bright frames are happy."""

    embedding = None

    def __init__(self, card, files, threads):
        self.model_id, self.taxonomy = card.id, card.taxonomy

    def prepare(self, sample):
        return np.float32([np.asarray(sample, np.float32).mean() / 255])

    def infer(self, batch):
        rows = (np.array([1 - row[0], row[0]]) for row in batch)
        return [Prediction(Probabilities(self.taxonomy, p / p.sum())) for p in rows]


@dataclass(frozen=True, slots=True)
class GlowDetails(Details):
    """How bright a frame was, 0 to 255."""

    brightness: float | None = None


class GlowStage:
    """A sample of every frame, about the speaker."""

    def feed(self, item):
        if isinstance(item, Frame):
            details = GlowDetails(round(float(item.image.mean()), 1))
            yield Sample(SPEAKER, item.at, item.image, 0.8, details)
        else:
            yield item

    def flush(self):
        return iter(())

    def reset(self):
        pass


class GlowFrontEnd:
    def available(self, context):
        return True

    def components(self, context):
        return {"glow": "toy"}

    def stages(self, context):
        return (GlowStage(),)


FRONT_END = GlowFrontEnd()
GLOW = ModalitySpec(
    "glow", name="light", tracks=(Track.VIDEO,), front_end="emofuse_toy:FRONT_END",
    model="glow-toy", color="#ffcc00", details=GlowDetails, pooled=True,
)  # fmt: skip


class ToyFuser(WeightedFuser):
    """The linear pool under another name."""


class ToyDetector:
    name = "middle"

    def detect(self, image):
        height, width = image.shape[:2]
        return [Detection((width / 4, height / 4, width / 2, height / 2), 0.9)]


def make_detector(store):
    return ToyDetector()


class Parrot:
    name, rank, trusted = "parrot", 9, 0.0

    @classmethod
    def describe(cls, config):
        return cls.name

    def __init__(self, config):
        pass

    def transcribe(self, samples, start):
        from emofuse.core.time import Span, samples_to_ns

        end = start + len(samples)
        return [
            Utterance("I am glad.", Span(samples_to_ns(start, 16000), samples_to_ns(end, 16000)))
        ]


class LinesExporter(WholeTimeline):
    name, suffix, content_type, summary = "lines", ".lines", "text/plain", "a line an estimate"

    def save(self, timeline):
        self.path.write_text("".join(f"{e.modality.value} {e.label}\n" for e in timeline))


def _read(request):
    labels = ("neutral", "joy")
    path = request.root / "a.txt"
    entry = Entry(id="a", path=path, labels={"joy": 1.0}, split=Split.TRAIN)
    return Manifest("toy", Taxonomy("toy", labels), (entry,))


TOY_CORPUS = Recipe(
    name="toy-corpus",
    title="one text",
    modalities=(Modality.TEXT,),
    media=(Medium.TEXT,),
    labellings={},
    licence="yours",
    citation="",
    home="",
    layout="a.txt",
    read=_read,
)
