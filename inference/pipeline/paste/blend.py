"""Puts a swapped crop back into its picture: same sharpness, same grain, nothing else touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.aligner import invert, warp
from inference.pipeline.filters import blur, to_levels
from inference.pipeline.types import Doubles, Floats, Image

# Gaussian sigmas, in px of the picture, that divide detail into bands; the last is only measured.
_BAND_SIGMAS: Final = (0.8, 1.6, 3.2)
_GAIN_LIMITS: Final = (1.0, 1.6)
# Percentiles of a band's strength that stand for edges and for plain skin.
_EDGES: Final = 90.0
_SKIN: Final = 35.0
# Strongest grain that is added, as the skin percentile, in grey levels.
_GRAIN_MAX: Final = 1.2
_MASK_HALF: Final = 0.5
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


def paste_back(image_bgr: Image, *, crop_bgr: Floats, mask: Floats, matrix: Doubles) -> Image:
    """Blend a swapped crop into a copy of the picture.

    Args:
        image_bgr: (H, W, 3) uint8 BGR, not written to.
        crop_bgr: (S, S, 3) float32 BGR 0..255.
        mask: (S, S) float32 0..1, where it is painted.
        matrix: (2, 3) float64, picture px -> crop px.

    Returns:
        (H, W, 3) uint8 BGR; pixels where the mask is zero are equal to the input's.
    """
    result = image_bgr.copy()
    back = invert(matrix)
    region = _region_of(mask, back, image_bgr.shape[:2])
    if region is None:
        return result
    shift = back.copy()
    shift[:, 2] -= (region.left, region.top)
    crop = warp(crop_bgr, matrix=shift, size_px=region.size_px)
    cover = warp(mask, matrix=shift, size_px=region.size_px, border=cv2.BORDER_CONSTANT)
    cover = np.where(cover > _MASK_NONE, np.clip(cover, 0, 1), 0).astype(np.float32)
    part = result[region.top : region.bottom, region.left : region.right]
    target = part.astype(np.float32)
    crop = match_detail(crop, target_bgr=target, mask=cover)
    mixed = target + (crop - target) * cover[:, :, np.newaxis]
    part[:] = to_levels(mixed)
    return result


def match_detail(crop_bgr: Floats, *, target_bgr: Floats, mask: Floats) -> Floats:
    """Give the crop the target's sharpness and grain, in luma.

    Sharpness is how strong the edges of a fine band are beside those of the next coarser one; the
    two finest bands are scaled to the target's ratios, whatever the faces show. Where the crop's
    skin is still smoother than the target's, noise of the same band fills up; the target's own
    pixels would bring its wrinkles along.

    Args:
        crop_bgr: (H, W, 3) float32 BGR 0..255.
        target_bgr: the same of the target.
        mask: (H, W) float32 0..1, where the crop is painted.
    """
    inside = mask > _MASK_HALF
    if not inside.any():
        return crop_bgr
    own, target = _bands(_luma(crop_bgr)), _bands(_luma(target_bgr))
    # Seeded: the same job gives the same picture.
    noise = _bands(np.random.default_rng(0).standard_normal(mask.shape).astype(np.float32))
    own_edges, target_edges = (
        [_level(band, inside, _EDGES) for band in bands] for bands in (own, target)
    )
    change, gain = np.zeros_like(mask), 1.0
    for index in (1, 0):
        sharper = own_edges[index + 1] / own_edges[index]
        gain *= sharper * target_edges[index] / target_edges[index + 1]
        gain = float(np.clip(gain, *_GAIN_LIMITS))
        smooth = gain * _level(own[index], inside, _SKIN)
        missing = max(0.0, _level(target[index], inside, _SKIN) ** 2 - smooth**2) ** 0.5
        grain = min(missing, _GRAIN_MAX) / _level(noise[index], inside, _SKIN)
        change += (gain - 1) * own[index] + grain * noise[index]
    return np.asarray(crop_bgr + change[:, :, np.newaxis], dtype=np.float32)


def _bands(image: Floats) -> list[Floats]:
    """Detail of an (H, W) float32 picture by scale, finest first."""
    bands = []
    for sigma in _BAND_SIGMAS:
        low = blur(image, sigma=sigma)
        bands.append(image - low)
        image = low
    return bands


def _level(band: Floats, inside: NDArray[np.bool_], percentile: float) -> float:
    return float(np.percentile(np.abs(band[inside]), percentile)) + 1e-3


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
