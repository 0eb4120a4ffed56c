import hashlib
import io
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from emofuse.errors import InputError, ModelError
from emofuse.io.download import mirrored
from emofuse.models.archive import unpack
from emofuse.models.store import Licences, ModelLocation, Store, megabytes

CardMaker = Callable[..., Path]


class CountingMeter:
    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.updates = 0
        self.closed = False

    def update(self, n: int) -> None:
        self.done += n
        self.updates += 1

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.closed = True


BLOCK = 1 << 14  # bytes lost at most when a connection breaks


def _first(asked: str) -> int:
    """The first byte of a header ``Range``."""
    return int(asked.removeprefix("bytes=").rstrip("-") or 0)


def everything_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def remote(content: bytes, server: Any, make_card: CardMaker) -> Store:
    """A store that knows one card, whose weights the server has."""
    server.content["/a/tiny.bin"] = content
    return Store(folders=[make_card(url=f"{server.url}/a/tiny.bin")])


# Downloads


def test_a_download_arrives_once_and_shows_its_progress(
    content: bytes, server: Any, remote: Store
) -> None:
    meters: list[CountingMeter] = []

    def meter(text: str) -> CountingMeter:
        assert "tiny.bin" in text
        meters.append(CountingMeter())
        return meters[-1]

    remote._meter = meter
    card = remote.card("tiny")
    assert remote.location(card) is ModelLocation.REMOTE
    path = remote.files(card)["weights"]
    assert path.read_bytes() == content
    assert path.is_relative_to(remote.cache_dir)
    assert remote.location(card) is ModelLocation.DOWNLOADED
    assert remote.files(card)["weights"] == path
    assert server.requests == ["/a/tiny.bin"], "the second call must use the cache"
    (shown,) = meters
    assert shown.total == shown.done == len(content)
    assert shown.updates > 2
    assert shown.closed


@pytest.mark.parametrize(
    "fault", ["corrupt", "break", "stall", "no length", "long", "500", "redirect"]
)
def test_a_passing_fault_is_survived(
    content: bytes, server: Any, remote: Store, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOFUSE_TIMEOUT", "0.3")
    server.faults = [fault]
    path = remote.files(remote.card("tiny"))["weights"]
    assert path.read_bytes() == content
    assert len(server.requests) == 2
    assert everything_in(remote.cache_dir / "models") == ["tiny.bin"]
    if fault in ("break", "stall"):
        assert len(content) // 2 - BLOCK < _first(server.ranges[1]) <= len(content) // 2
    else:
        assert server.ranges[1] == ""


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("corrupt", "its sha256 is another"),
        ("no length", "its size .* is another"),
        ("long", "its size .* is another"),
        ("500", "answered 500"),
    ],
)
def test_a_lasting_fault_is_explained_and_leaves_nothing_behind(
    server: Any, remote: Store, fault: str, says: str
) -> None:
    server.faults = [fault] * 5
    card = remote.card("tiny")
    with pytest.raises(ModelError, match=says) as caught:
        remote.files(card)
    assert str(remote.cache_dir) in str(caught.value), "says where to put it by hand"
    assert len(server.requests) == 3
    assert everything_in(remote.cache_dir) == []
    assert remote.location(card) is ModelLocation.REMOTE


def test_redirects_in_a_circle_are_given_up(server: Any, remote: Store) -> None:
    server.faults = ["redirect"] * 100
    with pytest.raises(ModelError, match="30 redirects"):
        remote.files(remote.card("tiny"))


def test_what_broke_off_is_gone_on_with_by_the_next_command(
    content: bytes, server: Any, remote: Store
) -> None:
    """Each connection breaks in the middle of what is left; a block is lost each time."""
    server.faults = ["break"] * 3
    card = remote.card("tiny")
    with pytest.raises(ModelError, match=r"broke off; the same command resumes it"):
        remote.files(card)
    assert remote.location(card) is ModelLocation.REMOTE, "half a file is no model"
    assert remote.files(card)["weights"].read_bytes() == content
    firsts = [_first(asked) for asked in server.ranges]
    for before, now in pairwise(firsts):
        assert 0 <= (before + len(content)) // 2 - now < BLOCK


