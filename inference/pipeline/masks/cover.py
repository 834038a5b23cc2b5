"""What covers a target face: hair, hat and the like keep their place in front of the swap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.filters import (
    blur,
    dilate,
    erode,
    fill_hull,
    masked_low_pass,
    on_colours,
    resize,
    to_levels,
)
from inference.pipeline.masks.skin import (
    COVER_CLEAR,
    COVER_LIKELY,
    distance_to,
    find_cover,
    skin_tone,
    to_lab,
)
from inference.pipeline.topology import MIDDLE_OUTLINE, OUTER_EYE_CORNERS, face_topology
from inference.pipeline.types import Floats, Image

# All measures of this module are for a crop of this side; larger crops are shrunk to it.
WORK_SIZE_PX: Final = 256
_WORK_PX: Final = (WORK_SIZE_PX, WORK_SIZE_PX)
# Temples of spectacles: band from the outer eye corner outwards, as fractions of the distance
# between the outer eye corners.
_BAND_ABOVE: Final = 0.20
_BAND_BELOW: Final = 0.10
_BAND_INNER: Final = 0.0
_BAND_OUTER: Final = 0.30
_BAND_BEYOND_OVAL_PX: Final = 11
# What is put in their place is the mean of what is this far around.
_FILL_SIGMA_PX: Final = 9.0
_ROWS_STEP_PX: Final = 8
# Strength of a line (Lab units) over the nose and below the eyes that only a frame reaches; faces
# without spectacles have at most 3 and 9.
_BRIDGE_LINE_MIN: Final = 7.0
_RIM_LINE_MIN: Final = 10.0
_LINE_HALF_WIDTH_PX: Final = 5
_NOSE_ROOT: Final = 168
_BRIDGE_SPAN: Final = (9, 195)
# Image-left and image-right end and lower lid of both eyes.
_EYES: Final = ((33, 133, 145), (362, 263, 374))


@dataclass(frozen=True, slots=True)
class Temples:
    """Side pieces of spectacles, which no swap would reach.

    Attributes:
        rows: of the crop, beyond which there are none.
        mask: (h, S) float32 0..1, soft, of these rows.
    """

    rows: slice
    mask: Floats


@dataclass(frozen=True, slots=True)
class TargetCover:
    """What is in front of a target face.

    Attributes:
        visible: (S, S) float32 0..1, 1 where neither hair nor hat covers the face.
        temples: side pieces of spectacles; None: none there.
        clean_bgr: (S, S, 3) uint8 BGR, the crop without those side pieces.
    """

    visible: Floats
    temples: Temples | None
    clean_bgr: Image


@dataclass(frozen=True, slots=True)
class CoverHint:
    """What earlier frames of a track say about the cover of its face.

    Attributes:
        visible: (256, 256) float32, as in ``TargetCover``, of a crop of 256 px.
        has_spectacles: whether side pieces are to be looked for in each frame.
    """

    visible: Floats
    has_spectacles: bool


def find_cover_of_target(face: AlignedFace, *, hint: CoverHint | None = None) -> TargetCover:
    """Find what covers a target, aligned to ``arcface_128``.

    Only the forehead and the sides can be covered; the middle of the face never is, because
    lips, eyes and brows are not skin-coloured either.

    Args:
        face: the target's crop.
        hint: what is known from earlier frames; without it the crop is looked at in full.
    """
    size = face.crop_bgr.shape[0]
    hint = hint or cover_hint(face)
    visible = resize(hint.visible, size_px=(size, size))
    found = _find_temples(face) if hint.has_spectacles else None
    if found is None:
        return TargetCover(visible, None, face.crop_bgr)
    temples, fill_bgr = found
    clean = face.crop_bgr.copy()
    part = clean[temples.rows].astype(np.float32)
    part += (fill_bgr - part) * on_colours(temples.mask)
    clean[temples.rows] = to_levels(part)
    return TargetCover(visible, temples, clean)


def cover_hint(face: AlignedFace) -> CoverHint:
    """What a crop says about the frames that follow."""
    work, points = _at_work_size(face)
    lab = to_lab(work)
    distance = distance_to(skin_tone(work, points=points), lab, size_px=WORK_SIZE_PX)
    band = np.zeros_like(work[:, :, 0])
    if _has_spectacles(lab, points):
        band = _temple_band(points) & _near_face(points)
    cover = blur(_find_cover(distance, points, band).astype(np.float32), sigma=2)
    visible = np.asarray(1 - cover, dtype=np.float32)
    return CoverHint(visible=visible, has_spectacles=bool(band.any()))


def _find_temples(face: AlignedFace) -> tuple[Temples, Floats] | None:
    """Look for the side pieces of spectacles that are known to be there.

    Returns:
        Where they are, and (h, S, 3) float32 BGR: skin and hair of the face continued over them;
        None where the crop shows none.
    """
    work, points = _at_work_size(face)
    band = _temple_band(points)
    rows = _rows_around(band)
    # Only these rows: this is done anew in every frame.
    near = _near_face(points)[rows]
    work_part = work[rows]
    tone = skin_tone(work, points=points)
    distance = distance_to(tone, to_lab(work_part), size_px=WORK_SIZE_PX)
    temples = band[rows] & near & (distance > COVER_LIKELY)
    if not temples.any():
        return None
    temples = dilate(temples.astype(np.uint8), 5)
    usable = (distance < COVER_CLEAR) & (near > 0) & (dilate(temples, 3) == 0)
    fill = masked_low_pass(
        work_part.astype(np.float32), usable.astype(np.float32), sigma=_FILL_SIGMA_PX
    )
    size = face.crop_bgr.shape[0]
    first, last = (round(row * size / WORK_SIZE_PX) for row in (rows.start, rows.stop))
    part_px = (size, last - first)
    mask = resize(blur(temples.astype(np.float32), sigma=1), size_px=part_px)
    return Temples(slice(first, last), mask), resize(fill, size_px=part_px)


def _rows_around(band: Image) -> slice:
    """The rows of a 0/1 mask and what a fill can see from them; whole steps of the low-pass."""
    inside = np.flatnonzero(band.any(axis=1))
    if not len(inside):
        return slice(0, _ROWS_STEP_PX)
    reach = 3 * _FILL_SIGMA_PX
    first = int(max(0, inside[0] - reach) // _ROWS_STEP_PX) * _ROWS_STEP_PX
    last = -int(-min(WORK_SIZE_PX, inside[-1] + 1 + reach) // _ROWS_STEP_PX) * _ROWS_STEP_PX
    return slice(first, last)


def _at_work_size(face: AlignedFace) -> tuple[Image, Floats]:
    size, work = face.crop_bgr.shape[0], face.crop_bgr
    if size != WORK_SIZE_PX:
        work = to_levels(resize(work.astype(np.float32), size_px=_WORK_PX))
    return work, np.asarray(face.mesh[:, :2] * np.float32(WORK_SIZE_PX / size), np.float32)


def has_spectacles(crop_bgr: Image, *, points: Floats) -> bool:
    """Whether a frame crosses the nose and runs below both eyes.

    Args:
        crop_bgr: (256, 256, 3) uint8 BGR, aligned to ``arcface_128``.
        points: (468, 2) float32, mesh in px of the crop.
    """
    return _has_spectacles(to_lab(crop_bgr), points)


def _has_spectacles(lab: Floats, points: Floats) -> bool:
    lab = blur(lab, sigma=1)
    # A mesh that leaves the crop belongs to a face at the very edge of its picture.
    points = np.clip(points, 4, WORK_SIZE_PX - 5)
    nose = round(float(points[_NOSE_ROOT, 0]))
    top, bottom = (round(float(points[index, 1])) for index in _BRIDGE_SPAN)
    bridge = _line_strength(lab[top:bottom, nose - 3 : nose + 4].mean(axis=1))
    if bridge < _BRIDGE_LINE_MIN:
        return False
    return all(_rim_strength(lab, points, eye) >= _RIM_LINE_MIN for eye in _EYES)


def _rim_strength(lab: Floats, points: Floats, eye: tuple[int, int, int]) -> float:
    """Median, over columns below an eye, of the strongest line across each."""
    left, right, lower_lid = points[list(eye)]
    width = float(right[0] - left[0])
    top = round(float(lower_lid[1])) - 2
    bottom = top + round(1.1 * width) + 2 * _LINE_HALF_WIDTH_PX
    columns = np.linspace(float(left[0]) + 0.15 * width, float(right[0]) - 0.15 * width, 8)
    return float(np.median([_line_strength(lab[top:bottom, round(float(x))]) for x in columns]))


def _line_strength(profile: Floats) -> float:
    """Largest difference between a sample of an (n, 3) Lab profile and its surroundings."""
    reach = _LINE_HALF_WIDTH_PX
    if len(profile) <= 2 * reach:
        return 0.0
    around = (profile[: -2 * reach] + profile[2 * reach :]) / 2
    return float(np.abs(profile[reach:-reach] - around).max())


def _find_cover(distance: Floats, points: Floats, band: Image) -> Image:
    inner = erode(fill_hull(points[face_topology().oval], size_px=WORK_SIZE_PX), 13)
    # Spectacles reach into the hair; without this they would count as a part of it.
    distance = np.where(band > 0, 0, distance).astype(np.float32)
    middle = fill_hull(points[list(MIDDLE_OUTLINE)], size_px=WORK_SIZE_PX)
    return find_cover(distance, outside=1 - inner, middle=middle, thickness_px=13, reach_px=24)


def _temple_band(points: Floats) -> Image:
    """(256, 256) uint8 0/1: where side pieces of spectacles run, beside both eyes.

    Only near the face: beyond, the sky or a wall would be taken for a frame.
    """
    eyes = points[list(OUTER_EYE_CORNERS)]
    unit = float(np.linalg.norm(eyes[1] - eyes[0]))
    band = np.zeros((WORK_SIZE_PX, WORK_SIZE_PX), dtype=np.uint8)
    for corner, outward in zip(eyes, (-1, 1), strict=True):
        ends = (corner[0] + outward * share * unit for share in (_BAND_INNER, _BAND_OUTER))
        left, right = (max(0, round(float(x))) for x in sorted(ends))
        top = max(0, round(float(corner[1] - _BAND_ABOVE * unit)))
        band[top : round(float(corner[1] + _BAND_BELOW * unit)), left:right] = 1
    return band


def _near_face(points: Floats) -> Image:
    """(256, 256) uint8 0/1: the face oval and a little around it."""
    oval = points[face_topology().oval]
    return fill_hull(oval, size_px=WORK_SIZE_PX, margin_px=_BAND_BEYOND_OVAL_PX / 2)
