"""The page as text: what it holds, what it may do, and what it leaves to be loaded."""

import base64
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from tests.export.synthetic import pictures, timeline

from emofuse.core.estimates import Modality
from emofuse.core.media import Diagnostic, MediaKind
from emofuse.errors import InputError
from emofuse.export.html import (
    HtmlExporter,
    render_report,
    viewer_script,
    write_report,
)
from emofuse.export.json import write_json
from emofuse.export.summary import summarise

NASTY = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"


def data_of(page: str) -> dict:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(block[1])


def facts(made) -> str:
    return " · ".join(summarise(made).facts)


class References(HTMLParser):
    """Collects whatever a page could load from elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.policy = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        names = dict(attrs)
        if names.get("http-equiv") == "Content-Security-Policy":
            self.policy = names["content"]
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]


def test_page_refers_to_nothing_outside_itself():
    page = render_report(timeline(8), pictures(8))
    references = References(page)
    assert references.found == []
    assert "link" not in references.tags
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in references.policy


def test_only_our_own_script_may_run():
    page = render_report(timeline(8))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in References(page).policy


def test_names_and_words_are_data():
    original = timeline(
        12, path=f"dir/{NASTY}.mp4", lines=[NASTY], notes=(Diagnostic("x", NASTY, 5),)
    )
    page = render_report(original)
    assert NASTY not in page
    (lane,) = (x for x in data_of(page)["lanes"] if x["modality"] == "text")
    assert lane["text"][0] == NASTY
    assert References(page).tags.count("script") == 2  # data, viewer


def test_the_page_holds_every_estimate_of_the_timeline():
    original = timeline(24)
    data = data_of(render_report(original))
    lanes = {(lane["subject"], lane["modality"]): lane for lane in data["lanes"]}
    for subject, modality in {(e.subject, e.modality) for e in original}:
        rows, lane = original.of(modality, subject), lanes[str(subject), modality.value]
        assert lane["start"] == [e.span.start_ns // 10**6 for e in rows]
        assert lane["end"] == [-(-e.span.end_ns // 10**6) for e in rows]
        assert [data["labels"][k] for k in lane["label"]] == [e.label for e in rows]
        for e, p in zip(rows, lane["p"], strict=True):
            drawn = {data["labels"][k]: v / 1000 for k, v in zip(lane["labels"], p, strict=True)}
            assert drawn == pytest.approx(dict(e.probabilities.items()), abs=5.1e-4)
        if modality is Modality.FUSED:
            for m, part in lane["fusion"]["parts"].items():
                weights = [e.fusion.modality_weights.get(Modality(m)) for e in rows]
                assert part["weight"] == [w and round(100 * w) for w in weights]


def test_the_page_and_the_json_file_say_the_same(tmp_path):
    original = timeline(24)
    write_json(original, tmp_path / "t.json")
    raw = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    data = data_of(render_report(original))
    for key in ("media", "duration", "provenance", "notes", "summary"):
        assert data[key] == raw[key]


def test_portraits_are_cut_from_the_pictures():
    portraits = data_of(render_report(timeline(24), pictures(24)))["portraits"]
    first, second = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
        .reshape(-1, 3)
        .mean(axis=0)
        for uri in (portraits["face-1"], portraits["face-2"])
    )
    assert first[0] > first[2] + 50  # red
    assert second[2] > second[0] + 50  # blue


def test_a_clip_and_an_hour_stay_small():
    assert len(render_report(timeline(24))) < 200e3
    assert len(render_report(timeline(3600, people=2))) < 6e6


def test_the_medium_beside_the_page_is_played(tmp_path):
    folder = tmp_path / "a #1"
    folder.mkdir()
    clip = folder / "clip 100%.mp4"
    clip.write_bytes(b"")
    write_report(timeline(4, path=str(clip)), tmp_path / "out" / "timeline.html")
    page = (tmp_path / "out" / "timeline.html").read_text(encoding="utf-8")
    assert data_of(page)["source"] == "../a%20%231/clip%20100%25.mp4"
    assert data_of(render_report(timeline(4)))["source"] is None


def test_the_pages_of_a_batch_share_the_viewer(tmp_path):
    for name in ("a", "b"):
        exporter = HtmlExporter(tmp_path / name / "timeline.html", shared=tmp_path)
        exporter.write(timeline(4))
        exporter.close()
        page = (tmp_path / name / "timeline.html").read_text(encoding="utf-8")
        assert References(page).found == ["../viewer.css", "../viewer.js"]
        assert len(page) < 60e3
    assert (tmp_path / "viewer.js").read_text(encoding="utf-8") == viewer_script()


def test_the_modules_can_be_one_script():
    """They share one scope there: no two may use the same name, and imports may not rename."""
    viewer = files("emofuse.export") / "viewer"
    modules = [f.read_text(encoding="utf-8") for f in viewer.iterdir() if f.name.endswith(".js")]
    names = Counter(
        name
        for text in modules
        for name in re.findall(
            r"^(?:export )?(?:const|let|class|(?:async )?function\*?) (\w+)", text, re.M
        )
    )
    assert len(names) > 40
    assert [name for name, times in names.items() if times > 1] == []
    script = viewer_script()
    assert not re.search(r"^(import|export) ", script, re.M)
    assert all(re.search(r"\bas\b", line) is None for t in modules for line in t.splitlines()
               if line.startswith("import "))  # fmt: skip
    assert "</script" not in script


@pytest.mark.parametrize(
    ("given", "recogniser", "kind", "expected"),
    [
        ("subtitles", "subtitles", MediaKind.VIDEO, "the file's own subtitles"),
        ("talk.srt", "talk.srt", MediaKind.VIDEO, "words from talk.srt"),
        (None, "pocketsphinx", MediaKind.AUDIO, "recognized by pocketsphinx, with errors"),
        ("poem.txt", "poem.txt", MediaKind.TEXT, "timed as if read aloud"),
    ],
)
def test_the_source_of_the_words_is_said(given, recogniser, kind, expected):
    original = timeline(8)
    media = replace(original.media, text=given, kind=kind)
    made = replace(original.provenance, components={"asr": recogniser})
    assert expected in facts(replace(original, media=media, provenance=made))
    mute = replace(original, estimates=original.of(Modality.FACE), media=replace(media, text=None))
    assert "no words" in facts(mute)


def test_report_is_not_overwritten(tmp_path):
    path = tmp_path / "timeline.html"
    write_report(replace(timeline(2), estimates=()), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_report(timeline(2), path)
    assert path.read_bytes() == before
