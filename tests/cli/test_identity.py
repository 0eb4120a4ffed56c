"""Who is who, from the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

from tests.cli.conftest import Run

from emofuse.io.images import read_image


def test_the_same_people_are_found_in_all_files(run: Run, media: Path, tmp_path: Path) -> None:
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(media / "portrait.jpg", photos / "a.jpg")
    mirrored = read_image(media / "portrait.jpg").pixels[:, ::-1]
    Image.fromarray(mirrored).save(photos / "b.png")
    out = tmp_path / "out"
    options = ("--same-people", "--format", "json", "--workers", "1", "--out", out)
    ran = run("batch", photos, *options)
    assert ran.code == 0, ran.err
    with (out / "people.csv").open(encoding="utf-8", newline="") as f:
        rows = [(r["person"], Path(r["file"]).name, r["subject"]) for r in csv.DictReader(f)]
    assert rows == [("1", "a.jpg", "person-1"), ("1", "b.png", "person-1")]
    for result in out.rglob("timeline.json"):
        known = json.loads(result.read_text(encoding="utf-8"))["people"]["known"]
        assert known
        assert not any("embeddings" in person for person in known), "biometric: not asked for"


def test_it_cannot_be_both_wanted_and_not(run: Run, media: Path) -> None:
    ran = run("analyze", media / "portrait.jpg", "--same-people", "--no-identity")
    assert "leave --no-identity out" in ran.failed_cleanly()
