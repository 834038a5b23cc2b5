"""Runs the mesh swapper on one aligned target face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.masks import TargetCover
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.source_texture import SourceFace
from inference.pipeline.types import Floats, Image


@dataclass(frozen=True, slots=True)
class SwappedCrop:
    """Result of a swapper, still in the crop.

    Attributes:
        crop_bgr: (S, S, 3) float32 BGR 0..255, not rounded yet.
        mask: (S, S) float32 0..1, where to paint it.
    """

    crop_bgr: Floats
    mask: Floats


def to_blob(crop_bgr: Image) -> Floats:
    """(S, S, 3) uint8 BGR -> (1, 3, S, S) float32 RGB 0..1."""
    planes = crop_bgr[:, :, ::-1].transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(planes, dtype=np.float32) / np.float32(255)


def swap_crop(
    model: LoadedModel, *, source: SourceFace, target: AlignedFace, cover: TargetCover
) -> SwappedCrop:
    """Paint the source's face onto an aligned target.

    Args:
        model: a mesh swapper session.
        source: the prepared source.
        target: the target, aligned to the model's template and crop size.
        cover: what covers the target.

    Raises:
        ValueError: the crop has another size than the model.
    """
    size = model.spec.crop_size_px
    if target.crop_bgr.shape != (size, size, 3):
        raise ValueError(f"crop is {target.crop_bgr.shape}, the swapper needs {size} px")
    # The graph counts from the crop's edge, pixel coordinates from the first pixel's centre.
    points = (target.mesh + np.asarray([0.5, 0.5, 0])) / size
    feed = {
        "source": source.texture[np.newaxis],
        "source_basis": source.basis[np.newaxis],
        "target": to_blob(cover.clean_bgr),
        "target_points": points[np.newaxis].astype(np.float32),
        "target_visible": cover.visible[np.newaxis, np.newaxis],
    }
    output, mask = model.run(feed)
    crop_bgr = output[0].transpose(1, 2, 0)[:, :, ::-1] * np.float32(255)
    return _over_clean(crop_bgr, np.clip(mask[0, 0], 0, 1), cover)


def _over_clean(crop_bgr: Floats, mask: Floats, cover: TargetCover) -> SwappedCrop:
    """The swap over the cleaned target, as one layer; both cover what they replace."""
    rest = (1 - mask) * np.clip(cover.temples * 2, 0, 1)
    total = mask + rest
    share = (mask / np.maximum(total, 1e-6))[:, :, np.newaxis]
    mixed = crop_bgr * share + cover.clean_bgr * (1 - share)
    return SwappedCrop(crop_bgr=mixed.astype(np.float32), mask=total.astype(np.float32))
