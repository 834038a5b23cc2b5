"""Bytes to pixels and back: strict about what comes in, silent about where it came from.

Only Pillow and numpy are used, so that the web process can check uploads cheaply.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from PIL import Image as PilImage
from PIL import ImageCms, ImageOps, JpegImagePlugin, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from inference.pipeline.errors import (
    ImageTooLargeError,
    UnreadableImageError,
    UnsupportedImageError,
)
from inference.pipeline.types import Image, ImageInfo

ImageFormat = Literal["jpeg", "png", "webp"]

_FORMATS: Final[dict[str, tuple[ImageFormat, str]]] = {
    "JPEG": ("jpeg", "image/jpeg"),
    # A multi-picture JPEG (burst, depth map) is an ordinary JPEG followed by more pictures.
    "MPO": ("jpeg", "image/jpeg"),
    "PNG": ("png", "image/png"),
    "WEBP": ("webp", "image/webp"),
}
_OPENERS: Final = ("JPEG", "PNG", "WEBP")
_ASPECT_MAX: Final = 20.0
#: No longer side of a result fits into a WebP, and few programs open one that is longer.
RESULT_SIDE_MAX_PX: Final = 16_383
# Modes that a colour profile is applied to, and what they become.
_PROFILED_MODES: Final = {"RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}
_MATTE_RGB: Final = (255, 255, 255)
_PLAIN_MODES: Final = ("RGB", "L")
_GREY_MODES: Final = ("1", "F")
_JPEG_QUALITY: Final = 95
_WEBP_QUALITY: Final = 95
# Pillow's numbers of 4:4:4 and 4:2:0.
_SQUARE_SAMPLINGS: Final = (0, 2)
# Half the time of the usual 6, for files that are a few percent larger.
_PNG_LEVEL: Final = 3
# What Pillow's decoders raise on damaged data, beside OSError.
_DECODE_ERRORS: Final = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """How large a picture may be; side lengths and pixel counts as stored in the file."""

    pixels_max: int
    side_max_px: int


def probe_image(data: bytes, *, limits: ImageLimits) -> ImageInfo:
    """Read the header alone and refuse what must not be decoded.

    Raises:
        UnsupportedImageError: not a still JPEG, PNG or WebP.
        UnreadableImageError: nothing there, or a damaged header.
        ImageTooLargeError: more pixels or a longer side than allowed, or an absurd shape.
    """
    with _open(data) as picture:
        return _check_header(picture, limits)


def decode_image(data: bytes, *, limits: ImageLimits) -> Image:
    """Decode a picture to (H, W, 3) uint8 BGR, upright by its EXIF orientation.

    Grey, palette, CMYK and 16-bit pictures are converted; transparency is laid over white; colours
    of an embedded profile are brought to sRGB, because results carry no profile.

    Raises:
        UnsupportedImageError: not a still JPEG, PNG or WebP.
        UnreadableImageError: empty, cut short or damaged data.
        ImageTooLargeError: more pixels or a longer side than allowed, or an absurd shape.
    """
    with _open(data) as picture:
        _check_header(picture, limits)
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            rgb = np.asarray(_to_rgb(_to_srgb(upright)), dtype=np.uint8)
        except (*_DECODE_ERRORS, PilImage.DecompressionBombError) as error:
            raise UnreadableImageError(f"the image data is damaged: {error}") from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """A picture as it is kept: only pixels, upright, in sRGB.

    Attributes:
        data: the file.
        info: its format and its upright sides.
        thumbnail: a small JPEG of it.
    """

    data: bytes
    info: ImageInfo
    thumbnail: bytes


def normalise_image(data: bytes, *, limits: ImageLimits, thumbnail_side_px: int) -> NormalisedImage:
    """Decode a picture and write it anew, so that nothing but its pixels is left.

    Place, camera, comments, previews and whatever hides behind the picture are gone. Orientation
    and colour profile are applied, transparency stays. A JPEG keeps its quality, a lossless file
    stays lossless, and 16 bits become 8.

    Raises:
        UnsupportedImageError: not a still JPEG, PNG or WebP.
        UnreadableImageError: empty, cut short or damaged data.
        ImageTooLargeError: more pixels or a longer side than allowed, or an absurd shape.
    """
    with _open(data) as picture:
        info = _check_header(picture, limits)
        try:
            picture.load()
            how = _writing_options(picture, is_lossless=_is_lossless_webp(data))
            clean = _only_pixels(_to_srgb(ImageOps.exif_transpose(picture)))
        except (*_DECODE_ERRORS, PilImage.DecompressionBombError) as error:
            raise UnreadableImageError(f"the image data is damaged: {error}") from error
    out = io.BytesIO()
    try:
        clean.save(out, info.format.upper(), **how)
    except ValueError:
        # Tables that this encoder does not take.
        out = io.BytesIO()
        clean.save(out, info.format.upper(), quality=_JPEG_QUALITY, subsampling=0)
    width, height = clean.size
    return NormalisedImage(
        data=out.getvalue(),
        info=ImageInfo(
            format=info.format, width=width, height=height, content_type=info.content_type
        ),
        thumbnail=_shrink(_to_rgb(clean), side_px=thumbnail_side_px),
    )


def encode_image(
    image_bgr: Image,
    *,
    format: ImageFormat,  # noqa: A002 - the field's word
    quality: int = 95,
    xmp: bytes = b"",
) -> bytes:
    """Encode (H, W, 3) uint8 BGR pixels; the file carries no metadata but ``xmp``.

    ``quality`` (1..100) applies to JPEG and WebP. JPEG keeps full colour resolution.
    """
    picture = PilImage.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    out = io.BytesIO()
    extra: dict[str, Any] = {"xmp": xmp} if xmp else {}
    if format == "png":
        info = PngInfo()
        if xmp:
            info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        picture.save(out, "PNG", compress_level=6, pnginfo=info)
    elif format == "jpeg":
        try:
            picture.save(out, "JPEG", quality=quality, subsampling=0, optimize=True, **extra)
        except OSError:
            # To optimise, Pillow keeps the file in a buffer that pure noise does not fit into.
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality, subsampling=0, **extra)
    else:
        picture.save(out, "WEBP", quality=quality, method=4, **extra)
    return out.getvalue()


def thumbnail(image_bgr: Image, *, side_px: int) -> bytes:
    """Shrink (H, W, 3) uint8 BGR so that its longest side is at most ``side_px``; JPEG bytes."""
    picture = PilImage.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    return _shrink(picture, side_px=side_px)


def _shrink(picture: PilImage.Image, *, side_px: int) -> bytes:
    """Change an RGB picture to its thumbnail; JPEG bytes."""
    picture.thumbnail((side_px, side_px), PilImage.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def _writing_options(picture: PilImage.Image, *, is_lossless: bool) -> dict[str, Any]:
    """How a picture is written so that it looks like the file it came from."""
    if picture.format == "PNG":
        return {"compress_level": _PNG_LEVEL}
    if picture.format == "WEBP":
        return {"lossless": is_lossless, "quality": _WEBP_QUALITY, "method": 2}
    assert isinstance(picture, JpegImagePlugin.JpegImageFile), "the header was checked"
    subsampling = JpegImagePlugin.get_sampling(picture)
    # 4:2:2 would lie across a picture that was turned.
    if picture.mode not in _PLAIN_MODES or subsampling not in _SQUARE_SAMPLINGS:
        return {"quality": _JPEG_QUALITY, "subsampling": 0}
    return {"qtables": picture.quantization, "subsampling": subsampling}


def _is_lossless_webp(data: bytes) -> bool:
    # Taken for lossless by mistake, a file would only grow.
    return data[12:16] == b"VP8L" or (data[12:16] == b"VP8X" and b"VP8L" in data)


def _only_pixels(picture: PilImage.Image) -> PilImage.Image:
    """The same picture in a mode that every format here takes, with nothing beside its pixels."""
    if picture.mode in _PLAIN_MODES and not picture.has_transparency_data:
        clean = picture.copy()
    elif picture.mode in _GREY_MODES or picture.mode.startswith("I"):
        clean = _to_rgb(picture).convert("L")
    elif picture.has_transparency_data:
        clean = picture.convert("RGBA")
    else:
        clean = picture.convert("RGB")
    clean.info = {}
    return clean


def _open(data: bytes) -> PilImage.Image:
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        # The size check is ours, by the limits of the caller; Pillow's own would only warn.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PilImage.DecompressionBombWarning)
            return PilImage.open(io.BytesIO(data), formats=_OPENERS)
    except UnidentifiedImageError as error:
        if _has_known_signature(data):
            raise UnreadableImageError("the image header is damaged or cut short") from error
        raise UnsupportedImageError("only JPEG, PNG and WebP images are supported") from error
    except PilImage.DecompressionBombError as error:
        raise ImageTooLargeError("the image has far too many pixels") from error
    except _DECODE_ERRORS as error:
        raise UnreadableImageError(f"the image header is damaged: {error}") from error


def _has_known_signature(data: bytes) -> bool:
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return data[:3] == b"\xff\xd8\xff" or data[:8] == b"\x89PNG\r\n\x1a\n" or is_webp


def _check_header(picture: PilImage.Image, limits: ImageLimits) -> ImageInfo:
    name, content_type = _FORMATS[picture.format or ""]
    width, height = picture.size
    if width < 1 or height < 1:
        raise UnreadableImageError("the image has no pixels")
    if width * height > limits.pixels_max:
        raise ImageTooLargeError(
            f"the image has {width} x {height} px, at most {limits.pixels_max} pixels are allowed"
        )
    if max(width, height) > limits.side_max_px:
        raise ImageTooLargeError(
            f"the image has {width} x {height} px, at most {limits.side_max_px} px a side"
        )
    if max(width, height) > _ASPECT_MAX * min(width, height):
        raise ImageTooLargeError(f"{width} x {height} px is too long and thin for a picture")
    # A multi-picture JPEG has frames too, but they are separate pictures, not an animation.
    if name != "jpeg" and getattr(picture, "is_animated", False):
        raise UnsupportedImageError("animated images are not supported")
    return ImageInfo(format=name, width=width, height=height, content_type=content_type)


def _to_srgb(picture: PilImage.Image) -> PilImage.Image:
    """Apply an embedded colour profile; one that is damaged or does not fit is ignored."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in _PROFILED_MODES:
        return picture
    try:
        converted = ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode=_PROFILED_MODES[picture.mode],
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return converted or picture


def _to_rgb(picture: PilImage.Image) -> PilImage.Image:
    if picture.mode.startswith("I"):
        # Pillow clips 16-bit grey instead of scaling it, which would give a white picture.
        samples = np.asarray(picture, dtype=np.float64)
        grey = np.clip(np.rint(samples / 257.0), 0, 255).astype(np.uint8)
        return PilImage.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        matte = PilImage.new("RGBA", rgba.size, (*_MATTE_RGB, 255))
        return PilImage.alpha_composite(matte, rgba).convert("RGB")
    return picture.convert("RGB")
