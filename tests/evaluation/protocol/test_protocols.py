"""Leaks are refused with reason and names; what is only doubtful is said."""

from dataclasses import replace
from pathlib import Path

import pytest

from emofuse.core.estimates import Modality
from emofuse.core.labels import Taxonomy
from emofuse.corpora.manifest import Entry, Manifest, Split
from emofuse.errors import InputError
from emofuse.evaluation.protocol import leaks, protocols
from emofuse.evaluation.protocol.leaks import LeakError
from emofuse.evaluation.protocol.protocols import Kind, Protocol
from emofuse.models.card import Card, Corpus, ModelFile, card_from_mapping

LABELS = Taxonomy("mine", ("happy", "sad"))


def corpus(**speakers_of: str) -> Manifest:
    """One sample a letter: speaker of each, by split; fold = alphabet index."""
    entries = [
        Entry(
            f"{split}-{i}",
            labels={"happy": 1.0},
            split=Split(split),
            speaker=who,
            fold=ord(who) - ord("a"),
        )
        for split, speakers in speakers_of.items()
        for i, who in enumerate(speakers)
    ]
    return Manifest("ravdess", LABELS, tuple(entries))


def card(*data: Corpus) -> Card:
    files = {"weights": ModelFile("x.onnx", "0" * 64, 1)}
    return Card("m", Modality.SPEECH, "speech", "…", LABELS, files, data=data)


def learnt(**fields: object) -> Card:
    return card(Corpus("RAVDESS", "CC", corpus="ravdess", **fields))  # type: ignore[arg-type]


def check(protocol: Protocol, manifest: Manifest, of: Card) -> tuple[str, ...]:
    return protocols.check(protocol, manifest, protocol.select(manifest, of), of)


def test_speakers_who_cross_splits_are_named() -> None:
    with pytest.raises(LeakError, match=r"b, c in both test and train") as e:
        check(Protocol(), corpus(train="abc", test="bcd"), card())
    assert "--despite-leaks" in str(e.value)
    assert "--despite-leaks" not in e.value.what


def test_speakers_who_cross_folds_are_named() -> None:
    manifest = corpus(train="aabb")
    mixed = replace(
        manifest, entries=(*manifest.entries, replace(manifest.entries[0], id="z", fold=1))
    )
    with pytest.raises(LeakError, match="a in both fold 0 and fold 1"):
        check(Protocol(Kind.FOLD, None, 0), mixed, card())
    assert check(Protocol(Kind.FOLD, None, 0), manifest, card()) == ()


def test_what_the_model_has_learnt_is_refused() -> None:
    manifest = corpus(train="ab", validation="c", test="d")
    with pytest.raises(LeakError, match=r"trained on 1 of the 1 samples \(test-0\)"):
        check(Protocol(), manifest, learnt())
    with pytest.raises(LeakError, match="splits test, train"):
        check(Protocol(), manifest, learnt(splits=("test", "train")))
    assert check(Protocol(), manifest, learnt(splits=("train",))) == ()


def test_whom_the_model_has_heard_is_refused() -> None:
    manifest = corpus(train="ab", test="cd")
    more = (
        *manifest.entries,
        Entry("t", labels={"sad": 1.0}, split=Split.TEST, speaker="a", fold=0),
    )
    with pytest.raises(LeakError, match=r"trained on 1 of the speakers \(a\)"):
        leaks.refuse_learnt(learnt(splits=("train",)), Manifest("ravdess", LABELS, more),
                            Manifest("ravdess", LABELS, more[2:]))  # fmt: skip


def test_fields_hold_together() -> None:
    """Folds 0 and 1 of the split train: fold 1 of the split test was not learnt."""
    manifest = corpus(train="ab", test="cd")
    model = learnt(splits=("train", "test"), folds=(0, 1))
    assert check(Protocol(), manifest, model) == ()
    with pytest.raises(LeakError, match="folds 0, 1"):
        check(Protocol(Kind.FOLD, None, 1), manifest, model)


