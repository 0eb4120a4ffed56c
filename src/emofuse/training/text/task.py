"""Trains text models; by default a pretrained sentence encoder on GoEmotions.

By default the net learns all 28 fine labels. Its answer is their sums per canonical
label, which teaches more than the coarse labels alone would and stays one
distribution. A comment with several labels is taught as equal shares of each.
"""

from __future__ import annotations

import shutil
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
from ...core.labels import Taxonomy
from ...corpora.manifest import Entry, Split
from ...corruptions.text import as_spoken
from ...errors import InputError
from ...evaluation.metrics import calibration as calibration_metrics
from ...evaluation.metrics.multilabel import best_thresholds, multilabel_f1
from ...io.atomic import atomic_path
from ...models.card import Calibration
from ...text.recognise import Preparation, TextRecogniser, WordPieces, collate, plain
from ..core.checkpoint import disk_errors
from ..core.config import Training
from ..core.console import log
from ..core.corpora import CorpusChoice, Labels
from ..core.loop import Batch, LoopConfig, Optimizer
from ..core.measure import classified
from ..core.quantize import Quantization
from ..core.samples import Samples
from ..core.trainer import Batches, Trainer
from .nets.encoder import load_encoder

TOKENIZER, ENCODER = "tokenizer.json", "model.safetensors"

GOLDEN = (
    "I am so happy to see you, this is wonderful!",
    "He never came back, and I cried all night.",
    "How dare you talk to me like that? Get out!",
    "there is somebody in the house please hurry",
    "That is disgusting 🤢, I feel sick.",
    "Wait… what? I had no idea!",
    "The train leaves at 10.30 from platform 4.",
    "Ok",
)
"""Sentences that stand in the golden pair."""

