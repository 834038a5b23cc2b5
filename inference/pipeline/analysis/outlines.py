"""68 points in the 300-W scheme: from a crop (2DFAN, PePPA) or guessed from five points.

The order is that of the scheme, from image-left to image-right: jaw 0-16, brows 17-26, nose 27-35,
eyes 36-47, outer lips 48-59, inner lips 60-67.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from inference.pipeline.aligner import crop_matrix, invert, transform_points, warp
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Detection, Doubles, Floats, Image, Landmarks

POINTS_COUNT: Final = 68
# Below this mean lightness (CIE L, 0..100) the crop's contrast is raised for the network.
_DARK_BELOW: Final = 30.0
_CLAHE_CLIP: Final = 2.0
_LIGHTNESS_SCALE: Final = 100 / 255


def find_outline(
    model: LoadedModel, *, image_bgr: Image, detection: Detection, angle_deg: int = 0
) -> Landmarks:
    """Fit 68 points to one detected face.

    Args:
        model: a session whose contract is ``fan2d`` or ``peppa``.
        image_bgr: (H, W, 3) uint8 BGR.
        detection: the face.
        angle_deg: how far the head is turned, a multiple of 90, see ``head_angle``.
    """
    spec = model.spec
    size = spec.crop_size_px
    matrix = outline_matrix(
        detection.box_xyxy,
        size_px=size,
        face_px=float(spec.params["face_size_px"]),
        angle_deg=angle_deg,
    )
    crop = warp(image_bgr, matrix=matrix, size_px=(size, size), border=cv2.BORDER_CONSTANT)
    blob = _to_blob(np.clip(np.rint(crop), 0, 255).astype(np.uint8))
    outputs = model.run({"input": blob})
    unit = size / float(spec.params["grid"])
    if spec.contract == "fan2d":
        points, confidence = outputs[0][0, :, :2], outputs[1][0].reshape(POINTS_COUNT, -1).max(1)
    else:
        table = outputs[0].reshape(POINTS_COUNT, 3)
        points, confidence = table[:, :2], table[:, 2]
    full = float(spec.params["score_full"])
    outline = transform_points(points * np.float32(unit), invert(matrix))
    return Landmarks(
        five=five_of_outline(outline),
        score=float(np.clip(confidence.mean() / full, 0, 1)),
        outline=outline,
    )


def guess_outline(model: LoadedModel, *, five: Floats) -> Floats:
    """68 points that fit five, (68, 2) float32 px; good enough for the angle of a head.

    Args:
        model: a ``fan_68_5`` session; takes points as fractions of the crop of its template.
        five: (5, 2) float32, px of the picture.
    """
    matrix = crop_matrix(five, template=model.spec.template, size_px=1)
    (points,) = model.run({"input": transform_points(five, matrix)[np.newaxis]})
    return transform_points(points[0], invert(matrix))


def head_angle(outline: Floats) -> int:
    """0, 90, 180 or 270: how far clockwise the jaw's ends (points 0 and 16) are from level."""
    across = outline[16] - outline[0]
    degrees = float(np.degrees(np.arctan2(across[1], across[0])))
    return round(degrees / 90) * 90 % 360


def five_of_outline(outline: Floats) -> Floats:
    """(68, 2) -> (5, 2) float32: means of the eyes, tip of the nose, corners of the mouth."""
    eyes = outline[36:42].mean(axis=0), outline[42:48].mean(axis=0)
    return np.stack([*eyes, outline[30], outline[48], outline[54]]).astype(np.float32)


def outline_matrix(box_xyxy: Floats, *, size_px: int, face_px: float, angle_deg: int) -> Doubles:
    """(2, 3) float64, picture px -> crop px: the box's longer side becomes ``face_px``.

    The box's centre moves to the crop's centre, and a head turned by ``angle_deg`` is set upright.
    """
    left, top, right, bottom = (float(value) for value in box_xyxy)
    scale = face_px / max(right - left, bottom - top, 1.0)
    angle = np.deg2rad(-angle_deg)
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.asarray([[cosine, -sine], [sine, cosine]])
    centre = np.asarray([left + right, top + bottom]) / 2
    return np.column_stack([linear, size_px / 2 - linear @ centre])


def _to_blob(crop_bgr: Image) -> Floats:
    """(S, S, 3) uint8 BGR -> (1, 3, S, S) float32 BGR 0..1, brightened where it is dark."""
    lab = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2LAB)
    if float(lab[:, :, 0].mean()) * _LIGHTNESS_SCALE < _DARK_BELOW:
        lab[:, :, 0] = cv2.createCLAHE(clipLimit=_CLAHE_CLIP).apply(lab[:, :, 0])
        crop_bgr = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR), dtype=np.uint8)
    planes = crop_bgr.transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(planes, dtype=np.float32) / np.float32(255)
