"""The 468-point face mesh: its triangles, rings, canonical shape and texture coordinates.

``data/mesh_topology.npz`` holds the index tables of MediaPipe's face mesh (Apache-2.0);
``data/canonical_face.npz`` holds a mean shape and the left/right permutation, derived from two
public-domain portraits. See NOTICE.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.types import Doubles, Floats

Indices = NDArray[np.int64]

POINT_COUNT: Final = 468
FOREHEAD_TOP: Final = 10
OUTER_EYE_CORNERS: Final = (33, 263)
NOSE_TIP: Final = (1, 4)
MOUTH_CORNERS: Final = (61, 291)
#: Vertices on bare skin: cheeks, nose ridge and chin; no lips, eyes, brows or hairline.
SKIN_POINTS: Final[tuple[int, ...]] = (
    *(4, 5, 6, 8, 9, 36, 50, 101, 117, 118, 123, 147, 187, 195, 197, 199),
    *(200, 203, 205, 266, 280, 330, 346, 347, 352, 376, 411, 423, 425),
)
#: Outline of the part of the face that hair does not lie over: upper ends of the brows, and chin.
MIDDLE_OUTLINE: Final[tuple[int, ...]] = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(149, 176, 148, 152, 377, 400, 378),
)

_DATA: Final = Path(__file__).parent / "data"
# Distance of the cylinder's axis behind the face oval, in half face widths. At 0.8 no triangle
# of the mesh folds over in the unrolled texture.
_AXIS_DEPTH: Final = 0.8
_TEXTURE_MARGIN: Final = 0.04


@dataclass(frozen=True, slots=True)
class FaceTopology:
    """Read-only tables of the mesh.

    Attributes:
        triangles: (852, 3) int64, the skin; eyes and mouth are holes.
        eye_triangles: fills both eye holes. mouth_triangles: fills the mouth hole.
        oval, left_eye, right_eye, lips_outer, lips_inner, brows: vertex rings; left and right
            are the subject's.
        mean_shape: (468, 3) float64, frontal, x right, y down, z away from the camera.
        mirror: (468,) int64, the vertex on the other side of the face.
        uv: (468, 2) float64 in 0..1, place of each vertex in the unrolled face texture.
        oval_steps: (468,) int64, edges between a vertex and the oval.
        facing_sign: factor that turns a triangle normal's z to "positive faces the camera".
    """

    triangles: Indices
    eye_triangles: Indices
    mouth_triangles: Indices
    oval: Indices
    left_eye: Indices
    right_eye: Indices
    lips_outer: Indices
    lips_inner: Indices
    brows: Indices
    mean_shape: Doubles
    mirror: Indices
    uv: Doubles
    oval_steps: Indices
    facing_sign: float

    @property
    def lips(self) -> Indices:
        """Both lip rings."""
        return np.concatenate([self.lips_inner, self.lips_outer])


@functools.cache
def face_topology() -> FaceTopology:
    """The one set of tables; read from disk once, never written."""
    with (
        np.load(_DATA / "mesh_topology.npz") as rings,
        np.load(_DATA / "canonical_face.npz") as face,
    ):
        triangles = rings["tri"]
        mean_shape = face["mean"].astype(np.float64)
        tables = FaceTopology(
            triangles=triangles,
            eye_triangles=np.concatenate(
                [_triangulate_ring(rings["left_eye"]), _triangulate_ring(rings["right_eye"])]
            ),
            mouth_triangles=_triangulate_ring(rings["lips_in"]),
            oval=rings["oval"],
            left_eye=rings["left_eye"],
            right_eye=rings["right_eye"],
            lips_outer=rings["lips_out"],
            lips_inner=rings["lips_in"],
            brows=rings["brows"],
            mean_shape=mean_shape,
            mirror=face["mir"],
            uv=_unroll(mean_shape, rings["oval"]),
            oval_steps=edge_distance(triangles, rings["oval"]),
            facing_sign=_facing_sign(mean_shape, triangles),
        )
    for name in FaceTopology.__slots__:
        value = getattr(tables, name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return tables


def edge_distance(triangles: Indices, seeds: Iterable[int]) -> Indices:
    """(468,) int64: how many mesh edges lie between each vertex and the nearest seed."""
    distance = np.full(POINT_COUNT, POINT_COUNT, dtype=np.int64)
    distance[list(seeds)] = 0
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    while True:
        reached = distance.copy()
        np.minimum.at(reached, edges[:, 0], distance[edges[:, 1]] + 1)
        if np.array_equal(reached, distance):
            return distance
        distance = reached


def vertex_facing(mesh: Floats | Doubles) -> Doubles:
    """(468,) float64: z of each vertex normal; 1 faces the camera, below 0 is turned away."""
    tables = face_topology()
    normals = _vertex_normals(mesh.astype(np.float64), tables.triangles)
    return np.asarray(normals[:, 2] * tables.facing_sign, dtype=np.float64)


def five_points(mesh: Floats) -> Floats:
    """(5, 2) float32 px: image-left eye, image-right eye, nose, mouth corners, out of the mesh.

    Means of the eye rings are steadier than the detector's own five points.
    """
    return np.asarray(_five_means() @ mesh[:, :2], dtype=np.float32)


@functools.cache
def _five_means() -> Floats:
    """(5, 468) float32: how much each vertex counts in each of the five points."""
    tables = face_topology()
    eyes: list[list[int]] = [tables.right_eye.tolist(), tables.left_eye.tolist()]
    groups = [*eyes, [*NOSE_TIP], [MOUTH_CORNERS[0]], [MOUTH_CORNERS[1]]]
    means = np.zeros((len(groups), POINT_COUNT), dtype=np.float32)
    for row, group in zip(means, groups, strict=True):
        row[group] = 1 / len(group)
    return means


def _triangulate_ring(ring: Indices) -> Indices:
    """Fill a closed ring with a zigzag strip between its two halves."""
    upper, lower = 1, len(ring) - 1
    last_upper = last_lower = ring[0]
    strip: list[tuple[int, int, int]] = []
    while upper < lower:
        if last_upper != last_lower:
            strip.append((last_lower, last_upper, ring[upper]))
        strip.append((last_lower, ring[upper], ring[lower]))
        last_upper, last_lower = ring[upper], ring[lower]
        upper, lower = upper + 1, lower - 1
    if upper == lower:
        strip.append((last_lower, last_upper, ring[upper]))
    return np.asarray(strip, dtype=np.int64)


def _unroll(shape: Doubles, oval: Indices) -> Doubles:
    """Cylindrical texture coordinates: u from the angle around a vertical axis, v from height."""
    axis_z = shape[oval, 2].max() + _AXIS_DEPTH * np.ptp(shape[:, 0]) / 2
    angle = np.arctan2(shape[:, 0], axis_z - shape[:, 2])
    height = (shape[:, 1] - shape[:, 1].min()) / np.ptp(shape[:, 1])
    u = 0.5 + (0.5 - _TEXTURE_MARGIN) * angle / np.abs(angle).max()
    v = _TEXTURE_MARGIN + (1 - 2 * _TEXTURE_MARGIN) * height
    # Rounded, because everything built from it has to be the same on every processor.
    return np.round(np.stack([u, v], axis=1), 6)


def _vertex_normals(mesh: Doubles, triangles: Indices) -> Doubles:
    corners = mesh[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((POINT_COUNT, 3))
    for corner in range(3):
        np.add.at(total, triangles[:, corner], normals)
    lengths = np.linalg.norm(total, axis=1, keepdims=True) + 1e-9
    return np.asarray(total / lengths, dtype=np.float64)


def _facing_sign(mean_shape: Doubles, triangles: Indices) -> float:
    return float(np.sign(_vertex_normals(mean_shape, triangles)[NOSE_TIP[0], 2]))