def test_two_processes_fetch_a_file_once(content: bytes, server: Any, make_card: CardMaker) -> None:
    server.content["/tiny.bin"] = content
    folder = make_card(url=f"{server.url}/tiny.bin")
    script = (
        "import sys; from pathlib import Path; from emofuse.models.store import Store; "
        "s = Store(folders=[Path(sys.argv[1])]); s.files(s.card('tiny'))"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, str(folder)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(server.requests) == 1
    assert "tiny.bin" in everything_in(Store(folders=[folder]).cache_dir / "models")


# Files of which no digest is published


@pytest.fixture
def unpinned(content: bytes, server: Any, make_card: CardMaker) -> Store:
    server.content["/tiny.bin"] = content
    return Store(folders=[make_card(url=f"{server.url}/tiny.bin", digest=False)])


def test_the_first_download_is_trusted_and_says_so(
    content: bytes, server: Any, unpinned: Store
) -> None:
    card = unpinned.card("tiny")
    digest = hashlib.sha256(content).hexdigest()
    with pytest.warns(RuntimeWarning, match=f"no digest of it is published; sha256 {digest}"):
        path = unpinned.files(card)["weights"]
    unpinned.verify(card)
    assert unpinned.files(card)["weights"] == path, "and is not told again"
    path.unlink()
    server.content["/tiny.bin"] = content[::-1]
    with pytest.raises(ModelError, match="its sha256 is another"):
        unpinned.files(card)
    path.write_bytes(content[::-1])
    with pytest.raises(ModelError, match="damaged"):
        unpinned.verify(card)


def test_an_unpinned_download_never_goes_on_where_it_broke(
    content: bytes, server: Any, unpinned: Store
) -> None:
    """Its second half could be that of another file, and nobody would know."""
    server.faults = ["break"]
    with pytest.warns(RuntimeWarning, match="trusted"):
        assert unpinned.files(unpinned.card("tiny"))["weights"].read_bytes() == content
    assert server.ranges == ["", ""]


def test_removing_a_model_forgets_what_was_trusted(
    content: bytes, server: Any, unpinned: Store
) -> None:
    card = unpinned.card("tiny")
    with pytest.warns(RuntimeWarning, match="trusted"):
        unpinned.files(card)
    assert unpinned.remove(card) >= len(content)
    assert unpinned.location(unpinned.card("tiny")) is ModelLocation.REMOTE


def test_a_damaged_ledger_is_named(unpinned: Store) -> None:
    unpinned.cache_dir.mkdir()
    (unpinned.cache_dir / "ledger.json").write_text("[1")
    with pytest.raises(ModelError, match=r"ledger.json.* is damaged.*delete it"):
        unpinned.files(unpinned.card("tiny"))


# Terms, archives, conversions


def test_terms_have_to_be_accepted_first(
    content: bytes, server: Any, make_card: CardMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content["/tiny.bin"] = content
    folder = make_card(url=f"{server.url}/tiny.bin", more='terms = "for research only"')
    store = Store(folders=[folder])
    card = store.card("tiny")
    with pytest.raises(ModelError, match=r"for research only .*--accept-licence"):
        store.files(card)
    assert server.requests == []
    monkeypatch.setenv("EMOFUSE_ACCEPT", "other tiny")
    assert store.files(card)
    monkeypatch.delenv("EMOFUSE_ACCEPT")
    store.accept(card)
    assert Store(folders=[folder]).files(card), "it is remembered"
    with pytest.raises(ModelError, match="for research only"):
        store.files(replace(card, licence="another one"))


def _zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(name, content)
    return out.getvalue()


def test_a_file_out_of_an_archive(content: bytes, server: Any, make_card: CardMaker) -> None:
    archive = _zipped("model/tiny.onnx", content)
    server.content["/a.zip"] = archive
    folder = make_card(url=f"{server.url}/a.zip", content=archive)
    path = folder / "tiny.toml"
    path.write_text(path.read_text() + '\nmember = "model/tiny.onnx"\n')
    store = Store(folders=[folder])
    card = store.card("tiny")
    got = store.files(card)["weights"]
    assert got.read_bytes() == content
    assert everything_in(store.cache_dir / "models") == ["tiny.bin"], "the zip is not kept"
    store.verify(card)
    got.write_bytes(content[::-1])
    with pytest.raises(ModelError, match="damaged"):
        store.verify(card)


@pytest.mark.parametrize(
    ("archive", "says"),
    [(b"no zip", "no zip that can be read"), (_zipped("other", b"x"), "holds no model/tiny.onnx")],
)
def test_a_bad_archive_is_named(
    server: Any, make_card: CardMaker, archive: bytes, says: str
) -> None:
    server.content["/a.zip"] = archive
    folder = make_card(url=f"{server.url}/a.zip", content=archive)
    path = folder / "tiny.toml"
    path.write_text(path.read_text() + '\nmember = "model/tiny.onnx"\n')
    store = Store(folders=[folder])
    with pytest.raises(ModelError, match=says):
        store.files(store.card("tiny"))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    archive.write_bytes(_zipped("big", b"x"))
    raw = bytearray(archive.read_bytes())
    at = raw.index(b"PK\x01\x02") + 24  # the size that the directory declares
    raw[at : at + 4] = (4_100_000_000).to_bytes(4, "little")
    archive.write_bytes(raw)
    with pytest.raises(ModelError, match="would unpack to 4100000000 bytes"):
        unpack(archive, "big", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_does_not_exist_is_asked_for_once(content: bytes, server: Any, remote: Store) -> None:
    server.content.clear()
    with pytest.raises(ModelError, match=r"answered 404.*EMOFUSE_MIRROR"):
        remote.files(remote.card("tiny"))
    assert len(server.requests) == 1


def test_a_host_that_is_not_there(make_card: CardMaker) -> None:
    store = Store(folders=[make_card(url="http://127.0.0.1:9/tiny.bin")])
    with pytest.raises(ModelError, match="refuses the connection"):
        store.files(store.card("tiny"))


def test_a_killed_download_leaves_nothing_taken_for_a_model(
    content: bytes, server: Any, make_card: CardMaker, tmp_path: Path
) -> None:
    """The process dies in the middle of the file, as with a power cut; the next start is fine."""
    server.content["/tiny.bin"] = content
    folder = make_card(url=f"{server.url}/tiny.bin")
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from emofuse.models.store import Store

        class Deadly:
            total = 0
            def update(self, n): os.kill(os.getpid(), signal.SIGKILL)
            def reset(self): pass
            def close(self): pass

        store = Store(folders=[Path(sys.argv[1])], meter=lambda text: Deadly())
        store.files(store.card("tiny"))
        """
    )
    died = subprocess.run([sys.executable, "-c", script, str(folder)], timeout=60)
    assert died.returncode < 0
    store = Store(folders=[folder])
    assert everything_in(store.cache_dir) != [], "it was interrupted in the middle, not before"
    assert store.location(store.card("tiny")) is ModelLocation.REMOTE
    assert store.files(store.card("tiny"))["weights"].read_bytes() == content
    assert everything_in(store.cache_dir / "models") == ["tiny.bin"], "and nothing stays behind"


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_is_named(content: bytes, server: Any, make_card: CardMaker) -> None:
    server.content["/tiny.bin"] = content
    folder = make_card(url=f"{server.url}/tiny.bin")
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from emofuse.errors import ModelError
        from emofuse.models.store import Store

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store(folders=[Path(sys.argv[1])])
        import requests  # its byte code may still be written to disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.files(store.card("tiny"))
        except ModelError as e:
            sys.exit(0 if "no room for tiny.bin" in str(e) else str(e))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert everything_in(Store(folders=[]).cache_dir) == []


def test_a_cache_that_cannot_be_written_is_named(
    content: bytes, server: Any, make_card: CardMaker, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    server.content["/tiny.bin"] = content
    store = Store(tmp_path / "file" / "x", folders=[make_card(url=f"{server.url}/tiny.bin")])
    with pytest.raises(ModelError, match=r"cannot write .*EMOFUSE_CACHE"):
        store.files(store.card("tiny"))


# Offline, mirror, real weights


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_asks_nobody_and_says_what_to_do(
    server: Any, remote: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "environment":
        monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    store = Store(folders=remote.folders, offline=True if how == "argument" else None)
    with pytest.raises(ModelError, match=r"switched off; run `emofuse models pull tiny`"):
        store.files(store.card("tiny"))
    assert server.requests == []
    remote.offline = False
    remote.files(remote.card("tiny"))
    assert store.files(store.card("tiny")), "what was downloaded before is used offline"


def test_offline_zero_means_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFUSE_OFFLINE", "0")
    assert not Store().offline


def test_a_mirror_replaces_scheme_and_host(
    content: bytes, server: Any, make_card: CardMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOFUSE_MIRROR", f"{server.url}/mirror/")
    server.content["/mirror/owner/file.bin?raw=1"] = content
    store = Store(folders=[make_card(url="https://models.invalid/owner/file.bin?raw=1")])
    assert store.files(store.card("tiny"))["weights"].read_bytes() == content


def test_a_mirror_must_be_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrored("https://a.org/b") == "https://a.org/b"
    monkeypatch.setenv("EMOFUSE_MIRROR", "mirror.example.org")
    with pytest.raises(InputError, match=r"EMOFUSE_MIRROR is 'mirror.example.org'"):
        mirrored("https://a.org/b")


def test_real_weights_come_through_a_mirror(
    content: bytes, server: Any, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pinned sizes and sha256 of downloadable cards are those of the published files."""
    store, data = Store(), shared / "models"
    pairs = [
        (card, file, data / file.name)
        for card in store.cards()
        for file in card.files.values()
        if file.url and (data / file.name).is_file()
    ]
    if not pairs:
        pytest.skip(f"no published weights of a downloadable card in {data}")
    monkeypatch.setenv("EMOFUSE_MIRROR", server.url)
    for card, file, real in pairs:
        server.content["/" + file.url.split("/", 3)[3]] = real.read_bytes()
        assert real.read_bytes() in [p.read_bytes() for p in store.files(card).values()]


# Files on the spot


def test_a_folder_of_the_users_needs_no_download(content: bytes, make_card: CardMaker) -> None:
    folder = make_card()
    (folder / "tiny.bin").write_bytes(content)
    store = Store(folders=[folder])
    card = store.card("tiny")
    assert store.location(card) is ModelLocation.LOCAL
    assert store.files(card) == {"weights": folder / "tiny.bin"}
    assert card in store.cards()
    store.verify(card)


def test_further_folders_come_from_the_environment(
    make_card: CardMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [make_card("one", folder="a"), make_card("two", folder="b")]
    monkeypatch.setenv("EMOFUSE_MODELS", os.pathsep.join(map(str, folders)))
    assert {"one", "two"} <= {card.id for card in Store().cards()}


def test_wrong_content_is_found_although_the_size_fits(
    content: bytes, make_card: CardMaker
) -> None:
    folder = make_card()
    path = folder / "tiny.bin"
    path.write_bytes(content)
    store = Store(folders=[folder])
    store.files(store.card("tiny"))
    path.write_bytes(bytes(len(content)))  # after it was once found right
    os.utime(path, (1, 1))
    for check in (store.files, store.verify):
        with pytest.raises(ModelError, match=r"damaged.*expected"):
            check(store.card("tiny"))


def test_wrong_size_and_missing_file_are_told_apart(content: bytes, make_card: CardMaker) -> None:
    folder = make_card()
    store = Store(folders=[folder])
    with pytest.raises(ModelError, match=r"tiny\.bin is missing"):
        store.files(store.card("tiny"))
    (folder / "tiny.bin").write_bytes(content[:-1])
    with pytest.raises(ModelError, match="has 204799 bytes, its card says 204800"):
        store.files(store.card("tiny"))


def test_a_damaged_download_is_fetched_again(content: bytes, server: Any, remote: Store) -> None:
    card = remote.card("tiny")
    path = remote.files(card)["weights"]
    path.write_bytes(content[:100])
    assert remote.files(card)["weights"].read_bytes() == content
    assert len(server.requests) == 2


def test_a_read_only_cache_does_not_stop_local_models(
    content: bytes, make_card: CardMaker, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    folder = make_card()
    (folder / "tiny.bin").write_bytes(content)
    store = Store(tmp_path / "file", folders=[folder])
    assert store.files(store.card("tiny"))


# Cards


def test_unknown_models_and_clashing_ids(make_card: CardMaker) -> None:
    folders = [make_card(folder="a"), make_card(folder="b")]
    with pytest.raises(ModelError, match=r"no model 'nope'; known models: .*tiny"):
        Store(folders=folders[:1]).card("nope")
    with pytest.warns(RuntimeWarning, match=r"two model cards have the id 'tiny'"):
        assert "tiny" in {card.id for card in Store(folders=folders).cards()}


def test_a_model_in_a_folder_takes_the_place_of_the_embedded_one(
    make_card: CardMaker, content: bytes
) -> None:
    embedded = Store(folders=[]).card("face-v4")
    folder = make_card("face-v4")
    (folder / "face-v4.bin").write_bytes(content)
    store = Store(folders=[folder])
    mine = store.card("face-v4")
    assert mine.summary == "made by a test" != embedded.summary
    assert store.location(mine) is ModelLocation.LOCAL
    assert store.home(mine) == folder
    assert store.files(mine)["weights"].read_bytes() == content


def test_bad_cards_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder of model cards"):
        Store(folders=[tmp_path / "absent"]).cards()
    (tmp_path / "bad.toml").write_text("id = [")
    store = Store(folders=[tmp_path])
    with pytest.warns(RuntimeWarning, match=r"bad\.toml is not a model card"):
        assert store.cards()  # the others still work
    with pytest.raises(ModelError, match=r"bad\.toml is not a model card"):
        store.card("bad")


@pytest.mark.parametrize(
    ("licence", "commercial"),
    [
        ("Apache-2.0", True),
        ("MIT", True),
        ("CC-BY-4.0", True),
        ("CC-BY-SA-4.0", True),
        ("CC-BY-NC-SA-4.0", False),
        ("CC BY-NC 4.0", False),
        ("Non-commercial research only", False),
        ("noncommercial", False),
        ("research use", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_the_licence_filter(
    content: bytes, make_card: CardMaker, licence: str, commercial: bool
) -> None:
    folder = make_card(licence=licence)
    (folder / "tiny.bin").write_bytes(content)
    strict = Store(folders=[folder], allow=Licences.COMMERCIAL)
    assert Licences.COMMERCIAL(strict.card("tiny")) is commercial
    assert Licences.ANY(strict.card("tiny"))
    if commercial:
        assert strict.files(strict.card("tiny"))
    else:
        with pytest.raises(ModelError, match=r"licence filter .* refuses"):
            strict.files(strict.card("tiny"))


def test_any_callable_is_a_licence_filter(content: bytes, make_card: CardMaker) -> None:
    folder = make_card()
    (folder / "tiny.bin").write_bytes(content)
    store = Store(folders=[folder], allow=lambda card: card.licence == "MIT")
    card = store.card("tiny")
    with pytest.raises(ModelError, match="refuses"):
        store.files(card)
    assert store.files(replace(card, licence="MIT"))


def test_the_licence_filter_comes_from_the_environment(
    content: bytes, make_card: CardMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_card(licence="CC-BY-NC-4.0")
    (folder / "tiny.bin").write_bytes(content)
    monkeypatch.setenv("EMOFUSE_LICENCES", "commercial")
    store = Store(folders=[folder])
    with pytest.raises(ModelError, match="EMOFUSE_LICENCES"):
        store.files(store.card("tiny"))
    monkeypatch.setenv("EMOFUSE_LICENCES", "free")
    with pytest.raises(ModelError, match="'free', expected any or commercial"):
        Store()


def test_sizes_for_people() -> None:
    assert [megabytes(n) for n in (950, 232_589, 4_000_000)] == ["0.9 kB", "0.2 MB", "4.0 MB"]


def test_onnx_runtime_reports_nothing(tmp_path: Path) -> None:
    """Its wheels for Linux come with telemetry, which leaves a file of its session."""
    script = (
        "import emofuse, sys; from emofuse.models.runtime import open_graph; "
        "from emofuse.models.store import WEIGHTS; open_graph(WEIGHTS / 'face-v4.onnx')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment["TMPDIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
