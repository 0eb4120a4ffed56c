"""Media that are not what they seem; each is made here."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from emofuse.core.media import AudioChunk, Diagnostic, Frame, MediaKind
from emofuse.errors import InputError
from emofuse.io.images import read_image
from emofuse.sources.file import open_source

RATE = 16_000


def write_sound(path: Path, samples: np.ndarray) -> Path:
    """Write float samples, shape (n, channels), as they are."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_f32le", rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1), np.float32), "flt", layout
        )
        frame.rate, frame.pts = RATE, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def hear(path: Path) -> tuple[np.ndarray, list[str]]:
    source = open_source(path)
    items = list(source.packets())
    source.close()
    sound = np.concatenate([item.samples for item in items if isinstance(item, AudioChunk)])
    return sound, [item.code for item in items if isinstance(item, Diagnostic)]


@pytest.fixture
def tone() -> np.ndarray:
    return np.sin(np.arange(RATE) / 20).astype(np.float32)[:, None] * np.float32(0.5)


def test_channels_that_cancel_are_not_mixed(tmp_path: Path, tone: np.ndarray) -> None:
    sound, codes = hear(write_sound(tmp_path / "a.wav", np.hstack([tone, -tone])))
    assert codes == ["channels-cancel"]
    assert np.abs(sound - tone[:, 0]).max() < 1e-3
    both, codes = hear(write_sound(tmp_path / "b.wav", np.hstack([tone, tone])))
    assert codes == []
    assert np.abs(both).max() > 0.3


def test_a_moment_of_cancelling_costs_no_channel(tmp_path: Path, tone: np.ndarray) -> None:
    silent = np.zeros_like(tone)
    start = np.hstack([tone, -tone])
    later = np.hstack([silent, tone])
    sound, codes = hear(write_sound(tmp_path / "a.wav", np.vstack([start, later])))
    assert codes == ["channels-cancel"]
    assert np.abs(sound[-RATE // 2 :]).max() > 0.2


def test_a_stray_sample_is_no_other_scale(tmp_path: Path, tone: np.ndarray) -> None:
    stray = tone.copy()
    stray[500] = 5.0
    sound, codes = hear(write_sound(tmp_path / "a.wav", stray))
    assert codes == []
    assert np.abs(sound[1000:] - tone[1000:, 0]).max() < 1e-3


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_integers_in_a_file_of_floats_are_scaled(
    tmp_path: Path, tone: np.ndarray, bits: int
) -> None:
    loud = tone * np.float32(1.9)
    sound, codes = hear(write_sound(tmp_path / "a.wav", loud * np.float32(2 ** (bits - 1))))
    tone = loud
    assert codes == ["audio-scaled"]
    assert np.abs(sound - tone[:, 0]).max() < 1e-3


def test_samples_that_are_no_numbers_are_silenced(tmp_path: Path, tone: np.ndarray) -> None:
    broken = tone.copy()
    broken[100:200] = np.nan
    broken[300] = np.inf
    sound, codes = hear(write_sound(tmp_path / "a.wav", broken))
    assert codes == ["audio-not-finite"]
    assert np.isfinite(sound).all()
    assert not sound[100:200].any()


@pytest.mark.parametrize("name", ["a.jfif", "a.mp4", "a.dat", "picture"])
def test_an_image_is_told_by_its_content(media: Path, tmp_path: Path, name: str) -> None:
    path = Path(shutil.copy(media / "portrait.jpg", tmp_path / name))
    assert open_source(path).info.kind is MediaKind.IMAGE


def film(path: Path, frames: int) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(frames):
            image = np.full((48, 64, 3), 40 * n + 20, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        out.mux(stream.encode(None))
    return path


def test_a_film_of_one_frame_is_an_image(tmp_path: Path) -> None:
    source = open_source(film(tmp_path / "a.mp4", 1))
    assert source.info.kind is MediaKind.IMAGE
    assert sum(isinstance(item, Frame) for item in source.packets()) == 1
    source.close()


def test_a_moment_is_looked_at_closely(tmp_path: Path) -> None:
    source = open_source(film(tmp_path / "a.mp4", 5))
    assert source.info.kind is MediaKind.VIDEO
    assert sum(isinstance(item, Frame) for item in source.packets()) >= 4
    source.close()


@pytest.mark.parametrize(("white", "kind"), [(4095, np.uint16), (65535, np.uint16)])
def test_more_than_eight_bits_are_scaled_by_what_they_hold(white: int, kind: type) -> None:
    ramp = np.linspace(0, white, 256).astype(kind).reshape(16, 16)
    file = io.BytesIO()
    Image.fromarray(ramp).save(file, "PNG")
    image = read_image(file.getvalue())
    assert np.abs(image.pixels[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1
    assert [note.code for note in image.notes] == ["image-scaled"]


def test_floats_are_scaled() -> None:
    file = io.BytesIO()
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)).save(file, "TIFF")
    pixels = read_image(file.getvalue()).pixels
    assert np.abs(pixels[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1


def test_of_several_pages_the_first_is_read() -> None:
    file = io.BytesIO()
    pages = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    image = read_image(file.getvalue())
    assert image.pixels[0, 0].tolist() == [255, 0, 0]
    assert [note.code for note in image.notes] == ["first-page-only"]


def test_photos_of_phones_are_read_whole(media: Path, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    with Image.open(media / "portrait.jpg") as portrait:
        heif.from_pillow(portrait).save(tmp_path / "a.heic", quality=90)
        size = portrait.size
    source = open_source(tmp_path / "a.heic")
    assert source.info.kind is MediaKind.IMAGE
    assert (source.info.video.width, source.info.video.height) == size


def test_postscript_starts_no_other_program(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(InputError, match="not an image"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8"])
def test_playlists_read_no_other_file(media: Path, tmp_path: Path, name: str) -> None:
    other = tmp_path / "secret.ogg"
    shutil.copy(media / "speech.ogg", other)
    lists = {
        "a.mp4": f"ffconcat version 1.0\nfile '{other.name}'\n",
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{other}\n#EXT-X-ENDLIST\n",
    }
    path = tmp_path / name
    path.write_text(lists[name])
    with pytest.raises(InputError, match="cannot read"):
        open_source(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi"])
def test_a_still_in_any_container_is_an_image(tmp_path: Path, name: str) -> None:
    source = open_source(film(tmp_path / name, 1))
    assert source.info.kind is MediaKind.IMAGE
    assert sum(isinstance(item, Frame) for item in source.packets()) == 1
    source.close()


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be removed on Windows")
def test_a_file_that_is_removed_while_it_is_read(tmp_path: Path, tone: np.ndarray) -> None:
    path = write_sound(tmp_path / "a.wav", tone)
    source = open_source(path)
    packets = source.packets()
    first = next(packets)
    path.unlink()
    rest = list(packets)
    source.close()
    sound = [p for p in (first, *rest) if isinstance(p, AudioChunk)]
    assert sound[-1].end == RATE
