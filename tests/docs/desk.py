"""A folder with the files that the documentation speaks of, and what cannot be run there."""

from __future__ import annotations

import json
import os
import re
import shutil
from enum import IntEnum
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps
from tests.docs import corpora
from tests.docs.blocks import ROOT
from tests.docs.corpora import MEDIA

import emofuse
from emofuse import Timeline
from emofuse.annotations import Annotations
from emofuse.annotations.edits import SetLabel
from emofuse.cli.main import main
from emofuse.models.store import WEIGHTS, ZOO
from emofuse.sources.audio import read_audio

_FILES = {
    MEDIA / "talking.mp4": "interview.mp4",
    MEDIA / "talking.srt": "words.srt",
    MEDIA / "portrait.jpg": "mine/1.jpg face.jpg img.jpg a.jpg b.jpg party.jpg photo.jpg "
    "photos/1.jpg mine/train/happy/1.jpg",
    MEDIA / "speech.ogg": "voice.wav",
    WEIGHTS / "speech-v4.onnx": "runs/speech/model/speech-v4.onnx",
    WEIGHTS / "speech-v4.golden.npz": "runs/speech/model/speech-v4.golden.npz",
}
"""What is there → the names under which pages speak of such a thing."""

_CLIPS = (
    "meeting.mp4 party.mp4 clip.mp4 talk.mp4 talking.mp4 interviews/anna.mp4 interviews/ben.mp4 "
    "tests/media/talking.mp4"
)
"""The names of its first three seconds."""

_TABLES = {
    "list.csv": "file\ninterview.mp4\ntalking.mp4\n",
    "mine/list.csv": "file,emotion,who\n1.jpg,happy,anna\n2.jpg,sad,ben\n",
    "groups.csv": "file,group,participant,person\nanna-1.mp4,before,Anna,person-1\n"
    "anna-2.mp4,after,Anna,person-1\nben-1.mp4,before,Ben,\n",
    "questions.csv": "file,time\nanna-1.mp4,1\nanna-2.mp4,1\n",
    "config.yaml": "facial_model: {architecture: cnn}\ntraining: {epochs: 3}\n",
    "src/emofuse/models/zoo/README": "the package's cards, in a checkout\n",
    "src/emofuse/models/weights/README": "the package's weights, in a checkout\n",
}

_RESULTS = {
    "docs/formats.md": ("interview",),
    "docs/comparing.md": ("anna-1", "anna-2", "ben-1"),
}
"""Page → the recordings whose results its `results/` holds; else it is that of one recording."""


class Effort(IntEnum):
    """What somebody takes upon themselves who runs commands."""

    TESTS = 0
    COMPLETE = 1
    LONG = 2
    NEVER = 3


_OBSTACLES = (
    (r"^docker ", Effort.NEVER, "needs Docker"),
    (r"models pull|models remove|balanced|audeering", Effort.NEVER, "needs a model hub"),
    (r"--download", Effort.NEVER, "needs the host of the corpora"),
    (r"^emofuse live|emofuse\.live\(", Effort.NEVER, "needs a camera"),
    (r"group-vgaf", Effort.NEVER, "needs a GPU, and days"),
    (r"--leave-one-out", Effort.NEVER, "needs Whisper's published weights"),
    (r"--to tflite", Effort.NEVER, "needs onnx2tf, which has an environment of its own"),
    (r"--fer PYTHON", Effort.NEVER, "needs another package, with an environment of its own"),
    (r"benchmarks\.group_mood", Effort.NEVER, "needs FER2013"),
    (r"sys\.argv", Effort.NEVER, "is examples/stream_client.py, which docs/tutorials/app.md runs"),
    (r"make_demo", Effort.NEVER, "needs espeak-ng"),
    (r"mood\.aggregation|group-v1\.toml", Effort.NEVER, "needs FER2013, as fer2013.tar"),
    (
        r"emofuse train (?!.*runs/cepstra$)|emofuse tune",
        Effort.COMPLETE,
        "trains for half a minute",
    ),
    (r"runs/(attention|bilstm|cepstra-2|group|ravdess)", Effort.COMPLETE, "needs such a training"),
    (r"evaluate (fusion|cross-corpus)", Effort.COMPLETE, "takes half a minute"),
    (r"robustness=True|batch interviews/ .*results/$", Effort.COMPLETE, "takes ten seconds"),
    (r"stream_client\.py", Effort.COMPLETE, "plays in real time"),
    (r"--workers|weights\.pt|best\.safetensors", Effort.COMPLETE, "takes ten seconds"),
    (r"benchmarks\.|^make ", Effort.LONG, "takes minutes"),
    (r"^pip ", Effort.COMPLETE, "needs the network"),
)
"""What a step holds that is not run with less than such an effort, and why not."""


