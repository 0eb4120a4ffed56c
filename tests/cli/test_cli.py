"""The command line, run for real on the small clips of `tests/media`."""

import contextlib
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import emofuse
from emofuse.cli.main import command as command_line
from emofuse.config.loader import to_yaml
from emofuse.core.estimates import Modality
from emofuse.export.json import read_json
from emofuse.export.summary import person_name
from emofuse.face.detectors import DETECTORS
from emofuse.fusion.config import Strategy
from emofuse.text.transcribe import TRANSCRIBERS

Run = Any  # see conftest.py

COMMAND = [sys.executable, "-m", "emofuse.cli.main"]
HEAVY = {"torch", "cv2", "av", "pandas", "numpy", "onnxruntime", "scipy", "yaml"}


# Quick and quiet


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["analyze", "--help"]])
def test_help_loads_nothing_heavy(args: list[str]) -> None:
    script = (
        "import sys\n"
        "from emofuse.cli.main import main\n"
        f"code = main({args!r})\n"
        f"sys.exit(', '.join({HEAVY!r} & sys.modules.keys()) or code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_importing_emofuse_loads_nothing_heavy() -> None:
    script = f"import sys, emofuse; sys.exit(', '.join({HEAVY!r} & sys.modules.keys()) or None)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"emofuse {emofuse.__version__}\n")


def test_help_offers_no_values_for_flags(run: Run) -> None:
    for words in (["analyze"], ["evaluate"], ["models", "pull"], ["corpus", "prepare"]):
        assert "bool" not in run(*words, "--help").out.lower()


def test_a_flag_takes_no_value(run: Run, talking: Path) -> None:
    message = run("analyze", talking, "--overwrite", "true").failed_cleanly()
    assert "--overwrite takes no value: leave out 'true'" in message


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "https://example.org/a.mp4"],
        ["analyze", "--image", "https://example.org/a.jpg"],
        ["models", "import", "https://example.org/a.onnx"],
        ["keyframes", "https://example.org/a.mp4"],
    ],
)
def test_web_addresses_are_refused_as_they_were_spelt(run: Run, words: list[str]) -> None:
    message = run(*words).failed_cleanly()
    assert "https://example.org/a." in message
    assert "download it first" in message


def test_help_has_its_usual_short_name(run: Run) -> None:
    assert run("analyze", "-h") == run("analyze", "--help")


