"""What on a face is bare skin, and what covers it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.filters import close_gaps, connected_to, dilate, remove_thin
from inference.pipeline.topology import SKIN_POINTS
from inference.pipeline.types import Doubles, Floats, Image

# Spread of skin colour that is taken for granted: lightness, a, b of CIE Lab.
_SPREAD_MIN_LAB: Final = (6.0, 2.5, 3.0)
# Shade varies more over one face than hue does.
_LIGHTNESS_WEIGHT: Final = 0.7
_MAD_TO_SIGMA: Final = 1.4826
#: Distance from which on a pixel is clearly not skin, and from which on it hardly is.
COVER_CLEAR: Final = 9.0
COVER_LIKELY: Final = 3.5
#: Distance up to which a pixel is surely bare skin in plain light.
BARE: Final = 2.0
_STEP_PX: Final = 5
# Widest gap in the hair over a forehead that is closed, as a share of the picture's side.
_GAP_SHARE: Final = 0.24
_SUM: Final = np.ones((1, 3), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class SkinTone:
    """The colour of a face's bare skin in CIE Lab, and how much it varies.

    Attributes:
        middle: (3,) float32, lightness, a and b.
        weights: (3,) float32, what a difference of 1 counts in each.
    """

    middle: Floats
    weights: Floats


def skin_distance(image_bgr: Image, *, points: Floats | Doubles) -> Floats:
    """How far each pixel is from the face's own skin colour.

    Args:
        image_bgr: (H, W, 3) uint8 BGR, a crop or a texture of one face.
        points: (468, 2 or 3) mesh in px of that picture.

    Returns:
        (H, W) float32, squared Mahalanobis distance in CIE Lab: bare skin stays below 3.
    """
    tone = skin_tone(image_bgr, points=points)
    return distance_to(tone, to_lab(image_bgr), size_px=image_bgr.shape[0])


def skin_tone(image_bgr: Image, *, points: Floats | Doubles) -> SkinTone:
    """The skin of a face by what is seen around a few points of its mesh; see there."""
    height, width = image_bgr.shape[:2]
    reach = _blur_side(height) // 2
    limits = np.asarray([width, height]) - 1 - reach
    place = np.clip(np.rint(points[list(SKIN_POINTS), :2]), reach, limits).astype(int)
    rows, columns = _square(reach)
    around = image_bgr[place[:, 1:] + rows, place[:, :1] + columns]
    samples = to_lab(around).mean(axis=1)
    middle = np.median(samples, axis=0)
    spread = np.median(np.abs(samples - middle), axis=0) * _MAD_TO_SIGMA + _SPREAD_MIN_LAB
    weights = np.sqrt(np.asarray([_LIGHTNESS_WEIGHT, 1, 1])) / spread
    return SkinTone(middle=middle.astype(np.float32), weights=weights.astype(np.float32))


def distance_to(tone: SkinTone, lab: Floats, *, size_px: int) -> Floats:
    """As ``skin_distance``, of a part of a picture that is in Lab already, see ``to_lab``.

    Args:
        tone: of the face.
        lab: (h, w, 3) float32, the part.
        size_px: height of the whole picture.
    """
    side = _blur_side(size_px)
    # An affine map of the three values, then the sum of their squares.
    scaled = np.column_stack([np.diag(tone.weights), -tone.middle * tone.weights])
    away = cv2.transform(cv2.blur(lab, (side, side)), scaled)
    return np.asarray(cv2.transform(cv2.multiply(away, away), _SUM), dtype=np.float32)


def _blur_side(height: int) -> int:
    return 2 * max(1, height // 128) + 1


@lru_cache(maxsize=8)
def _square(reach: int) -> NDArray[np.int64]:
    """(2, 1, K): rows and columns of a square around 0."""
    return np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, 1, -1)


def to_lab(image_bgr: Image | Floats) -> Floats:
    """(H, W, 3) BGR 0..255 -> float32 CIE Lab: lightness 0..100, a and b about -100..100."""
    scaled = np.asarray(image_bgr, dtype=np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB), dtype=np.float32)


def find_cover(
    distance: Floats, *, outside: Image, middle: Image, thickness_px: int, reach_px: int
) -> Image:
    """Hair, hat and background that lie over a face.

    Cover is foreign in colour, thick, and reaches in from outside of the face: brows, lashes and
    spectacles are none of these. From clear cover it is followed into what is only a little
    foreign (thin or bright strands) for a limited way. What lies above cover on the forehead is
    cover too, whatever its colour.

    Args:
        distance: (H, W) float32 of ``skin_distance``, of an upright face.
        outside: (H, W) uint8 0/1, surely not face.
        middle: (H, W) uint8 0/1, from the brows to the chin: never cover.
        thickness_px: what is thinner is no cover.
        reach_px: how far cover may be followed.

    Returns:
        (H, W) uint8 0/1.
    """
    clear = (distance > COVER_CLEAR).astype(np.uint8)
    cover = connected_to(remove_thin(clear, thickness_px), outside)
    likely = (distance > COVER_LIKELY).astype(np.uint8)
    for _ in range(0, reach_px, _STEP_PX // 2):
        cover = dilate(cover, _STEP_PX) & (likely | cover)
    cover &= 1 - middle
    above_brows = np.maximum.accumulate(middle, axis=0) == 0
    # A bright strand between two dark ones is hair as well.
    cover |= close_gaps(cover, round(_GAP_SHARE * len(distance))) & above_brows
    from_below = np.maximum.accumulate((cover * above_brows)[::-1], axis=0)[::-1]
    has_middle = middle.any(axis=0)
    return np.asarray(cover | (from_below & above_brows & has_middle), dtype=np.uint8)
