"""Trains face models; by default on FER2013 with FER+'s votes.

There each face is taught half by FER+'s votes, half by FER2013's own label; where
FER+ has no votes, the label stands alone and contempt, which FER2013 does not know,
is left out of that face's loss. A net with two heads learns votes and label apart.
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
from ...errors import InputError
from ...evaluation.predict.scenes import FaceFinder, Faces
from ...face.config import FaceConfig
from ...face.crop import CROP_SIDE, GEOMETRIES, CropStyle, crop_face
from ...face.detect import Detection
from ...face.recognise import FacePreparation, FaceRecogniser
from ...io.images import read_image
from ..core.config import Training
from ..core.corpora import CorpusChoice
from ..core.loop import Batch
from ..core.mixup import mixup
from ..core.samples import Samples, drawn
from ..core.targets import TargetConfig
from ..core.trainer import Batches, Trainer
from .augment import FaceAugmentation

CROP = "fer2013"
"""The crop geometry of the corpus, by its name in `emofuse.face.crop`."""

MOST = 16
"""Largest number of faces that is kept of one scene."""

Face = NDArray[np.uint8]
Bag = tuple[Face, ...]
"""The faces of one scene, which share its label."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceTraining(Training):
    """Everything a training of a face model depends on.

    Args:
        id: of the model that is made.
        data: folder of the corpora; without `corpora`, of FER2013.
        run: folder of the training, to go on from when it was interrupted.
        batch: faces per step.
        net: name of the net and its sizes.
        preparation: how a crop becomes a row (keys of `FacePreparation`), where it is
            not as the net wants it.
        targets: what the net is taught; `votes` is the share of FER+'s votes.
        augmentation: how training faces are changed before they are prepared.
        mixup: parameter of the Beta distribution; 0 does not mix.
        crop: geometry of the training faces, a name in `emofuse.face.crop`; faces in
            use are cut like that.
        faces: whether pictures are faces, or scenes in which faces are found and learned one
            at a time (``auto``: by the corpus; ``crop`` learns whole pictures as they are).
        detector: what finds them, where the corpus doesn't say where they are.
        loop: how it is trained.

    See `Training` for the rest.
    """

    id: str = "face-mine"
    run: Path = Path("runs/face")
    batch: int = 128
    net: Mapping[str, Any] = field(default_factory=lambda: {"name": "compact"})
    targets: TargetConfig = field(default_factory=lambda: TargetConfig(votes=0.5))
    augmentation: FaceAugmentation = field(default_factory=FaceAugmentation)
    mixup: float = 0.0
    crop: str = CROP
    faces: Faces = Faces.AUTO
    detector: str = FaceConfig().detector

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        object.__setattr__(self, "faces", Faces(self.faces))
        if self.mixup < 0:
            raise ValueError(f"need mixup >= 0, got {self.mixup}")


