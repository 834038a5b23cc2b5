"""Masks that follow from geometry alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from inference.pipeline.filters import blur, fill_hull
from inference.pipeline.types import Floats

#: The parts of a face, by points of the 300-W scheme whose convex hull covers them.
AREAS: Final[dict[str, tuple[int, ...]]] = {
    "upper_face": (0, 1, 2, *range(14, 27), *range(31, 36)),
    "lower_face": (*range(3, 14), *range(31, 36)),
    "mouth": tuple(range(48, 68)),
}
# Sigma of the soft edge on a crop of 256 px. It grows with the crop, so that the edge looks the
# same whatever the pixel boost.
_EDGE_SIGMA_AT_256: Final = 5.0


def box_mask(
    *, size_px: int, blur_share: float, padding_percent: tuple[int, int, int, int]
) -> Floats:
    """(S, S) float32: 1 inside, 0 at the crop's border, soft in between.

    With a = int(S * 0.5 * blur): each side is zeroed by at least max(a // 2, 1) px, then all is
    smoothed by a Gaussian of sigma a / 4.

    Args:
        size_px: S.
        blur_share: 0..1.
        padding_percent: of the side, zeroed at the top, right, bottom and left.
    """
    amount = int(size_px * 0.5 * blur_share)
    border = max(amount // 2, 1)
    top, right, bottom, left = (
        max(border, int(size_px * percent / 100)) for percent in padding_percent
    )
    mask = np.zeros((size_px, size_px), dtype=np.float32)
    mask[top : max(size_px - bottom, top), left : max(size_px - right, left)] = 1
    return blur(mask, sigma=amount * 0.25) if amount else mask


def area_mask(outline: Floats, *, size_px: int, areas: Collection[str]) -> Floats:
    """(S, S) float32: the convex hull of parts of the face, with a soft edge.

    Args:
        outline: (68, 2) float32, px of the crop.
        size_px: S.
        areas: keys of ``AREAS``; their points share one hull.
    """
    points = sorted({index for area in areas for index in AREAS[area]})
    hull = fill_hull(outline[points], size_px=size_px)
    return soft_edge(hull.astype(np.float32))


def soft_edge(mask: Floats) -> Floats:
    """Smooth the edge of a 0..1 mask inwards: nothing outside the mask becomes part of it."""
    smooth = blur(mask, sigma=_EDGE_SIGMA_AT_256 * mask.shape[0] / 256)
    return np.asarray(np.clip((smooth - 0.5) * 2, 0, 1), dtype=np.float32)