def test_the_manual_lists_every_command() -> None:
    listed = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8").split("```")[1]
    assert [name for name in command_line().commands if f"emofuse {name}" not in listed] == []


def test_help_names_every_choice(run: Run) -> None:
    """Choices are checked with the settings, which would be too much to load for help."""
    text = " ".join(run("analyze", "--help").out.split())
    for choice in (*DETECTORS, *TRANSCRIBERS, *(s.value for s in Strategy)):
        assert choice in text


@pytest.mark.parametrize("command", [("corpus", "prepare")])
def test_help_shows_brackets(run: Run, command: tuple[str, ...]) -> None:
    """Help is markup, where a word in brackets would be a style."""
    text = " ".join(run(*command, "--help").out.replace("│", " ").split())
    assert "TOML with [map] and [drop] for" in text


# One medium


def test_one_clip(run: Run, media: Path, tmp_path: Path) -> None:
    clip, out = media / "two_people.mp4", tmp_path / "out"
    before = clip.read_bytes(), clip.stat().st_mtime_ns
    ran = run("analyze", clip, "--out", out)
    assert ran.code == 0, ran.err
    assert (clip.read_bytes(), clip.stat().st_mtime_ns) == before
    assert sorted(p.name for p in out.iterdir()) == [
        "timeline.csv",
        "timeline.html",
        "timeline.json",
    ]
    timeline = read_json(out / "timeline.json")
    assert str(clip) in ran.out
    for subject in timeline.subjects:
        assert person_name(subject) in ran.out or subject.kind.value == "speaker"
    assert re.search(r"\d+(\.\d+)?× real time", ran.out)
    assert str(out / "timeline") in ran.out
    assert ran.out.rstrip().endswith("not what people feel.")
    with (out / "timeline.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == len(timeline)
    assert 'id="viewer"' in (out / "timeline.html").read_text(encoding="utf-8")


def test_without_out_only_the_summary_is_printed(
    run: Run, talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(talking.parent)
    ran = run("analyze", talking, "--asr", "none")
    assert ran.code == 0, ran.err
    assert "Person 1" in ran.out
    assert "Results:" not in ran.out
    assert [p.name for p in talking.parent.iterdir()] == ["talking.mp4"]


def test_formats_quiet_and_json(run: Run, media: Path, talking: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run("analyze", talking, "--out", out, "--format", "json", "--json", "--asr", "none")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    (medium,) = report["media"]
    assert medium["duration"] == pytest.approx(5.0, abs=0.2)
    assert medium["file"] == str(talking)
    assert medium["results"] == {"json": str(out / "timeline.json")}
    assert medium["people"]
    assert medium["people"][0]["shares"]
    assert report["failed"] == []
    assert [p.name for p in out.iterdir()] == ["timeline.json"]
    ran = run("analyze", media / "portrait.jpg", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_picture_a_sound_and_a_text(run: Run, media: Path, tmp_path: Path) -> None:
    text = tmp_path / "said.txt"
    text.write_text("I am so happy to see you! Now I am very sad.", encoding="utf-8")
    for path, says in (
        (media / "portrait.jpg", "Face 1"),
        (media / "speech.ogg", "Voice"),
        (text, "Text"),
    ):
        ran = run("analyze", path, "--asr", "none")
        assert ran.code == 0, ran.err
        assert says in ran.out, ran.out


def test_a_strange_name_is_shown_and_not_obeyed(run: Run, media: Path, tmp_path: Path) -> None:
    names = ["[red]ünïcødé 😀.jpg", "=cmd().jpg"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"broken \xff.jpg"))
    for name in names:
        path = tmp_path / name
        shutil.copy(media / "portrait.jpg", path)
        out = tmp_path / f"out{len(name)}"
        ran = run("analyze", path, "--out", out)
        assert ran.code == 0, ran.err
        assert "[red]" not in name or "[red]" in ran.out
        assert (out / "timeline.json").exists()


def test_a_terminal_sees_progress(talking: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [*COMMAND, "analyze", str(talking), "--no-text"]
    env = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side is gone
            while block := os.read(ours, 65_536):
                seen += block
    os.close(ours)
    text = seen.decode(errors="replace")
    assert process.returncode == 0, text
    assert "loading" in text
    assert "/ 0:05" in text
    assert "Person 1" in text


# Where words come from


def test_a_transcript_beside_the_clip_is_used_and_named(
    run: Run, talking: Path, media: Path, tmp_path: Path
) -> None:
    shutil.copy(media / "talking.srt", talking.with_suffix(".srt"))
    ran = run("analyze", talking, "--out", tmp_path / "a", "--format", "json")
    assert "Text from talking.srt, which lies beside it." in ran.out
    timeline = read_json(tmp_path / "a" / "timeline.json")
    assert timeline.provenance.components["asr"] == "talking.srt"
    assert timeline.of(emofuse.Modality.TEXT)
    ran = run("analyze", talking, "--transcript", "none", "--asr", "none")
    assert "talking.srt" not in ran.out


def test_a_named_transcript(run: Run, talking: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    said.write_text("I love this!", encoding="utf-8")
    ran = run("analyze", talking, "--transcript", said)
    assert ran.code == 0, ran.err
    assert "Text from said.txt." in ran.out
    assert "beside" not in ran.out


def test_modalities_can_be_left_out(run: Run, talking: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = ("--out", out, "--format", "json", "--no-speech", "--no-text")
    assert run("analyze", talking, *args).code == 0
    parts = {e.modality.value for e in read_json(out / "timeline.json")}
    assert parts == {"face", "fused"}
    ran = run("analyze", talking, "--no-face", "--no-speech", "--no-text")
    assert "nothing is left to analyze" in ran.failed_cleanly()


# Several media


def test_a_batch_with_a_bad_file_goes_on_and_says_so(
    run: Run, talking: Path, media: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"this is no video")
    out = tmp_path / "out"
    ran = run("analyze", bad, talking, media / "portrait.jpg", "--out", out, "--asr", "none")
    message = ran.failed_cleanly()
    assert "bad.mp4" in message
    assert "1 of 3 inputs could not be analyzed" in message
    assert sorted(p.name for p in out.iterdir()) == [
        "failures.csv",
        "index.html",
        "journal.sqlite",
        "portrait",
        "talking",
        "timeline.csv",
        "viewer.css",
        "viewer.js",
    ]
    assert sorted(p.name for p in (out / "talking").iterdir()) == [
        "timeline.csv",
        "timeline.html",
        "timeline.json",
    ]
    with (out / "timeline.csv").open(newline="") as f:
        files = {row["file"] for row in csv.DictReader(f)}
    assert files == {str(talking), str(media / "portrait.jpg")}
    index = (out / "index.html").read_text(encoding="utf-8")
    assert 'href="talking/timeline.html"' in index
    assert "bad.mp4" in index
    assert "emofuse reports expressions" in ran.out


def test_a_folder_is_walked(run: Run, media: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(media / "portrait.jpg", folder / "a.jpg")
    shutil.copy(media / "portrait.jpg", folder / "b.jpg")
    (folder / "readme.txt").write_text("not to be analyzed")
    out = tmp_path / "out"
    ran = run("analyze", folder, "--out", out, "--format", "csv")
    assert ran.code == 0, ran.err
    assert "Skipped 1 other file" in ran.out
    assert {p.name for p in out.iterdir()} == {"a", "b", "journal.sqlite", "timeline.csv"}


def test_a_batch_of_bad_files_leaves_the_reasons_only(run: Run, tmp_path: Path) -> None:
    bad = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in bad:
        path.write_bytes(b"no")
    out = tmp_path / "out"
    assert "2 of 2" in run("analyze", *bad, "--out", out).failed_cleanly()
    left = sorted(p.name for p in out.iterdir())
    assert left == ["failures.csv", "index.html", "journal.sqlite"]
    with (out / "failures.csv").open(newline="") as f:
        assert {row["file"] for row in csv.DictReader(f)} == {str(path) for path in bad}


def test_results_are_not_overwritten_unasked(
    run: Run, talking: Path, media: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    kept = out / "timeline.csv"
    kept.write_text("precious")
    picture = media / "portrait.jpg"
    assert "--overwrite" in run("analyze", picture, "--out", out).failed_cleanly()
    assert [p.name for p in out.iterdir()] == ["timeline.csv"], "checked before the analysis"
    assert "--overwrite" in run("analyze", picture, talking, "--out", out).failed_cleanly()
    assert kept.read_text() == "precious"
    assert run("analyze", picture, "--out", out, "--overwrite").code == 0
    assert kept.read_text() != "precious"


# Bad input at every door


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["analyze", "absent.mp4"], "no file or folder 'absent.mp4'"),
        (["analyze", "https://example.org/a.mp4"], "download it first"),
        (["analyze", "CLIP", "--fps", "-1"], "fps must be > 0, got -1"),
        (["analyze", "CLIP", "--slot", "0"], "--slot must be > 0, got 0"),
        (["analyze", "CLIP", "--detector", "best"], "--detector: got 'best', expected 'compact',"),
        (["analyze", "CLIP", "--fusion", "magic"], "--fusion: got 'magic', expected"),
        (["analyze", "CLIP", "--asr", "magic"], "--asr: got 'magic', expected"),
        (["analyze", "CLIP", "--format", "docx"], "--format: got 'docx', expected some of csv"),
        (["analyze", "CLIP", "--transcript", "no.srt"], "no transcript 'no.srt'"),
        (["analyze", "CLIP", "--config", "no.yaml"], "no.yaml: No such file"),
        (["analyze", "CLIP", "--out", "CLIP"], "cannot write"),
        (["analyze", "CLIP", "--detector", "yunet"], "downloads are switched off"),
        (["analyze", "CLIP", "--transcript", "CLIP"], "talking.mp4"),
        (["analyze", "CLIP", "--transcript", ""], "got an empty name"),
        (["analyze", ""], "got an empty name in place of a file or folder, after analyze"),
        (
            ["analyze", "CLIP", "--out", ""],
            "got an empty name in place of a file or folder, after --out",
        ),
        (["analyze", "CLIP", "--out="], "after --out"),
        (["analyze", "CLIP", "--face-model", ""], "no model ''"),
        (["analyze", "CLIP", "--face-model", "speech-v4"], "'speech-v4' reads speech, expected"),
        (["analyze", "-"], "not read from a pipe"),
        (["CLIP"], "is no command; to analyze it: emofuse analyze /"),
        (["analyze", "--audio", "words.txt"], "words.txt is text, expected a video, sound or"),
        (["models", "list", "--modality", "smell"], "there are face, speech, text and fused"),
        (["models", "show", "nope"], "no model 'nope'; known models:"),
        (["models", "pull", "nope"], "no model 'nope'"),
        (["config", "--config", "no.yaml"], "no.yaml: No such file"),
        (["train", "face", "--config", "no.yaml"], "no.yaml: No such file"),
    ],
)
def test_bad_input_is_explained(
    run: Run, talking: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], says: str
) -> None:
    monkeypatch.chdir(talking.parent)
    Path("words.txt").write_text("So glad.")
    message = run(*(str(talking) if arg == "CLIP" else arg for arg in args)).failed_cleanly()
    assert says in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "args",
    [
        ["anallyze", "x"],
        ["analyze", "x", "--fps", "many"],
        ["analyze", "x", "--threads", "0"],
        ["train", "smell"],
    ],
)
def test_wrong_usage_is_code_2_without_traceback(run: Run, args: list[str]) -> None:
    ran = run(*args)
    assert ran.code == 2
    assert "Usage" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"<html></html>", os.urandom(20_000)])
@pytest.mark.parametrize("ending", ["mp4", "wav", "jpg", "srt", "xyz"])
def test_files_that_are_no_media(run: Run, tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"file.{ending}"
    path.write_bytes(content)
    message = run("analyze", path).failed_cleanly()
    assert str(path) in message


def test_a_broken_off_file_is_analysed_and_the_result_says_so(
    run: Run, media: Path, tmp_path: Path
) -> None:
    whole = (media / "speech.ogg").read_bytes()
    path = tmp_path / "broken.ogg"
    path.write_bytes(whole[: len(whole) // 2])
    ran = run("analyze", path, "--asr", "none")
    assert ran.code == 0, ran.err
    assert "Voice" in ran.out


# Things that go wrong inside


@pytest.mark.usefixtures("trouble")
def test_a_bug_is_reported_without_traceback(run: Run, talking: Path, tmp_path: Path) -> None:
    config = tmp_path / "bug.yaml"
    message = run("analyze", talking, "--config", config).failed_cleanly(3)
    assert "unexpected RuntimeError: boom" in message
    assert "--debug" in message
    with pytest.raises(RuntimeError, match="boom"):
        run("--debug", "analyze", talking, "--config", config)


@pytest.mark.usefixtures("trouble")
def test_a_bug_stops_no_batch(run: Run, talking: Path, media: Path, tmp_path: Path) -> None:
    empty = tmp_path / "silence.ogg"
    shutil.copy(media / "speech.ogg", empty)
    ran = run("analyze", talking, empty, "--config", tmp_path / "bug.yaml")
    assert "talking.mp4: unexpected RuntimeError: boom" in ran.failed_cleanly()
    assert str(empty) in ran.out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crash", f"died (signal {signal.SIGSEGV.value}), most likely because"),
        ("greedy", "there was too little memory for it"),
    ],
)
def test_a_crash_is_told(
    trouble: Path, talking: Path, tmp_path: Path, name: str, says: str
) -> None:
    config, out = tmp_path / f"{name}.yaml", tmp_path / "out"
    done = subprocess.run(
        [*COMMAND, "analyze", str(talking), "--config", str(config), "--out", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(trouble), *sys.path])},
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("emofuse: ")
    assert f"{talking}: " in done.stderr
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not list(out.iterdir())


def test_an_interrupt_is_code_130(trouble: Path, talking: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "analyze", str(talking), "--config", str(tmp_path / "impatient.yaml")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(trouble), *sys.path])},
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    process = subprocess.Popen(
        [*COMMAND, "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert err == ""


def test_a_terminal_without_unicode(tmp_path: Path) -> None:
    path = tmp_path / "größe.txt"
    path.write_text("Hello!")
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*COMMAND, "analyze", str(path)], capture_output=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "gr\\xf6" in done.stdout.decode("ascii")


# Models, settings, training


def test_models_are_listed(run: Run) -> None:
    ran = run("models", "--json")
    cards = {card["id"]: card for card in json.loads(ran.out)}
    defaults = emofuse.AnalyzerConfig().models
    for model_id in defaults.values():
        assert cards[model_id]["where"] == "embedded"
        assert cards[model_id]["licence"] not in ("", "unknown")
        assert model_id in run("models").out
        shown = run("models", "show", model_id).out
        assert cards[model_id]["files"][0]["sha256"] in shown.replace("\n", "").replace(" ", "")


def test_models_are_listed_legibly_in_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    known = json.loads(run("models", "--json").out)
    shown = run("models").out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown  # nothing is cut off
    assert all(card["id"] in shown for card in known)


def test_getting_an_embedded_model_prints_where_it_is(run: Run) -> None:
    ran = run("models", "pull", emofuse.AnalyzerConfig().models[Modality.FACE])
    assert ran.code == 0, ran.err
    assert Path(ran.out.splitlines()[0]).is_file()


def test_config_prints_all_settings(run: Run, tmp_path: Path) -> None:
    ran = run("config")
    assert ran.out == to_yaml(emofuse.AnalyzerConfig())
    path = tmp_path / "mine.yaml"
    path.write_text("fps: 3")
    assert "\nfps: 3.0\n" in run("config", "--config", path).out


def test_training_without_torch_names_the_extra(tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text("loop: {epochs: 1}")
    script = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # as if it were not installed
        "from emofuse.cli.main import main\n"
        f"sys.exit(main(['train', 'face', '--config', {str(config)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'emofuse[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a shell, which can close streams."""
    words = f"{shlex.quote(sys.executable)} -m emofuse {command}"
    environment = os.environ | {"EMOFUSE_OFFLINE": "1"}
    return subprocess.run(["sh", "-c", words], capture_output=True, text=True, env=environment)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_is_told_in_words() -> None:
    done = shell("models > /dev/full")
    assert done.returncode == 2
    assert done.stderr == (
        "emofuse: cannot write the output: No space left on device; make room, or send it "
        "elsewhere\n"
    )


@pytest.mark.parametrize(("streams", "code"), [(">&-", 0), ("2>&-", 0)])
def test_closed_streams_are_no_error(media: Path, streams: str, code: int) -> None:
    done = shell(f"analyze {media / 'portrait.jpg'} --json {streams}")
    assert done.returncode == code
    assert done.stderr == ""
    assert ">&-" in streams.split() or json.loads(done.stdout)["media"]
