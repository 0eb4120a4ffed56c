from pathlib import Path

import pytest

from emofuse.analyzer import AnalyzerConfig
from emofuse.core.estimates import Modality, RejectionReason
from emofuse.core.media import Diagnostic, Utterance, Watermark
from emofuse.core.time import NS, Span
from emofuse.observe import analyze
from emofuse.text import language
from emofuse.text.language import ReadableWords, is_readable, language_of
from emofuse.text.transcribe import NONE, TranscribeConfig

FOREIGN = {
    "es": "No sé qué decirte, estoy muy triste.",
    "fr": "Je ne sais pas quoi dire, c'est magnifique.",
    "de": "Ich weiß nicht, was ich dazu sagen soll.",
    "it": "Non so cosa dirti, sono molto felice.",
    "pl": "Nie wiem, co powiedzieć, jestem smutny.",
    "tr": "Ne diyeceğimi bilmiyorum, bugün çok üzgünüm.",
    "ru": "Я не знаю, что сказать.",
    "hi": "मुझे नहीं पता क्या कहूँ।",
    "zh": "我不知道该说什么。",
    "ar": "لا أعرف ماذا أقول.",
}
ENGLISH = (
    "Kids are talking by the door.",
    "That is exactly what happened.",
    "What?",
    "Oh my God, he's lost it. He's totally lost it.",
    "No. No! Non.",
    "😂😂😂",
    "",
)


@pytest.mark.parametrize(("code", "text"), FOREIGN.items())
def test_languages_are_told(code: str, text: str) -> None:
    assert language_of(text) == code
    assert not is_readable(text, ["en"])
    assert is_readable(text, ["en", code])


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_readable(text: str) -> None:
    assert is_readable(text, ["en"])
    assert language_of(text) in (None, "en")


def spoken(*texts: str) -> list[Utterance]:
    return [Utterance(text, Span(n * NS, (n + 1) * NS)) for n, text in enumerate(texts)]


def test_what_was_said_before_counts() -> None:
    stage = ReadableWords(["en"], "mine")
    said = [
        FOREIGN["es"],
        "¡Sí!",
        FOREIGN["fr"],
        "But then he came back to the house, and she was so very happy about it.",
        "Well, well.",
    ]
    out = [item for u in spoken(*said) for item in stage.feed(u)]
    marked = [u.language for u in out if isinstance(u, Utterance)]
    assert marked == ["es", "es", "fr", None, None]
    assert [u.confidence for u in out if isinstance(u, Utterance)] == [0.0, 0.0, 0.0, 1.0, 1.0]
    notes = [d for d in out if isinstance(d, Diagnostic)]
    assert [(d.code, d.at_ns) for d in notes] == [("other-language", 0), ("other-language", 2 * NS)]
    assert "(es)" in notes[0].message
    assert "mine reads en" in notes[0].message
    stage.reset()
    assert [item.language for item in stage.feed(spoken("¡Sí!")[0])] == [None]


def test_a_model_without_languages_reads_everything() -> None:
    stage = ReadableWords([], "mine")
    (utterance,) = spoken(FOREIGN["zh"])
    assert list(stage.feed(utterance)) == [utterance]
    progress = Watermark(Modality.TEXT, NS)
    assert list(stage.feed(progress)) == [progress]


def test_words_that_are_not_read_have_no_say(media: Path, tmp_path: Path) -> None:
    config = AnalyzerConfig(transcribe=TranscribeConfig(engine=NONE))
    text = tmp_path / "said.srt"
    text.write_text(f"1\n00:00:00,000 --> 00:00:04,000\n{FOREIGN['es']}\n", encoding="utf-8")
    with_words = analyze(media / "talking.mp4", transcript=text, config=config)
    without = analyze(
        media / "talking.mp4",
        config=AnalyzerConfig(
            modalities=(Modality.FACE, Modality.SPEECH), transcribe=TranscribeConfig(engine=NONE)
        ),
    )
    assert "other-language" in [note.code for note in with_words.notes]
    (words,) = with_words.of(Modality.TEXT)
    assert words.quality == 0.0
    assert words.details_mapping()["language"] == "es"
    assert len(with_words.fused) >= len(without.fused)
    alone = {(e.subject, e.span): e for e in without.fused}
    for e in with_words.fused:
        assert Modality.TEXT not in e.fusion.modality_weights or len(e.fusion.modality_weights) == 1
        if (e.subject, e.span) in alone and Modality.TEXT not in e.fusion.modality_weights:
            assert e.label == alone[e.subject, e.span].label


def test_a_text_that_is_not_read_is_uncertain(tmp_path: Path) -> None:
    text = tmp_path / "said.txt"
    text.write_text(f"{FOREIGN['es']}\n", encoding="utf-8")
    timeline = analyze(text)
    reasons = {e.uncertain.reason for e in timeline.fused if e.uncertain}
    assert reasons == {RejectionReason.OTHER_LANGUAGE}
    assert all(e.uncertain for e in timeline.fused)


def test_tables_on_the_disk_say_what_the_package_says() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    theirs = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    for text in ("No sé qué decirte.", "I do not know.", "Я не знаю", "今天我非常高兴", "…", ""):
        assert language._probabilities(text) == dict(theirs.rank(text))
