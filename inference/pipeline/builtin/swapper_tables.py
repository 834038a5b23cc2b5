"""Constant tables of the mesh swapper: where it paints, how far shape moves, what is mouth."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.topology import (
    FOREHEAD_TOP,
    POINT_COUNT,
    edge_distance,
    face_topology,
)
from inference.pipeline.types import Doubles

MOUTH_MAP_SIZE: Final = 256
_RASTER_SIZE: Final = 512
_RASTER_SHIFT: Final = 4
# Steps of the mesh over which the source's shape fades in from the oval and from the lips.
_OVAL_FADE_STEPS: Final = 4.0
_LIP_FADE_STEPS: Final = 3.0
# Forehead, as fractions of the way from the brows up to the top of the mesh: painted fully up to
# the first, not at all from the second on.
_FOREHEAD_FULL: Final = 0.65
_FOREHEAD_END: Final = 1.0
# Below the mouth the paint reaches close to the jaw line; on the sides it fades over two steps.
_SIDE_FADE_STEPS: Final = 2.0
_JAW_FADE_STEPS: Final = 1.0
_JAW_BLEND_HEIGHT: Final = 0.12


def paste_weights() -> Doubles:
    """(468,) float64 0..1: how much of the source is painted at each vertex."""
    face = face_topology()
    v = face.uv[:, 1]
    lowness = np.clip((v - v[face.lips_inner].mean()) / _JAW_BLEND_HEIGHT, 0, 1)
    fade_steps = _SIDE_FADE_STEPS + (_JAW_FADE_STEPS - _SIDE_FADE_STEPS) * lowness
    inside = np.clip(face.oval_steps / fade_steps, 0, 1)
    brow, top = v[face.brows].min(), v[FOREHEAD_TOP]
    height = (brow - v) / (brow - top)
    forehead = np.clip((_FOREHEAD_END - height) / (_FOREHEAD_END - _FOREHEAD_FULL), 0, 1)
    weights = np.minimum(inside, forehead * forehead * (3 - 2 * forehead))
    return np.asarray(weights, dtype=np.float64)


def shape_transfer(alpha: float) -> Doubles:
    """(468, 468) float64: how the shape difference source - target moves the output's vertices.

    ``alpha`` is the share of the source's shape. It fades to zero at the oval, so that the face
    stays joined to the head, and at the lips, so that the expression stays the target's. Each eye
    moves as a whole: all its vertices take the mean difference.
    """
    face = face_topology()
    oval_fade = np.clip(face.oval_steps / _OVAL_FADE_STEPS, 0, 1)
    lip_steps = edge_distance(face.triangles, face.lips)
    lip_fade = np.clip(lip_steps / _LIP_FADE_STEPS, 0, 1)
    mixing = np.eye(POINT_COUNT)
    for ring in (face.left_eye, face.right_eye):
        eye = np.flatnonzero(edge_distance(face.triangles, ring) <= 1)
        mixing[eye] = 0
        mixing[np.ix_(eye, eye)] = 1 / len(eye)
    return np.asarray(alpha * (oval_fade * lip_fade)[:, np.newaxis] * mixing, dtype=np.float64)


def normal_sums() -> NDArray[np.float32]:
    """(468, 852) float32: adds the triangle normals up at each vertex, facing the camera.

    Scaled by 1000, because normals of triangles in unit coordinates are tiny.
    """
    face = face_topology()
    sums = np.zeros((POINT_COUNT, len(face.triangles)), dtype=np.float32)
    for corner in range(3):
        sums[face.triangles[:, corner], np.arange(len(face.triangles))] = face.facing_sign * 1000
    return sums


def mouth_map() -> NDArray[np.uint8]:
    """(256 * 256, 1) uint8: 255 inside the mouth hole of the face texture, with a soft edge."""
    face = face_topology()
    hole = np.zeros((_RASTER_SIZE, _RASTER_SIZE), dtype=np.uint8)
    corners = np.rint(face.uv * _RASTER_SIZE * (1 << _RASTER_SHIFT)).astype(np.int32)
    for triangle in face.mouth_triangles:
        cv2.fillConvexPoly(hole, corners[triangle], 1, cv2.LINE_8, _RASTER_SHIFT)
    soft = _blur(hole.astype(np.float64), sigma=2.0)
    cells = _RASTER_SIZE // MOUTH_MAP_SIZE
    soft = soft.reshape(MOUTH_MAP_SIZE, cells, MOUTH_MAP_SIZE, cells).mean(axis=(1, 3))
    # Rounded first, so that a tie falls to the same side on every processor.
    levels = np.floor(np.round(soft * 255, 4) + 0.5)
    return np.asarray(levels, dtype=np.uint8).reshape(-1, 1)


def gaussian(sigma: float) -> Doubles:
    """Odd-length Gaussian kernel with sum 1, cut off at 2.5 sigma."""
    radius = int(np.ceil(2.5 * sigma))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _blur(image: Doubles, *, sigma: float) -> Doubles:
    """Separable Gaussian in float64; OpenCV's differs between processors."""
    kernel = gaussian(sigma)

    def convolve(row: NDArray[Any]) -> NDArray[Any]:
        return np.convolve(row, kernel, mode="same")

    rows = np.apply_along_axis(convolve, 1, image)
    return np.asarray(np.apply_along_axis(convolve, 0, rows), dtype=np.float64)
