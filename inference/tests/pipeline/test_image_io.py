from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageCms

from inference.pipeline.errors import (
    ImageTooLargeError,
    PipelineError,
    UnreadableImageError,
    UnsupportedImageError,
)
from inference.pipeline.image_io import (
    ImageLimits,
    decode_image,
    encode_image,
    probe_image,
    thumbnail,
)

LIMITS = ImageLimits(pixels_max=40_000_000, side_max_px=12_000)
ORIENTATION = 0x0112


def saved(picture: PilImage.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def noise(width: int = 64, height: int = 48) -> PilImage.Image:
    levels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PilImage.fromarray(levels)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    """A small valid JPEG whose frame header claims another size."""
    data = saved(noise(16, 16), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize(
    ("kind", "name", "content_type"),
    [
        ("JPEG", "jpeg", "image/jpeg"),
        ("PNG", "png", "image/png"),
        ("WEBP", "webp", "image/webp"),
    ],
)
def test_probe_tells_what_the_header_says(kind, name, content_type):
    info = probe_image(saved(noise(), kind), limits=LIMITS)
    assert (info.format, info.width, info.height) == (name, 64, 48)
    assert info.content_type == content_type


@pytest.mark.parametrize("act", [probe_image, decode_image])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "unreadable_image"),
        (b"\0", "unsupported_image"),
        (b"This is not a picture, whatever its name says.\n" * 20, "unsupported_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_image"),
        (saved(noise(), "GIF"), "unsupported_image"),
        (saved(noise(), "TIFF"), "unsupported_image"),
        (saved(noise(), "BMP"), "unsupported_image"),
        (saved(noise(), "JPEG")[:3], "unreadable_image"),
        (saved(noise(), "PNG")[:20], "unreadable_image"),
        (b"\x89PNG\r\n\x1a\n" + b"garbage" * 10, "unreadable_image"),
        (png_header(60_000, 60_000), "image_too_large"),
        (jpeg_header(60_000, 60_000), "image_too_large"),
        (png_header(12_001, 100), "image_too_large"),
        (png_header(2_100, 100), "image_too_large"),
    ],
)
def test_bad_files_are_refused_with_their_code(act, data, code):
    with pytest.raises(PipelineError) as caught:
        act(data, limits=LIMITS)
    assert caught.value.code == code


@pytest.mark.parametrize("data", [png_header(60_000, 60_000), jpeg_header(60_000, 60_000)])
def test_a_giant_header_costs_no_memory(data):
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError):
            decode_image(data, limits=LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_file_that_is_cut_short_is_an_error(kind):
    data = saved(noise(), kind)
    with pytest.raises(UnreadableImageError):
        decode_image(data[: len(data) * 2 // 3], limits=LIMITS)


def test_damaged_pixels_are_an_error():
    data = bytearray(saved(noise(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UnreadableImageError):
        decode_image(bytes(data), limits=LIMITS)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind):
    data = saved(noise(), kind, save_all=True, append_images=[PilImage.new("RGB", (64, 48))])
    with pytest.raises(UnsupportedImageError):
        probe_image(data, limits=LIMITS)


def test_decoding_gives_blue_first():
    red = PilImage.new("RGB", (8, 8), (250, 10, 20))
    pixels = decode_image(saved(red, "PNG"), limits=LIMITS)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == [20, 10, 250]


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (6, (0, -1)), (8, (-1, 0))],
)
def test_exif_orientation_is_applied(orientation, corner):
    picture = PilImage.new("RGB", (20, 10), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 5, 5))
    exif = PilImage.Exif()
    exif[ORIENTATION] = orientation
    data = saved(picture, "PNG", exif=exif)
    pixels = decode_image(data, limits=LIMITS)
    turned = orientation in {6, 8}
    assert pixels.shape == ((20, 10, 3) if turned else (10, 20, 3))
    assert pixels[corner].tolist() == [255, 255, 255]


def test_broken_exif_does_not_stop_a_good_picture():
    data = saved(noise(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    assert decode_image(data, limits=LIMITS).shape == (48, 64, 3)


def profile_with_red_and_green_exchanged() -> bytes:
    """sRGB whose red and green primaries are each other's."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def test_a_colour_profile_is_applied():
    red = PilImage.new("RGB", (8, 8), (255, 0, 0))
    data = saved(red, "PNG", icc_profile=profile_with_red_and_green_exchanged())
    blue, green, red_level = decode_image(data, limits=LIMITS)[4, 4].tolist()
    assert green > 240
    assert max(blue, red_level) < 15


def test_a_damaged_colour_profile_is_ignored():
    red = PilImage.new("RGB", (8, 8), (255, 0, 0))
    data = saved(red, "PNG", icc_profile=b"no profile at all")
    assert decode_image(data, limits=LIMITS)[4, 4].tolist() == [0, 0, 255]


def test_a_multi_picture_jpeg_is_its_first_picture():
    first = PilImage.new("RGB", (32, 16), (200, 200, 200))
    data = saved(first, "MPO", save_all=True, append_images=[noise()])
    assert probe_image(data, limits=LIMITS).format == "jpeg"
    assert decode_image(data, limits=LIMITS).shape == (16, 32, 3)


def test_grey_becomes_three_equal_channels():
    grey = PilImage.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    pixels = decode_image(saved(grey, "PNG"), limits=LIMITS)
    assert pixels.shape == (8, 8, 3)
    assert np.array_equal(pixels[:, :, 0], np.arange(64).reshape(8, 8))
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


def test_sixteen_bit_grey_is_scaled_not_clipped():
    levels = np.asarray([[0, 257, 32_896, 65_535]], dtype=np.uint16)
    pixels = decode_image(saved(PilImage.fromarray(levels), "PNG"), limits=LIMITS)
    assert pixels[0, :, 1].tolist() == [0, 1, 128, 255]


def test_cmyk_is_converted():
    picture = PilImage.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = decode_image(saved(picture, "JPEG", quality=100), limits=LIMITS)
    blue, green, red = pixels[8, 8].tolist()
    assert red > 200
    assert max(blue, green) < 60


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white(mode):
    picture = PilImage.new("RGBA", (8, 8), (10, 200, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 4, 8))
    pixels = decode_image(saved(picture.convert(mode), "PNG"), limits=LIMITS)
    assert pixels[4, 1].tolist() == [255, 255, 255]
    assert pixels[4, 6].tolist() != [255, 255, 255]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_encoding_keeps_the_picture_and_drops_the_metadata(form):
    exif = PilImage.Exif()
    exif[ORIENTATION] = 6
    source = decode_image(saved(noise(), "JPEG", exif=exif), limits=LIMITS)
    data = encode_image(source, format=form, quality=95)
    with PilImage.open(io.BytesIO(data)) as written:
        assert not written.getexif()
        assert "icc_profile" not in written.info
    again = decode_image(data, limits=LIMITS)
    assert again.shape == source.shape
    error = np.abs(again.astype(int) - source.astype(int)).mean()
    assert error == 0 if form == "png" else error < 12


def test_a_thumbnail_keeps_the_shape_of_the_picture():
    data = thumbnail(np.full((100, 400, 3), 90, dtype=np.uint8), side_px=80)
    with PilImage.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (80, 20)
