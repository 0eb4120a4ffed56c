"""Every downloadable card works from a mirror to an answer: true layouts, random weights."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.errors import ModelError
from emofuse.models.card import Card
from emofuse.models.sets import SETS
from emofuse.models.store import ModelLocation, Store
from emofuse.observe import Observer
from emofuse.text.transcribe import TranscribeConfig, find_whisper

onnx = pytest.importorskip("onnx", reason="graphs of random weights are made with onnx")

GOEMOTIONS = 28


def graph(inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, int]) -> bytes:
    """A graph with the inputs (ONNX type and shape) and outputs (width) of a published one."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    first, (_, shape) = next(iter(inputs.items()))
    nodes = [helper.make_node("Cast", [first], ["x"], to=TensorProto.FLOAT)]
    axes = numpy_helper.from_array(np.arange(1, len(shape)), "axes")
    nodes.append(helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0))
    one = numpy_helper.from_array(np.array([1]), "one")
    nodes.append(helper.make_node("Unsqueeze", ["mean", "one"], ["row"]))
    constants = [axes, one]
    for name, width in outputs.items():
        weights = rng.normal(size=(1, width)).astype(np.float32)
        bias = rng.normal(size=width).astype(np.float32)
        constants += [numpy_helper.from_array(weights, f"w{name}"),
                      numpy_helper.from_array(bias, f"b{name}")]  # fmt: skip
        nodes.append(helper.make_node("Gemm", ["row", f"w{name}", f"b{name}"], [name]))
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, k, s) for n, (k, s) in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [shape[0], w])
         for n, w in outputs.items()],
        constants,
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def tokenizer() -> bytes:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "happy": 4, "sad": 5}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str().encode()


@pytest.fixture
def mirror(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Serves whatever a card names; cards are pinned to what is served."""
    monkeypatch.setenv("EMOFUSE_MIRROR", server.url)
    monkeypatch.setenv(
        "EMOFUSE_ACCEPT", "audeering-dim superb-hubert-large-er emotion2vec-plus-base"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no digest of it is published|.*trusted from now on")
        yield server


Serve = Callable[[str, dict[str, bytes]], Store]


@pytest.fixture
def serve(mirror: Any) -> Serve:
    def put(model_id: str, contents: dict[str, bytes]) -> Store:
        """Serve a card's files by role; return a store whose card has their digests."""
        store = Store(folders=[])
        card = store.card(model_id)
        files = {}
        for role, file in card.files.items():
            if file.url is None:  # embedded
                files[role] = file
                continue
            body = contents[role]
            mirror.content["/" + str(file.url).split("/", 3)[3]] = body
            known = hashlib.sha256(body).hexdigest() if file.sha256 else ""
            files[role] = replace(file, sha256=known, bytes=len(body) if file.bytes else 0)
        index = store._index()
        index[model_id] = replace(card, files=files), index[model_id][1]
        return store

    return put


def observed(store: Store, modality: Modality, model_id: str, **given: Any) -> Any:
    config = AnalyzerConfig(
        models={modality: model_id}, transcribe=TranscribeConfig(engine="none"),
        modalities=(modality,),
    )  # fmt: skip
    return Observer(Analyzer(config, store)).observe(**given)


def test_emotieff_gives_labels_valence_and_arousal(serve: Serve, media: Path) -> None:
    float_, shape = onnx.TensorProto.FLOAT, ["batch", 3, 224, 224]
    store = serve("emotieff-b0-va", {"weights": graph({"input": (float_, shape)}, {"output": 10})})
    found = observed(store, Modality.FACE, "emotieff-b0-va", image=media / "portrait.jpg")
    face = found["face"]
    assert face.affect is not None
    assert found.fused.affect == face.affect
    assert set(face.probabilities.taxonomy.labels) == {
        "neutral", "happy", "sad", "angry", "fear", "disgust", "surprise", "contempt",
    }  # fmt: skip
    assert any(note.code == "labels-mapped" for note in found.notes)


def test_mobilefacenet_takes_one_face_at_a_time(serve: Serve, media: Path) -> None:
    made = graph({"data": (onnx.TensorProto.FLOAT, [1, 3, 112, 112])}, {"label": 7})
    store = serve("fer-mobilefacenet", {"weights": made})
    found = observed(store, Modality.FACE, "fer-mobilefacenet", image=media / "portrait.jpg")
    assert "contempt" not in found["face"].probabilities.taxonomy.labels
    config = AnalyzerConfig(
        modalities=(Modality.FACE,), models={Modality.FACE: "fer-mobilefacenet"}
    )
    assert len(Analyzer(config, store).analyze(media / "talking.mp4").of(Modality.FACE)) > 5


@pytest.mark.parametrize("model_id", ["roberta-goemotions", "minilm-goemotions"])
def test_goemotions_are_folded(serve: Serve, model_id: str) -> None:
    ids = (onnx.TensorProto.INT64, ["batch", "length"])
    made = graph({"input_ids": ids, "attention_mask": ids}, {"logits": GOEMOTIONS})
    store = serve(model_id, {"weights": made, "tokenizer": tokenizer()})
    found = observed(store, Modality.TEXT, model_id, text="happy sad happy")
    assert sum(found["text"].probabilities.values) == pytest.approx(1, abs=1e-3)
    assert "joy" not in found["text"].probabilities.taxonomy.labels


def test_audeering_tells_affect_beside_a_model_of_emotions(serve: Serve, media: Path) -> None:
    signal = {"signal": (onnx.TensorProto.FLOAT, ["batch", "time"])}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("model.onnx", graph(signal, {"hidden_states": 16, "logits": 3}))
        zipped.writestr("model.yaml", "!!python/object")
    store = serve("audeering-dim", {"weights": packed.getvalue()})
    config = AnalyzerConfig(
        modalities=(Modality.SPEECH,), affect={Modality.SPEECH: "audeering-dim"}
    )
    timeline = Analyzer(config, store).analyze(media / "speech.ogg")
    assert timeline.fused
    assert all(e.affect is not None for e in timeline)
    assert timeline.provenance.components["affect of speech"] == "audeering-dim"
    frame = timeline.to_frame()
    assert frame.valence.notna().all()
    with pytest.raises(ModelError, match="tells valence and arousal and no emotions"):
        observed(store, Modality.SPEECH, "audeering-dim", audio=media / "speech.ogg")
    wrong = replace(config, affect={Modality.SPEECH: "speech-v4"})
    with pytest.raises(ModelError, match="tells no valence and arousal"):
        Analyzer(wrong, store).analyze(media / "speech.ogg")


def superb(kind: str) -> dict[str, bytes]:
    """A tiny checkpoint of the published architecture, as a pickle of tensors."""
    torch = pytest.importorskip("torch", reason="conversion needs the extra train")
    transformers = pytest.importorskip("transformers", reason="conversion needs the extra hub")
    torch.manual_seed(1)
    sizes: dict[str, Any] = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8,
        "use_weighted_layer_sum": True, "num_labels": 4,
        "id2label": {0: "neu", 1: "hap", 2: "ang", 3: "sad"},
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**sizes)
    net = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    checkpoint = io.BytesIO()
    torch.save(net.state_dict(), checkpoint)
    config.architectures = [type(net).__name__]
    return {"config": config.to_json_string().encode(), "checkpoint": checkpoint.getvalue()}


