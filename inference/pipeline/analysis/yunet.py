"""YuNet: face boxes and five rough points.

Decoding follows YuNet's own post-processing (Wu, Peng, Yu 2023; OpenCV's FaceDetectorYN): at a
cell (column, row) of stride s, score = sqrt(cls * obj), centre = (cell + offset) * s,
size = exp(log size) * s, points = (cell + offset) * s.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Detection, Floats, Image

_STRIDES: Final = (8, 16, 32)
_SIDE_MULTIPLE: Final = 32
_OVERLAP_MAX: Final = 0.3
_CANDIDATES_MAX: Final = 2000
# Longest sides to try, in this order, until a face is found: the usual one, a larger one for small
# faces in large pictures, a smaller one for a face that fills the picture.
_SIDES_PX: Final = (640, 1280, 320)


def detect_faces(model: LoadedModel, *, image_bgr: Image, score_min: float) -> list[Detection]:
    """All faces of a picture, best score first.

    Args:
        model: the YuNet session.
        image_bgr: (H, W, 3) uint8 BGR.
        score_min: 0..1; portraits reach 0.88 to 0.95, false finds stay below 0.8.
    """
    for quarter_turns in range(4):
        # Turned pictures only if there is nothing upright: most faces are, and it costs little.
        turned = np.ascontiguousarray(np.rot90(image_bgr, quarter_turns))
        found = _detect_upright(model, turned, score_min=score_min)
        if found:
            height, width = turned.shape[:2]
            return [_turn_back(face, quarter_turns, width, height) for face in found]
    return []


def _detect_upright(model: LoadedModel, image_bgr: Image, *, score_min: float) -> list[Detection]:
    longest = max(image_bgr.shape[:2])
    # Pictures are only shrunk: enlarging one shows the detector nothing new.
    for side in dict.fromkeys(min(side, longest) for side in _SIDES_PX):
        found = _detect_at(model, image_bgr, side=side, score_min=score_min)
        if found:
            return found
    return []


def _turn_back(face: Detection, quarter_turns: int, width: int, height: int) -> Detection:
    """Undo ``np.rot90`` on a detection in a picture of the turned size ``width`` x ``height``."""
    corners = face.box_xyxy.reshape(2, 2)
    points = np.concatenate([corners, face.points])
    for _ in range(quarter_turns):
        # np.rot90 moves (x, y) to (y, W - x) with W the width before it, the height after it.
        points = np.stack([height - points[:, 1], points[:, 0]], axis=1)
        width, height = height, width
    box = np.concatenate([points[:2].min(axis=0), points[:2].max(axis=0)])
    return Detection(
        box_xyxy=box.astype(np.float32), points=points[2:].astype(np.float32), score=face.score
    )


def _detect_at(
    model: LoadedModel, image_bgr: Image, *, side: int, score_min: float
) -> list[Detection]:
    height, width = image_bgr.shape[:2]
    scale = side / max(height, width)
    small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = image_bgr
    if small_size != (width, height):
        # On bytes, not floats: large photographs are four times faster so.
        shrunk = cv2.resize(image_bgr, small_size, interpolation=cv2.INTER_AREA)
        small = np.asarray(shrunk, dtype=np.uint8)
    blob = to_blob(small)
    names = [tensor.name for tensor in model.spec.outputs]
    outputs = dict(zip(names, model.run({"input": blob}), strict=True))
    rows = suppress_overlaps(decode(outputs, width_px=blob.shape[3], score_min=score_min))
    back = np.asarray([width / small_size[0], height / small_size[1]], dtype=np.float32)
    return [
        Detection(
            box_xyxy=(row[:4].reshape(2, 2) * back).reshape(4),
            points=row[4:14].reshape(5, 2) * back,
            score=float(row[14]),
        )
        for row in rows
    ]


def to_blob(image_bgr: Image) -> Floats:
    """(H, W, 3) uint8 BGR -> (1, 3, H', W') float32 BGR 0..255, zero-padded to multiples of 32."""
    height, width = image_bgr.shape[:2]
    pad_y, pad_x = -height % _SIDE_MULTIPLE, -width % _SIDE_MULTIPLE
    padded = np.pad(image_bgr, ((0, pad_y), (0, pad_x), (0, 0)))
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)


def decode(outputs: dict[str, Floats], *, width_px: int, score_min: float) -> Floats:
    """Network outputs of one picture -> (K, 15) float32 rows.

    A row is left, top, right, bottom, five points x y, score; px of the padded picture.
    """
    rows = [
        _decode_stride(outputs, stride, width_px=width_px, score_min=score_min)
        for stride in _STRIDES
    ]
    return np.concatenate(rows)


def suppress_overlaps(rows: Floats) -> Floats:
    """Greedy non-maximum suppression at IoU 0.3; keeps the best score first."""
    order = np.argsort(-rows[:, 14], kind="stable")[:_CANDIDATES_MAX]
    rest = rows[order]
    kept: list[Floats] = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        rest = rest[_overlaps(best[:4], rest[:, :4]) <= _OVERLAP_MAX]
    return np.stack(kept) if kept else rows[:0]


def _decode_stride(
    outputs: dict[str, Floats], stride: int, *, width_px: int, score_min: float
) -> Floats:
    class_score = np.clip(outputs[f"cls_{stride}"][0, :, 0], 0, 1)
    object_score = np.clip(outputs[f"obj_{stride}"][0, :, 0], 0, 1)
    scores = np.sqrt(class_score * object_score)
    index = np.flatnonzero(scores >= score_min)
    row, column = np.divmod(index, width_px // stride)
    cell = np.stack([column, row], axis=1).astype(np.float32)
    box = outputs[f"bbox_{stride}"][0, index]
    centre = (cell + box[:, :2]) * stride
    half = np.exp(box[:, 2:]) * (stride / 2)
    points = (cell[:, np.newaxis] + outputs[f"kps_{stride}"][0, index].reshape(-1, 5, 2)) * stride
    parts = [centre - half, centre + half, points.reshape(-1, 10), scores[index, np.newaxis]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _overlaps(box: Floats, others: Floats) -> NDArray[np.float32]:
    """(K,) intersection over union of one box with many."""
    corner_min = np.maximum(box[:2], others[:, :2])
    corner_max = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(corner_max - corner_min, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(shared / (np.prod(box[2:] - box[:2]) + areas - shared), dtype=np.float32)
