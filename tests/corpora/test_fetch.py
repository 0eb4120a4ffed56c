"""Downloads, against a real server on 127.0.0.1 that can misbehave."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.corpora import made

from emofuse.corpora import recipes
from emofuse.corpora.fetch import fetch, unpack
from emofuse.corpora.recipe import Download, Recipe
from emofuse.errors import InputError


@dataclass
class Served:
    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    knows_ranges: bool = True


@pytest.fixture
def server() -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.ranges.append(asked)
            fault = served.faults.pop(0) if served.faults else ""
            body = served.content.get(self.path)
            if body is None or fault == "500":
                self.send_error(404 if body is None else 500)
                return
            first = int(asked[6:-1]) if asked and served.knows_ranges else 0
            if first >= len(body):
                self.send_error(416)
                return
            body = body[first:]
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault == "corrupt":
                body = b"<html>please log in</html>".ljust(len(body))
            self.wfile.write(body[: len(body) // 2] if fault == "break" else body)

        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield served
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EMOFUSE_OFFLINE", "EMOFUSE_MIRROR", "EMOFUSE_LICENCES"):
        monkeypatch.delenv(name, raising=False)


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def corpus(server: Served, tmp_path: Path) -> Recipe:
    """RAVDESS, as far as its archive with two clips is at the server."""
    names = ("03-01-05-01-01-01-01", "03-01-02-01-02-01-08")
    clips = [made.sound(tmp_path / f"{name}.wav").read_bytes() for name in names]
    paths = [f"Actor_{name[-2:]}/{name}.wav" for name in names]
    content = zipped(**dict(zip(paths, clips, strict=True)))
    server.content["/a.zip"] = content
    digest = hashlib.md5(content).hexdigest()
    download = Download(f"{server.url}/a.zip", f"md5:{digest}", "a.zip", unpack=True)
    return replace(recipes.recipe("ravdess"), downloads=(download,))


class Meter:
    def __init__(self) -> None:
        self.total = self.done = 0
        self.closed = False

    def update(self, n: int) -> None:
        self.done += n

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.closed = True


def names_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_corpus_arrives_and_can_be_read(corpus: Recipe, server: Served, tmp_path: Path) -> None:
    root, meters = tmp_path / "new" / "ravdess", []

    def meter(text: str) -> Meter:
        assert text == "Downloading a.zip"
        meters.append(Meter())
        return meters[-1]

    assert fetch(corpus, root, meter) == [root / "a.zip"]
    assert meters[0].done == meters[0].total == len(server.content["/a.zip"])
    assert meters[0].closed
    assert names_in(root) == [
        "Actor_01/03-01-05-01-01-01-01.wav",
        "Actor_08/03-01-02-01-02-01-08.wav",
        "a.zip",
    ]
    assert len(corpus.load(root)) == 2


def test_what_is_there_is_not_fetched_again(corpus: Recipe, server: Served, tmp_path: Path) -> None:
    fetch(corpus, tmp_path / "r")
    clip = tmp_path / "r" / "Actor_01" / "03-01-05-01-01-01-01.wav"
    before = clip.stat().st_mtime_ns
    fetch(corpus, tmp_path / "r")
    assert len(server.ranges) == 1
    assert clip.stat().st_mtime_ns == before


def test_a_broken_download_goes_on_where_it_stopped(
    corpus: Recipe, server: Served, tmp_path: Path
) -> None:
    server.faults = ["break"]
    with pytest.raises(InputError, match=r"broke off; the same command resumes it"):
        fetch(corpus, tmp_path / "r")
    assert names_in(tmp_path / "r") == [".a.zip.part"]
    half = (tmp_path / "r" / ".a.zip.part").stat().st_size
    assert 0 < half < len(server.content["/a.zip"])
    fetch(corpus, tmp_path / "r")
    assert server.ranges == ["", f"bytes={half}-"]
    assert len(corpus.load(tmp_path / "r")) == 2
    assert ".a.zip.part" not in names_in(tmp_path / "r")


def test_a_server_without_ranges_starts_again(
    corpus: Recipe, server: Served, tmp_path: Path
) -> None:
    server.faults, server.knows_ranges = ["break"], False
    with pytest.raises(InputError):
        fetch(corpus, tmp_path / "r")
    fetch(corpus, tmp_path / "r")
    assert len(corpus.load(tmp_path / "r")) == 2


def test_a_part_that_is_too_long_is_thrown_away(
    corpus: Recipe, server: Served, tmp_path: Path
) -> None:
    made.text(tmp_path / "r" / ".a.zip.part", "x" * (len(server.content["/a.zip"]) + 1))
    fetch(corpus, tmp_path / "r")
    assert len(corpus.load(tmp_path / "r")) == 2


def test_what_is_not_what_was_published_is_not_kept(
    corpus: Recipe, server: Served, tmp_path: Path
) -> None:
    server.faults = ["corrupt"]
    with pytest.raises(InputError, match=r"its md5 is another.*nothing was kept.*by other means"):
        fetch(corpus, tmp_path / "r")
    assert names_in(tmp_path / "r") == []


@pytest.mark.parametrize(("path", "status"), [("/a.zip", "500"), ("/gone.zip", "404")])
def test_an_answer_that_is_an_error(
    corpus: Recipe, server: Served, tmp_path: Path, path: str, status: str
) -> None:
    server.faults = ["500"] if status == "500" else []
    download = replace(corpus.downloads[0], url=server.url + path)
    with pytest.raises(InputError, match=f"answered {status}"):
        fetch(replace(corpus, downloads=(download,)), tmp_path / "r")


def test_no_server(corpus: Recipe, tmp_path: Path) -> None:
    download = replace(corpus.downloads[0], url="http://127.0.0.1:9/a.zip")
    with pytest.raises(InputError, match="the host refuses the connection"):
        fetch(replace(corpus, downloads=(download,)), tmp_path / "r")


def test_mirrors_and_being_offline_count(
    corpus: Recipe, server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = replace(corpus.downloads[0], url="https://corpora.invalid/a.zip")
    elsewhere = replace(corpus, downloads=(download,))
    monkeypatch.setenv("EMOFUSE_MIRROR", server.url)
    fetch(elsewhere, tmp_path / "r")
    assert server.ranges == [""]
    monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    with pytest.raises(InputError, match="EMOFUSE_OFFLINE is set"):
        fetch(elsewhere, tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("affectnet", r"its makers give it out themselves \(research only.*--data.: http"),
        ("crema-d", r"open to all, but no published checksum.*--data.: git clone https://github"),
        ("csv", "it is your own"),
    ],
)
def test_a_corpus_that_is_not_downloaded_says_why_and_where_it_is(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fetch(recipes.recipe(name), tmp_path)
    assert not list(tmp_path.iterdir())


def test_tess_is_read_as_its_archive_holds_it(server: Served, tmp_path: Path) -> None:
    """The real recipe, with the checksum of a small archive laid out as the real one."""
    clip = made.sound(tmp_path / "clip.wav").read_bytes()
    folder = "TESS_Toronto_emotional_speech_set"
    content = zipped(
        **{
            f"{folder}/{path}.wav": clip
            for path in ("OAF_angry/OAF_back_angry", "YAF_sad/YAF_bar_sad")
        }
    )
    recipe = recipes.recipe("tess")
    [download] = recipe.downloads
    server.content["/tess.zip"] = content
    digest = hashlib.md5(content).hexdigest()
    here = replace(download, url=f"{server.url}/tess.zip", checksum=f"md5:{digest}")
    fetch(replace(recipe, downloads=(here,)), tmp_path / "tess")
    assert {entry.speaker for entry in recipe.load(tmp_path / "tess")} == {"OAF", "YAF"}


def test_a_folder_that_cannot_be_made(corpus: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        fetch(corpus, tmp_path / "file" / "r")


def test_the_published_files_of_goemotions_pass_their_checksums(
    server: Served, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real recipe with its real checksums, from a mirror of the real files."""
    recipe = recipes.recipe("goemotions")
    for download in recipe.downloads:
        content = (shared / "goemotions" / "original" / download.path).read_bytes()
        server.content[urlsplit(download.url).path] = content
    monkeypatch.setenv("EMOFUSE_MIRROR", server.url)
    paths = fetch(recipe, tmp_path / "go")
    assert [path.name for path in paths] == ["train.tsv", "dev.tsv", "test.tsv"]
    assert names_in(tmp_path / "go") == sorted(path.name for path in paths)


# Archives


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_tar_is_unpacked_too(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", (tarfile.TarInfo("x/a.txt"), b"hello"))
    assert unpack(path, tmp_path / "out") == 1
    assert (tmp_path / "out" / "x" / "a.txt").read_bytes() == b"hello"
    assert unpack(path, tmp_path / "out") == 0


def test_what_was_unpacked_in_part_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(**{"a.txt": b"hello", "b.txt": b"world"}))
    made.text(tmp_path / "out" / "a.txt", "hel")
    assert unpack(path, tmp_path / "out") == 2
    assert names_in(tmp_path / "out") == ["a.txt", "b.txt"]
    assert (tmp_path / "out" / "a.txt").read_text() == "hello"


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "x/../../evil.txt", "..\\evil.txt"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(**{name: b"x"}))
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="leads out of its folder"):
        unpack(path, tmp_path / "out")
    assert names_in(tmp_path) == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(InputError, match="no plain file"):
        unpack(tarred(tmp_path / "a.tar.gz", (link, b"")), tmp_path / "out")
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="holds a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = made.text(tmp_path / "a.zip", "please log in")
    with pytest.raises(InputError, match="cannot unpack"):
        unpack(path, tmp_path / "out")
