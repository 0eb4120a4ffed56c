"""Still pictures: formats, EXIF orientation, odd modes, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.sources.derive import MEDIA, truncate
from tests.sources.source_laws import check_laws, of, read

from emofuse.core.media import Frame, MediaKind, Track, Utterance
from emofuse.core.time import Span
from emofuse.errors import InputError
from emofuse.sources.file import open_source
from emofuse.sources.images import ImageSource

PORTRAIT = MEDIA / "portrait.jpg"


def sky() -> Image.Image:
    """60 × 40: bright on top, red on the left."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:10] = 220
    image[:, :15, 0] = 220
    return Image.fromarray(image)


def is_sky(image: np.ndarray) -> bool:
    """Whether a picture is `sky`, upright."""
    height, width = image.shape[:2]
    top, left = image[: height // 5], image[height // 2 :, : width // 6, 0]
    return bool(
        top.mean() > 180 and left.mean() > 150 and image[height // 2 :, width // 2 :].mean() < 60
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    sky().save(path)
    source = open_source(path, fps=4)
    packets = read(source)
    check_laws(packets, source.info)
    (frame,) = of(packets, Frame)
    assert frame.at == Span.of_seconds(0, 0.25)
    assert frame.image.shape == (40, 60, 3)
    assert is_sky(frame.image)
    assert source.info.kind is MediaKind.IMAGE
    assert (source.info.video.width, source.info.video.height) == (60, 40)
    assert source.info.tracks == {Track.VIDEO}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    """However the camera was held, the picture comes out upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = sky()
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "held.jpg", exif=exif, quality=95)
    source = ImageSource(tmp_path / "held.jpg")
    (frame,) = of(read(source), Frame)
    assert frame.image.shape == (40, 60, 3)
    assert is_sky(frame.image)
    assert (source.info.video.width, source.info.video.height) == (60, 40)


def test_large_pictures_are_scaled_down() -> None:
    (frame,) = of(read(ImageSource(PORTRAIT, max_side=80)), Frame)
    assert frame.image.shape == (80, 80, 3)
    assert ImageSource(PORTRAIT, max_side=80).info.video.width == 200


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_modes(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(sky().convert("L")).astype(np.uint16) * 257)
    else:
        picture = sky().convert(mode if mode != "LA" else "LA")
    path = tmp_path / ("picture.tiff" if mode == "CMYK" else "picture.png")
    picture.save(path)
    (frame,) = of(read(ImageSource(path)), Frame)
    assert frame.image[:8].mean() > 180
    assert frame.image[20:, 30:].mean() < 60


def test_caption() -> None:
    words = [Utterance("what a day", Span.of_seconds(0, 1))]
    source = open_source(PORTRAIT, utterances=words, transcript="caption.txt")
    packets = read(source)
    check_laws(packets, source.info)
    assert of(packets, Utterance) == words
    assert source.info.text == "caption.txt"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_damaged_pictures(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole.{suffix}"
    with Image.open(PORTRAIT) as picture:
        picture.save(whole)
    with pytest.raises(InputError, match="image"):
        open_source(truncate(whole, tmp_path / f"cut.{suffix}", 0.6))
    with pytest.raises(InputError, match="image"):
        open_source(truncate(whole, tmp_path / f"stub.{suffix}", 0.002))


def test_what_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(InputError, match="not an image"):
        open_source(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        open_source(tmp_path / "b.png")
    with pytest.raises(InputError, match="No such file"):
        open_source(tmp_path / "c.png")


def test_a_picture_with_another_name(tmp_path: Path) -> None:
    """Contents count, not names."""
    path = tmp_path / "picture.dat"
    path.write_bytes(PORTRAIT.read_bytes())
    frames = of(read(open_source(path)), Frame)
    assert len(frames) == 1
    assert frames[0].image.shape == (200, 200, 3)
