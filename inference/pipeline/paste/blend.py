"""Puts a swapped crop back into its picture: same sharpness, same grain, nothing else touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.aligner import invert, warp
from inference.pipeline.filters import blur, on_colours, to_levels
from inference.pipeline.paste.colour import match_colours
from inference.pipeline.types import Doubles, Floats, Image

# Gaussian sigmas, in px of the picture, that divide detail into bands; the last is only measured.
_BAND_SIGMAS: Final = (0.8, 1.6, 3.2)
# Farther away lies a thousandth of a Gaussian; a wider kernel costs a quarter more.
_REACH_SIGMAS: Final = 3.0
_GAIN_LIMITS: Final = (1.0, 1.6)
# Percentiles of a band's strength that stand for edges and for plain skin.
_EDGES: Final = 90.0
_SKIN: Final = 35.0
# Strongest grain that is added, as the skin percentile, in grey levels.
_GRAIN_MAX: Final = 1.2
_MASK_HALF: Final = 0.5
# Detail is measured in the middle of the face, on so many pixels, and grain comes from sheets.
_WINDOW_MAX_PX: Final = 192
_SAMPLES: Final = 4_000
_SHEET_PX: Final = 512
_MASK_NONE: Final = 1 / 512
_LEVEL_MIN: Final = 1e-3


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


@dataclass(frozen=True, slots=True)
class DetailGains:
    """What gives a crop the target's detail, from the finest band to the next coarser one.

    Attributes:
        gains: factors of the crop's own bands.
        grains: strengths of the noise that fills up, in grey levels.
    """

    gains: tuple[float, float]
    grains: tuple[float, float]


def paste_into(
    image_bgr: Image,
    *,
    crop_bgr: Floats,
    mask: Floats,
    matrix: Doubles,
    colour_strength: float = 0.0,
) -> None:
    """Blend a swapped crop into a picture, in place; pixels where the mask is zero stay equal.

    Args:
        image_bgr: (H, W, 3) uint8 BGR, written to.
        crop_bgr: (S, S, 3) float32 BGR 0..255.
        mask: (S, S) float32 0..1, where it is painted.
        matrix: (2, 3) float64, picture px -> crop px.
        colour_strength: 0..1, how far the crop takes on the picture's colours.
    """

    def finish(crop: Floats, target: Floats, cover: Floats, corner_px: tuple[int, int]) -> Floats:
        crop = match_colours(crop, target_bgr=target, mask=cover, strength=colour_strength)
        return match_detail(crop, target_bgr=target, mask=cover, corner_px=corner_px)

    _blend(image_bgr, crop_bgr, mask, matrix, finish)


def blend_into(image_bgr: Image, *, crop_bgr: Floats, mask: Floats, matrix: Doubles) -> None:
    """Blend a crop in as it is, with detail of its own; see ``paste_into``."""
    _blend(image_bgr, crop_bgr, mask, matrix, lambda crop, _target, _cover, _corner_px: crop)


def _blend(
    image_bgr: Image,
    crop_bgr: Floats,
    mask: Floats,
    matrix: Doubles,
    finish: Callable[[Floats, Floats, Floats, tuple[int, int]], Floats],
) -> None:
    back = invert(matrix)
    region = _region_of(mask, back, image_bgr.shape[:2])
    if region is None:
        return
    shift = back.copy()
    shift[:, 2] -= (region.left, region.top)
    crop = warp(crop_bgr, matrix=shift, size_px=region.size_px)
    # Masks are smooth: bicubic sampling would show no more of them, and overshoot.
    cover = warp(
        mask,
        matrix=shift,
        size_px=region.size_px,
        border=cv2.BORDER_CONSTANT,
        interpolation=cv2.INTER_LINEAR,
    )
    cover = np.minimum(cv2.threshold(cover, _MASK_NONE, 0, cv2.THRESH_TOZERO)[1], np.float32(1))
    part = image_bgr[region.top : region.bottom, region.left : region.right]
    target = part.astype(np.float32)
    change = cv2.subtract(finish(crop, target, cover, (region.left, region.top)), target)
    change = cv2.multiply(change, on_colours(cover))
    part[:] = to_levels(np.asarray(cv2.add(target, change), dtype=np.float32))


def match_detail(
    crop_bgr: Floats,
    *,
    target_bgr: Floats,
    mask: Floats,
    corner_px: tuple[int, int] = (0, 0),
) -> Floats:
    """Give the crop the target's sharpness and grain, in luma.

    Args:
        crop_bgr: (H, W, 3) float32 BGR 0..255.
        target_bgr: the same of the target.
        mask: (H, W) float32 0..1, where the crop is painted.
        corner_px: x, y of the crop in its picture. Grain has its place in the picture: it must not
            jump when the crop grows by a row.
    """
    window = _window_of(mask)
    if window is None:
        return crop_bgr
    lows = _low_passes(_luma(crop_bgr), sigmas=_BAND_SIGMAS[:2])
    gains = _compare(lows, target_bgr=target_bgr, mask=mask, window=window)
    fine, coarse = _noise_bands(*mask.shape, corner_px=corner_px)[:2]
    # Both bands times what their gains add, and grain, in three passes over the picture.
    first, second = gains.gains[0] - 1, gains.gains[1] - 1
    change = cv2.addWeighted(lows[0], first, lows[1], second - first, 0)
    change = cv2.addWeighted(change, 1, lows[2], -second, 0)
    grain = cv2.addWeighted(fine, gains.grains[0], coarse, gains.grains[1], 0)
    total = np.asarray(cv2.add(change, grain), dtype=np.float32)
    return np.asarray(cv2.add(crop_bgr, on_colours(total)), dtype=np.float32)


def measure_gains(crop_bgr: Floats, *, target_bgr: Floats, mask: Floats) -> DetailGains | None:
    """Compare the detail of a crop with that of its target; None where nothing is painted.

    Sharpness is how strong the edges of a fine band are beside those of the next coarser one; the
    two finest bands are scaled to the target's ratios, whatever the faces show. Where the crop's
    skin is still smoother than the target's, noise of the same band fills up; the target's own
    pixels would bring its wrinkles along. Arguments as for ``match_detail``.
    """
    window = _window_of(mask)
    if window is None:
        return None
    lows = _low_passes(_luma(crop_bgr), sigmas=_BAND_SIGMAS[:2])
    return _compare(lows, target_bgr=target_bgr, mask=mask, window=window)


def _compare(
    lows: Sequence[Floats], *, target_bgr: Floats, mask: Floats, window: tuple[slice, slice]
) -> DetailGains:
    """See ``measure_gains``; ``lows`` is the crop's luma and its two finest low-passes."""
    inside = np.flatnonzero(mask[window] > _MASK_HALF)
    sample = inside[:: max(1, -(-len(inside) // _SAMPLES))]
    own = [low[window] for low in lows]
    own_bands = [own[0] - own[1], own[1] - own[2], _bands(own[2], sigmas=_BAND_SIGMAS[2:])[0]]
    target_bands = _bands(_luma(target_bgr[window]))
    own_levels, target_levels = (
        [_levels(band, sample) for band in bands] for bands in (own_bands, target_bands)
    )
    gains, grains, gain = [0.0, 0.0], [0.0, 0.0], 1.0
    for index in (1, 0):
        sharper = own_levels[index + 1].edges / own_levels[index].edges
        gain *= sharper * target_levels[index].edges / target_levels[index + 1].edges
        gain = float(np.clip(gain, *_GAIN_LIMITS))
        smooth = gain * own_levels[index].skin
        missing = max(0.0, target_levels[index].skin ** 2 - smooth**2) ** 0.5
        gains[index] = gain
        grains[index] = min(missing, _GRAIN_MAX) / _noise_levels()[index].skin
    return DetailGains(gains=(gains[0], gains[1]), grains=(grains[0], grains[1]))


def _window_of(mask: Floats) -> tuple[slice, slice] | None:
    """The middle of what is painted, where detail is measured; none if nothing is."""
    inside = mask > _MASK_HALF
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    return _middle(rows), _middle(columns)


def _middle(indices: NDArray[np.intp]) -> slice:
    start, stop = int(indices[0]), int(indices[-1]) + 1
    spare = max(0, stop - start - _WINDOW_MAX_PX)
    return slice(start + spare // 2, stop - (spare - spare // 2))


@lru_cache(maxsize=1)
def _noise() -> tuple[Floats, ...]:
    """Bands of a sheet of grain whose opposite edges fit together."""
    # Seeded: the same job gives the same picture.
    sheet = np.random.default_rng(0).standard_normal((_SHEET_PX, _SHEET_PX), dtype=np.float32)
    margin = _SHEET_PX // 4
    inner = slice(margin, margin + _SHEET_PX)
    return tuple(
        np.ascontiguousarray(band[inner, inner])
        for band in _bands(np.pad(sheet, margin, mode="wrap"))
    )


@lru_cache(maxsize=8)
def _tiled_noise(rows: int, columns: int) -> tuple[Floats, ...]:
    return tuple(np.tile(band, (rows, columns)) for band in _noise())


@lru_cache(maxsize=1)
def _noise_levels() -> tuple[_Levels, ...]:
    """Levels of each band of grain; every part of a sheet has about the same."""
    return tuple(_levels(band, np.arange(band.size)) for band in _noise())


def _noise_bands(height: int, width: int, *, corner_px: tuple[int, int]) -> list[Floats]:
    """Bands of grain as they lie at a place of the picture, which sheets cover side by side."""
    left, top = (place % _SHEET_PX for place in corner_px)
    sheets = _tiled_noise(-(-(top + height) // _SHEET_PX), -(-(left + width) // _SHEET_PX))
    return [band[top : top + height, left : left + width] for band in sheets]


def _bands(image: Floats, *, sigmas: Sequence[float] = _BAND_SIGMAS) -> list[Floats]:
    """Detail of an (H, W) float32 picture by scale, finest first."""
    lows = _low_passes(image, sigmas=sigmas)
    return [fine - coarse for fine, coarse in pairwise(lows)]


def _low_passes(image: Floats, *, sigmas: Sequence[float] = _BAND_SIGMAS) -> list[Floats]:
    """An (H, W) float32 picture, and what is left of it after each of the bands."""
    lows = [image]
    for sigma in sigmas:
        lows.append(blur(lows[-1], sigma=sigma, reach_sigmas=_REACH_SIGMAS))
    return lows


class _Levels(NamedTuple):
    """Strength of a band, never 0, in grey levels."""

    edges: float
    skin: float


def _levels(band: Floats, sample: NDArray[np.intp]) -> _Levels:
    """Percentiles of a band over the pixels with these flat indices."""
    if not len(sample):
        return _Levels(_LEVEL_MIN, _LEVEL_MIN)
    values = np.abs(np.ravel(band)[sample])
    # Partial sorting: numpy's own percentile takes several times as long for so few values.
    last, levels = len(values) - 1, []
    places = [last * percentile / 100 for percentile in (_EDGES, _SKIN)]
    spans = [(int(place), min(int(place) + 1, last)) for place in places]
    values.partition([index for span in spans for index in span])
    for place, (low, high) in zip(places, spans, strict=True):
        between = float(values[low]) + float(values[high] - values[low]) * (place - low)
        levels.append(between + _LEVEL_MIN)
    return _Levels(*levels)


def _luma(image_bgr: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), dtype=np.float32)


def _region_of(mask: Floats, back: Doubles, shape: tuple[int, ...]) -> _Region | None:
    """The part of the picture that the mask can reach; none if it lies beside the picture."""
    is_painted = mask > _MASK_NONE
    rows = np.flatnonzero(is_painted.any(axis=1))
    columns = np.flatnonzero(is_painted.any(axis=0))
    if not len(rows):
        return None
    xs, ys = (columns[0] - 1, columns[-1] + 1), (rows[0] - 1, rows[-1] + 1)
    corners = np.asarray([[x, y] for x in xs for y in ys]) @ back[:, :2].T + back[:, 2]
    limits = np.asarray([shape[1], shape[0]])
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, limits).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 3, 0, limits).astype(int)
    if (high <= low).any():
        return None
    return _Region(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
