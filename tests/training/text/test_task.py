"""The text trainer on a corpus and an encoder of toy size: from tables to a model that answers."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emofuse.core.estimates import Modality
from emofuse.core.labels import CANONICAL
from emofuse.corpora.labels import taxonomy
from emofuse.corruptions.text import as_spoken
from emofuse.errors import InputError
from emofuse.models.card import read_card
from emofuse.models.golden import read_golden, replay
from emofuse.text.recognise import TextRecogniser, collate
from emofuse.training.core.export import Exportable
from emofuse.training.core.exporter import Exporter
from emofuse.training.core.loop import LoopConfig, Optimizer
from emofuse.training.core.quantize import Quantization
from emofuse.training.core.train import train
from emofuse.training.text.nets.encoder import TextNet, TextNetConfig, load_encoder
from emofuse.training.text.task import (
    AugmentConfig,
    TextTrainer,
    TextTraining,
    augment,
    buckets,
)

pytestmark = pytest.mark.slow  # trains nets


WORDS = "i am so glad sad mad scared sick amazed here it is this that a day . ! ?".split()  # noqa: SIM905
SAMPLES = {
    "joy": "i am so glad !",
    "sadness": "this is so sad .",
    "anger": "i am so mad !",
    "fear": "i am so scared !",
    "disgust": "it is so sick !",
    "surprise": "i am so amazed !",
    "neutral": "it is a day .",
}
SHAPE = TextNetConfig(
    vocabulary=128, tokens=16, width=64, depth=1, heads=2, hidden=128, dropout=0.0
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of a pretrained encoder, with random weights."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing

    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(bert(SHAPE), folder / "model.safetensors")
    return folder


def bert(shape: TextNetConfig) -> dict[str, torch.Tensor]:
    """Random weights under the names of Hugging Face's BertModel."""
    g = torch.Generator().manual_seed(0)
    w, h = shape.width, shape.hidden
    shapes = {
        "embeddings.word_embeddings.weight": (shape.vocabulary, w),
        "embeddings.position_embeddings.weight": (64, w),
        "embeddings.token_type_embeddings.weight": (2, w),
        "embeddings.LayerNorm.weight": (w,),
        "embeddings.LayerNorm.bias": (w,),
    }
    for i in range(shape.depth):
        layer = f"encoder.layer.{i}"
        parts = {
            "attention.self.query": (w, w),
            "attention.self.key": (w, w),
            "attention.self.value": (w, w),
            "attention.output.dense": (w, w),
            "attention.output.LayerNorm": (w,),
            "intermediate.dense": (h, w),
            "output.dense": (w, h),
            "output.LayerNorm": (w,),
        }
        for name, size in parts.items():
            shapes[f"{layer}.{name}.weight"] = size
            shapes[f"{layer}.{name}.bias"] = size[:1]
    return {
        name: torch.randn(size, generator=g) * (0.1 if len(size) > 1 else 0.01)
        + (1.0 if "LayerNorm.weight" in name else 0.0)
        for name, size in shapes.items()
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("goemotions")
    for folder, name in (("original", "goemotions"), ("ekman", "goemotions_ekman")):
        labels = taxonomy(name).labels
        (root / folder).mkdir()
        (root / folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
        for split, copies in (("train", 12), ("dev", 2), ("test", 1)):
            lines = [
                f"{text}\t{labels.index(label)}\t{split}{label}{i}"
                for i in range(copies)
                for label, text in SAMPLES.items()
            ]
            (root / folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, corpus: Path, encoder: Path) -> TextTraining:
    folder = tmp_path_factory.mktemp("run")
    loop = LoopConfig(epochs=16, lr=5e-3, optimizer=Optimizer.ADAMW, ema=0.5, bf16=False)
    augmentation = AugmentConfig(spoken=0.0)
    sizes = {k: v for k, v in asdict(SHAPE).items() if k not in ("labels", "vocabulary", "tokens")}
    return TextTraining(
        id="toy",
        data=corpus,
        encoder=encoder,
        run=folder,
        batch=14,
        frozen_words=False,
        net={"name": "minilm", "vocabulary": SHAPE.vocabulary, **sizes},
        preparation={"max_tokens": SHAPE.tokens},
        augment=augmentation,
        select="accuracy_top",
        loop=loop,
    )


@pytest.fixture(scope="module")
def card_path(config: TextTraining) -> Path:
    return train(TextTrainer(config))


def test_training_ships_a_model_that_learned(config: TextTraining, card_path: Path) -> None:
    card = read_card(card_path)
    assert card.modality is Modality.TEXT
    assert card.taxonomy.labels == tuple(x for x in CANONICAL.labels if x != "contempt")
    recogniser = recogniser_of(config, card_path)
    rows = [recogniser.prepare(text) for text in SAMPLES.values()]
    p = np.stack([answer.probabilities.values for answer in recogniser.infer(rows)])
    names = ["happy", "sad", "angry", "fear", "disgust", "surprise", "neutral"]
    assert [CANONICAL.labels[i] for i in p.argmax(axis=1)] == names
    stated = {(m.split, m.name): m.value for m in card.metrics}
    assert stated["validation", "macro_f1"] == 1.0
    history = (config.run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(history[-1])["loss"] < json.loads(history[0])["loss"]


def test_the_golden_pair_is_answered(config: TextTraining, card_path: Path) -> None:
    golden = read_golden(config.model / "toy.golden.npz")
    assert replay(recogniser_of(config, card_path), golden) < 1e-5


def test_matrices_in_int8(config: TextTraining, card_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(config.run / "best.safetensors", run)
    quick = replace(config, run=run, quantize=Quantization.MATRICES)
    card = Exporter(TextTrainer(quick)).export()
    assert any(
        "Products with large matrices compute in int8" in note
        or "do not narrow compute in int8" in note
        for note in card.notes
    )
    assert card.files["weights"].bytes <= read_card(card_path).files["weights"].bytes * 1.1
    path = quick.model / "toy.toml"
    assert replay(recogniser_of(quick, path), read_golden(quick.model / "toy.golden.npz")) < 1e-5


def test_files_are_described_as_they_are(config: TextTraining, card_path: Path) -> None:
    for file in read_card(card_path).files.values():
        assert (config.model / file.name).stat().st_size == file.bytes


def recogniser_of(config: TextTraining, card_path: Path) -> TextRecogniser:
    card = read_card(card_path)
    return TextRecogniser(card, {r: config.model / f.name for r, f in card.files.items()})


def test_an_encoder_of_another_shape_is_refused(config: TextTraining) -> None:
    with pytest.raises(InputError, match="BERT encoder of the wanted shape"):
        load_encoder(TextNet(replace(SHAPE, depth=2)), config.encoder / "model.safetensors")
    with pytest.raises(InputError, match="BERT encoder of the wanted shape"):
        load_encoder(TextNet(replace(SHAPE, width=16)), config.encoder / "model.safetensors")
    with pytest.raises(InputError, match="BERT encoder of the wanted shape"):
        load_encoder(TextNet(SHAPE), config.encoder / "nothing.safetensors")


def test_our_encoder_computes_what_transformers_computes(encoder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="compared with transformers")
    theirs = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=SHAPE.vocabulary,
            hidden_size=SHAPE.width,
            num_hidden_layers=SHAPE.depth,
            num_attention_heads=SHAPE.heads,
            intermediate_size=SHAPE.hidden,
            max_position_embeddings=64,
        ),
        add_pooling_layer=False,
    ).eval()
    theirs.load_state_dict(bert(SHAPE), strict=True)
    ours = load_encoder(TextNet(SHAPE), encoder / "model.safetensors").eval()
    rows = [np.array([2, 4, 5, 6, 3]), np.array([2, 7, 3])]
    ids = torch.from_numpy(collate(rows))
    with torch.inference_mode():
        known = (ids != 0)[:, :, None]
        states = theirs(ids, attention_mask=(ids != 0).long()).last_hidden_state
        expected = ours.head((states * known).sum(1) / known.sum(1))
        torch.testing.assert_close(ours(ids), expected, atol=1e-5, rtol=0)


def test_fine_labels_are_summed(config: TextTraining) -> None:
    trainer = TextTrainer(config)
    assert trainer.aggregation is not None
    fine = taxonomy("goemotions").labels
    logits = torch.randn(3, len(fine), generator=torch.Generator().manual_seed(0))
    coarse = Exportable(torch.nn.Identity(), torch.from_numpy(trainer.aggregation))(logits)[0].exp()
    p = logits.softmax(1)
    torch.testing.assert_close(coarse.sum(1), torch.ones(3))
    fear = p[:, fine.index("fear")] + p[:, fine.index("nervousness")]
    torch.testing.assert_close(coarse[:, CANONICAL.index("fear")], fear)


def test_augmentation() -> None:
    rng = np.random.default_rng(0)
    text = "Well, [NAME] DIDN'T come... 😀"
    assert augment(text, AugmentConfig(0, 0), rng) == text
    assert "[NAME]" not in augment(text, AugmentConfig(1, 0), rng)
    assert as_spoken("Well, I DIDN'T come... No!") == "well i didn't come no"
    assert as_spoken("?!") == "?!"
    with pytest.raises(ValueError, match="0, 1"):
        AugmentConfig(names=1.5)


def test_batches_share_out_every_sentence_by_length() -> None:
    lengths = np.random.default_rng(1).integers(3, 40, 1000).tolist()
    groups = buckets(lengths, 64, np.random.default_rng(2))
    assert sorted(np.concatenate(groups).tolist()) == list(range(1000))
    filled = sum(len(g) * max(lengths[i] for i in g) for g in groups)
    assert filled < 1.2 * sum(lengths)
    assert [g[0] for g in groups] != [g[0] for g in buckets(lengths, 64, np.random.default_rng(3))]
