import base64
import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.export.synthetic import face, timeline

from emofuse.core.estimates import SPEAKER, Modality
from emofuse.core.media import Diagnostic, MediaInfo, MediaKind, VideoInfo
from emofuse.core.time import NS, Span
from emofuse.errors import InputError
from emofuse.export.html import IndexEntry, index_page, render_report, write_report
from emofuse.export.summary import summarise
from emofuse.export.thumbnails import Thumbnail, encode_jpeg

NASTY = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def pictures(seconds: float, count: int = 12) -> list[Thumbnail]:
    """Grey pictures with a red square where the first face's box is, a blue one at the second's."""
    image = np.full((90, 160, 3), 128, np.uint8)
    image[18:63, 13:61] = (220, 20, 20)
    image[18:63, 85:133] = (20, 20, 220)
    jpeg = encode_jpeg(image, 160, 90)
    starts = [round(i * seconds * NS / count) for i in range(count)]
    return [Thumbnail(jpeg, Span(t, t + NS // 8)) for t in starts]


def data_of(page: str) -> dict:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(block[1])


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


# ---------------------------------------------------------------- without a browser


def test_page_refers_to_nothing_outside_itself():
    page = render_report(timeline(8), pictures(8))
    references = References(page)
    assert all(r.startswith("data:image/jpeg;base64,") for r in references.found)
    assert "link" not in references.tags
    assert "iframe" not in references.tags
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in references.policy


def test_only_our_own_scripts_may_run():
    page = render_report(timeline(8))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    allowed = re.findall(r"'sha256-([^']+)'", References(page).policy)
    digests = [hashlib.sha256(s.encode()).digest() for s in scripts]
    assert [base64.b64encode(d).decode() for d in digests] == allowed
    assert len(scripts) == 2


def test_names_and_words_are_escaped():
    original = timeline(
        12, path=f"dir/{NASTY}.mp4", lines=[NASTY], notes=(Diagnostic("x", NASTY, 5),)
    )
    page = render_report(original)
    head, _ = page.split('<script type="application/json" id="data">')
    assert NASTY not in page
    assert "onerror='" not in head
    assert data_of(page)["people"][0]["lanes"][-1]["text"][0] == NASTY
    assert References(page).tags.count("script") == 3  # data, plotly, ours


def test_the_charts_get_every_estimate_of_the_timeline():
    original = timeline(24)
    data = data_of(render_report(original))
    names = [label["name"] for label in data["labels"]]
    assert [p["name"] for p in data["people"]] == ["Face 1", "Face 2", "Voice"]
    lanes = {p["name"]: {lane["key"]: lane for lane in p["lanes"]} for p in data["people"]}
    for subject, name in ((face(1), "Face 1"), (face(2), "Face 2"), (SPEAKER, "Voice")):
        rows, lane = original.of(Modality.FUSED, subject), lanes[name]["fused"]
        assert lane["start"] == [e.span.start_ns // 10**6 for e in rows]
        assert lane["end"] == [-(-e.span.end_ns // 10**6) for e in rows]
        for e, p, i in zip(rows, lane["p"], range(len(rows)), strict=True):
            drawn = {names[k]: v / 1000 for k, v in zip(lane["labels"], p, strict=True)}
            assert drawn == pytest.approx(dict(e.probabilities.items()), abs=5.1e-4)
            for m in e.fusion.modality_weights:
                assert lane["shares"][m.value][i] == round(100 * e.fusion.modality_weights[m])


def test_a_voice_is_drawn_with_the_face_whose_result_it_went_into():
    original = timeline(24)
    people = {p["name"]: p["lanes"] for p in data_of(render_report(original))["people"]}
    lanes = {lane["key"]: lane for lane in people["Face 1"]}
    assert set(lanes) == {"fused", "face", "speech", "text"}
    used = [
        e.span
        for e in original.of(Modality.FUSED, face(1))
        if Modality.SPEECH in e.fusion.modality_weights
    ]
    drawn = [
        Span(a * 10**6, b * 10**6)
        for a, b in zip(lanes["speech"]["start"], lanes["speech"]["end"], strict=True)
    ]
    assert drawn
    assert all(any(s.overlap_ns(u) for u in used) for s in drawn)
    assert all(any(s.overlap_ns(u) for s in drawn) for u in used)


def test_portraits_are_cut_from_the_pictures():
    page = render_report(timeline(24), pictures(24))
    found = re.findall(r'<img class="portrait" src="data:image/jpeg;base64,([^"]+)"', page)
    reds = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(f)))).reshape(-1, 3).mean(axis=0)
        for f in found
    ]
    assert len(reds) == 4  # two people, in the summary and above their charts
    assert reds[0][0] > reds[0][2] + 50  # red: Face 1
    assert reds[1][2] > reds[1][0] + 50  # blue: Face 2


@pytest.fixture(scope="module")
def hour(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hour") / "timeline.html"
    write_report(timeline(3600, people=2), path, pictures(3600, 60))
    return path


def test_an_hour_stays_small(hour):
    assert hour.stat().st_size < 10e6


def test_nothing_found_is_said_and_needs_no_script():
    page = render_report(replace(timeline(8), estimates=()))
    assert "a result, not an error" in page
    assert "script" not in References(page).tags


def test_a_picture_shows_its_probabilities():
    seen, estimate = (timeline(8).of(m)[0] for m in (Modality.FACE, Modality.FUSED))
    still = replace(
        timeline(8),
        media=MediaInfo("a.jpg", MediaKind.IMAGE, video=VideoInfo(160, 90, None, "jpeg")),
        estimates=(replace(seen, span=Span(0, 0)), replace(estimate, span=Span(0, 0))),
        duration_ns=0,
    )
    page = render_report(still, pictures(1, 1))
    assert f"{estimate.label} ({round(100 * estimate.confidence)}\u00a0% sure)" in page
    assert "script" not in References(page).tags
    assert page.count("data:image/jpeg") == 2


@pytest.mark.parametrize(
    ("given", "recogniser", "kind", "expected"),
    [
        ("subtitles", "subtitles", MediaKind.VIDEO, "the file's own subtitles"),
        ("talk.srt", "talk.srt", MediaKind.VIDEO, "words from talk.srt"),
        (None, "pocketsphinx", MediaKind.AUDIO, "recognised by pocketsphinx, with errors"),
        ("poem.txt", "poem.txt", MediaKind.TEXT, "its times are those of reading it aloud"),
    ],
)
def test_the_source_of_the_words_is_said(given, recogniser, kind, expected):
    original = timeline(8)
    media = replace(original.media, text=given, kind=kind)
    made = replace(original.provenance, components={"asr": recogniser})
    assert escape(expected) in render_report(replace(original, media=media, provenance=made))
    mute = replace(original, estimates=original.of(Modality.FACE), media=replace(media, text=None))
    assert "<li>no words</li>" in render_report(mute)


def test_report_is_not_overwritten(tmp_path):
    path = tmp_path / "timeline.html"
    write_report(replace(timeline(2), estimates=()), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_report(timeline(2), path)
    assert path.read_bytes() == before


def test_index_lists_results_and_errors(tmp_path):
    path = tmp_path / "index.html"
    entries = [
        IndexEntry("a #1 & b.mp4", summarise(timeline(24)), "a #1 & b/timeline.html"),
        IndexEntry("<b>.txt", error=f"not media: {NASTY}"),
    ]
    index_page(entries, path)
    page = path.read_text(encoding="utf-8")
    references = References(page)
    assert references.found == ["a%20%231%20%26%20b/timeline.html"]
    assert "script" not in references.tags
    assert "img" not in references.tags
    assert "2 files, 1 failed" in page
    assert "Face 1" in page
    assert "&lt;b&gt;.txt" in page


# ------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs a chromium to open the page in")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


def until(page, condition: str) -> None:
    """Wait for a JavaScript condition (playwright's own way needs eval, which the page forbids)."""
    for _ in range(1200):  # a minute: machines may be busy
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"the page never got to: {condition}")


@contextmanager
def opened(browser, path: Path, width: int = 1100, **options) -> Iterator:
    """Open a page; fail if it asks for anything, or complains."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda m: complaints.append(m.text))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(path.as_uri())
    until(page, "document.documentElement.dataset.ready === 'yes'")
    page.evaluate("document.getElementById('timeline').scrollIntoView()")
    until(page, "document.querySelector('#plot-0 .heatmaplayer image') !== null")
    yield page
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert complaints == []
    context.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "timeline.html"
    original = timeline(24, path=f"{NASTY}.mp4", lines=["It is a <b>wonderful</b> day.", NASTY])
    write_report(original, path, pictures(24))
    return path


def test_the_page_draws_zooms_and_tells(browser, report):
    with opened(browser, report) as page:
        assert page.locator(".plot .main-svg").count() >= 3
        assert page.locator("#strip img").count() > 3
        before = page.locator("#axis span").all_text_contents()
        page.locator("[data-act=in]").click()
        until(page, "document.getElementById('where').textContent.includes('–')")
        after = page.locator("#axis span").all_text_contents()
        assert before != after
        ticks = page.locator("#plot-0 .xtick text").all_text_contents()
        assert ticks == after
        page.locator("[data-act=all]").click()
        until(page, "!document.getElementById('where').textContent.includes('–')")
        page.locator("#plot-0").scroll_into_view_if_needed()
        box = page.locator("#plot-0").bounding_box()
        page.mouse.move(box["x"] + 150, box["y"] + 20)  # at about 2 s: face, voice and words
        tip = page.locator("#tip").inner_text()
        for part in ("Face 1 at 0:0", "face:", "voice:", "share in the result", "disagreement"):
            assert part in tip
        assert "It is a <b>wonderful</b> day." in tip
        assert page.evaluate("window.pwned") is None


def test_dragging_zooms_every_chart(browser, report):
    with opened(browser, report) as page:
        page.locator("#plot-0").scroll_into_view_if_needed()
        box = page.locator("#plot-0").bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 500, box["y"] + 60, steps=5)
        page.mouse.up()
        until(page, "document.getElementById('where').textContent.includes('–')")
        ticks = [page.locator(f"#plot-{i} .xtick text").all_text_contents() for i in range(3)]
        assert ticks[0] == ticks[1] == ticks[2]


def test_a_crowd_is_folded_and_drawn_when_unfolded(browser, tmp_path):
    path = tmp_path / "crowd.html"
    write_report(timeline(20, people=12, lines=()), path)
    with opened(browser, path) as page:
        last = page.locator("#plot-11")
        assert not last.is_visible()
        page.locator("details.more summary").nth(1).click()
        last.scroll_into_view_if_needed()
        until(page, "document.querySelector('#plot-11 .heatmaplayer image') !== null")
        axis = page.locator("#axis").bounding_box()
        for plot in ("#plot-0", "#plot-11"):  # every chart lies under the same time axis
            drawn = page.locator(f"{plot} .heatmaplayer").first.bounding_box()
            box = page.locator(f"{plot} .bglayer, {plot} .plot-container").first.bounding_box()
            assert (
                axis["x"]
                <= drawn["x"]
                <= drawn["x"] + drawn["width"]
                <= axis["x"] + axis["width"] + 1
            )
            assert box["x"] + 58 == pytest.approx(axis["x"], abs=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_follows_the_theme(browser, report, scheme):
    options = {"color_scheme": scheme, "has_touch": True, "is_mobile": True}
    with opened(browser, report, width=360, **options) as page:
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", back)[:3]))
        assert (brightness > 600) == (scheme == "light")
        page.locator("#plot-0").scroll_into_view_if_needed()
        box = page.locator("#plot-0").bounding_box()
        page.touchscreen.tap(box["x"] + 120, box["y"] + 40)
        assert "Face 1 at" in page.locator("#tip").inner_text()


def test_an_hour_opens_and_zooms_to_single_estimates(browser, hour):
    with opened(browser, hour) as page:
        assert "each column is the mean of" in page.locator("#where").inner_text()
        for _ in range(5):
            page.locator("[data-act=in]").click()
        until(page, "!document.getElementById('where').textContent.includes('mean')")