def obstacle(code: str, effort: Effort = Effort.TESTS) -> str | None:
    """Return why a step is not run with an effort; None if it is."""
    found = (why for sign, needed, why in _OBSTACLES if re.search(sign, code) and effort < needed)
    return next(found, None)


def known() -> dict[str, Any]:
    """What pages take for granted in pieces of Python that say so."""
    image = Image.open(MEDIA / "portrait.jpg").convert("RGB")
    return {
        "__name__": "page",
        "emofuse": emofuse,
        "image": np.asarray(image),
        "samples": read_audio(MEDIA / "speech.ogg"),
    }


def lay_out(home: Path) -> Path:
    """Put everything into a folder: media, tables, corpora, models, and results of a clip."""
    for source, names in _FILES.items():
        for name in names.split():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, home / name)
    for name in _CLIPS.split():
        cut(MEDIA / "talking.mp4", home / name, seconds=3)
    for name, text in _TABLES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    mirrored = ImageOps.mirror(Image.open(MEDIA / "portrait.jpg"))  # another picture
    for name in ("mine/2.jpg", "mine/test/sad/2.jpg"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        mirrored.save(home / name)
    for folder in ("configs", "examples"):
        (home / folder).symlink_to(ROOT / folder, target_is_directory=True)
    corpora.lay_out(home / "data")
    _put_models(home)
    _put_results(home)
    return home


def cut(source: Path, target: Path, seconds: float) -> None:
    """Copy the first seconds of a clip: picture, sound and subtitles."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in clip.streams]
        for packet in clip.demux():
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)


def desk_of(page: str, home: Path, folder: Path) -> Path:
    """Return the copy of a desk that a page's steps work in; it is made when there is none."""
    desk = folder / page.replace("/", "-")
    if not desk.exists():
        shutil.copytree(home, desk, symlinks=True, copy_function=os.link)
        if page in _RESULTS:
            shutil.rmtree(desk / "results")
            for name in _RESULTS[page]:
                shutil.copytree(home / "results", desk / "results" / name)
                path = desk / "results" / name / "timeline.json"
                text = path.read_text("utf-8").replace("clip.mp4", f"{name}.mp4")
                path.write_text(text, encoding="utf-8")
    return desk


def _put_models(home: Path) -> None:
    """Put a finished run, one that goes on, weights without a graph, and another library's file."""
    import onnx
    import torch
    from onnx import TensorProto, helper, numpy_helper
    from safetensors.torch import save_file
    from tests.conversion.test_own_net import CONFIG, SEVEN, net_of

    card = (ZOO / "speech-v4.toml").read_text("utf-8").replace('"speech-v4"', '"speech-mine"')
    (home / "runs" / "speech" / "model" / "speech-mine.toml").write_text(card, encoding="utf-8")
    run = home / "runs" / "face"
    run.mkdir()
    (run / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (run / "about.json").write_text(json.dumps({"learned": SEVEN}), encoding="utf-8")
    weights = net_of(run / "config.yaml").state_dict()
    save_file(weights, run / "best.safetensors")
    torch.save(weights, home / "weights.pt")
    matrix = np.random.default_rng(0).normal(size=(48 * 48, 7)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["face"], ["row"]),
            helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        ],
        "net",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, ("n", 1, 48, 48))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("n", 7))],
        [numpy_helper.from_array(matrix, "weights")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), home / "face.onnx")


def _put_results(home: Path) -> None:
    """Put results of the clip: as they were found, and as two people put them right."""
    found = home / "results"
    assert main(["analyze", str(home / "clip.mp4"), "--out", str(found), "-q"]) == 0
    for copy in ("out", "other-results", "session-1", "session-2"):
        shutil.copytree(found, home / copy)
    for name, author in (("interview", "Eve"), ("other", "Ann")):
        label = SetLabel(subject="person-1", start=1, end=2, label="surprise", author=author)
        edited = Annotations.of(Timeline.load(found / "timeline.json")).with_edits([label])
        (home / f"{name}.annotations.json").write_text(edited.to_json(), encoding="utf-8")
    other = str(home / "other.annotations.json")
    assert main(["annotate", str(home / "other-results"), "--apply", other]) == 0