@pytest.mark.slow
def test_superb_is_used_as_it_is(serve: Serve, media: Path) -> None:
    """Its graph answers as the library's own model does, on sound of any length."""
    import torch
    import transformers

    contents = superb("Wav2Vec2")
    store = serve("superb-wav2vec2-er", contents)
    card = store.card("superb-wav2vec2-er")
    assert store.location(card) is ModelLocation.REMOTE
    paths = store.files(card)
    from emofuse.models.registry import load

    recogniser: Any = load("superb-wav2vec2-er", store)
    wave = np.random.default_rng(2).normal(size=23_456).astype(np.float32)
    config = transformers.Wav2Vec2Config.from_dict(json.loads(contents["config"]))
    net = transformers.Wav2Vec2ForSequenceClassification(config).eval()
    net.load_state_dict(torch.load(paths["checkpoint"], weights_only=True))
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    ready = extractor(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        theirs = net(ready.input_values).logits.numpy()
    ours = recogniser.logits([recogniser.prepare(wave)])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    found = observed(store, Modality.SPEECH, "superb-wav2vec2-er", audio=media / "speech.ogg")
    assert set(found["speech"].probabilities.taxonomy.labels) == {
        "neutral",
        "happy",
        "angry",
        "sad",
    }
    store.verify(card)


def test_hubert_keeps_its_head(serve: Serve) -> None:
    """The graph is made as wav2vec's is; what differs is how the checkpoint is read."""
    contents = superb("Hubert")
    import torch

    from emofuse.training.hub import _load

    store = serve("superb-hubert-large-er", contents)
    card = store.card("superb-hubert-large-er")
    files = {role: store._file(card, file) for role, file in card.files.items()}
    state = torch.load(io.BytesIO(contents["checkpoint"]), weights_only=True)
    kept = _load(card, files).state_dict()
    assert torch.equal(kept["classifier.classifier.weight"], state["classifier.weight"])


@pytest.mark.slow
def test_emotion2vec_is_converted_and_hears(serve: Serve, media: Path) -> None:
    torch = pytest.importorskip("torch", reason="conversion needs the extra train")
    from emofuse.training.emotion2vec import Emotion2vec, Sizes

    torch.manual_seed(1)
    net = Emotion2vec(Sizes(24, 8, heads=6, before=1, depth=1, positions=2, groups=4), 9)
    decoder = {"modality_encoders.AUDIO.decoder.proj.weight": torch.zeros(2, 2)}
    checkpoint = io.BytesIO()
    torch.save({"model": net.state_dict() | decoder}, checkpoint)
    store = serve("emotion2vec-plus-base", {"checkpoint": checkpoint.getvalue()})
    found = observed(store, Modality.SPEECH, "emotion2vec-plus-base", audio=media / "speech.ogg")
    assert "unknown" not in found["speech"].probabilities.taxonomy.labels
    assert found["speech"].quality < 1, "what is said of other and unknown counts against it"


@pytest.mark.slow
def test_yamnet_and_our_head_are_one_graph(serve: Serve, media: Path) -> None:
    """Its layers at random: the graph answers as the net in torch does."""
    torch = pytest.importorskip("torch", reason="conversion needs the extra train")
    from safetensors.torch import load_file
    from tests.training.speech.made_tflite import made_yamnet

    from emofuse.models.registry import load
    from emofuse.training.speech.nets.yamnet import (
        Yamnet,
        YamnetClassifier,
        YamnetConfig,
        read_graph,
    )

    store = serve("yamnet-v1", {"yamnet": made_yamnet()})
    card = store.card("yamnet-v1")
    files = store.files(card)
    head = load_file(files["head"])
    net = YamnetClassifier(YamnetConfig(labels=7, hidden=64), Yamnet(read_graph(files["yamnet"])))
    net.classify.load_state_dict(head)
    recogniser: Any = load("yamnet-v1", store)
    wave = np.random.default_rng(2).normal(size=48_000).astype(np.float32)
    prepared = recogniser.prepare(wave)
    with torch.inference_mode():
        expected = net.eval()(torch.from_numpy(prepared)[None]).numpy()
    np.testing.assert_allclose(recogniser.logits([prepared]), expected, atol=1e-4)
    found = observed(store, Modality.SPEECH, "yamnet-v1", audio=media / "speech.ogg")
    assert len(found["speech"].probabilities.taxonomy.labels) == 7
    store.verify(card)


def test_a_file_that_is_no_yamnet_is_refused(serve: Serve) -> None:
    pytest.importorskip("torch", reason="conversion needs the extra train")
    store = serve("yamnet-v1", {"yamnet": b"a login page of 27 bytes ..."})
    with pytest.raises(ModelError, match=r"are no YAMNet and its head: .*not a TensorFlow Lite"):
        store.files(store.card("yamnet-v1"))


def test_a_checkpoint_of_another_net_is_refused(serve: Serve) -> None:
    torch = pytest.importorskip("torch", reason="conversion needs the extra train")
    checkpoint = io.BytesIO()
    torch.save({"w": torch.zeros(3)}, checkpoint)
    store = serve("emotion2vec-plus-base", {"checkpoint": checkpoint.getvalue()})
    with pytest.raises(ModelError, match=r"model.pt of 'emotion2vec-plus-base' is not what"):
        store.files(store.card("emotion2vec-plus-base"))


def test_a_pickle_that_runs_code_is_refused(serve: Serve, tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("ran").touch, ())

    contents = superb("Wav2Vec2") | {"checkpoint": pickle.dumps({"w": Evil()})}
    store = serve("superb-wav2vec2-er", contents)
    with pytest.raises(ModelError, match="no checkpoint of tensors alone"):
        store.files(store.card("superb-wav2vec2-er"))
    assert not (tmp_path / "ran").exists()


def test_other_labels_than_the_cards_are_refused(serve: Serve) -> None:
    contents = superb("Wav2Vec2")
    config = json.loads(contents["config"])
    config["id2label"] = {"0": "a", "1": "b", "2": "c", "3": "d"}
    store = serve("superb-wav2vec2-er", contents | {"config": json.dumps(config).encode()})
    with pytest.raises(ModelError, match="its labels are"):
        store.files(store.card("superb-wav2vec2-er"))


def test_a_whisper_model_is_one_folder(serve: Serve) -> None:
    store = serve("whisper-tiny", {role: role.encode() for role in
                                   ("weights", "config", "tokenizer", "vocabulary")})  # fmt: skip
    paths = store.files(store.card("whisper-tiny"))
    assert {path.name for path in paths.values()} == {
        "model.bin", "config.json", "tokenizer.json", "vocabulary.txt",
    }  # fmt: skip
    assert len({path.parent for path in paths.values()}) == 1
    assert find_whisper(str(paths["weights"].parent)) == paths["weights"].parent


def test_a_graph_that_gives_less_than_its_card_says(serve: Serve, media: Path) -> None:
    float_, shape = onnx.TensorProto.FLOAT, ["batch", 3, 224, 224]
    store = serve("emotieff-b0-va", {"weights": graph({"input": (float_, shape)}, {"output": 8})})
    with pytest.raises(ModelError, match="valence and arousal in columns up to 9"):
        observed(store, Modality.FACE, "emotieff-b0-va", image=media / "portrait.jpg")


def test_every_model_of_a_set_has_a_card() -> None:
    store = Store(folders=[])
    for chosen in SETS.values():
        for modality, model_id in chosen.models.items():
            card: Card = store.card(model_id)
            assert card.modality is modality
        assert all(store.card(model_id) for model_id in chosen.downloads)
    assert not any(store.card(i).downloads for i in SETS["small"].ids), "small needs no download"
