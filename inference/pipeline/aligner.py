"""Square face crops: similarity transforms to a template, and warps that do not alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.filters import resize, to_levels
from inference.pipeline.topology import five_points
from inference.pipeline.types import Doubles, Floats, Image

#: Points as fractions of the crop's side: image-left and -right eye, nose, mouth corners.
TEMPLATES: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "arcface_112_v2": (
        (0.34191607, 0.46157411),
        (0.65653393, 0.45983393),
        (0.50022500, 0.64050536),
        (0.37097589, 0.82469196),
        (0.63151696, 0.82325089),
    ),
    # Looser: the whole face oval lies inside the crop.
    "arcface_128": (
        (0.36167656, 0.40387734),
        (0.63696719, 0.40235469),
        (0.50019687, 0.56044219),
        (0.38710391, 0.72160547),
        (0.61507734, 0.72034453),
    ),
}
# Point-wise sampling skips pixels when it shrinks by more than about this factor.
_UNFILTERED_SCALE_MIN: Final = 0.9


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """A square crop around one face.

    Attributes:
        crop_bgr: (S, S, 3) uint8 BGR.
        mesh: (468, 3) float32, px of the crop.
        matrix: (2, 3) float64, picture px -> crop px; pixel centres at whole numbers.
    """

    crop_bgr: Image
    mesh: Floats
    matrix: Doubles


def align_face(image_bgr: Image, *, mesh: Floats, template: str, size_px: int) -> AlignedFace:
    """Cut a face out so that its five points lie on a template.

    Args:
        image_bgr: (H, W, 3) uint8 BGR.
        mesh: (468, 3) float32, px of the picture.
        template: a key of ``TEMPLATES``.
        size_px: side of the crop.
    """
    matrix = crop_matrix(mesh, template=template, size_px=size_px)
    crop = warp(image_bgr, matrix=matrix, size_px=(size_px, size_px))
    return AlignedFace(
        crop_bgr=to_levels(crop),
        mesh=transform_mesh(mesh, matrix),
        matrix=matrix,
    )


def crop_matrix(mesh: Floats, *, template: str, size_px: float) -> Doubles:
    """(2, 3) float64: picture px -> px of the crop that ``align_face`` would cut."""
    wanted = np.asarray(TEMPLATES[template], dtype=np.float64) * size_px
    return fit_similarity(five_points(mesh).astype(np.float64), wanted)


def fit_similarity(source: Doubles, target: Doubles) -> Doubles:
    """Least-squares rotation, uniform scale and shift (Umeyama 1991) between (K, 2) points.

    Returns:
        (2, 3) float64 with ``target ~ matrix @ (x, y, 1)``; never a reflection.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    # In the plane the optimum is closed: the mean of b / a as complex numbers, weighted by |a|^2.
    denominator = np.sum(a * a)
    cosine = np.sum(a * b) / denominator
    sine = np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / denominator
    linear = np.asarray([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def scale_of(matrix: Doubles) -> float:
    """Enlargement of a similarity transform."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def invert(matrix: Doubles) -> Doubles:
    """The (2, 3) transform in the other direction."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def transform_mesh(mesh: Floats, matrix: Doubles) -> Floats:
    """Move a (468, 3) mesh by a similarity transform; depth is scaled along."""
    plane = mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([plane, mesh[:, 2] * scale_of(matrix)]).astype(np.float32)


def warp(
    image: Image | Floats,
    *,
    matrix: Doubles,
    size_px: tuple[int, int],
    border: int = cv2.BORDER_REPLICATE,
) -> Floats:
    """Resample a picture, with an area filter when it is made smaller.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        matrix: (2, 3) float64, picture px -> result px.
        size_px: width and height of the result.
        border: OpenCV border mode beside the picture.

    Returns:
        float32 of the asked size, same value range as the input.
    """
    if scale_of(matrix) < _UNFILTERED_SCALE_MIN:
        image, matrix = _shrink_part(image, matrix, size_px)
    floats = np.asarray(image, dtype=np.float32)
    # Bicubic, because bilinear would soften the picture; the overshoot is clipped on rounding.
    warped = cv2.warpAffine(floats, matrix, size_px, flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(warped, dtype=np.float32)


def _shrink_part(
    image: Image | Floats, matrix: Doubles, size_px: tuple[int, int]
) -> tuple[Floats, Doubles]:
    """Shrink the part of the picture that is needed, and correct the matrix for it."""
    width, height = size_px
    corners = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    back = invert(matrix)
    corners = corners @ back[:, :2].T + back[:, 2]
    margin = 2 / scale_of(matrix)
    limits = np.asarray([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), low + 1, limits).astype(int)
    part = np.asarray(image[low[1] : high[1], low[0] : high[0]], dtype=np.float32)
    small_size = np.maximum(np.rint((high - low) * scale_of(matrix)), 1).astype(int)
    small = resize(part, size_px=(int(small_size[0]), int(small_size[1])))
    # Pixel centres: small = (part + 0.5) * factor - 0.5, so part = (small + 0.5) / factor - 0.5.
    step = (high - low) / small_size
    shift = low + 0.5 * step - 0.5
    linear = matrix[:, :2] * step
    return small, np.column_stack([linear, matrix[:, :2] @ shift + matrix[:, 2]])
