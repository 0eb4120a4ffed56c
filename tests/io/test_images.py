import doctest
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emofuse.errors import InputError
from emofuse.io import images
from emofuse.io.images import TooManyPixels, image_size, read_image


def test_the_example_holds() -> None:
    assert doctest.testmod(images).failed == 0


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_bytes_and_files_are_the_same(media: Path) -> None:
    path = media / "portrait.jpg"
    of_file, of_bytes = read_image(path, max_side=100), read_image(path.read_bytes(), max_side=100)
    np.testing.assert_array_equal(of_file.pixels, of_bytes.pixels)
    assert (of_file.width, of_file.height, of_file.format) == (200, 200, "jpeg")
    assert image_size(path) == (200, 200)


def test_the_size_is_that_of_the_upright_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (60, 40)), "JPEG", exif=exif)
    assert image_size(data) == (40, 60)
    assert read_image(data).pixels.shape == (60, 40, 3)


def test_limits_hold_before_anything_is_decoded(media: Path, tmp_path: Path) -> None:
    data = encoded(Image.new("L", (100, 50)))
    with pytest.raises(TooManyPixels, match=r"100 × 50, more than 0\.004 million"):
        read_image(data, max_pixels=4000)
    with pytest.raises(TooManyPixels):
        image_size(data, max_pixels=4000)
    path = tmp_path / "bomb.png"
    path.write_bytes(data[:16] + (50_000).to_bytes(4, "big") * 2 + data[24:])
    with pytest.raises(InputError, match=r"bomb\.png"):
        read_image(path)


def test_other_formats_are_refused_where_one_is_named() -> None:
    data = encoded(Image.new("L", (10, 10)))
    assert read_image(data, formats=("PNG",)).format == "png"
    with pytest.raises(InputError, match="not an image that can be read"):
        read_image(data, formats=("JPEG",))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_of_many_pixels_are_refused_before_they_are_decoded() -> None:
    data = encoded(Image.new("1", (15_000, 8000)))
    with pytest.raises(TooManyPixels, match="15000 × 8000, more than 100 million"):
        read_image(data, max_side=100)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_jpeg_of_many_pixels_is_decoded_as_small_as_it_is_needed() -> None:
    data = encoded(Image.new("L", (11_000, 10_000), 200), "JPEG")
    image = read_image(data, max_side=1280)
    assert (image.width, image.height, image.pixels.shape[:2]) == (11_000, 10_000, (1164, 1280))
    assert int(image.pixels.mean()) == 200


@pytest.mark.parametrize("orientation", range(1, 9))
def test_scaling_down_first_changes_nothing(media: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(media / "portrait.jpg") as portrait:
        data = encoded(portrait.resize((160, 200)), "PNG", exif=exif)
    whole, small = read_image(data).pixels, read_image(data, max_side=100).pixels
    assert small.shape == (whole.shape[0] // 2, whole.shape[1] // 2, 3)
    expected = np.asarray(
        Image.fromarray(whole).resize(small.shape[1::-1], Image.Resampling.BICUBIC)
    )
    assert np.abs(small.astype(int) - expected).mean() < 1


def test_libtiff_writes_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded(Image.effect_noise((64, 64), 50), "TIFF", compression="tiff_lzw"))
    data[100:400] = bytes(300)
    with pytest.raises(InputError, match="cannot read the image"):
        read_image(bytes(data))
    assert capfd.readouterr() == ("", "")


def test_floats_that_are_no_numbers_are_black(recwarn: pytest.WarningsRecorder) -> None:
    values = np.full((4, 4), 0.5, np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    pixels = read_image(encoded(Image.fromarray(values), "TIFF")).pixels
    assert pixels[0, :2].tolist() == [[0, 0, 0]] * 2
    assert not recwarn.list
