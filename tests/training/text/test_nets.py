"""Every text net: shapes, padding, learning, export, the same answers through the recogniser."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.training.exporting import export, two_outputs

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.models.store import Store
from emofuse.text.recognise import Preparation, TextRecogniser, WordPieces, collate
from emofuse.training.core.nets import kind, names
from emofuse.training.text.nets.encoder import (
    DistilBertConfig,
    TextNet,
    TextNetConfig,
    load_encoder,
)
from emofuse.training.text.nets.tfidf import TfIdf, TfIdfConfig

pytestmark = pytest.mark.slow  # trains nets


TRANSFORMER = {"tokens": 32, "width": 32, "depth": 1, "heads": 2, "hidden": 64}
TINY: dict[str, dict[str, Any]] = {
    "minilm": TRANSFORMER,
    "distilbert": TRANSFORMER,
    "bigru": {"words": 24, "hidden": 16, "attention": 8, "word_dropout": 0.0},
    "tfidf": {"pairs": 512, "rarest": 1},
}
SENTENCES = (
    "I am so happy to see you, this is wonderful!",
    "He never came back, and I cried all night.",
    "How dare you talk to me like that?",
    "Ok",
)


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    """The tokenizer that the package ships."""
    store = Store(folders=[])
    files = store.files(store.card("text-minilm-v2"))
    return WordPieces(files["tokenizer"], Preparation(32))


@pytest.fixture(scope="module")
def rows(pieces: WordPieces) -> list[np.ndarray]:
    return [pieces(text) for text in SENTENCES]


def tiny(name: str, rows: list[np.ndarray] | None = None, **more: Any) -> Any:
    torch.manual_seed(1)
    found = kind(Modality.TEXT, name)
    net = found.build(found.config(labels=4, dropout=0.0, **TINY[name], **more))
    if rows is not None and isinstance(net, TfIdf):
        net.fit_idf(rows)
    return net


def stir(net: Any) -> Any:
    """Give every weight some value: nets that start at 0 would pass too easily."""
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


def test_the_table_has_what_the_issue_asks_for() -> None:
    assert set(TINY) <= set(names(Modality.TEXT))


@pytest.mark.parametrize("name", TINY)
def test_a_row_is_answered_alike_alone_and_among_longer_ones(
    name: str, rows: list[np.ndarray]
) -> None:
    net = stir(tiny(name, rows))
    with torch.inference_mode():
        ids = torch.from_numpy(collate(rows))
        together = net(ids)
        embedding = net.embed(ids)
        assert embedding.shape == (len(rows), net.width)
        torch.testing.assert_close(net.classify(embedding), together)
        assert together.std(dim=0).min() > 1e-4, "sentences differ"
        for row, expected in zip(rows, together, strict=True):
            alone = net(torch.from_numpy(row)[None])[0]
            torch.testing.assert_close(alone, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [n for n in TINY if n != "distilbert"])  # minilm's class
def test_a_net_learns_sentences_and_ships(
    name: str, pieces: WordPieces, rows: list[np.ndarray], tmp_path: Path
) -> None:
    net = tiny(name, rows)
    ids, wanted = torch.from_numpy(collate(rows)), torch.arange(4)
    rate = 0.3 if name == "tfidf" else 5e-3
    optimizer = torch.optim.Adam(net.parameters(), rate)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(net(ids), wanted)
        losses.append(loss.item())
        if losses[-1] < 0.1:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] > 1
    assert losses[-1] < 0.1
    files = Store(folders=[]).files(Store(folders=[]).card("text-minilm-v2"))
    recogniser = export(
        net,
        (ids,),
        tmp_path,
        "text",
        TextRecogniser,
        Preparation(32),
        {0: "batch", 1: "tokens"},
        {"tokenizer": files["tokenizer"]},
    )
    with torch.inference_mode():
        for few in (SENTENCES, SENTENCES[3:], ("I cried, I cried and cried all night long! 😢",)):
            prepared = [recogniser.prepare(text) for text in few]
            batch = torch.from_numpy(collate(prepared))
            expected = net(batch).numpy()
            np.testing.assert_allclose(recogniser.logits(prepared), expected, atol=1e-3)
            got = two_outputs(tmp_path, (collate(prepared),))
            np.testing.assert_allclose(got["embedding"], net.embed(batch).numpy(), atol=1e-3)
    answers = recogniser.infer([recogniser.prepare(text) for text in SENTENCES])
    assert [a.probabilities.values.argmax() for a in answers] == [0, 1, 2, 3]


# TF-IDF


def test_tfidf_is_what_its_definition_says() -> None:
    """Against a plain loop over dense feature vectors."""
    texts = [np.array(t) for t in ([1, 5, 6, 5, 2], [1, 6, 7, 2], [1, 8, 2], [1, 5, 6, 2])]
    net = tiny_tfidf(pairs=97, rarest=2).fit_idf(texts)
    stir(net)
    features = [feature_counts(text, 10, 97) for text in texts]
    total = len(texts)
    expected = []
    for counts in features:
        vector = np.zeros(107)
        for feature, count in counts.items():
            df = sum(feature in other for other in features)
            if 2 <= df < total:
                vector[feature] = (1 + np.log(count)) * (1 + np.log((1 + total) / (1 + df)))
        vector /= max(np.linalg.norm(vector), 1e-9)
        expected.append(vector @ net.table.weight.detach().numpy() + net.bias.detach().numpy())
    with torch.inference_mode():
        got = net(torch.from_numpy(collate(texts))).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def feature_counts(text: np.ndarray, vocabulary: int, pairs: int) -> dict[int, int]:
    found = [int(i) for i in text]
    found += [vocabulary + (int(a) * 1_000_003 + int(b) * 8_191) % pairs for a, b in pairwise(text)]
    return {f: found.count(f) for f in found}


def tiny_tfidf(**sizes: Any) -> TfIdf:
    return TfIdf(TfIdfConfig(labels=3, vocabulary=10, **sizes))


def test_a_text_of_unknown_features_gets_the_bias() -> None:
    net = stir(tiny_tfidf(pairs=0, rarest=2).fit_idf([np.array([1, 4, 2]), np.array([1, 5, 2])]))
    with torch.inference_mode():
        answer = net(torch.tensor([[1, 9, 9, 2]]))
    torch.testing.assert_close(answer[0], net.bias.detach())


def test_idf_travels_with_the_weights_and_needs_texts() -> None:
    net = tiny_tfidf().fit_idf([np.array([1, 4, 2]), np.array([1, 4, 5, 2])])
    other = tiny_tfidf()
    other.load_state_dict(net.state_dict())
    torch.testing.assert_close(other.idf, net.idf)
    with pytest.raises(ValueError, match="at least one text"):
        tiny_tfidf().fit_idf([])


# Pretrained encoders

SHAPE = TextNetConfig(vocabulary=64, tokens=16, width=32, depth=2, heads=2, hidden=48, dropout=0)


def distilbert(heads: bool) -> tuple[Any, dict[str, torch.Tensor]]:
    """A random DistilBERT of transformers', and its state dict as it is published."""
    transformers = pytest.importorskip("transformers", reason="compared with transformers")
    config = transformers.DistilBertConfig(
        vocab_size=SHAPE.vocabulary,
        max_position_embeddings=40,
        dim=SHAPE.width,
        n_layers=SHAPE.depth,
        n_heads=SHAPE.heads,
        hidden_dim=SHAPE.hidden,
    )
    torch.manual_seed(2)
    net = transformers.DistilBertForMaskedLM(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net.distilbert, (net if heads else net.distilbert).state_dict()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("heads", [True, False])
def test_a_distilbert_folder_computes_what_transformers_computes(
    file: str, heads: bool, tmp_path: Path
) -> None:
    theirs, state = distilbert(heads)
    if file.endswith(".bin"):
        torch.save(state, tmp_path / file)
    else:
        save_file({k: v.clone().contiguous() for k, v in state.items()}, tmp_path / file)
    sizes = {f: getattr(SHAPE, f) for f in ("vocabulary", "tokens", "width", "depth", "heads")}
    config = DistilBertConfig(**sizes, hidden=SHAPE.hidden, pretrained=str(tmp_path))
    ours = kind(Modality.TEXT, "distilbert").build(config).eval()
    ids = torch.from_numpy(collate([np.array([2, 4, 5, 6, 3]), np.array([2, 7, 3])]))
    with torch.inference_mode():
        known = (ids != 0)[:, :, None]
        states = theirs(ids, attention_mask=(ids != 0).long()).last_hidden_state
        expected = (states * known).sum(1) / known.sum(1)
        torch.testing.assert_close(ours.embed(ids), expected, atol=1e-5, rtol=1e-4)


def test_old_names_of_norms_are_read(tmp_path: Path) -> None:
    _, state = distilbert(True)
    norms = {".LayerNorm.weight": ".LayerNorm.gamma", ".LayerNorm.bias": ".LayerNorm.beta"}
    for new, old in norms.items():
        state = {k.replace(new, old): v for k, v in state.items()}
    torch.save(state, tmp_path / "old.bin")
    net = load_encoder(TextNet(SHAPE), tmp_path / "old.bin")
    torch.testing.assert_close(
        net.norm.weight.detach(), state["distilbert.embeddings.LayerNorm.gamma"]
    )


def test_encoders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    _, state = distilbert(False)
    torch.save(state, tmp_path / "net.bin")
    for other in (1, 3):
        shape = TextNetConfig(64, 64, 16, 32, other, 2, 48)
        with pytest.raises(InputError, match="BERT encoder of the wanted shape"):
            load_encoder(TextNet(shape), tmp_path / "net.bin")
    with pytest.raises(InputError, match="BERT encoder of the wanted shape"):
        load_encoder(TextNet(SHAPE), tmp_path)  # neither of the two usual names
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="BERT encoder of the wanted shape"):
        load_encoder(TextNet(SHAPE), tmp_path)


def test_distilbert_has_its_size() -> None:
    found = kind(Modality.TEXT, "distilbert")
    with torch.device("meta"):
        net = found.build(found.config(tokens=512))
    # The published encoder has 66.4 M parameters; our head adds 28 rows of 768 and their bias.
    assert sum(p.numel() for p in net.parameters()) == 66_362_880 + 28 * 769


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("bigru", {"hidden": 0}),
        ("bigru", {"dropout": 1.0}),
        ("tfidf", {"pairs": -1}),
        ("tfidf", {"dropout": 1.0}),
        ("distilbert", {"heads": 7}),
    ],
)
def test_sizes_that_make_no_sense_are_refused(name: str, sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"need|must"):
        kind(Modality.TEXT, name).config(**sizes)
