"""Turns a source face into what the mesh swapper wants: a clean, unrolled texture and its shape."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.skin import connected_to, disc, skin_distance
from inference.pipeline.swapper_shape import shape_basis
from inference.pipeline.texture_raster import RASTER_SIZE, texture_raster
from inference.pipeline.topology import FOREHEAD_TOP, face_topology, vertex_facing
from inference.pipeline.types import Doubles, Floats, Image

#: Side of the square crop that a texture is made from, and of the finished texture.
CROP_SIZE_PX: Final = 512
TEXTURE_SIZE_PX: Final = 1024
# Facing (cosine to the camera) from which on a texel counts, and where it counts fully.
_FACING_NONE, _FACING_FULL = 0.30, 0.70
# Colour distance from which on a texel is taken for hair, hat or background.
_COVERED_DISTANCE: Final = 9.0
# The two halves of the face are matched in light at this scale, in texels.
_LIGHT_SIGMA: Final = 60.0


@dataclass(frozen=True, slots=True)
class SourceFace:
    """A prepared source; made once, used for every target.

    Attributes:
        texture: (1024, 1024, 4) uint8, RGB and confidence.
        basis: (468, 4) float32, see ``swapper_shape.shape_basis``.
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
    colour = cv2.GaussianBlur(colour, (0, 0), 0.25 * CROP_SIZE_PX / swapper_size_px)
    rgba = np.dstack([colour[:, :, ::-1], confidence * 255])
    size = (TEXTURE_SIZE_PX, TEXTURE_SIZE_PX)
    enlarged = cv2.resize(rgba, size, interpolation=cv2.INTER_CUBIC)
    return SourceFace(
        texture=np.clip(np.rint(enlarged), 0, 255).astype(np.uint8),
        basis=shape_basis(_complete_shape(face.mesh, facing)),
    )


def _smooth_ramp(values: Doubles | Floats, start: float, end: float) -> Doubles:
    ramp = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), dtype=np.float64)


def _unroll(image: Image, mesh: Floats | Doubles, facing: Doubles) -> tuple[Floats, Floats]:
    """Texture (512, 512, 3) float32 BGR and how well each texel is seen (512, 512) float32."""
    attributes = np.column_stack([mesh[:, :2], facing])
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
    take = np.clip((other_seen - own_seen) * 2, 0, 1) * (own_seen < 0.9)
    take = cv2.GaussianBlur(take.astype(np.float32), (0, 0), 8)[:, :, np.newaxis]
    both = (np.minimum(own_seen, other_seen) > 0.3).astype(np.float32)
    if take.any() and both.any():
        other = other + masked_low_pass(own, both, _LIGHT_SIGMA)
        other = other - masked_low_pass(other, both, _LIGHT_SIGMA)
    return own * (1 - take) + other * take, np.maximum(own_seen, other_seen)


def masked_low_pass(image: Floats, mask: Floats, sigma: float) -> Floats:
    """Gaussian mean of the masked pixels around each pixel (normalised convolution).

    (H, W, C) float32 and (H, W) float32 -> (H, W, C) float32. Runs at an eighth of the size.
    """
    height, width = mask.shape
    small_size = (max(1, width // 8), max(1, height // 8))
    small_sigma = sigma * small_size[0] / width
    weighted = cv2.resize(image * mask[:, :, np.newaxis], small_size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(mask, small_size, interpolation=cv2.INTER_AREA)
    weighted = cv2.GaussianBlur(weighted, (0, 0), small_sigma)
    weight = cv2.GaussianBlur(weight, (0, 0), small_sigma)
    mean = weighted / (weight[:, :, np.newaxis] + 1e-4)
    return np.asarray(
        cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


@dataclass(frozen=True, slots=True)
class _Zones:
    """Soft masks (512, 512) float32 in texture space."""

    forehead: Floats
    sides: Floats


@functools.cache
def _zones() -> _Zones:
    """Where hair may lie over a face: above the brows, and beside the eyes and cheeks."""
    face = face_topology()
    v, u = np.mgrid[0:RASTER_SIZE, 0:RASTER_SIZE].astype(np.float32) / RASTER_SIZE
    brow = float(face.uv[face.brows, 1].min())
    forehead = np.clip((brow - 0.01 - v) / 0.025, 0, 1)
    sides = np.clip((np.abs(u - 0.5) - 0.26) / 0.08, 0, 1)
    return _Zones(forehead=forehead.astype(np.float32), sides=sides.astype(np.float32))


def _clean(colour: Floats, seen: Floats) -> tuple[Floats, Floats]:
    """Replace hair and hat on the forehead by skin; trust the sides only where they are skin."""
    zones = _zones()
    levels = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    covered = _covered(levels)
    forehead = covered * zones.forehead
    bare = (1 - covered) * seen * _forehead_skin_area()
    smooth = masked_low_pass(colour, bare.astype(np.float32), 0.05 * RASTER_SIZE)
    colour = colour + (smooth - colour) * forehead[:, :, np.newaxis]
    hair_beside = covered * zones.sides * (1 - zones.forehead)
    confidence = seen * (1 - hair_beside)
    # The middle of the face is painted even where it is seen at a flat angle.
    middle = 1 - np.maximum(zones.sides, zones.forehead)
    return colour, np.asarray(np.maximum(confidence, middle), dtype=np.float32)


def _covered(texture_bgr: Image) -> Floats:
    """(512, 512) float32 0..1, soft: hair, hat and background that reach in from the edge."""
    face = face_topology()
    distance = skin_distance(texture_bgr, points=face.uv * RASTER_SIZE)
    foreign = (distance > _COVERED_DISTANCE).astype(np.uint8)
    # Opening drops brows, lashes and spectacle frames: thin things are not hair.
    foreign = np.asarray(cv2.morphologyEx(foreign, cv2.MORPH_OPEN, disc(15)), dtype=np.uint8)
    inner = cv2.erode(texture_raster().covered, disc(25), borderValue=0)
    edge = (1 - np.asarray(inner)).astype(np.uint8)
    reaching = connected_to(foreign, edge)
    grown = cv2.dilate(reaching, disc(19)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 5), dtype=np.float32)


@functools.cache
def _forehead_skin_area() -> Floats:
    """(512, 512) float32: texels that may lend their skin to the forehead: it and the cheeks."""
    face = face_topology()
    v = np.mgrid[0:RASTER_SIZE, 0:RASTER_SIZE][0] / RASTER_SIZE
    top, brow = face.uv[FOREHEAD_TOP, 1], face.uv[face.brows, 1].min()
    area = np.clip((brow - 0.01 - v) / 0.02, 0, 1) * (v > top)
    return np.asarray(area + 0.02, dtype=np.float32)


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
