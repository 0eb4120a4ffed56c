import errno
import os
from pathlib import Path
from typing import Any

import pytest

from emofuse.batch.inputs import TranscriptChoice, make_plan
from emofuse.errors import InputError


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


def test_a_folder_is_walked_for_media_only(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a.WAV", "sub/c.jpg", "sub/notes.txt", "readme.md", "clip.srt")
    touch(tmp_path, ".hidden.mp4", ".cache/d.mp4")
    plan = make_plan([tmp_path])
    assert [job.path.name for job in plan.jobs] == ["a.WAV", "b.mp4", "c.jpg"]
    assert plan.skipped == 4, "three texts and a hidden file; hidden folders are not entered"
    assert plan.batch


def test_one_file_is_no_batch_and_a_folder_with_one_file_is(tmp_path: Path) -> None:
    (clip,) = touch(tmp_path, "a.mp4")
    assert not make_plan([clip]).batch
    assert make_plan([tmp_path]).batch
    assert make_plan([clip, tmp_path / "absent.mp4"]).batch


def test_named_files_are_taken_whatever_their_ending(tmp_path: Path) -> None:
    paths = touch(tmp_path, "speech.txt", "clip.xyz", "no_ending")
    assert [job.path for job in make_plan(paths).jobs] == paths


def test_nothing_is_analysed_twice(tmp_path: Path) -> None:
    (clip,) = touch(tmp_path, "a.mp4")
    (tmp_path / "link.mp4").symlink_to(clip)
    plan = make_plan([clip, tmp_path, tmp_path / "." / "a.mp4"])
    assert len(plan.jobs) == 1


def test_names_of_result_folders_are_unique(tmp_path: Path) -> None:
    paths = touch(
        tmp_path, "a/clip.mp4", "b/clip.mp4", "b/clip.wav", "c/CLIP.mp4", "timeline.csv.mp4"
    )
    plan = make_plan(paths)
    assert [job.name for job in plan.jobs] == [
        "clip",
        "clip.mp4",
        "clip.wav",
        "CLIP.mp4-2",
        "timeline.csv.mp4",
    ]


def test_results_mirror_the_folders(tmp_path: Path) -> None:
    touch(tmp_path, "in/S00/t.mp4", "in/S01/t.mp4", "in/S01/t.wav", "more/S00/t.mp4")
    names = [job.name for job in make_plan([tmp_path / "in"]).jobs]
    assert names == ["S00/t", "S01/t", "S01/t.wav"]
    names = [job.name for job in make_plan([tmp_path / "in", tmp_path / "more"]).jobs]
    assert names == ["in/S00/t", "in/S01/t", "in/S01/t.wav", "more/S00/t"]


def test_a_pattern_takes_what_it_matches(tmp_path: Path) -> None:
    touch(tmp_path, "S00/a.mp4", "S00/a.txt", "S01/b.mp4", "S01/b.wav")
    plan = make_plan([tmp_path / "**" / "*.mp4"])
    assert [job.name for job in plan.jobs] == ["S00/a", "S01/b"]
    assert plan.batch
    plan = make_plan([tmp_path / "*.mov"])
    assert "no file or folder" in str(plan.failures[0][1])


def test_a_manifest_lists_media_and_their_transcripts(tmp_path: Path) -> None:
    touch(tmp_path, "S00/a.mp4", "S01/b.mp4", "said.txt")
    manifest = tmp_path / "list.csv"
    manifest.write_text("file,transcript\nS00/a.mp4,said.txt\nS01/b.mp4,\ngone.mp4,\n")
    plan = make_plan([manifest])
    assert [(job.name, job.transcript) for job in plan.jobs] == [
        ("S00/a", tmp_path / "said.txt"),
        ("S01/b", None),
    ]
    assert plan.batch
    (path, error) = plan.failures[0]
    assert path == tmp_path / "gone.mp4"
    assert "lists" in str(error)
    for text in ("path\na.mp4\n", "file\n", "", "\xff\xfe"):
        manifest.write_text(text, encoding="utf-8")
        assert "a column 'file'" in str(make_plan([manifest]).failures[0][1])


# Transcripts


def test_a_transcript_beside_a_clip_is_used_as_players_do(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.srt", "a.vtt", "b.wav", "b.VTT", "c.mp4", "c.txt", "d.jpg", "d.srt")
    found = {job.path.name: job.transcript for job in make_plan([tmp_path]).jobs}
    assert found == {
        "a.mp4": tmp_path / "a.srt",
        "b.wav": tmp_path / "b.VTT",
        "c.mp4": None,  # a text beside a clip is as often a note about it
        "d.jpg": None,
    }


def test_none_leaves_transcripts_alone(tmp_path: Path) -> None:
    clip, _ = touch(tmp_path, "a.mp4", "a.srt")
    (job,) = make_plan([clip], TranscriptChoice.NONE).jobs
    assert job.transcript is None


def test_a_named_transcript_goes_with_one_medium(tmp_path: Path) -> None:
    *clips, text = touch(tmp_path, "a.mp4", "b.mp4", "said.txt")
    (job,) = make_plan(clips[:1], text).jobs
    assert job.transcript == text
    with pytest.raises(InputError, match=r"goes with one file, got 2.*beside its clip"):
        make_plan(clips, text)
    with pytest.raises(InputError, match=r"no transcript .*absent\.srt"):
        make_plan(clips[:1], tmp_path / "absent.srt")


# What cannot be used


def test_bad_paths_are_reported_and_stop_nobody(tmp_path: Path) -> None:
    (clip,) = touch(tmp_path, "a.mp4")
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = {
        tmp_path / "absent.mp4": "no file or folder",
        Path("https://example.org/a.mp4"): "download it first",
        empty: r"no video, audio or images.*0 other files",
        Path("a" * 5000): "cannot open|no file or folder",  # as Python's version has it
        Path("nul\0.mp4"): "cannot open|no file or folder",
    }
    plan = make_plan([*bad, clip])
    assert [job.path for job in plan.jobs] == [clip]
    assert [path for path, _ in plan.failures] == list(bad)
    for (_, error), says in zip(plan.failures, bad.values(), strict=True):
        assert isinstance(error, InputError)
        with pytest.raises(InputError, match=says):
            raise error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    plan = make_plan([tmp_path / "pipe.mp4"])
    assert "not a regular file" in str(plan.failures[0][1])
    touch(tmp_path, "a.mp4")
    assert [job.path.name for job in make_plan([tmp_path]).jobs] == ["a.mp4"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "gone.mp4")
    plan = make_plan([tmp_path])
    assert [job.path.name for job in plan.jobs] == ["a.mp4"]
    assert "no file or folder" in str(make_plan([tmp_path / "dangling.mp4"]).failures[0][1])


def test_a_folder_that_cannot_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open/a.wav", "closed/b.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    look = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    plan = make_plan([tmp_path])
    assert [job.path.name for job in plan.jobs] == ["a.wav"]
    ((path, error),) = plan.failures
    assert path == tmp_path / "closed"
    assert str(error) == f"cannot look into the folder {path}: Permission denied"
