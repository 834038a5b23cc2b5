"""YuNet: one box, five points and one score per cell.

Decoding follows YuNet's own post-processing (Wu, Peng, Yu 2023; OpenCV's FaceDetectorYN): at a
cell (column, row) of stride s, score = sqrt(cls * obj), centre = (cell + offset) * s,
size = exp(log size) * s, points = (cell + offset) * s.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from inference.pipeline.analysis.candidates import shrink_to
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Floats, Image

_STRIDES: Final = (8, 16, 32)
_SIDE_MULTIPLE: Final = 32


def find_candidates(
    model: LoadedModel, *, image_bgr: Image, size_px: int, score_min: float
) -> Floats:
    """Rows of every cell that may be a face; see ``candidates``.

    Args:
        model: a YuNet session; the outputs are cls, obj, box and points, each for three strides.
        image_bgr: (H, W, 3) uint8 BGR.
        size_px: the longer side is shrunk to this; smaller pictures are left alone.
        score_min: 0..1; portraits reach 0.88 to 0.95, false finds stay below 0.8.
    """
    small, back = shrink_to(image_bgr, side_px=size_px)
    blob = to_blob(small, side_px=model.spec.crop_size_px)
    outputs = model.run({"input": blob})
    rows = decode(outputs, width_px=blob.shape[3], score_min=score_min)
    rows[:, :14] *= np.tile(back, 7)
    return rows


def to_blob(image_bgr: Image, *, side_px: int = 0) -> Floats:
    """(H, W, 3) uint8 BGR -> (1, 3, H', W') float32 BGR 0..255.

    Zero-padded to a square of ``side_px``, or to multiples of 32 where that is 0.
    """
    height, width = image_bgr.shape[:2]
    pad_y = side_px - height if side_px else -height % _SIDE_MULTIPLE
    pad_x = side_px - width if side_px else -width % _SIDE_MULTIPLE
    padded = np.pad(image_bgr, ((0, pad_y), (0, pad_x), (0, 0)))
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)


def decode(outputs: tuple[Floats, ...], *, width_px: int, score_min: float) -> Floats:
    """Twelve outputs for one picture -> (K, 15) float32 rows in px of the padded picture."""
    rows = [
        _decode_stride(outputs[index::3], stride, width_px=width_px, score_min=score_min)
        for index, stride in enumerate(_STRIDES)
    ]
    return np.concatenate(rows)


def _decode_stride(
    outputs: tuple[Floats, ...], stride: int, *, width_px: int, score_min: float
) -> Floats:
    classes, objects, boxes, offsets = (output[0] for output in outputs)
    scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
    index = np.flatnonzero(scores >= score_min)
    row, column = np.divmod(index, width_px // stride)
    cell = np.stack([column, row], axis=1).astype(np.float32)
    box = boxes[index]
    centre = (cell + box[:, :2]) * stride
    half = np.exp(box[:, 2:]) * (stride / 2)
    points = (cell[:, np.newaxis] + offsets[index].reshape(-1, 5, 2)) * stride
    parts = [centre - half, centre + half, points.reshape(-1, 10), scores[index, np.newaxis]]
    return np.concatenate(parts, axis=1).astype(np.float32)
