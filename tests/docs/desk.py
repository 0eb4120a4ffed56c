"""A folder with the files that the documentation speaks of, and what cannot be run there."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps
from tests.corpora import made
from tests.docs.blocks import ROOT, words

from emofuse import Timeline
from emofuse.annotations import Annotations
from emofuse.annotations.edits import SetLabel
from emofuse.cli.main import main

MEDIA = ROOT / "tests" / "media"

_FILES = {
    "talking.mp4": "interview.mp4 meeting.mp4 party.mp4 clip.mp4 talk.mp4 talking.mp4 "
    "interviews/anna.mp4 interviews/ben.mp4",
    "portrait.jpg": "mine/1.jpg face.jpg img.jpg a.jpg b.jpg party.jpg photo.jpg photos/1.jpg "
    "mine/train/happy/1.jpg",
    "speech.ogg": "voice.wav",
}
"""Medium of the repository → the names under which pages speak of such a one."""

_TABLES = {
    "list.csv": "file\ninterview.mp4\ntalking.mp4\n",
    "mine/list.csv": "file,emotion,who\n1.jpg,happy,anna\n2.jpg,sad,ben\n",
    "groups.csv": "file,group,participant,person\ninterview.mp4,before,Anna,\n",
    "questions.csv": "file,start,label\ninterview.mp4,1,first\n",
    "config.yaml": "facial_model: {architecture: cnn}\ntraining: {epochs: 3}\n",
}

_NOT_RUN = {
    r"\b(serve|live)\b": "goes on until it is ended; tests/cli and tests/server run it",
    r"\[|…|\b(ID|VIDEO|NAME)\b": "a form to fill in",
    r"--download|models pull|balanced|audeering|emotieff": "needs the network",
    r"--data (?!data/)|--root DIR|corpus show ravdess\.csv|cross-corpus": "needs a corpus",
    r"^emofuse (train|tune) ": "takes minutes or hours; tests/training train small nets",
    r"\bruns? |\bruns/|fusion-attention|models (embed|import)|-model face": "needs a training",
    r"groups\.csv": "needs two results of one person; tests/comparison makes them",
    r"^pip ": "tests/packaging installs the wheel; requirements/platforms.sh resolves every extra",
    r"^(docker|make) ": "CI runs it, as far as it can",
    r"^curl |stream_client": "needs a server; tests/server sends the same requests",
    r"benchmarks\.|mood\.aggregation|make_demo": "takes minutes, or a corpus",
    r"^export ": "sets variables for the next line",
    r"--to tflite": "needs the extra tflite-export and onnx2tf",
}
"""What a command holds that is not run here, and why not; what it means is tested elsewhere."""


def obstacle(line: str) -> str | None:
    """Return why a command cannot be run at the desk; None if it can."""
    line = " ".join(words(line))
    return next((why for sign, why in _NOT_RUN.items() if re.search(sign, line)), None)


def lay_out(home: Path) -> Path:
    """Put everything into a folder: media, tables, configurations, and results of a clip."""
    for source, names in _FILES.items():
        for name in names.split():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(MEDIA / source, home / name)
    for name, text in _TABLES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    mirrored = ImageOps.mirror(Image.open(MEDIA / "portrait.jpg"))  # another picture
    for name in ("mine/2.jpg", "mine/test/sad/2.jpg"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        mirrored.save(home / name)
    for folder in ("configs", "examples"):
        (home / folder).symlink_to(ROOT / folder, target_is_directory=True)
    analyze: Sequence[str] = ("analyze", str(home / "clip.mp4"), "--out", str(home / "out"), "-q")
    assert main(analyze) == 0
    for copy in ("results", "other-results", "session-1", "session-2"):
        shutil.copytree(home / "out", home / copy)
    shutil.copytree(home / "out", home / "results" / "interview")
    for name, author in (("interview", "Eve"), ("other", "Ann")):
        _put_right(home, home / f"{name}.annotations.json", author)
    other = str(home / "other.annotations.json")
    assert main(["annotate", str(home / "other-results"), "--apply", other]) == 0
    return home


def lay_out_corpora(home: Path) -> None:
    """Put RAVDESS and FER2013 into a folder as they are distributed, but small and of noise."""
    for actor in range(1, 25):
        for emotion in range(1, 9):
            name = f"03-01-{emotion:02}-01-01-01-{actor:02}.wav"
            made.sound(home / "data" / "ravdess" / f"Actor_{actor:02}" / name, 0.6)
    for split, label in itertools.product(("train", "test"), ("angry", "happy", "sad", "neutral")):
        for number in range(12):
            made.picture(home / "data" / "fer2013" / split / label / f"im{number}.png")


def desk_of(page: str, home: Path, folder: Path) -> Path:
    """Return the copy of a desk that a page's commands work in; it is made when there is none."""
    desk = folder / page.replace("/", "-")
    if not desk.exists():
        shutil.copytree(home, desk, symlinks=True)
        if "results/interview" in (ROOT / page).read_text("utf-8"):  # results/ holds several
            for path in (desk / "results").glob("*.*"):
                path.unlink()
    return desk


def _put_right(home: Path, path: Path, author: str) -> None:
    """Write what somebody put right in the results."""
    found = Timeline.load(home / "out" / "timeline.json")
    label = SetLabel(subject="person-1", start=1, end=2, label="surprise", author=author)
    path.write_text(Annotations.of(found).with_edits([label]).to_json(), encoding="utf-8")
