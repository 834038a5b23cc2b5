"""One classifier's vote on one picture."""

from __future__ import annotations

from typing import Final

import numpy as np

from inference.pipeline.filters import resize
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Floats, Image

CONTRACTS: Final = ("nsfw_detector", "nsfw_logits")


def vote(model: LoadedModel, image_bgr: Image) -> bool:
    """Whether the classifier objects to a picture, (H, W, 3) uint8 BGR.

    ``nsfw_detector``: the best candidate of any class that counts is above the limit.
    ``nsfw_logits``: the weighted sum of the logits is above the limit.

    Raises:
        ValueError: the model answers something that is no number.
    """
    spec = model.spec
    output = np.asarray(model.run({spec.inputs[0].name: to_blob(model, image_bgr)})[0], np.float64)
    if not np.isfinite(output).all():
        raise ValueError(f"'{spec.key}' answers no number")
    if spec.contract == "nsfw_detector":
        score = float(output[0, int(spec.params["class_rows_from"]) :].max())
    else:
        score = float(output[0] @ np.asarray(spec.params["weights"], dtype=np.float64))
    return score > float(spec.params["limit"])


def to_blob(model: LoadedModel, image_bgr: Image) -> Floats:
    """(1, 3, S, S) float32: the whole picture in the middle of a square, the rest black."""
    spec = model.spec
    side = spec.crop_size_px
    height, width = image_bgr.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = resize(image_bgr.astype(np.float32), size_px=size)
    canvas = np.zeros((side, side, 3), dtype=np.float32)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    colours = canvas[:, :, ::-1] if spec.colour == "RGB" else canvas
    unit = colours / np.float32(spec.scale)
    pixels = (unit - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