def test_song_is_the_same_actors_as_speech() -> None:
    song = replace(corpus(train="ab", test="cd"), corpus="ravdess-song")
    with pytest.raises(LeakError):
        check(Protocol(), song, learnt(folds=(2,)))


def test_what_chose_the_model_is_a_doubt() -> None:
    manifest = corpus(train="ab", validation="c", test="d")
    model = learnt(splits=("train",), chosen=("validation", "fold 3"))
    assert "selected or calibrated on fold 3" in check(Protocol(), manifest, model)[0]
    only = learnt(chosen=("validation",))
    doubts = check(Protocol(split=Split.VALIDATION), manifest, only)
    assert "slightly optimistic" in doubts[0]


def test_words_alone_are_a_doubt() -> None:
    model = card(Corpus("RAVDESS", "CC", used="19 actors"))
    assert "19 actors" in check(Protocol(), corpus(test="d"), model)[0]


@pytest.mark.parametrize("name", ["RAVDESS", "ravdess"])
def test_a_corpus_that_was_seen_is_not_unseen(name: str) -> None:
    protocol = Protocol(Kind.CROSS_CORPUS, None)
    with pytest.raises(LeakError, match="has seen ravdess"):
        check(protocol, corpus(train="a"), card(Corpus(name, "CC")))
    assert check(protocol, corpus(train="a"), card(Corpus("CREMA-D", "ODbL"))) == ()


def test_which_fold_a_model_leaves_out() -> None:
    manifest = corpus(train="abcd")
    assert protocols.held_out_fold(manifest, learnt(folds=(0, 1), chosen=("fold 2",))) == 3
    home = Path("runs/fold-2/model/m.toml")
    assert protocols.held_out_fold(manifest, card(), home) == 2
    with pytest.raises(InputError, match="does not say which fold"):
        protocols.held_out_fold(manifest, card(), Path("runs/model/m.toml"))


def test_protocols_as_users_write_them() -> None:
    assert Protocol.parse("split") == Protocol()
    assert Protocol.parse("split", "validation").split is Split.VALIDATION
    assert Protocol.parse("fold:3").fold == 3
    assert Protocol.parse("cross-corpus").split is None
    for text, split in (("fold", None), ("kfold", None), ("fold:x", None), ("split", "dev")):
        with pytest.raises(InputError, match="there are split"):
            Protocol.parse(text, split)
    for text in ("split", "fold:3", "folds", "cross-corpus"):
        flags = Protocol.parse(text).flags
        assert Protocol.parse(flags[1] if flags[0] == "--protocol" else "split") == Protocol.parse(
            text
        )


def test_an_empty_choice_says_what_there_is() -> None:
    manifest = corpus(train="ab")
    with pytest.raises(InputError, match="no split 'test' here, only train"):
        Protocol().select(manifest, card())
    with pytest.raises(InputError, match="no fold 7, only 0, 1"):
        Protocol(Kind.FOLD, None, 7).select(manifest, card())
    without = manifest.where(lambda e: False)
    with pytest.raises(InputError, match="has no folds"):
        Protocol(Kind.FOLD, None, 0).select(without, card())


def test_cards_read_what_was_learnt() -> None:
    raw = {
        "id": "m", "modality": "speech", "recogniser": "speech", "summary": "…",
        "labels": ["happy", "sad"], "files": {"weights": {"name": "x", "sha256": "0", "bytes": 1}},
        "data": [{"name": "RAVDESS", "licence": "CC", "corpus": "ravdess", "splits": ["train"],
                  "folds": [0, 1], "chosen": ["validation"]}],
    }  # fmt: skip
    data = card_from_mapping(raw).data[0]
    assert (data.splits, data.folds, data.chosen) == (("train",), (0, 1), ("validation",))
    raw["data"] = [{"name": "RAVDESS", "licence": "CC", "folds": [0]}]
    with pytest.raises(ValueError, match="which `corpus`"):
        card_from_mapping(raw)
    raw["data"] = [{"name": "RAVDESS", "licence": "CC", "corpus": "ravdess", "splits": "train"}]
    with pytest.raises(ValueError, match="must be a list"):
        card_from_mapping(raw)
