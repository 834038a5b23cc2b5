"""Pictures are written anew: what their cameras noted is gone, what they show is not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from inference.pipeline import image_io
from inference.pipeline.errors import ImageTooLargeError, UnreadableImageError

LIMITS = image_io.ImageLimits(pixels_max=10**6, side_max_px=2000)
SECRET = b"SECRET-PLACE"


def normalise(data: bytes) -> image_io.NormalisedImage:
    return image_io.normalise_image(data, limits=LIMITS, thumbnail_side_px=32)


def opened(made: image_io.NormalisedImage) -> Image.Image:
    picture = Image.open(io.BytesIO(made.data))
    picture.load()
    return picture


def gradient(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    channels = [x * 255 // width, y * 255 // height, (x + y) % 256, 255 - x * 200 // width]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8), "RGBA").convert(mode)


def saved(picture: Image.Image, format: str, **options) -> bytes:  # noqa: A002 - the field's word
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    notes = Image.Exif()
    notes[0x0112] = orientation
    notes[0x010E] = SECRET.decode()
    notes[0x010F] = SECRET.decode()
    notes.get_ifd(0x8825)[29] = SECRET.decode()
    notes.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return notes


def noted(format: str) -> bytes:  # noqa: A002
    """A picture with a note in every place that its format has."""
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
    if format == "JPEG":
        data = saved(gradient(), "JPEG", exif=exif(), comment=SECRET, xmp=xmp, dpi=(72, 72))
        # A second picture hides behind the first.
        return data + SECRET
    if format == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Comment", SECRET.decode())
        notes.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return saved(gradient(), "PNG", exif=exif(), pnginfo=notes) + SECRET
    return saved(gradient(), "WEBP", exif=exif().tobytes(), xmp=xmp, lossless=True)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_no_note_survives(format: str) -> None:  # noqa: A002
    data = noted(format)
    assert SECRET in data

    made = normalise(data)

    assert SECRET not in made.data
    assert SECRET not in made.thumbnail
    picture = opened(made)
    assert picture.format == format
    assert not picture.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment", "photoshop"} & set(picture.info)


def test_preview_inside_the_notes_is_gone() -> None:
    preview = saved(Image.new("RGB", (16, 16), "red"), "JPEG")
    notes = exif()
    notes.get_ifd(0x8769)[0x927C] = preview
    data = saved(gradient(), "JPEG", exif=notes)
    assert data.count(b"\xff\xd8\xff") == 2

    assert normalise(data).data.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    data = saved(gradient(), "PNG", exif=exif(orientation))

    made = normalise(data)

    before = image_io.decode_image(data, limits=LIMITS)
    after = image_io.decode_image(made.data, limits=LIMITS)
    assert np.array_equal(before, after)
    assert (made.info.width, made.info.height) == after.shape[1::-1]


def test_colour_profile_is_applied() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    data = saved(Image.new("RGB", (64, 48), (255, 0, 0)), "PNG", icc_profile=exchanged)

    picture = opened(normalise(data))

    shown = np.asarray(picture)[9, 9].astype(int)
    assert np.abs(shown - (0, 255, 0)).max() <= 1
    assert "icc_profile" not in picture.info


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_transparency_and_lossless_pixels_stay(format: str) -> None:  # noqa: A002
    source = gradient("RGBA")
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}

    made = normalise(saved(source, format, **options))

    result = np.asarray(opened(made).convert("RGBA"))
    seen = np.asarray(source)[..., 3] > 0
    assert np.array_equal(result[seen], np.asarray(source)[seen])


@pytest.mark.parametrize(
    ("mode", "format", "kept"),
    [
        ("L", "JPEG", "L"),
        ("CMYK", "JPEG", "RGB"),
        ("1", "PNG", "L"),
        ("P", "PNG", "RGB"),
        ("LA", "PNG", "RGBA"),
        ("I;16", "PNG", "L"),
    ],
)
def test_every_mode_is_kept_in_a_plain_one(mode: str, format: str, kept: str) -> None:  # noqa: A002
    if mode == "I;16":
        values = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
        data = saved(Image.fromarray(values), format)
    else:
        # A palette made from transparent pixels would be transparent.
        data = saved(gradient("RGB").convert(mode), format)

    made = normalise(data)

    assert opened(made).mode == kept
    difference = np.abs(
        image_io.decode_image(made.data, limits=LIMITS).astype(int)
        - image_io.decode_image(data, limits=LIMITS).astype(int)
    )
    assert difference.mean() < 2


@pytest.mark.parametrize("quality", [40, 80, 95])
def test_jpeg_keeps_its_quality_and_nearly_its_pixels(quality: int) -> None:
    data = saved(gradient(), "JPEG", quality=quality)

    made = normalise(data)

    difference = np.abs(
        image_io.decode_image(made.data, limits=LIMITS).astype(int)
        - image_io.decode_image(data, limits=LIMITS).astype(int)
    )
    assert difference.mean() < 0.5
    assert 0.5 < len(made.data) / len(data) < 1.5
    assert normalise(made.data).info == made.info


def test_refusals_are_those_of_the_decoder() -> None:
    with pytest.raises(UnreadableImageError):
        normalise(saved(gradient(), "JPEG")[:-200])
    with pytest.raises(ImageTooLargeError):
        normalise(saved(Image.new("L", (1100, 1000)), "PNG"))
