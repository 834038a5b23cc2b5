"""Pixel boost: a crop k times as large goes through a model as k * k crops of the model's size.

Part (i, j) takes rows i, i + k, i + 2k ... and columns j, j + k, ... of the large crop, so each
part shows the whole face, shifted by less than a pixel. Splitting and joining lose nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.registry.spec import ModelSpec


def split(crop: NDArray[Any], *, factor: int) -> list[NDArray[Any]]:
    """(k * S, k * S, ...) -> k * k parts of (S, S, ...), row by row."""
    return [crop[row::factor, column::factor] for row in range(factor) for column in range(factor)]


def join(parts: NDArray[Any], *, factor: int) -> NDArray[Any]:
    """(k * k, S, S, ...) -> (k * S, k * S, ...); the inverse of ``split``."""
    side = parts.shape[1] * factor
    crop = np.empty((side, side, *parts.shape[3:]), dtype=parts.dtype)
    for index, part in enumerate(parts):
        crop[index // factor :: factor, index % factor :: factor] = part
    return crop


def boost_sizes(spec: ModelSpec) -> tuple[int, ...]:
    """The crop sizes that a model offers, smallest first."""
    return tuple(spec.params.get("boost_sizes_px", (spec.crop_size_px,)))


def check_boost(spec: ModelSpec, size_px: int) -> int:
    """``size_px``, when the model offers it.

    Raises:
        InvalidOptionsError: it does not; names the sizes that it offers.
    """
    offered = boost_sizes(spec)
    if size_px not in offered:
        sizes = ", ".join(str(size) for size in offered)
        raise InvalidOptionsError("swapper.pixel_boost_px", f"'{spec.key}' offers {sizes}")
    return size_px