class FaceTrainer(Trainer[Face | Bag]):
    """Trains a face model. See `Trainer`."""

    modality = Modality.FACE
    recogniser = FaceRecogniser
    recogniser_name = "face"
    preparation_class = FacePreparation
    select = "accuracy"
    validate_bf16 = True

    @staticmethod
    def default_corpora(config: Any) -> tuple[CorpusChoice, ...]:
        """Return FER2013 with FER+'s votes."""
        return (CorpusChoice("fer2013", secondary_labels="ferplus"),)

    @cached_property
    def _scenes(self) -> frozenset[Path | None]:
        """The media in which faces have to be found."""
        need = self.config.faces.need_detection
        return frozenset(e.path for c in self.corpora if need(c.manifest) for e in c.manifest)

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder(FaceConfig(detector=self.config.detector), style=self._style)

    @cached_property
    def _style(self) -> CropStyle:
        """How faces are cut out of scenes, in training as in use."""
        return CropStyle(GEOMETRIES[self.config.crop], max(CROP_SIDE, self.preparation.side))

    def read(self, entry: Entry) -> Face | Bag:
        """Read a face, or the faces of a scene: (side', side') grey or (side', side', 3) RGB.

        They are not larger than needed.
        """
        if entry.path is None:
            raise InputError("it has no image")
        if entry.path in self._scenes:
            return self._read_scene(entry)
        face = self.preparation.recolour(read_image(entry.path).pixels)
        small = max(face.shape[:2]) <= self.preparation.side
        return face if small and face.shape[0] == face.shape[1] else self.preparation.resize(face)

    def _read_scene(self, entry: Entry) -> Bag:
        """Cut the faces out of a scene: where the corpus says, or where they are found."""
        assert entry.path is not None
        if entry.boxes:
            picture = read_image(entry.path).pixels
            geometry, side = self._style.geometry, self._style.side
            found = [Detection(box, 1.0) for box in entry.boxes]
            crops = [crop_face(picture, face, geometry, side) for face in found]
        else:
            crops = [crop for crop, _ in self._finder(entry)]
        if not crops:
            raise InputError("no face was found in it")
        chosen = [crops[i] for i in sorted({int(k) for k in np.linspace(0, len(crops) - 1, MOST)})]
        return tuple(self.preparation.resize(self.preparation.recolour(crop)) for crop in chosen)

    def pack(self, media: Sequence[Face | Bag]) -> Sequence[Face | Bag]:
        """Stack faces; if they differ in size, at the size that the net looks at."""
        if any(isinstance(x, tuple) for x in media):
            return media
        faces: list[Any] = list(media)
        if len({face.shape for face in faces}) > 1:
            faces = [self.preparation.resize(self.preparation.recolour(x)) for x in faces]
        return np.stack(faces)  # type: ignore[return-value]

    def facts(self) -> dict[str, Any]:
        """Return labels, channels and side of the prepared faces."""
        channels, side, _ = self.preparation.shape
        return {"labels": len(self.learned), "channels": channels, "side": side}

    def batches(self, learn: Sequence[Samples[Face | Bag]]) -> Batches:
        """Change, prepare and mix faces."""
        config = self.config
        taught = [self.taught(samples) for samples in learn]

        def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
            for places in drawn(learn, config.batch, rng):
                rows = []
                for k in sorted({k for k, _ in places}):
                    index = np.array([i for c, i in places if c == k])
                    faces = config.augmentation(_faces(learn[k].media, index, rng), rng)
                    rows.append((self.preparation.normalise(faces), taught[k], index))
                batch = Batch(
                    (self.tensor(np.concatenate([row for row, _, _ in rows])),),
                    torch.from_numpy(np.concatenate([t[0][i] for _, t, i in rows])),
                    torch.from_numpy(np.concatenate([t[1][i] for _, t, i in rows])),
                )
                yield mixup(batch, config.mixup, rng)

        return batches

    def taught(self, samples: Samples[Face | Bag]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return targets and known labels, (n, labels); (n, 2, labels) for a net of two heads."""
        if self.plan.kind.heads == 1:
            return samples.target, samples.known
        voted = samples.secondary.any(axis=1, keepdims=True)
        known = np.broadcast_to(samples.covered, samples.known.shape), samples.known & voted
        return np.stack([samples.label, samples.secondary], axis=1), np.stack(known, axis=1)

    def initialize_from_data(self, net: nn.Module) -> None:
        """Show a fresh net some faces, if it has to see them before it can be trained."""
        if self.plan.kind.heads == 2:
            sums = np.sum([self.taught(s)[0].sum(axis=0) for s in self.train_samples], axis=0)
            net.set_priors(sums / np.maximum(sums.sum(axis=1, keepdims=True), 1))  # type: ignore[operator]
        initialize_from_data = getattr(net, "initialize_from_data", None)
        if initialize_from_data is not None:
            media = self.train_samples[0].media
            some = _faces(media, np.arange(min(512, len(media))), np.random.default_rng(0))
            initialize_from_data(self.tensor(self.preparation.normalise(some)))

    def pieces(self, medium: Face | Bag) -> list[Any]:
        """Return the face, or all faces of the scene, as crops, RGB."""
        faces = medium if isinstance(medium, tuple) else (medium,)
        return [x if x.ndim == 3 else np.repeat(x[..., None], 3, axis=2) for x in faces]

    def examples(self) -> Sequence[Any]:
        """Return drawn faces."""
        return drawn_faces()

    def card_preparation(self) -> dict[str, Any]:
        """Return the keys of `FacePreparation` and the crops' geometry."""
        return {**super().card_preparation(), "crop": self.config.crop}


def _faces(
    media: Sequence[Face | Bag], index: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the faces of samples; of a scene, one that is drawn."""
    if isinstance(media, np.ndarray):
        chosen: NDArray[np.uint8] = media[index]
        return chosen
    bags = [media[i] for i in index]
    return np.stack([bag[int(rng.integers(len(bag)))] for bag in bags])


CONFIG, TRAINER = FaceTraining, FaceTrainer


def drawn_faces() -> list[Face]:
    """Draw three simple faces (smiling, flat, open mouth): RGB uint8, of several sizes.

    They stand in golden pairs, where photographs of people have no place.
    """
    faces = []
    for side, bend, opening in ((48, 0.25, 0.03), (96, 0.0, 0.03), (131, -0.1, 0.12)):
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        head = (x / 0.75) ** 2 + (y / 0.95) ** 2 < 1
        eyes = (np.abs(np.abs(x) - 0.3) < 0.12) & (np.abs(y + 0.2) < 0.06 + opening / 2)
        mouth = (np.abs(x) < 0.4) & (np.abs(y - 0.5 + bend * (x / 0.4) ** 2) < 0.02 + opening)
        grey = np.where(head, 190 - 40 * x, 60 + 20 * y)
        grey = np.where(eyes | mouth, 40.0, grey)
        tint = np.array([1.0, 0.85, 0.75])
        faces.append(np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8))
    return faces
