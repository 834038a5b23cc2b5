"""Masks that a network sees: what covers a face, and which parts it has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from inference.pipeline.filters import resize
from inference.pipeline.masks.shapes import soft_edge
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


def occlusion_mask(models: Sequence[LoadedModel], crop_bgr: Image) -> Floats:
    """(S, S) float32: 1 where the face is seen, 0 where something is in front of it.

    Args:
        models: XSeg sessions; of several, each pixel takes the lowest value.
        crop_bgr: (S, S, 3) uint8 BGR of the target before the swap.
    """
    found = [_visible(model, crop_bgr) for model in models]
    return soft_edge(np.minimum.reduce(found))


def region_mask(model: LoadedModel, crop_bgr: Image, *, regions: Collection[str]) -> Floats:
    """(S, S) float32: 1 where the crop shows one of the regions.

    Args:
        model: a BiSeNet session.
        crop_bgr: (S, S, 3) uint8 BGR.
        regions: keys of ``REGIONS``.
    """
    spec = model.spec
    side = spec.crop_size_px
    small = resize(crop_bgr.astype(np.float32), size_px=(side, side))
    rgb = small[:, :, ::-1] / np.float32(spec.scale)
    pixels = (rgb - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    blob = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
    classes = model.run({"input": blob})[0][0].argmax(axis=0)
    chosen = np.isin(classes, [REGIONS[region] for region in regions]).astype(np.float32)
    return soft_edge(resize(chosen, size_px=(crop_bgr.shape[1], crop_bgr.shape[0])))


def _visible(model: LoadedModel, crop_bgr: Image) -> Floats:
    spec = model.spec
    side = spec.crop_size_px
    small = resize(crop_bgr.astype(np.float32), size_px=(side, side))
    blob = np.ascontiguousarray(small[np.newaxis] / np.float32(spec.scale), dtype=np.float32)
    output = np.asarray(model.run({"input": blob})[0], dtype=np.float32)
    # (1, S, S, 1) or (1, 1, S, S): a single plane either way.
    plane = np.clip(output.reshape(side, side), 0, 1)
    return resize(plane, size_px=(crop_bgr.shape[1], crop_bgr.shape[0]))
