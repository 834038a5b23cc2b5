"""Bytes to pixels and back: strict about what comes in, silent about where it came from.

Only Pillow and numpy are used, so that the web process can check uploads cheaply.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image as PilImage
from PIL import ImageCms, ImageOps, UnidentifiedImageError

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
# Modes that a colour profile is applied to, and what they become.
_PROFILED_MODES: Final = {"RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}
_MATTE_RGB: Final = (255, 255, 255)
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


def encode_image(image_bgr: Image, *, format: ImageFormat, quality: int = 95) -> bytes:  # noqa: A002 - the field's word
    """Encode (H, W, 3) uint8 BGR pixels; the file carries no metadata.

    ``quality`` (1..100) applies to JPEG and WebP. JPEG keeps full colour resolution.
    """
    picture = PilImage.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    out = io.BytesIO()
    if format == "png":
        picture.save(out, "PNG", compress_level=6)
    elif format == "jpeg":
        picture.save(out, "JPEG", quality=quality, subsampling=0, optimize=True)
    else:
        picture.save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def thumbnail(image_bgr: Image, *, side_px: int) -> bytes:
    """Shrink (H, W, 3) uint8 BGR so that its longest side is at most ``side_px``; JPEG bytes."""
    picture = PilImage.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    picture.thumbnail((side_px, side_px), PilImage.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


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
