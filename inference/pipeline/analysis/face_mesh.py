"""Dense landmarks: MediaPipe's 468-point face mesh on a rotated square around the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.aligner import invert, transform_mesh, warp
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.topology import OUTER_EYE_CORNERS, five_points
from inference.pipeline.types import Detection, Doubles, Face, Floats, Image, Landmarks

# The network's logit: frontal faces reach 30 and more, profiles 5 to 13, wrong orientations stay
# below 8. So half of the full score parts what can be used from what cannot.
_LOGIT_FULL: Final = 30.0
# Below this the head may be rolled so far that the detector's points, and the region, are wrong.
_LOGIT_DOUBTFUL: Final = 25.0
# The mesh's vertices that lie where the 68 points of the 300-W scheme do: jaw, brows, bridge and
# foot of the nose, eyes, outer and inner lips, each from image-left to image-right.
OUTLINE: Final = (
    *(127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
_ROI_SCALE: Final = 1.5
_QUARTER_TURNS: Final = (0.0, np.pi / 2, np.pi, 3 * np.pi / 2)
# Grid of the squares in which faces are followed: parts of the side, sizes per octave, radians.
_GRID_PLACES: Final = 768
_GRID_SIZES: Final = 192
_GRID_ANGLE: Final = np.pi / 864


@dataclass(frozen=True, slots=True)
class Roi:
    """A rotated square in a picture: centre and side in px, angle in radians, clockwise."""

    x: float
    y: float
    side: float
    angle: float


def find_landmarks(model: LoadedModel, *, image_bgr: Image, detection: Detection) -> Face:
    """Fit the mesh to one detected face, whatever the roll of the head.

    The first pass uses the detector's box; the second the square around the first mesh, which
    moves the points by about one per cent of the face width.
    """
    roi = roi_from_detection(detection)
    mesh, score = best_of_rois(model, image_bgr=image_bgr, rois=[roi])
    mesh, score = best_of_rois(model, image_bgr=image_bgr, rois=[roi_from_mesh(mesh)])
    if score < _LOGIT_DOUBTFUL:
        rois = [Roi(roi.x, roi.y, roi.side, roi.angle + turn) for turn in _QUARTER_TURNS]
        turned, turned_score = best_of_rois(model, image_bgr=image_bgr, rois=rois)
        # The best of four may still be off by 45 degrees, so one more pass than usual.
        for _ in range(2):
            turned, turned_score = best_of_rois(
                model, image_bgr=image_bgr, rois=[roi_from_mesh(turned)]
            )
        if turned_score > score:
            mesh, score = turned, turned_score
    return Face(detection=detection, landmarks=landmarks_of(mesh, logit=score))


def landmarks_of(mesh: Floats, *, logit: float) -> Landmarks:
    """All landmarks that follow from a (468, 3) float32 mesh; ``logit`` is the network's score."""
    return Landmarks(
        five=five_points(mesh),
        score=min(max(logit / _LOGIT_FULL, 0.0), 1.0),
        dense=mesh,
        outline=np.ascontiguousarray(mesh[list(OUTLINE), :2]),
    )


def best_of_rois(
    model: LoadedModel, *, image_bgr: Image, rois: Sequence[Roi]
) -> tuple[Floats, float]:
    """Run the mesh on several squares as one batch and keep the best-scored result.

    Returns:
        (468, 3) float32 mesh in px of the picture, and its logit.
    """
    size = model.spec.crop_size_px
    matrices = [roi_matrix(roi, size_px=size) for roi in rois]
    blob = np.stack([_to_blob(image_bgr, matrix, size) for matrix in matrices])
    points, scores = model.run({"image": blob})
    best = int(np.argmax(scores[:, 0]))
    return transform_mesh(points[best], invert(matrices[best])), float(scores[best, 0])


def follow(
    model: LoadedModel, *, image_bgr: Image, meshes: Sequence[Floats]
) -> list[tuple[Floats, float]]:
    """Fit meshes around where they were in the frame before, all in one run.

    The squares lie on a grid. A point of the mesh depends a little on the square, and the next
    square on the mesh: two runs that began at different frames, such as those of two segments,
    would never quite agree. On a grid they look at the same square before long, and from then on
    find the same mesh. A coarser grid would sooner; but a face that moves slowly would tremble.

    Returns:
        For each, the (468, 3) float32 mesh in px of the picture and its logit.
    """
    size = model.spec.crop_size_px
    matrices = [roi_matrix(_on_grid(roi_from_mesh(mesh)), size_px=size) for mesh in meshes]
    blob = np.stack([_to_blob(image_bgr, matrix, size) for matrix in matrices])
    points, scores = model.run({"image": blob})
    return [
        (transform_mesh(found, invert(matrix)), float(score[0]))
        for found, matrix, score in zip(points, matrices, scores, strict=True)
    ]


def roi_from_detection(detection: Detection) -> Roi:
    """The square around a detector box, turned so that the eyes lie level."""
    left, top, right, bottom = (float(value) for value in detection.box_xyxy)
    across = detection.points[1] - detection.points[0]
    return Roi(
        x=(left + right) / 2,
        y=(top + bottom) / 2,
        side=_ROI_SCALE * max(right - left, bottom - top),
        angle=float(np.arctan2(across[1], across[0])),
    )


def roi_from_mesh(mesh: Floats) -> Roi:
    """The square around a (468, 3) mesh, turned so that the eyes lie level."""
    across = mesh[OUTER_EYE_CORNERS[1], :2] - mesh[OUTER_EYE_CORNERS[0], :2]
    angle = float(np.arctan2(across[1], across[0]))
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.asarray([[cosine, sine], [-sine, cosine]])
    level = mesh[:, :2] @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    centre = turn.T @ ((low + high) / 2)
    return Roi(
        x=float(centre[0]),
        y=float(centre[1]),
        side=_ROI_SCALE * float((high - low).max()),
        angle=angle,
    )


def _on_grid(roi: Roi) -> Roi:
    side = float(2 ** (round(np.log2(roi.side) * _GRID_SIZES) / _GRID_SIZES))
    step = side / _GRID_PLACES
    return Roi(
        x=round(roi.x / step) * step,
        y=round(roi.y / step) * step,
        side=side,
        angle=round(roi.angle / _GRID_ANGLE) * _GRID_ANGLE,
    )


def roi_matrix(roi: Roi, *, size_px: int) -> Doubles:
    """(2, 3) float64, picture px -> px of the upright square crop."""
    scale = size_px / roi.side
    cosine, sine = np.cos(roi.angle) * scale, np.sin(roi.angle) * scale
    linear = np.asarray([[cosine, sine], [-sine, cosine]])
    return np.column_stack([linear, size_px / 2 - linear @ np.asarray([roi.x, roi.y])])


def _to_blob(image_bgr: Image, matrix: Doubles, size_px: int) -> Floats:
    """(3, S, S) float32 RGB 0..1."""
    size = (size_px, size_px)
    crop = warp(image_bgr, matrix=matrix, size_px=size, interpolation=cv2.INTER_LINEAR)
    return np.stack(cv2.split(crop)[::-1]) / np.float32(255)
