from pathlib import Path

import pytest

from emofuse.errors import InputError
from emofuse.io.files import OutputFolder, ResultFile


def test_result_appears_only_when_complete(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with ResultFile(target) as f:
        f.write("half")
        f.flush()
        assert not target.exists()
    assert target.read_text() == "half"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_failure_leaves_the_old_result_and_no_litter(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    result = ResultFile(target, overwrite=True)
    with pytest.raises(ZeroDivisionError), result as f:
        print("new", 1 / 0, file=f)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_existing_result_is_refused_unless_asked(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(InputError, match="exists already"):
        ResultFile(target)
    assert list(tmp_path.iterdir()) == [target]
    with ResultFile(target, overwrite=True) as f:
        f.write("new")
    assert target.read_text() == "new"


def test_place_taken_while_writing_is_not_overwritten(tmp_path):
    target = tmp_path / "a.txt"
    result = ResultFile(target)
    target.write_text("theirs")
    with pytest.raises(InputError, match="exists already"):
        result.commit()
    assert target.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_dangling_link_counts_as_existing(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        ResultFile(tmp_path / "a.txt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_said_plainly(tmp_path):
    result = ResultFile(tmp_path / "a.txt")
    full = Path("/dev/full").open("w")  # noqa: SIM115
    with pytest.raises(InputError, match="No space left"), result, full:
        full.write("x" * 100_000)
    assert not list(tmp_path.iterdir())


def test_folder_claims_before_work_starts(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.claim("timeline.json", "timeline.csv")
    assert list(folder.path.iterdir()) == []
    (folder / "timeline.csv").write_text("kept")
    with pytest.raises(InputError, match=r"timeline\.csv exists already"):
        folder.claim("timeline.json", "timeline.csv")
    OutputFolder(folder.path, overwrite=True).claim("timeline.csv")
    assert (folder / "timeline.csv").read_text() == "kept"


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot write"):
        OutputFolder(tmp_path / "out").claim("timeline.json")
