"""Gives a crop the colours of its target: mean and spread of each channel in Lab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.types import Floats

_INSIDE_MIN: Final = 0.5
_PIXELS_MIN: Final = 64
# A channel that hardly varies says nothing about spread; a ratio of two such would be noise.
_SPREAD_MIN: Final = 0.5
_RATIO_LIMITS: Final = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class ColourOptions:
    """How far a swapped face takes on the colours of its target.

    Attributes:
        strength: 0..1; 0 leaves the swapper's colours, 1 matches mean and spread.
    """

    strength: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise InvalidOptionsError("colour.strength", "must be from 0 to 1")


def match_colours(crop_bgr: Floats, *, target_bgr: Floats, mask: Floats, strength: float) -> Floats:
    """The crop in the target's colours as far as ``strength``, 0..1, says; see ``measure_shift``.

    Each frame of a video by itself: what the grain of a film changes in the two means is far too
    little to be seen, and a mean over frames would lag behind light that changes.
    """
    found = measure_shift(crop_bgr, target_bgr=target_bgr, mask=mask) if strength else None
    return crop_bgr if found is None else apply_shift(crop_bgr, found, strength=strength)


@dataclass(frozen=True, slots=True)
class ColourShift:
    """A straight line per channel of Lab: ``(value - pivot) * ratio + pivot + shift``.

    Attributes:
        pivot: mean of the crop.
        ratio: spread of the target over that of the crop.
        shift: mean of the target less that of the crop.
    """

    pivot: tuple[float, float, float]
    ratio: tuple[float, float, float]
    shift: tuple[float, float, float]


def measure_shift(crop_bgr: Floats, *, target_bgr: Floats, mask: Floats) -> ColourShift | None:
    """Compare the colours of a crop with those of its target, where the mask is above a half.

    Args:
        crop_bgr: (H, W, 3) float32 BGR 0..255.
        target_bgr: the same of the target.
        mask: (H, W) float32 0..1, where the crop is painted.

    Returns:
        None where too little is painted to tell.
    """
    inside = mask > _INSIDE_MIN
    if int(inside.sum()) < _PIXELS_MIN:
        return None
    own, target = (_to_lab(image)[inside].astype(np.float64) for image in (crop_bgr, target_bgr))
    own_spread, target_spread = own.std(axis=0), target.std(axis=0)
    varies = (own_spread > _SPREAD_MIN) & (target_spread > _SPREAD_MIN)
    ratio = np.where(varies, target_spread / np.maximum(own_spread, _SPREAD_MIN), 1.0)
    return ColourShift(
        pivot=_triple(own.mean(axis=0)),
        ratio=_triple(np.clip(ratio, *_RATIO_LIMITS)),
        shift=_triple(target.mean(axis=0) - own.mean(axis=0)),
    )


def apply_shift(crop_bgr: Floats, shift: ColourShift, *, strength: float) -> Floats:
    """The crop in the target's colours, (H, W, 3) float32 BGR 0..255, not rounded."""
    pivot, ratio, move = (
        np.asarray(values, dtype=np.float32) for values in (shift.pivot, shift.ratio, shift.shift)
    )
    lab = _to_lab(crop_bgr)
    matched = cv2.cvtColor((lab - pivot) * ratio + pivot + move, cv2.COLOR_LAB2BGR)
    # Colours that no screen shows are cut off here, as the picture would cut them off anyway.
    matched = np.clip(np.asarray(matched, dtype=np.float32), 0, 1) * np.float32(255)
    return np.asarray(crop_bgr + (matched - crop_bgr) * np.float32(strength), dtype=np.float32)


def _to_lab(image_bgr: Floats) -> Floats:
    unit = np.clip(image_bgr, 0, 255) / np.float32(255)
    return np.asarray(cv2.cvtColor(unit, cv2.COLOR_BGR2LAB), dtype=np.float32)


def _triple(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
