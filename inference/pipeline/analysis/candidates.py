"""What every detector yields: candidate rows, and what is done with them.

A row is (15,) float32: left, top, right, bottom, five points x y, score; px of the picture.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.types import Detection, Floats, Image

ROW_LENGTH: Final = 15
_CANDIDATES_MAX: Final = 2000


def shrink_to(image_bgr: Image, *, side_px: int) -> tuple[Image, Floats]:
    """Make the longer side ``side_px``; a smaller picture stays as it is.

    Enlarging would show a detector nothing new. The filter averages areas, on bytes: large
    photographs are four times faster so than in floats, and nothing aliases.

    Returns:
        The (H, W, 3) uint8 BGR picture, and (2,) float32 factors x, y back to the original's px.
    """
    height, width = image_bgr.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    back = np.asarray([width / size[0], height / size[1]], dtype=np.float32)
    if size == (width, height):
        return image_bgr, back
    small = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8), back


def pad_square(image_bgr: Image, *, side_px: int) -> Image:
    """Zero-pad to the right and at the bottom: (S, S, 3) uint8 BGR."""
    height, width = image_bgr.shape[:2]
    canvas = np.zeros((side_px, side_px, 3), dtype=np.uint8)
    canvas[:height, :width] = image_bgr
    return canvas


def suppress_overlaps(rows: Floats, *, overlap_max: float) -> Floats:
    """Greedy non-maximum suppression by intersection over union; keeps the best score first.

    At most the 2,000 best candidates are looked at, so a picture full of faces cannot make it slow.
    """
    order = np.argsort(-rows[:, 14], kind="stable")[:_CANDIDATES_MAX]
    rest = rows[order]
    kept: list[Floats] = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        rest = rest[overlaps(best[:4], rest[:, :4]) <= overlap_max]
    return np.stack(kept) if kept else rows[:0]


def overlaps(box: Floats, others: Floats) -> NDArray[np.float32]:
    """(K,) float32 intersection over union of one (4,) box with (K, 4) others."""
    corner_min = np.maximum(box[:2], others[:, :2])
    corner_max = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(corner_max - corner_min, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    joined = np.prod(box[2:] - box[:2]) + areas - shared
    # Boxes without an area overlap with nothing.
    return np.asarray(shared / np.maximum(joined, np.float32(1e-9)), dtype=np.float32)


def turn_back(rows: Floats, *, quarter_turns: int, size_px: tuple[int, int]) -> Floats:
    """Undo ``np.rot90`` on rows found in the turned picture of ``size_px`` (width, height)."""
    points = rows[:, :14].reshape(-1, 7, 2)
    width, height = size_px
    for _ in range(quarter_turns):
        # np.rot90 moves (x, y) to (y, W - x) with W the width before it, the height after it.
        points = np.stack([height - points[..., 1], points[..., 0]], axis=-1)
        width, height = height, width
    corners = points[:, :2]
    box = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    parts = [box, points[:, 2:].reshape(-1, 10), rows[:, 14:]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def to_detection(row: Floats) -> Detection:
    """One row as the later stages take it."""
    return Detection(
        box_xyxy=row[:4].copy(), points=row[4:14].reshape(5, 2).copy(), score=float(row[14])
    )
