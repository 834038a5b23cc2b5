"""Turns a source face into what the mesh swapper wants: a clean, unrolled texture and its shape."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.filters import (
    blur,
    dilate,
    erode,
    fill_hull,
    masked_low_pass,
    to_levels,
)
from inference.pipeline.masks.skin import BARE, COVER_LIKELY, find_cover, skin_distance
from inference.pipeline.swappers.mesh_raster import RASTER_SIZE, texture_raster
from inference.pipeline.swappers.mesh_shape import shape_basis
from inference.pipeline.topology import MIDDLE_OUTLINE, face_topology, vertex_facing
from inference.pipeline.types import Doubles, Floats, Image

#: Side of the square crop that a texture is made from, and of the finished texture.
CROP_SIZE_PX: Final = 512
TEXTURE_SIZE_PX: Final = 1024
# Facing (cosine to the camera) from which on a texel counts, and where it counts fully.
_FACING_NONE, _FACING_FULL = 0.30, 0.70
# The two halves of the face are matched in light at this scale, in texels.
_LIGHT_SIGMA: Final = 60.0
# A half that is seen this well is not mirrored; both halves are compared where both are seen so.
_SEEN_WELL: Final = 0.9
_SEEN_ENOUGH: Final = 0.3
# What is replaced gets the mean colour of the bare skin around, at falling reach, in texels.
_FILL_SIGMAS: Final = (64.0, 32.0, 16.0)
# Width of the rim of the mesh that may show background, and of the hair of the brows, in texels.
_RIM: Final = 33
_BROW_MARGIN: Final = 3
_COVER_MARGIN: Final = 51
# The sides of a face in the texture: this far from the middle line and below the eyes.
_SIDE_FROM: Final = 0.18
_FRAME_DROP: Final = 0.06


@dataclass(frozen=True, slots=True)
class SourceFace:
    """A prepared source; made once, used for every target.

    Attributes:
        texture: (1024, 1024, 4) uint8, RGB and confidence.
        basis: (468, 4) float32, see ``mesh_shape.shape_basis``.
    """

    texture: Image
    basis: Floats


def prepare_source(face: AlignedFace, *, swapper_size_px: int) -> SourceFace:
    """Unroll a source face, fill its unseen side from the seen one, take hair and hat away.

    Args:
        face: the source, aligned to ``arcface_128`` at ``CROP_SIZE_PX``.
        swapper_size_px: crop side of the swapper; the texture is band-limited for it.
    """
    facing = _smooth_ramp(vertex_facing(face.mesh), _FACING_NONE, _FACING_FULL)
    colour, seen = _unroll_both_sides(face, facing)
    colour, confidence = _clean(colour, seen)
    # A crop of this size shows the texture this much smaller; finer detail would only alias.
    colour = blur(colour, sigma=0.25 * CROP_SIZE_PX / swapper_size_px)
    rgba = np.dstack([colour[:, :, ::-1], confidence * 255])
    size = (TEXTURE_SIZE_PX, TEXTURE_SIZE_PX)
    enlarged = cv2.resize(rgba, size, interpolation=cv2.INTER_CUBIC)
    return SourceFace(
        texture=to_levels(np.asarray(enlarged, dtype=np.float32)),
        basis=shape_basis(_complete_shape(face.mesh, facing)),
    )


def _smooth_ramp(values: Doubles | Floats, start: float, end: float) -> Doubles:
    ramp = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), dtype=np.float64)


def _unroll(image: Image, mesh: Floats | Doubles, facing: Doubles) -> tuple[Floats, Floats]:
    """Texture (512, 512, 3) float32 BGR and how well each texel is seen (512, 512) float32."""
    attributes = np.column_stack([mesh[:, :2], facing]).astype(np.float64)
    field = texture_raster().interpolate(attributes)
    colour = cv2.remap(
        image,
        np.ascontiguousarray(field[:, :, 0]),
        np.ascontiguousarray(field[:, :, 1]),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(colour, dtype=np.float32), np.clip(field[:, :, 2], 0, 1)


def _unroll_both_sides(face: AlignedFace, facing: Doubles) -> tuple[Floats, Floats]:
    """Unroll the face and its mirror image; the mirror is used where it sees clearly better."""
    mirror = face_topology().mirror
    own, own_seen = _unroll(face.crop_bgr, face.mesh, facing)
    flipped = face.mesh[mirror].copy()
    flipped[:, 0] = face.crop_bgr.shape[1] - 1 - flipped[:, 0]
    other, other_seen = _unroll(
        np.ascontiguousarray(face.crop_bgr[:, ::-1]), flipped, facing[mirror]
    )
    take = np.clip((other_seen - own_seen) * 2, 0, 1) * (own_seen < _SEEN_WELL)
    take = blur(take.astype(np.float32), sigma=8)[:, :, np.newaxis]
    both = (np.minimum(own_seen, other_seen) > _SEEN_ENOUGH).astype(np.float32)
    if take.any() and both.any():
        own_light, other_light = (
            masked_low_pass(side, both, sigma=_LIGHT_SIGMA) for side in (own, other)
        )
        other = other + own_light - other_light
    return own * (1 - take) + other * take, np.maximum(own_seen, other_seen)


@functools.cache
def _middle() -> Image:
    """(512, 512) uint8 0/1: brows, eyes, nose, mouth and chin in the texture."""
    outline = face_topology().uv[list(MIDDLE_OUTLINE)] * RASTER_SIZE
    return dilate(fill_hull(outline, size_px=RASTER_SIZE), _BROW_MARGIN)


@functools.cache
def _sides() -> Image:
    """(512, 512) uint8 0/1: cheeks and jaw at the side; not beside the eyes, where frames are."""
    face = face_topology()
    v, u = np.mgrid[0:RASTER_SIZE, 0:RASTER_SIZE] / RASTER_SIZE
    below_eyes = v > face.uv[face.left_eye, 1].max() + _FRAME_DROP
    beside = below_eyes & (np.abs(u - 0.5) > _SIDE_FROM)
    return np.asarray(beside & (_middle() == 0), dtype=np.uint8)


@functools.cache
def _centre() -> Floats:
    """(512, 512) float32 0..1: the middle strip, painted even where it is seen at a flat angle."""
    u = np.mgrid[0:RASTER_SIZE, 0:RASTER_SIZE][1] / RASTER_SIZE
    return np.asarray(np.clip((0.24 - np.abs(u - 0.5)) / 0.09, 0, 1), dtype=np.float32)


def _clean(colour: Floats, seen: Floats) -> tuple[Floats, Floats]:
    """Replace what lies over the face, and the rim of the mesh, by the face's own bare skin.

    Returns the colour (512, 512, 3) and the confidence (512, 512) float32 0..1.
    """
    foreign, bare = _foreign_and_bare(to_levels(colour))
    skin = _spread_skin(colour, bare)
    cleaned = colour + (skin - colour) * foreign[:, :, np.newaxis]
    return cleaned, np.maximum(seen, _centre())


def _spread_skin(colour: Floats, bare: Floats) -> Floats:
    """Continue the bare skin over everything else: near it as it is there, farther off smoother."""
    skin = masked_low_pass(colour, bare, sigma=_FILL_SIGMAS[0])
    for sigma in _FILL_SIGMAS[1:]:
        near = np.clip(blur(bare, sigma=sigma) * 4, 0, 1)[:, :, np.newaxis]
        skin = skin + (masked_low_pass(colour, bare, sigma=sigma) - skin) * near
    return skin


def _foreign_and_bare(texture_bgr: Image) -> tuple[Floats, Floats]:
    """Soft masks (512, 512) float32: hair, hat and rim, and what is surely bare skin."""
    distance = skin_distance(texture_bgr, points=face_topology().uv * RASTER_SIZE)
    inner = erode(texture_raster().covered, _RIM)
    cover = find_cover(distance, outside=1 - inner, middle=_middle(), thickness_px=21, reach_px=60)
    beside = (distance > COVER_LIKELY).astype(np.uint8) & _sides()
    grown = dilate(cover | beside, _COVER_MARGIN) & (1 - _middle())
    foreign = (grown | (1 - inner)).astype(np.float32)
    bare = (foreign == 0) & (distance < BARE)
    return blur(foreign, sigma=6), bare.astype(np.float32)


def _complete_shape(mesh: Floats, facing: Doubles) -> Doubles:
    """(468, 3) float64: the face's shape, frontal, unseen half from the mirrored seen half."""
    face = face_topology()
    upright = _fit_rigid(mesh.astype(np.float64), face.mean_shape, np.maximum(facing, 0.05))
    mirrored = upright[face.mirror] * np.asarray([-1, 1, 1])
    own = np.maximum(facing, 1e-3)[:, np.newaxis]
    other = own[face.mirror]
    return np.asarray((own * upright + other * mirrored) / (own + other), dtype=np.float64)


def _fit_rigid(source: Doubles, target: Doubles, weights: Doubles) -> Doubles:
    """Move (K, 3) points by the best rotation, scale and shift onto others (Umeyama 1991)."""
    share = weights / weights.sum()
    source_mean, target_mean = share @ source, share @ target
    a, b = source - source_mean, target - target_mean
    u, stretch, vt = np.linalg.svd((b * share[:, np.newaxis]).T @ a)
    signs = np.asarray([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = (stretch * signs).sum() / (share @ (a**2).sum(axis=1))
    return np.asarray(scale * a @ rotation.T + target_mean, dtype=np.float64)
