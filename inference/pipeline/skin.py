"""What on a face is bare skin, and what covers it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.topology import SKIN_POINTS
from inference.pipeline.types import Doubles, Floats, Image

# Spread of skin colour that is taken for granted: lightness, a, b of CIE Lab.
_SPREAD_MIN_LAB: Final = (6.0, 2.5, 3.0)
# Shade varies more over one face than hue does.
_LIGHTNESS_WEIGHT: Final = 0.7
_MAD_TO_SIGMA: Final = 1.4826


def skin_distance(image_bgr: Image, *, points: Floats | Doubles) -> Floats:
    """How far each pixel is from the face's own skin colour.

    Args:
        image_bgr: (H, W, 3) uint8 BGR, a crop or a texture of one face.
        points: (468, 2 or 3) mesh in px of that picture.

    Returns:
        (H, W) float32, squared Mahalanobis distance in CIE Lab: skin is below 6, hair above 12.
    """
    lab = to_lab(image_bgr)
    radius = max(1, image_bgr.shape[0] // 128)
    lab = cv2.blur(lab, (2 * radius + 1, 2 * radius + 1))
    limits = np.asarray([image_bgr.shape[1] - 1, image_bgr.shape[0] - 1])
    place = np.clip(np.rint(points[list(SKIN_POINTS), :2]), 0, limits).astype(int)
    samples = lab[place[:, 1], place[:, 0]]
    middle = np.median(samples, axis=0)
    spread = np.median(np.abs(samples - middle), axis=0) * _MAD_TO_SIGMA + _SPREAD_MIN_LAB
    squares = ((lab - middle) / spread) ** 2
    weights = np.asarray([_LIGHTNESS_WEIGHT, 1, 1])
    return np.asarray(squares @ weights, dtype=np.float32)


def to_lab(image_bgr: Image | Floats) -> Floats:
    """(H, W, 3) BGR 0..255 -> float32 CIE Lab: lightness 0..100, a and b about -100..100."""
    scaled = np.asarray(image_bgr, dtype=np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB), dtype=np.float32)


def disc(diameter: int) -> Image:
    """Round structuring element of an odd diameter."""
    odd = max(1, diameter) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd, odd)), dtype=np.uint8)


def connected_to(mask: Image, seeds: Image) -> Image:
    """The connected parts of a 0/1 mask that touch a 0/1 seed mask; (H, W) uint8 0/1."""
    _, labels = cv2.connectedComponents(mask, connectivity=8)
    touched: NDArray[np.int32] = np.unique(labels[(seeds > 0) & (mask > 0)])
    return np.isin(labels, touched[touched > 0]).astype(np.uint8)
