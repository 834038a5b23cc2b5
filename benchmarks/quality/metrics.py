"""Figures of one swap: identity, pose, seam, colour; and the flicker of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.aligner import align_face, invert, warp
from inference.pipeline.filters import blur, fill_hull
from inference.pipeline.frame import Assignment
from inference.pipeline.job import Job
from inference.pipeline.masks.skin import to_lab
from inference.pipeline.swappers.base import SwapTarget
from inference.pipeline.topology import face_topology
from inference.pipeline.types import Face, Floats, Image

# Where the mask fades: that is where a seam would be.
_RING: Final = (0.05, 0.95)
# Its colour is taken in parts, so that it tells of light and not of a wrinkle that is another's.
_SECTORS: Final = 24
_NORMAL_SIGMA_PX: Final = 1.0
_FLICKER_CROP_PX: Final = 256
_FLICKER_SIGMA_PX: Final = 1.5


@dataclass(frozen=True, slots=True)
class SwapQuality:
    """Figures of one swap.

    Attributes:
        similarity_before: cosine of the target's own face to the source.
        similarity_source: cosine of the result to the source.
        similarity_target: cosine of the result to the target's own face.
        pose_error_percent: mean distance of the result's mesh from the target's, of the face width.
        expression_error_percent: the same of eyelids and lips alone.
        seam_ratio: gradient across the mask's edge, by that of the target in the same place.
        edge_delta_e: CIE76 distance of the mean colours of result and target in a part of the
            mask's edge, mean of all parts around the face.
    """

    similarity_before: float
    similarity_source: float
    similarity_target: float
    pose_error_percent: float
    expression_error_percent: float
    seam_ratio: float
    edge_delta_e: float

    @property
    def identity_transfer(self) -> float:
        """How much nearer the result is to the source than to the target."""
        return self.similarity_source - self.similarity_target


def measure_swap(
    job: Job, *, target_bgr: Image, result_bgr: Image, face: Face, mask: Floats
) -> SwapQuality:
    """Compare a result with its source and its target.

    Args:
        job: as it was prepared for the swap.
        target_bgr: (H, W, 3) uint8 BGR.
        result_bgr: the same of the result.
        face: of the target.
        mask: (H, W) float32 0..1, see ``mask_of``.
    """
    identity = job.identity_embeddings[0]
    before = job.embed(target_bgr, face.landmarks)
    after = job.embed(result_bgr, face.landmarks)
    found = max(job.analyser.find(result_bgr).faces, key=lambda found: _overlap(found, face))
    away = np.linalg.norm(found.mesh[:, :2] - face.mesh[:, :2], axis=1)
    width = float(np.ptp(face.mesh[:, 0]))
    moving = _moving_points()
    return SwapQuality(
        similarity_before=before.similarity(identity),
        similarity_source=after.similarity(identity),
        similarity_target=after.similarity(before),
        pose_error_percent=100 * float(away.mean()) / width,
        expression_error_percent=100 * float(away[moving].mean()) / width,
        seam_ratio=_across(result_bgr, mask) / _across(target_bgr, mask),
        edge_delta_e=_edge_difference(result_bgr, target_bgr, mask),
    )


def mask_of(job: Job, assignment: Assignment, *, image_bgr: Image) -> Floats:
    """(H, W) float32 0..1: where a swap paints, in the picture."""
    swapper = job.painter.swapper
    aligned = align_face(
        image_bgr,
        landmarks=assignment.face.landmarks,
        template=swapper.template,
        size_px=256,
    )
    target = SwapTarget(aligned=aligned, embedding=assignment.embedding, cover=assignment.cover)
    (crop,) = swapper.swap([target], assignment.source)
    (mask,) = job.painter.masks.make_all([aligned], [crop])
    return np.clip(
        warp(
            mask,
            matrix=invert(aligned.matrix),
            size_px=(image_bgr.shape[1], image_bgr.shape[0]),
            border=cv2.BORDER_CONSTANT,
        ),
        0,
        1,
    )


def measure_flicker(
    targets: Sequence[Image], results: Sequence[Image], faces: Sequence[Face], *, template: str
) -> float:
    """Change from frame to frame inside the face, by that of the target; 1 adds none.

    Both are looked at in a crop that follows the target's face, so that motion does not count.
    """
    own, swapped = (
        [_steady(image, face, template) for image, face in zip(images, faces, strict=True)]
        for images in (targets, results)
    )
    inside = _oval(faces[0], targets[0], template)
    return _change(swapped, inside) / _change(own, inside)


def _steady(image_bgr: Image, face: Face, template: str) -> Floats:
    crop = align_face(
        image_bgr, landmarks=face.landmarks, template=template, size_px=_FLICKER_CROP_PX
    )
    # The grain of a film changes in every frame and is no flicker.
    return blur(crop.crop_bgr.astype(np.float32), sigma=_FLICKER_SIGMA_PX)


def _oval(face: Face, image_bgr: Image, template: str) -> Image:
    crop = align_face(
        image_bgr, landmarks=face.landmarks, template=template, size_px=_FLICKER_CROP_PX
    )
    return fill_hull(crop.mesh[face_topology().oval, :2], size_px=_FLICKER_CROP_PX)


def _change(crops: Sequence[Floats], inside: Image) -> float:
    steps = [np.abs(after - before)[inside > 0].mean() for before, after in pairwise(crops)]
    return float(np.mean(steps))


def _across(image_bgr: Image, mask: Floats) -> float:
    """Mean slope of lightness across the mask's edge, Lab units a pixel."""
    lightness = to_lab(image_bgr)[:, :, 0]
    soft = blur(mask, sigma=_NORMAL_SIGMA_PX)
    normal_x, normal_y = _gradient(soft)
    length = np.hypot(normal_x, normal_y) + 1e-6
    slope_x, slope_y = _gradient(lightness)
    across = np.abs(slope_x * normal_x + slope_y * normal_y) / length
    return float(across[_edge_of(mask)].mean())


def _gradient(plane: Floats) -> tuple[Floats, Floats]:
    x = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8)
    y = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)


def _edge_difference(result_bgr: Image, target_bgr: Image, mask: Floats) -> float:
    away = to_lab(result_bgr) - to_lab(target_bgr)
    rows, columns = np.nonzero(_edge_of(mask))
    angles = np.arctan2(rows - rows.mean(), columns - columns.mean())
    sectors = np.floor((angles / (2 * np.pi) + 0.5) * _SECTORS).astype(int)
    means = [away[rows, columns][sectors == sector].mean(axis=0) for sector in np.unique(sectors)]
    return float(np.mean([np.linalg.norm(mean) for mean in means]))


def _edge_of(mask: Floats) -> NDArray[np.bool_]:
    """(H, W): where the mask fades to the outside; not around the mouth, which stays open."""
    low, high = _RING
    whole = (mask >= high).astype(np.uint8)
    outlines, _ = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(whole)
    cv2.drawContours(filled, outlines, -1, 1, thickness=cv2.FILLED)
    return np.asarray((mask > low) & (mask < high) & (filled == 0), dtype=np.bool_)


def _overlap(first: Face, second: Face) -> float:
    a, b = first.detection.box_xyxy, second.detection.box_xyxy
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(size.clip(0).prod())


def _moving_points() -> list[int]:
    topology = face_topology()
    loops = (topology.left_eye, topology.right_eye, topology.lips_inner)
    return [int(index) for loop in loops for index in loop]
