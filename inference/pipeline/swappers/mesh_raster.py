"""Triangles of the face mesh drawn into its unrolled texture, with interpolation weights."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.topology import Indices, face_topology
from inference.pipeline.types import Doubles, Floats, Image

RASTER_SIZE: Final = 512
_SHIFT: Final = 4
_AREA_MIN: Final = 1e-9


@dataclass(frozen=True, slots=True)
class TextureRaster:
    """Which triangle lies under each texel.

    Attributes:
        covered: (512, 512) bool, texels inside the mesh, eyes and mouth included.
        corners: (K, 3) int64, vertices of the triangle of each covered texel, in row order.
        weights: (K, 3) float32, barycentric weights of those vertices.
        nearest: (512, 512) int64, row in ``corners`` of the nearest covered texel.
    """

    covered: Image
    corners: Indices
    weights: Floats
    nearest: Indices

    def interpolate(self, values: Floats | Doubles) -> Floats:
        """Spread per-vertex values (468, C) over all texels: (512, 512, C) float32.

        Texels beside the mesh take the value of the nearest one inside.
        """
        inside = np.einsum("kc,kcv->kv", self.weights, values[self.corners].astype(np.float32))
        return np.asarray(inside[self.nearest], dtype=np.float32)


@functools.cache
def texture_raster() -> TextureRaster:
    """The one raster; computed at first use, never written."""
    face = face_topology()
    triangles = np.concatenate([face.triangles, face.eye_triangles, face.mouth_triangles])
    texels = face.uv * RASTER_SIZE
    owner = np.full((RASTER_SIZE, RASTER_SIZE), -1, dtype=np.int32)
    fixed = np.rint(texels * (1 << _SHIFT)).astype(np.int32)
    for index, triangle in enumerate(triangles):
        cv2.fillConvexPoly(owner, fixed[triangle], index, cv2.LINE_8, _SHIFT)
    rows, columns = np.nonzero(owner >= 0)
    corners = triangles[owner[rows, columns]]
    weights = _barycentric(texels[corners], np.stack([columns, rows], axis=1).astype(np.float64))
    return TextureRaster(
        covered=(owner >= 0).astype(np.uint8),
        corners=corners,
        weights=weights.astype(np.float32),
        nearest=_nearest_inside(owner >= 0),
    )


def _barycentric(triangles: Doubles, points: Doubles) -> Doubles:
    """(K, 3) weights of points (K, 2) in triangles (K, 3, 2); 0..1 also on slivers."""
    origin = triangles[:, 0]
    first, second = triangles[:, 1] - origin, triangles[:, 2] - origin
    offset = points - origin
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    area = np.where(np.abs(area) < _AREA_MIN, _AREA_MIN, area)
    one = (offset[:, 0] * second[:, 1] - offset[:, 1] * second[:, 0]) / area
    two = (first[:, 0] * offset[:, 1] - first[:, 1] * offset[:, 0]) / area
    weights = np.clip(np.stack([1 - one - two, one, two], axis=1), 0, 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def _nearest_inside(covered: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Indices:
    """(512, 512) int64: ordinal, in row order, of the nearest covered texel."""
    outside = (~covered).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    ordinal_of_label = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    ordinal_of_label[labels[covered]] = np.arange(int(covered.sum()))
    return np.asarray(ordinal_of_label[labels], dtype=np.int64)
