"""Image filters with exact types; every one returns a new array."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from inference.pipeline.types import Doubles, Floats, Image

# Larger discs are applied by distance: the cost of a morphological filter grows with the disc.
_SMALL_DISC: Final = 9


def blur(image: Floats, *, sigma: float, reach_sigmas: float | None = None) -> Floats:
    """Gaussian blur of an (H, W) or (H, W, C) float32 image.

    Args:
        image: what is blurred.
        sigma: of the Gaussian, px.
        reach_sigmas: where its kernel is cut off; None: at four, beyond any doubt.
    """
    side = 0 if reach_sigmas is None else 2 * round(reach_sigmas * sigma) + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma), dtype=np.float32)


def resize(image: Floats, *, size_px: tuple[int, int]) -> Floats:
    """Resample to (width, height): area mean when it shrinks, bilinear when it grows."""
    if (image.shape[1], image.shape[0]) == size_px:
        return image
    shrinks = size_px[0] < image.shape[1]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size_px, interpolation=mode), dtype=np.float32)


def on_colours(plane: Floats) -> Floats:
    """(H, W) -> (H, W, 3), the same in each; numpy is slow where it spreads over three values."""
    return _spread(plane, 3)


def to_levels(image: Floats) -> Image:
    """Round float32 values 0..255 to uint8; what lies outside is clipped."""
    # Rounds to even and clips, like numpy, in one pass.
    return np.asarray(cv2.addWeighted(image, 1, image, 0, 0, dtype=cv2.CV_8U), dtype=np.uint8)


def dilate(mask: Image, diameter: int) -> Image:
    """Grow a 0/1 mask by a disc."""
    if diameter <= _SMALL_DISC:
        return np.asarray(cv2.dilate(mask, _disc(diameter)), dtype=np.uint8)
    if not mask.any():
        return mask.copy()
    away = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(away <= diameter / 2, dtype=np.uint8)


def erode(mask: Image, diameter: int) -> Image:
    """Shrink a 0/1 mask by a disc; what is beside the picture counts as 0."""
    if diameter <= _SMALL_DISC:
        return np.asarray(cv2.erode(mask, _disc(diameter), borderValue=0), dtype=np.uint8)
    framed = np.pad(mask, 1)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(inside[1:-1, 1:-1] > diameter / 2, dtype=np.uint8)


def remove_thin(mask: Image, diameter: int) -> Image:
    """Drop the parts of a 0/1 mask that a disc does not fit into (opening)."""
    return dilate(erode(mask, diameter), diameter) & mask


def close_gaps(mask: Image, diameter: int) -> Image:
    """Fill the gaps of a 0/1 mask that a disc does not fit into (closing)."""
    frame = diameter // 2 + 1
    closed = erode(dilate(np.pad(mask, frame), diameter), diameter)
    return closed[frame:-frame, frame:-frame] | mask


def fill_hull(points: Floats | Doubles, *, size_px: int, margin_px: float = 0.0) -> Image:
    """(size, size) uint8 0/1: the convex hull of (K, 2) points in px, and a margin around it."""
    area = np.zeros((size_px, size_px), dtype=np.uint8)
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(area, hull, 1)
    if margin_px:
        # Lines have round ends and corners: as if a disc went along the hull.
        cv2.polylines(area, [hull], isClosed=True, color=1, thickness=round(2 * margin_px))
    return area


def masked_low_pass(image: Floats, mask: Floats, *, sigma: float) -> Floats:
    """Gaussian mean of the masked pixels around each pixel (normalised convolution).

    (H, W, C) float32 and (H, W) float32 -> (H, W, C) float32. Runs at an eighth of the size.
    """
    height, width = mask.shape
    small_px = (max(1, width // 8), max(1, height // 8))
    small_sigma = sigma * small_px[0] / width
    masked = image * _spread(mask, image.shape[2])
    weighted = blur(resize(masked, size_px=small_px), sigma=small_sigma)
    weight = blur(resize(mask, size_px=small_px), sigma=small_sigma)
    return resize(weighted / (weight[:, :, np.newaxis] + 1e-4), size_px=(width, height))


def connected_to(mask: Image, seeds: Image) -> Image:
    """The connected parts of a 0/1 mask that touch a 0/1 seed mask; (H, W) uint8 0/1."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    is_kept = np.zeros(count, dtype=np.uint8)
    is_kept[labels[(seeds > 0) & (mask > 0)]] = 1
    is_kept[0] = 0
    return np.asarray(is_kept[labels], dtype=np.uint8)


def _disc(diameter: int) -> Image:
    odd = max(1, diameter) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd, odd)), dtype=np.uint8)


def _spread(plane: Floats, count: int) -> Floats:
    return np.asarray(cv2.merge([plane] * count), dtype=np.float32)
