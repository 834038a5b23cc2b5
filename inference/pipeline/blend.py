"""Puts a swapped crop back into its picture: same sharpness, same grain, nothing else touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.aligner import invert, warp
from inference.pipeline.swapper import SwappedCrop
from inference.pipeline.types import Doubles, Floats, Image

# Detail bands, as Gaussian sigmas in px of the picture: finer than the first, first to second.
_BAND_SIGMAS: Final = (0.8, 1.6)
_BAND_GAIN_MIN: Final = 0.6
_BAND_GAIN_MAX: Final = 1.7
# Grain above this many times its typical strength is a feature of the target, not grain.
_GRAIN_CLIP: Final = 2.5
_MASK_NONE: Final = 1 / 512


@dataclass(frozen=True, slots=True)
class _Region:
    """Half-open rectangle of a picture, px."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size_px(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


def paste_back(image_bgr: Image, *, swapped: SwappedCrop, matrix: Doubles) -> Image:
    """Blend a swapped crop into a copy of the picture.

    Args:
        image_bgr: (H, W, 3) uint8 BGR, not written to.
        swapped: crop and mask.
        matrix: (2, 3) float64, picture px -> crop px.

    Returns:
        (H, W, 3) uint8 BGR; pixels where the mask is zero are equal to the input's.
    """
    result = image_bgr.copy()
    back = invert(matrix)
    region = _region_of(swapped.mask, back, image_bgr.shape[:2])
    if region is None:
        return result
    shift = back.copy()
    shift[:, 2] -= (region.left, region.top)
    crop = warp(swapped.crop_bgr, matrix=shift, size_px=region.size_px)
    mask = warp(swapped.mask, matrix=shift, size_px=region.size_px, border=cv2.BORDER_CONSTANT)
    mask = np.where(mask > _MASK_NONE, np.clip(mask, 0, 1), 0)
    part = result[region.top : region.bottom, region.left : region.right]
    target = part.astype(np.float32)
    crop = match_detail(crop, target_bgr=target, mask=mask.astype(np.float32))
    mixed = target + (crop - target) * mask[:, :, np.newaxis]
    part[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result


def match_detail(crop_bgr: Floats, *, target_bgr: Floats, mask: Floats) -> Floats:
    """Give the crop the target's sharpness and grain, in luma.

    Two fine bands are scaled to the target's typical strength (a median, so that spectacles or
    wrinkles do not count); what the gain limit leaves missing is filled with the target's own
    grain, without its features.

    Args:
        crop_bgr: (H, W, 3) float32 BGR 0..255.
        target_bgr: the same of the target.
        mask: (H, W) float32 0..1, where the crop is painted.
    """
    inside = mask > 0.5
    if not inside.any():
        return crop_bgr
    own, target = _luma(crop_bgr), _luma(target_bgr)
    change = np.zeros_like(own)
    for sigma in _BAND_SIGMAS:
        own_low = cv2.GaussianBlur(own, (0, 0), sigma)
        target_low = cv2.GaussianBlur(target, (0, 0), sigma)
        own_band, target_band = own - own_low, target - target_low
        own_level = float(np.median(np.abs(own_band[inside]))) + 1e-3
        target_level = float(np.median(np.abs(target_band[inside]))) + 1e-3
        gain = float(np.clip(target_level / own_level, _BAND_GAIN_MIN, _BAND_GAIN_MAX))
        change += (gain - 1) * own_band
        missing = max(0.0, target_level**2 - (gain * own_level) ** 2) ** 0.5 / target_level
        limit = _GRAIN_CLIP * target_level
        change += missing * np.clip(target_band, -limit, limit)
        own, target = own_low, target_low
    return crop_bgr + change[:, :, np.newaxis]


def _luma(image_bgr: Floats) -> Floats:
    return np.asarray(image_bgr @ np.asarray([0.114, 0.587, 0.299], np.float32), dtype=np.float32)


def _region_of(mask: Floats, back: Doubles, shape: tuple[int, ...]) -> _Region | None:
    """The part of the picture that the mask can reach; none if it lies beside the picture."""
    rows, columns = np.nonzero(mask > _MASK_NONE)
    if not len(rows):
        return None
    xs, ys = (columns.min() - 1, columns.max() + 1), (rows.min() - 1, rows.max() + 1)
    corners = np.asarray([[x, y] for x in xs for y in ys]) @ back[:, :2].T + back[:, 2]
    limits = np.asarray([shape[1], shape[0]])
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, limits).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 3, 0, limits).astype(int)
    if (high <= low).any():
        return None
    return _Region(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
