"""SCRFD and RetinaFace: distances from the anchors of three strides.

Outputs by position: scores, boxes and points, each for strides 8, 16 and 32, with two anchors a
cell. The anchor of a cell is (column, row) * stride, without half a cell of offset; a box is the
anchor minus and plus four distances * stride, a point the anchor plus its offset * stride
(Guo et al. 2021, the published inference code).
"""

from __future__ import annotations

import numpy as np

from inference.pipeline.analysis.candidates import pad_square, shrink_to
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Floats, Image


def find_candidates(
    model: LoadedModel, *, image_bgr: Image, size_px: int, score_min: float
) -> Floats:
    """Rows of every anchor that may be a face; see ``candidates``.

    Args:
        model: a SCRFD or RetinaFace session.
        image_bgr: (H, W, 3) uint8 BGR.
        size_px: side of the square the picture is shrunk into.
        score_min: 0..1.
    """
    small, back = shrink_to(image_bgr, side_px=size_px)
    outputs = model.run({"input": to_blob(model, pad_square(small, side_px=size_px))})
    strides: list[int] = list(model.spec.params["strides"])
    rows = decode(
        outputs,
        strides=strides,
        anchors_per_cell=int(model.spec.params["anchors_per_cell"]),
        width_px=size_px,
        score_min=score_min,
    )
    rows[:, :14] *= np.tile(back, 7)
    return rows


def to_blob(model: LoadedModel, image_bgr: Image) -> Floats:
    """(S, S, 3) uint8 BGR -> (1, 3, S, S) float32 BGR, scaled and centred as described."""
    spec = model.spec
    mean = np.asarray(spec.mean, dtype=np.float32).reshape(3, 1, 1)
    std = np.asarray(spec.std, dtype=np.float32).reshape(3, 1, 1)
    planes = image_bgr.transpose(2, 0, 1).astype(np.float32) / np.float32(spec.scale)
    return np.ascontiguousarray((planes - mean) / std)[np.newaxis]


def decode(
    outputs: tuple[Floats, ...],
    *,
    strides: list[int],
    anchors_per_cell: int,
    width_px: int,
    score_min: float,
) -> Floats:
    """Nine outputs for one picture -> (K, 15) float32 rows in px of the padded picture."""
    count = len(strides)
    rows = []
    for index, stride in enumerate(strides):
        scores, boxes, points = (outputs[index + count * part] for part in range(3))
        # A file with a batch axis has one dimension more in front.
        scores, boxes, points = scores.reshape(-1), boxes.reshape(-1, 4), points.reshape(-1, 5, 2)
        chosen = np.flatnonzero(scores >= score_min)
        row, column = np.divmod(chosen // anchors_per_cell, width_px // stride)
        anchor = np.stack([column, row], axis=1).astype(np.float32) * stride
        distances = boxes[chosen] * stride
        parts = [
            anchor - distances[:, :2],
            anchor + distances[:, 2:],
            (anchor[:, np.newaxis] + points[chosen] * stride).reshape(-1, 10),
            scores[chosen, np.newaxis],
        ]
        rows.append(np.concatenate(parts, axis=1).astype(np.float32))
    return np.concatenate(rows)
