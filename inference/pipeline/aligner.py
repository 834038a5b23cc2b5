"""Square face crops: similarity transforms to a template, and warps that do not alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.filters import blur, to_levels
from inference.pipeline.types import Doubles, Floats, Image, Landmarks, require_mesh

#: Points as fractions of the crop's side: image-left and -right eye, nose, mouth corners. The loose
#: ones hold the whole oval of the face.
TEMPLATES: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "arcface_112_v1": (
        (0.35473214, 0.45658929),
        (0.64526786, 0.45658929),
        (0.50000000, 0.61154464),
        (0.37913393, 0.77687500),
        (0.62086607, 0.77687500),
    ),
    "arcface_112_v2": (
        (0.34191607, 0.46157411),
        (0.65653393, 0.45983393),
        (0.50022500, 0.64050536),
        (0.37097589, 0.82469196),
        (0.63151696, 0.82325089),
    ),
    "arcface_128": (
        (0.36167656, 0.40387734),
        (0.63696719, 0.40235469),
        (0.50019687, 0.56044219),
        (0.38710391, 0.72160547),
        (0.61507734, 0.72034453),
    ),
    "ffhq_512": (
        (0.37691676, 0.46864664),
        (0.62285697, 0.46912813),
        (0.50123859, 0.61331904),
        (0.39308822, 0.72541100),
        (0.61150205, 0.72490465),
    ),
    "mtcnn_512": (
        (0.36562865, 0.46733799),
        (0.63305391, 0.46585885),
        (0.50019127, 0.61942959),
        (0.39032951, 0.77598822),
        (0.61178945, 0.77476328),
    ),
}
# Point-wise sampling skips pixels when it shrinks by more than about this factor.
_UNFILTERED_SCALE_MIN: Final = 0.9
# Of the Gaussian before it, in the wider pixels' own measure: a little more than an area mean has.
_SIGMA_OF_SHRINKING: Final = 0.35
_REACH_SIGMAS: Final = 3.0


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """A square crop around one face.

    Attributes:
        crop_bgr: (S, S, 3) uint8 BGR.
        landmarks: of the face, in px of the crop.
        matrix: (2, 3) float64, picture px -> crop px; pixel centres at whole numbers.
    """

    crop_bgr: Image
    landmarks: Landmarks
    matrix: Doubles

    @property
    def mesh(self) -> Floats:
        """The (468, 3) mesh in px of the crop.

        Raises:
            ValueError: the landmarker in use has no mesh.
        """
        return require_mesh(self.landmarks)


def align_face(
    image_bgr: Image, *, landmarks: Landmarks, template: str, size_px: int
) -> AlignedFace:
    """Cut a face out so that its five points lie on a template.

    Args:
        image_bgr: (H, W, 3) uint8 BGR.
        landmarks: of the face, in px of the picture.
        template: a key of ``TEMPLATES``.
        size_px: side of the crop.
    """
    matrix = crop_matrix(landmarks.five, template=template, size_px=size_px)
    crop = warp(image_bgr, matrix=matrix, size_px=(size_px, size_px))
    return AlignedFace(
        crop_bgr=to_levels(crop), landmarks=move_landmarks(landmarks, matrix), matrix=matrix
    )


def move_landmarks(landmarks: Landmarks, matrix: Doubles) -> Landmarks:
    """The landmarks after a (2, 3) similarity transform."""
    dense, outline = landmarks.dense, landmarks.outline
    return Landmarks(
        five=transform_points(landmarks.five, matrix),
        score=landmarks.score,
        dense=None if dense is None else transform_mesh(dense, matrix),
        outline=None if outline is None else transform_points(outline, matrix),
    )


def crop_matrix(five: Floats, *, template: str, size_px: float) -> Doubles:
    """(2, 3) float64: picture px -> px of the crop that ``align_face`` would cut.

    Args:
        five: (5, 2) float32, px of the picture.
        template: a key of ``TEMPLATES``.
        size_px: side of the crop.
    """
    wanted = np.asarray(TEMPLATES[template], dtype=np.float64) * size_px
    return fit_similarity(five.astype(np.float64), wanted)


def fit_similarity(source: Doubles, target: Doubles) -> Doubles:
    """Least-squares rotation, uniform scale and shift (Umeyama 1991) between (K, 2) points.

    Returns:
        (2, 3) float64 with ``target ~ matrix @ (x, y, 1)``; never a reflection.
    """
    # In the plane the optimum is closed: the mean of b / a as complex numbers, weighted by |a|^2.
    a, b = _complex(source), _complex(target)
    a_mean, b_mean = a.mean(), b.mean()
    a = a - a_mean
    turn = np.vdot(a, b - b_mean) / np.vdot(a, a).real
    shift = b_mean - turn * a_mean
    return np.asarray([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _complex(points: Doubles) -> NDArray[np.complex128]:
    """(K, 2) points as K numbers x + iy."""
    return np.ascontiguousarray(points, dtype=np.float64).view(np.complex128)[:, 0]


def scale_of(matrix: Doubles) -> float:
    """Enlargement of a similarity transform."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def invert(matrix: Doubles) -> Doubles:
    """The (2, 3) transform in the other direction."""
    (a, b, x), (c, d, y) = matrix.tolist()
    # By hand: this runs several times for each face of each frame.
    scale = 1 / (a * d - b * c)
    a, b, c, d = d * scale, -b * scale, -c * scale, a * scale
    return np.asarray([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


def transform_points(points: Floats, matrix: Doubles) -> Floats:
    """Move (K, 2) points by a (2, 3) transform; float32."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


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
    interpolation: int = cv2.INTER_CUBIC,
) -> Floats:
    """Resample a picture, with an area filter when it is made smaller.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        matrix: (2, 3) float64, picture px -> result px.
        size_px: width and height of the result.
        border: OpenCV border mode beside the picture.
        interpolation: OpenCV's mode; linear is faster, and softens what people look at.

    Returns:
        float32 of the asked size, same value range as the input.
    """
    if image.dtype != np.float32 or scale_of(matrix) < _UNFILTERED_SCALE_MIN:
        # Converting and filtering a whole frame for one face would cost more than the warp.
        low, high = _part_of(image, matrix, size_px)
        image = image[low[1] : high[1], low[0] : high[0]]
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ low])
        image, matrix = _filtered(image, matrix)
    floats = np.asarray(image, dtype=np.float32)
    # What bicubic sampling overshoots is clipped on rounding.
    warped = cv2.warpAffine(floats, matrix, size_px, flags=interpolation, borderMode=border)
    return np.asarray(warped, dtype=np.float32)


def _filtered(image: Image | Floats, matrix: Doubles) -> tuple[Image | Floats, Doubles]:
    """Take out what a smaller copy cannot show, and correct the matrix for it.

    By the mean of whole squares of pixels while it shrinks to a half or less, which is fast; what
    is left, less than an octave, by a narrow Gaussian.
    """
    factor = int(1 / scale_of(matrix))
    if factor > 1:
        height, width = (max(1, side // factor) for side in image.shape[:2])
        whole = image[: height * factor, : width * factor]
        small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        is_bytes = image.dtype == np.uint8
        image = np.asarray(small, np.uint8) if is_bytes else np.asarray(small, np.float32)
        # Pixel centres: small = (large + 0.5) / factor - 0.5.
        shift = np.full(2, 0.5 * factor - 0.5)
        matrix = np.column_stack([matrix[:, :2] * factor, matrix[:, :2] @ shift + matrix[:, 2]])
    scale = scale_of(matrix)
    if scale < _UNFILTERED_SCALE_MIN:
        floats = np.asarray(image, dtype=np.float32)
        sigma = _SIGMA_OF_SHRINKING * (1 / scale**2 - 1) ** 0.5
        image = blur(floats, sigma=sigma, reach_sigmas=_REACH_SIGMAS)
    return image, matrix


def _part_of(
    image: Image | Floats, matrix: Doubles, size_px: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners x, y (low, and high behind it) of the part of a picture that a warp reads."""
    width, height = size_px
    corners = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    back = invert(matrix)
    corners = corners @ back[:, :2].T + back[:, 2]
    # Bicubic sampling reaches two pixels further, of the picture or of its smaller copy.
    margin = 2 + 2 / scale_of(matrix)
    limits = np.asarray([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, limits - 1).astype(np.int64)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), low + 1, limits).astype(np.int64)
    return low, high
