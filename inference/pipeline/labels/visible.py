"""The label that people see: a text on a dark plate in the lower right corner."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from inference.pipeline.labels.facts import LabelError
from inference.pipeline.types import Floats, Image

_FONT: Final = Path(__file__).parent / "data" / "label_font.ttf"
#: Height of the characters as a share of the picture's shorter side; GB 45438 asks for 5 %.
FULL_SHARE: Final = 0.05
#: The same once a video's opening is over.
SMALL_SHARE: Final = 0.025
OPENING_S: Final = 2
# Height of a Chinese character of the font, as a share of its size.
_CHARACTER_EM: Final = 0.87
_EM_USUAL_MIN_PX: Final = 11
_EM_MIN_PX: Final = 8
_PADDING_EM: Final = 0.35
_MARGIN_SHARE: Final = 0.02
_WIDTH_SHARE_MAX: Final = 0.96
# Where the whole text does not fit: the part that all rules have in common.
_SHORTEST: Final = "AI"
_PLATE_OPACITY: Final = 0.6
_WHITE: Final = 255.0
# Pixels around the place of the label in which it is looked for after another program's resizing.
_SLACK_PX: Final = 4
#: At least so alike is a label that is there, from -1 to 1; pictures without one stay below 0.4.
LIKENESS_MIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Plate:
    """A drawn label. A pixel under it becomes ``pixel * keep + add``.

    ``keep`` and ``add`` are (h, w, 1), ``opacity`` is (h, w) from 0 to 1, ``letters`` is what of
    ``add`` the text fills, without the plate's border.
    """

    keep: Floats
    add: Floats
    opacity: Floats
    letters: Floats


@dataclass(frozen=True, slots=True)
class _Placed:
    plate: _Plate
    left: int
    top: int


def stamp(image_bgr: Image, *, text: str, share: float = FULL_SHARE) -> Image:
    """A copy of (H, W, 3) uint8 BGR with the label; only the label's rectangle differs.

    Raises:
        LabelError: the picture is too small for any legible label.
    """
    result = image_bgr.copy()
    _draw(result, _place(result.shape[1], result.shape[0], text, share))
    return result


def likeness(image_bgr: Image, *, text: str, share: float = FULL_SHARE) -> float:
    """How much the corner of (H, W, 3) uint8 BGR looks like the label, from -1 to 1.

    Raises:
        LabelError: the picture is too small for any legible label.
    """
    height, width = image_bgr.shape[:2]
    placed = _place(width, height, text, share)
    plate_height, plate_width = placed.plate.opacity.shape
    top, left = max(0, placed.top - _SLACK_PX), max(0, placed.left - _SLACK_PX)
    corner = image_bgr[
        top : placed.top + plate_height + _SLACK_PX, left : placed.left + plate_width + _SLACK_PX
    ]
    grey = cv2.cvtColor(np.ascontiguousarray(corner), cv2.COLOR_BGR2GRAY).astype(np.float32)
    found = cv2.matchTemplate(grey, placed.plate.letters, cv2.TM_CCOEFF_NORMED)
    return float(np.max(found))


class VideoStamp:
    """Draws the label onto frames: large while a video opens, small afterwards. Thread-safe."""

    def __init__(self, *, text: str) -> None:
        self._text = text

    def apply(
        self, image_bgr: Image, *, alpha: Image | None, time_s: Fraction
    ) -> tuple[Image, Image | None]:
        """A copy of a frame, (H, W, 3) uint8 BGR, and of its (H, W) alpha, with the label.

        Args:
            image_bgr: left as it is: the next frame is compared with it.
            alpha: None where the video has none. Under the label nothing is transparent.
            time_s: of the result.

        Raises:
            LabelError: the frame is too small for any legible label.
        """
        share = FULL_SHARE if time_s < OPENING_S else SMALL_SHARE
        placed = _place(image_bgr.shape[1], image_bgr.shape[0], self._text, share)
        result = image_bgr.copy()
        _draw(result, placed)
        return result, None if alpha is None else _opaque(alpha, result, placed)


def _draw(image_bgr: Image, placed: _Placed) -> None:
    part = _under(image_bgr, placed)
    part[:] = np.rint(part * placed.plate.keep + placed.plate.add).astype(np.uint8)


def _opaque(alpha: Image, image_bgr: Image, placed: _Placed) -> Image:
    """A copy of an alpha channel, in the size of the frame, that shows all of the label."""
    if alpha.shape == image_bgr.shape[:2]:
        result = alpha.copy()
    else:
        result = np.asarray(cv2.resize(alpha, image_bgr.shape[1::-1]), dtype=np.uint8)
    part = _under(result, placed)
    shown = (placed.plate.opacity > 0).astype(np.uint8) * np.uint8(_WHITE)
    np.maximum(part, shown, out=part)
    return result


def _under(image: Image, placed: _Placed) -> Image:
    height, width = placed.plate.opacity.shape
    return image[placed.top : placed.top + height, placed.left : placed.left + width]


@functools.lru_cache(maxsize=64)
def _place(width: int, height: int, text: str, share: float) -> _Placed:
    """The largest label that the picture has room for, and where it goes."""
    margin = round(min(width, height) * _MARGIN_SHARE)
    for words, em_px in _choices(min(width, height), text, share):
        plate = _drawn(words, em_px)
        plate_height, plate_width = plate.opacity.shape
        if plate_width <= width * _WIDTH_SHARE_MAX and plate_height + margin <= height:
            left = max(0, min(width - plate_width - margin, width - plate_width))
            return _Placed(plate, left=left, top=height - plate_height - margin)
    raise LabelError(f"{width} x {height} px is too small for a legible label")


def _choices(side_px: int, text: str, share: float) -> Iterator[tuple[str, int]]:
    wanted = max(_EM_USUAL_MIN_PX, math.ceil(side_px * share / _CHARACTER_EM))
    for words in (text, _SHORTEST):
        for em_px in range(wanted, _EM_MIN_PX - 1, -1):
            yield words, em_px


@functools.lru_cache(maxsize=64)
def _drawn(text: str, em_px: int) -> _Plate:
    font = ImageFont.truetype(_FONT, em_px)
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    padding = max(2, round(em_px * _PADDING_EM))
    size = (right - left + 2 * padding, bottom - top + 2 * padding)
    letters = PilImage.new("L", size)
    ImageDraw.Draw(letters).text((padding - left, padding - top), text, fill=255, font=font)
    plate = PilImage.new("L", size)
    ImageDraw.Draw(plate).rounded_rectangle(
        (0, 0, size[0] - 1, size[1] - 1), radius=padding, fill=255
    )
    ink = np.asarray(letters, dtype=np.float32) / np.float32(_WHITE)
    shape = np.asarray(plate, dtype=np.float32) / np.float32(_WHITE)
    darkened = 1 - np.float32(_PLATE_OPACITY) * shape
    return _Plate(
        keep=(darkened * (1 - ink))[:, :, None],
        add=(np.float32(_WHITE) * ink)[:, :, None],
        opacity=shape,
        letters=np.ascontiguousarray(
            ink[padding : size[1] - padding, padding : size[0] - padding] * np.float32(_WHITE)
        ),
    )
