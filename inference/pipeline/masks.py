"""What covers a target face: hair, hat and the like keep their place in front of the swap."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.skin import connected_to, disc, skin_distance
from inference.pipeline.topology import face_topology
from inference.pipeline.types import Floats, Image

# All measures of this module are for a crop of this side; larger crops are shrunk to it.
_WORK_SIZE_PX: Final = 256
_COVERED_DISTANCE: Final = 9.0
# Things thinner than this are not hair: brows, temples of spectacles, lashes.
_THICKNESS_MIN_PX: Final = 9
# Right brow from the outer to the inner end, then the left one back, lower edge excluded.
_BROW_LINE: Final = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)


def visible_area(face: AlignedFace) -> Floats:
    """Where the target's face is not covered.

    Only the forehead and the sides can be covered; the middle of the face never is, because
    lips, eyes and brows are not skin-coloured either.

    Args:
        face: the target, aligned to ``arcface_128``.

    Returns:
        (S, S) float32, 1 visible, 0 covered, with a soft edge.
    """
    size = face.crop_bgr.shape[0]
    factor = _WORK_SIZE_PX / size
    work = face.crop_bgr
    if size != _WORK_SIZE_PX:
        work = cv2.resize(work, (_WORK_SIZE_PX, _WORK_SIZE_PX), interpolation=cv2.INTER_AREA)
    points = face.mesh[:, :2] * factor
    covered = _covered(np.asarray(work, dtype=np.uint8), points)
    visible = 1 - cv2.GaussianBlur(covered.astype(np.float32), (0, 0), 2)
    if size != _WORK_SIZE_PX:
        visible = cv2.resize(visible, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(visible, dtype=np.float32)


def _covered(crop_bgr: Image, points: Floats) -> Image:
    distance = skin_distance(crop_bgr, points=points)
    foreign = (distance > _COVERED_DISTANCE).astype(np.uint8)
    thick = cv2.morphologyEx(foreign, cv2.MORPH_OPEN, disc(_THICKNESS_MIN_PX))
    hull = np.zeros(crop_bgr.shape[:2], dtype=np.uint8)
    outline = cv2.convexHull(np.rint(points[face_topology().oval]).astype(np.int32))
    cv2.fillConvexPoly(hull, outline, 1)
    inner = np.asarray(cv2.erode(hull, disc(13)), dtype=np.uint8)
    reaching = connected_to(np.asarray(thick, dtype=np.uint8), 1 - inner)
    # Opening took the outermost pixels along; take them back, but only foreign ones.
    grown = cv2.dilate(reaching, disc(7)) & foreign
    return np.asarray(grown, dtype=np.uint8) & (1 - _middle(points))


def _middle(points: Floats) -> Image:
    """(256, 256) uint8: eyes, brows, nose and mouth, which hair is not looked for in."""
    face = face_topology()
    middle = np.zeros((_WORK_SIZE_PX, _WORK_SIZE_PX), dtype=np.uint8)
    ring = np.concatenate([points[list(_BROW_LINE)], points[face.lips_outer]])
    outline = cv2.convexHull(np.rint(ring).astype(np.int32))
    cv2.fillConvexPoly(middle, outline, 1)
    return middle
