"""YOLO face: one column per candidate: centre, size, score, and five times x, y, confidence."""

from __future__ import annotations

import numpy as np

from inference.pipeline.analysis.anchors import to_blob
from inference.pipeline.analysis.candidates import pad_square, shrink_to
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Floats, Image


def find_candidates(
    model: LoadedModel, *, image_bgr: Image, size_px: int, score_min: float
) -> Floats:
    """Rows of every candidate that may be a face; see ``candidates``.

    Args:
        model: a YOLO face session; its input has one fixed size.
        image_bgr: (H, W, 3) uint8 BGR.
        size_px: side of the square the picture is shrunk into: the model's own.
        score_min: 0..1.
    """
    small, back = shrink_to(image_bgr, side_px=size_px)
    (output,) = model.run({"input": to_blob(model, pad_square(small, side_px=size_px))})
    rows = decode(output, score_min=score_min)
    rows[:, :14] *= np.tile(back, 7)
    return rows


def decode(output: Floats, *, score_min: float) -> Floats:
    """(1, 20, A) float32 -> (K, 15) float32 rows in px of the padded picture."""
    found = output[0].T
    found = found[found[:, 4] > score_min]
    centre, half = found[:, :2], found[:, 2:4] / 2
    points = found[:, 5:20].reshape(-1, 5, 3)[:, :, :2].reshape(-1, 10)
    parts = [centre - half, centre + half, points, found[:, 4:5]]
    return np.concatenate(parts, axis=1).astype(np.float32)
