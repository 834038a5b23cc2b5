"""Pictures as tensors of a model, and back."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from inference.pipeline.registry.spec import ModelSpec
from inference.pipeline.types import Floats, Image


def to_blob(crops_bgr: Sequence[Image], spec: ModelSpec) -> Floats:
    """N x (S, S, 3) uint8 BGR -> (N, 3, S, S) float32 in the model's colours and range."""
    step = -1 if spec.colour == "RGB" else 1
    # Parted while they are bytes: transposing floats would move four times as much.
    planes = np.stack([np.stack(cv2.split(crop)[::step]) for crop in crops_bgr]).astype(np.float32)
    planes /= np.float32(spec.scale)
    mean, std = (
        np.asarray(values, dtype=np.float32).reshape(1, 3, 1, 1) for values in (spec.mean, spec.std)
    )
    if spec.mean != (0.0, 0.0, 0.0):
        planes -= mean
    if spec.std != (1.0, 1.0, 1.0):
        planes /= std
    return planes


def from_blob(blob: Floats, *, is_symmetric: bool) -> Floats:
    """(N, 3, S, S) float32 RGB -> (N, S, S, 3) float32 BGR 0..255, clipped and not rounded.

    Args:
        blob: RGB 0..1, or -1..1 where it is symmetric.
        is_symmetric: see there.
    """
    pixels = blob.transpose(0, 2, 3, 1)[..., ::-1]
    if is_symmetric:
        pixels = pixels * np.float32(0.5) + np.float32(0.5)
    return np.ascontiguousarray(np.clip(pixels, 0, 1) * np.float32(255), dtype=np.float32)
