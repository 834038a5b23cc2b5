"""Masks that a network sees: what covers a face, and which parts it has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from inference.pipeline.filters import resize
from inference.pipeline.masks.shapes import soft_edge
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Floats, Image

#: The classes of CelebAMask-HQ that may be chosen.
REGIONS: Final[dict[str, int]] = {
    "skin": 1,
    "left_eyebrow": 2,
    "right_eyebrow": 3,
    "left_eye": 4,
    "right_eye": 5,
    "glasses": 6,
    "nose": 10,
    "mouth": 11,
    "upper_lip": 12,
    "lower_lip": 13,
}


def occlusion_masks(models: Sequence[LoadedModel], crops_bgr: Sequence[Image]) -> list[Floats]:
    """(S, S) float32 of each crop: 1 where the face is seen, 0 where something is in front of it.

    Args:
        models: XSeg sessions; of several, each pixel takes the lowest value.
        crops_bgr: (S, S, 3) uint8 BGR each, of the targets before the swap.
    """
    found = [_visible(model, crops_bgr) for model in models]
    return [soft_edge(np.minimum.reduce(of_one)) for of_one in zip(*found, strict=True)]


def region_masks(
    model: LoadedModel, crops_bgr: Sequence[Image], *, regions: Collection[str]
) -> list[Floats]:
    """(S, S) float32 of each crop: 1 where it shows one of the regions.

    Args:
        model: a BiSeNet session.
        crops_bgr: (S, S, 3) uint8 BGR each.
        regions: keys of ``REGIONS``.
    """
    spec = model.spec
    mean, std = (np.asarray(values, np.float32) for values in (spec.mean, spec.std))
    rgb = _shrunk(crops_bgr, spec.crop_size_px)[..., ::-1] / np.float32(spec.scale)
    pixels = ((rgb - mean) / std).transpose(0, 3, 1, 2)
    (output,) = run_batch(model, {"input": np.ascontiguousarray(pixels, dtype=np.float32)})
    wanted = [REGIONS[region] for region in regions]
    chosen = np.isin(output.argmax(axis=1), wanted).astype(np.float32)
    return [soft_edge(_back(plane, crop)) for plane, crop in zip(chosen, crops_bgr, strict=True)]


def _visible(model: LoadedModel, crops_bgr: Sequence[Image]) -> list[Floats]:
    spec = model.spec
    side = spec.crop_size_px
    blob = _shrunk(crops_bgr, side) / np.float32(spec.scale)
    (output,) = run_batch(model, {"input": np.ascontiguousarray(blob, dtype=np.float32)})
    # (N, S, S, 1) or (N, 1, S, S): a single plane of each either way.
    planes = np.clip(np.asarray(output, np.float32).reshape(len(crops_bgr), side, side), 0, 1)
    return [_back(plane, crop) for plane, crop in zip(planes, crops_bgr, strict=True)]


def _shrunk(crops_bgr: Sequence[Image], side_px: int) -> Floats:
    """(N, side, side, 3) float32 BGR 0..255."""
    size = (side_px, side_px)
    return np.stack([resize(crop.astype(np.float32), size_px=size) for crop in crops_bgr])


def _back(plane: Floats, crop_bgr: Image) -> Floats:
    return resize(plane, size_px=(crop_bgr.shape[1], crop_bgr.shape[0]))
