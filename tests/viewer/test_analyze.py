"""Files and words are dropped on the page, and looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.viewer.conftest import INK, TIME, label, make_microphone, until

from emofuse.core.estimates import RejectionReason
from emofuse.export import usable_exporters

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.server.serving import Running

Visit = Callable[..., "Page"]


def test_a_video_from_file_to_download(analyzed: Visit, server: Running) -> None:
    import httpx

    page = analyzed("talking.mp4", "talking.srt")
    assert page.get_by_role("heading", level=1).inner_text() == "talking.mp4 + talking.srt"
    address = f"{server.url}/v1/jobs/{page.url.rpartition('/')[2]}"
    timeline = httpx.get(f"{address}/result").json()
    fused = [e for e in timeline["estimates"] if e["modality"] == "fused"]
    assert label(page) in (fused[0]["label"], "uncertain")
    assert page.get_by_text("Expressions, not feelings.").is_visible()

    slider = page.get_by_role("slider", name="Playhead")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert float(page.evaluate(TIME)) == pytest.approx(0.5, abs=0.02)
    until(page, "Math.abs(document.querySelector('video').currentTime - 0.5) < 0.05")
    until(page, f"({INK})('.overlay') > 500")  # the box and its label
    spoken = slider.get_attribute("aria-valuetext") or ""
    assert "Person 1" in spoken

    lane = page.locator(".row canvas").first
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 20)
    assert 3.6 < float(page.evaluate(TIME)) < 4.4
    late = next(e for e in fused if e["start"] <= float(page.evaluate(TIME)) < e["end"])
    assert label(page) in (late["label"], "uncertain")
    bars = page.locator("table.bars tbody tr")
    assert {row.split()[0] for row in bars.all_inner_texts()} >= set(late["probabilities"])

    page.locator(".sentence", has_text="so happy to see you").click()
    assert float(page.evaluate(TIME)) == pytest.approx(0.4, abs=0.1)
    assert page.locator(".sentence.now").count() == 1
    page.locator("h1").click()  # away from the button, which would take the space
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    until(page, "document.querySelector('video').currentTime > 0.3")
    page.keyboard.press(" ")
    assert page.evaluate("document.querySelector('video').paused")

    formats = page.locator("a.download")
    more = 2  # all of them as a zip, and the film with its results drawn into it
    assert formats.count() == len(usable_exporters()) + more
    for link in formats.all():
        found = server.url + (link.get_attribute("href") or "")
        assert httpx.get(found, timeout=120).status_code == 200  # figures take a moment

    bin_ = page.get_by_role("button", name="Delete this upload")
    bin_.click()
    page.get_by_role("button", name="Really?").click()
    page.get_by_text("Drop a video").wait_for()
    assert httpx.get(address).status_code == 404


def test_a_sound(analyzed: Visit) -> None:
    page = analyzed("speech.ogg")
    assert page.locator("audio").count() == 1
    assert page.locator("video").count() == 0
    until(page, f"({INK})('.wave') > 500")
    assert page.locator("table.bars td.face:not(.dim) .bar").count() == 0
    page.locator(".stage").click()
    assert float(page.evaluate(TIME)) == pytest.approx(3.7, abs=0.3)


def test_a_picture(analyzed: Visit) -> None:
    page = analyzed("portrait.jpg")
    until(page, "document.querySelector('.stage img').naturalWidth > 0")
    until(page, f"({INK})('.overlay') > 500")
    assert page.get_by_role("slider").count() == 0  # no time, no timeline
    assert "Face 1" in page.locator(".people").inner_text()


def test_words_stay_words(analyzed: Visit) -> None:
    """What was written is shown as it was written, and nothing of it is run."""
    page = analyzed(words='I am so glad! <img src=x onerror="document.title=1"> This is terrible.')
    said = " ".join(page.locator(".said").all_inner_texts())
    assert "<img src=x onerror=" in said
    assert page.locator(".transcript img").count() == 0
    first = label(page)
    assert first in ("happy", "uncertain")
    page.locator(".sentence").last.click()
    assert page.locator(".sentence").last.get_attribute("aria-current") == "true"


def test_a_picture_and_a_sound_together(analyzed: Visit) -> None:
    page = analyzed("portrait.jpg", "speech.ogg")
    assert page.locator(".stage img").count() == 1
    assert page.locator("audio").count() == 1
    assert "voice" in page.locator(".people").inner_text()


def test_what_is_no_medium_is_refused_in_words(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    bad = tmp_path / "holiday.mp4"
    bad.write_bytes(b"\x00\x01\x02 nothing of the sort" * 50)
    page.get_by_label("Files to analyze").set_input_files(bad)
    alert = page.get_by_role("alert").filter(has_text="holiday")
    alert.wait_for()
    assert page.locator(".drop").is_visible()


def test_cancelled_jobs_say_so_and_can_be_deleted(
    visit: Visit, media: Path, tmp_path: Path
) -> None:
    long = tmp_path / "long.wav"
    make_microphone(media / "talking.mp4", long, 16_000, times=60)
    page = visit()
    page.get_by_label("Files to analyze").set_input_files(long)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("was cancelled").wait_for()
    page.get_by_role("link", name="All results").click()
    row = page.locator(".jobs li", has_text="long.wav")
    row.get_by_text("cancelled").wait_for()
    row.get_by_role("button", name="Delete long.wav").click()
    row.get_by_role("button", name="Really?").click()
    row.wait_for(state="detached")


def test_uncertain_stretches_are_hatched_and_listed(visit: Visit, server: Running) -> None:
    """Drawn from a result that abstains, whatever today's thresholds are."""
    p = {"neutral": 0.4, "happy": 0.3, "sad": 0.3}
    row = {"subject": "speaker-1", "modality": "fused", "label": "neutral", "confidence": 0.4}
    row |= {"quality": 0.5, "model": "logpool", "taxonomy": "t", "probabilities": p}
    why = RejectionReason.TOO_NOISY
    person = {
        "subject": "speaker-1", "name": "Voice", "says": "mostly neutral (50 %)",
        "facts": ["50 % uncertain: too noisy"], "shares": {"neutral": 0.5}, "uncertain": 0.5,
    }  # fmt: skip
    result = {
        "media": {
            "name": "a.wav", "kind": "audio", "video": None,
            "audio": {"rate": 16000}, "text": None,
        },
        "duration": 4.0, "notes": [], "summary": {"facts": ["0:04.0"], "people": [person]},
        "provenance": {"version": "x", "models": {}, "components": {}},
        "estimates": [
            row | {"start": 0.0, "end": 2.0},
            row | {"start": 2.0, "end": 4.0, "uncertain": why.value},
        ],
    }  # fmt: skip
    medium = {"name": "a.wav", "kind": "audio", "type": "audio/wav", "bytes": 9, "duration": 4.0}
    job = {"id": "made", "state": "COMPLETED", "media": medium, "inputs": [medium], "formats": []}
    page = visit()
    page.route("**/v1/jobs/made", lambda route: route.fulfill(body=json.dumps(job)))
    page.route("**/v1/jobs/made/result*", lambda route: route.fulfill(body=json.dumps(result)))
    page.goto(f"{server.url}/#/job/made")
    page.get_by_text("1 uncertain stretch").click()
    page.locator(".jump").click()
    assert label(page) == "uncertain"
    assert page.locator(".why:not(.affect)").inner_text() == why.sentence
    assert "uncertain" in (page.get_by_role("slider").get_attribute("aria-valuetext") or "")