_FIRST_NAMES = """
    James Mary Robert Linda John Susan David Karen Anna Tom Maria Peter Emma Ahmed Sofia Mark
    Laura Ali Nina Carlos Lucy Kevin Jane Omar Grace Ben Rosa Sam Julia Max
""".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How written comments are made to look more like what is read in use.

    Args:
        names: probability that a masked ``[NAME]`` becomes a first name.
        spoken: probability that a comment loses capitals and punctuation, as
            speech recognisers write.

    Raises:
        ValueError: if a probability is none.
    """

    names: float = 0.7
    spoken: float = 0.25

    def __post_init__(self) -> None:
        if not (0 <= self.names <= 1 and 0 <= self.spoken <= 1):
            raise ValueError(f"probabilities must lie in [0, 1], got {self}")


def _default_loop() -> LoopConfig:
    return LoopConfig(
        epochs=3,
        lr=1.5e-4,
        weight_decay=0.01,
        optimizer=Optimizer.ADAMW,
        warmup=0.1,
        ema=0.998,
        grad_clip=1.0,
    )


@dataclass(frozen=True, slots=True)
class TextTraining(Training):
    """Everything that a training of a text model depends on.

    Args:
        id: of the model that is made.
        data: folder of the corpora; without `corpora`, of GoEmotions.
        run: folder of the training, to go on from when it was interrupted.
        labels: what is learned and answered.
        batch: sentences per step.
        encoder: folder with a pretrained encoder, ``model.safetensors`` in the layout
            of Hugging Face's BERT and DistilBERT, and ``tokenizer.json``. None, for
            nets that need none: word pieces are then learned from the training texts.
        pieces: how many word pieces are learned, without an encoder.
        frozen_words: keep the pretrained vectors of the word pieces. Most of them
            occur too rarely here to be improved.
        net: name of the net and its sizes.
        augment: what is done to training sentences before they are prepared.
        loop: how it is trained.

    See `Training` for the rest.
    """

    id: str = "text-minilm-v2"
    data: Path = Path("data/goemotions")
    run: Path = Path("runs/text")
    labels: Labels = Labels.AGGREGATED
    net: Mapping[str, Any] = field(default_factory=lambda: {"name": "minilm"})
    quantize: Quantization = Quantization.WEIGHTS
    loop: LoopConfig = field(default_factory=_default_loop)
    encoder: Path | None = None
    pieces: int = 8000
    frozen_words: bool = True
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        if self.pieces < 100:
            raise ValueError(f"need pieces >= 100, got {self.pieces}")


class TextTrainer(Trainer[str]):
    """Trains a text model. See `Trainer`."""

    modality = Modality.TEXT
    recogniser = TextRecogniser
    recogniser_name = "text"
    preparation_class = Preparation
    select = "macro_f1"
    axes = ({0: "batch", 1: "tokens"},)

    def __init__(self, config: TextTraining, learned: Taxonomy | None = None) -> None:
        super().__init__(config, learned)
        needs = self.plan.kind.name in _PRETRAINED
        if needs and learned is None and config.encoder is None and config.init is None:
            log(f"{self.plan.kind.name} starts from random weights: no `encoder` is named")
        if config.encoder is not None:
            for name in (TOKENIZER, ENCODER) if needs else (TOKENIZER,):
                if not (config.encoder / name).is_file():
                    raise InputError(
                        f"encoder: no {name} in {config.encoder}; expected a folder of "
                        "sentence-transformers/all-MiniLM-L6-v2 or the like"
                    )

    @staticmethod
    def default_corpora(config: Any) -> tuple[CorpusChoice, ...]:
        """Return GoEmotions with its fine labels."""
        return (CorpusChoice("goemotions", labelling="original"),)

    def read(self, entry: Entry) -> str:
        """Return the text."""
        if not entry.text:
            raise InputError("it has no text")
        return entry.text

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file: the encoder's, or one learned from the training texts."""
        return Path((self.config.encoder or self.config.run) / TOKENIZER)

    @cached_property
    def word_pieces(self) -> WordPieces:
        """What turns texts into token ids; learned now, if need be."""
        path = self.tokenizer
        if self.config.encoder is None and not path.exists():
            texts = [e.text or "" for c in self.corpora for e in c.manifest.of(Split.TRAIN)]
            with disk_errors(f"what is in {self.config.run}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                learn_pieces(texts, self.config.pieces, path)
        return WordPieces(path, self.preparation)

    def facts(self) -> dict[str, Any]:
        """Return labels, longest row and number of word pieces."""
        from tokenizers import Tokenizer

        size = self.config.pieces
        if self.tokenizer.exists():
            size = Tokenizer.from_file(str(self.tokenizer)).get_vocab_size()
        tokens = self.preparation.max_tokens
        return {"labels": len(self.learned), "tokens": tokens, "vocabulary": size}

    def initialize_from_data(self, net: nn.Module) -> None:
        """Load the pretrained encoder, or count how rare words are."""
        if self.config.encoder is not None and self.plan.kind.name in _PRETRAINED:
            load_encoder(net, self.config.encoder / ENCODER)  # type: ignore[arg-type]
        if hasattr(net, "fit_idf"):
            net.fit_idf(self.row(text) for s in self.train_samples for text in s.media)  # type: ignore[operator]

    def new_net(self, fresh: bool = True) -> nn.Module:
        """Make the net; its pretrained word vectors may be kept."""
        assert self.word_pieces  # how many there are is known only when they are learned
        net = super().new_net(fresh)
        pretrained = self.config.encoder is not None and self.plan.kind.name in _PRETRAINED
        if pretrained and self.config.frozen_words:
            net.words.weight.requires_grad_(False)  # type: ignore[union-attr]
        return net

    def steps(self) -> int:
        """Return the number of batches: every sentence is met."""
        n = sum(len(s) for s in self.train_samples)
        if any(s.sampling_weight != 1 for s in self.train_samples):
            return super().steps()
        return -(-n // self.config.batch)

    def batches(self, learn: Sequence[Samples[str]]) -> Batches:
        """Change and prepare sentences; alike lengths together."""
        config = self.config
        target = np.concatenate([s.target for s in learn])
        known = np.concatenate([s.known for s in learn])
        texts = [text for s in learn for text in s.media]
        shares = np.concatenate([np.full(len(s), s.sampling_weight) for s in learn])

        def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
            met = _met(shares, config.batch, self.steps(), rng)
            rows = [self.row(augment(texts[i], config.augment, rng)) for i in met]
            for index in buckets([len(row) for row in rows], config.batch, rng):
                ids = torch.from_numpy(collate([rows[i] for i in index]))
                which = met[index]
                mask = None if known.all() else torch.from_numpy(known[which])
                yield Batch((ids,), torch.from_numpy(target[which]), mask)

        return batches

    def pieces(self, medium: str) -> list[Any]:
        """Return the text."""
        return [medium]

    def row(self, piece: Any) -> NDArray[np.int64]:
        """Return a text's token ids."""
        return self.word_pieces(piece)

    def collate(self, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Fill the shorter rows up."""
        return (collate(rows),)

    def examples(self) -> Sequence[Any]:
        """Return made-up sentences."""
        return GOLDEN

    def measure_samples(
        self, logits: NDArray[np.float32], samples: Samples[str]
    ) -> dict[str, float]:
        """Measure answers: multi-label with chosen thresholds, and the most probable label."""
        present = self.output_of(samples.label) > 0
        p = Calibration().probabilities(logits)
        f1 = multilabel_f1(present, p >= best_thresholds(present, p))
        covered = self.covered_of(samples)
        single = present.sum(axis=1) == 1
        out = {"macro_f1": float(f1[covered].mean())}
        if single.any():
            found = classified(logits[single], present[single].astype(np.float32), covered)
            out |= {f"{name}_top": found[name] for name in ("macro_f1", "accuracy")}
        target = self.output_of(samples.label)
        closed = np.where(covered, logits, -1e4)
        return {**out, "log_loss": calibration_metrics.log_loss(target, closed)}

    def extra_files(self) -> dict[str, Path]:
        """Put the tokenizer beside the graph."""
        path = Path(self.config.model / f"{self.config.id}.{TOKENIZER}")
        shutil.copyfile(self.tokenizer, path)
        return {"tokenizer": path}


CONFIG, TRAINER = TextTraining, TextTrainer


_PRETRAINED = ("minilm", "distilbert")


def learn_pieces(texts: Sequence[str], size: int, path: Path) -> None:
    """Learn word pieces from texts and save them as a ``tokenizer.json``.

    Lower case, without accents, as BERT's uncased vocabularies; at most `size` of them.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing
    from tokenizers.trainers import WordPieceTrainer

    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[NAME]", "[RELIGION]"]
    learner = WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator((plain(text) for text in texts), learner)
    first, last = (tokenizer.token_to_id(x) for x in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = BertProcessing(("[SEP]", last), ("[CLS]", first))  # type: ignore[arg-type]
    with atomic_path(path) as part:
        tokenizer.save(str(part))


def augment(text: str, config: AugmentConfig, rng: np.random.Generator) -> str:
    """Make a written comment look more like what is met in use; see `AugmentConfig`."""
    if "[NAME]" in text and rng.random() < config.names:
        text = text.replace("[NAME]", str(rng.choice(_FIRST_NAMES)))
    return as_spoken(text) if rng.random() < config.spoken else text


def buckets(lengths: Sequence[int], batch: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Share out sentences to batches of about equal length, in random order.

    Lengths are jittered a little, so that the same sentences don't always meet.
    """
    order = np.argsort(np.asarray(lengths) * rng.uniform(0.9, 1.1, len(lengths)), kind="stable")
    groups = [order[i : i + batch] for i in range(0, len(order), batch)]
    return [groups[i] for i in rng.permutation(len(groups))]


def _met(
    shares: NDArray[np.float64], batch: int, steps: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the sentences that an epoch meets; all of them once where all shares are 1."""
    if (shares == 1).all():
        return np.arange(len(shares))
    times = np.floor(shares + rng.random(len(shares))).astype(int)
    met = np.repeat(np.arange(len(shares)), times)
    return np.resize(met[rng.permutation(len(met))], batch * steps)
