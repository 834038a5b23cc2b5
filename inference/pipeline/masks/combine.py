"""Puts the masks that the options name together: each pixel takes the lowest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.filters import to_levels
from inference.pipeline.masks.networks import REGIONS, occlusion_masks, region_masks
from inference.pipeline.masks.shapes import AREAS, area_mask, box_mask
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers.base import SwappedCrop
from inference.pipeline.types import Floats

KINDS: Final = ("box", "occlusion", "area", "region")


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """Where the swapped face is painted.

    Attributes:
        kinds: of ``KINDS``. A swapper's own mask counts in any case; where it has none and nothing
            is chosen, the box is used.
        blur: 0..1, softness of the box.
        padding_percent: of the crop's side, cut off the box: top, right, bottom, left.
        areas: keys of ``AREAS`` for the kind ``area``.
        regions: keys of ``REGIONS`` for the kind ``region``.
        occluders: keys of the models for the kind ``occlusion``.
        parser: key of the model for the kind ``region``.
    """

    kinds: tuple[str, ...] = ()
    blur: float = 0.3
    padding_percent: tuple[int, int, int, int] = (0, 0, 0, 0)
    areas: tuple[str, ...] = tuple(AREAS)
    regions: tuple[str, ...] = tuple(REGIONS)
    occluders: tuple[str, ...] = ("xseg_1",)
    parser: str = "bisenet_resnet_34"

    def __post_init__(self) -> None:
        for param, values, offered in (
            ("masks.kinds", self.kinds, KINDS),
            ("masks.areas", self.areas, AREAS),
            ("masks.regions", self.regions, REGIONS),
        ):
            if set(values) - set(offered):
                raise InvalidOptionsError(param, f"must be some of: {', '.join(offered)}")
        if not 0 <= self.blur <= 1:
            raise InvalidOptionsError("masks.blur", "must be from 0 to 1")
        if not all(0 <= percent <= 100 for percent in self.padding_percent):  # noqa: PLR2004 - per cent
            raise InvalidOptionsError("masks.padding_percent", "must be four values, 0 to 100")
        for kind, param, values in (
            ("area", "masks.areas", self.areas),
            ("region", "masks.regions", self.regions),
            ("occlusion", "masks.occluders", self.occluders),
        ):
            if kind in self.kinds and not values:
                raise InvalidOptionsError(param, "at least one is needed")


class MaskMaker:
    """Makes the masks of one job; opens only the models that its options need."""

    def __init__(self, pool: SessionPool, options: MaskOptions) -> None:
        """Open the sessions.

        Raises:
            PipelineError: a model is missing, altered or not allowed.
        """
        self._options = options
        keys = options.occluders if "occlusion" in options.kinds else ()
        self._occluders = [pool.get(key) for key in keys]
        self._parser = pool.get(options.parser) if "region" in options.kinds else None

    def make_all(
        self, targets: Sequence[AlignedFace], swapped: Sequence[SwappedCrop]
    ) -> list[Floats]:
        """(S, S) float32 0..1 of each: where the crop is painted.

        What covers the faces is looked for in the targets, the faces' parts in the swapped crops,
        in one run for all where the model allows it.

        Raises:
            ValueError: an area is asked for, and the landmarker in use finds five points only.
        """
        seen: list[list[Floats]] = [[] for _ in targets]
        if self._occluders:
            crops = [target.crop_bgr for target in targets]
            for masks, mask in zip(seen, occlusion_masks(self._occluders, crops), strict=True):
                masks.append(mask)
        if self._parser is not None:
            crops = [to_levels(crop.crop_bgr) for crop in swapped]
            found = region_masks(self._parser, crops, regions=self._options.regions)
            for masks, mask in zip(seen, found, strict=True):
                masks.append(mask)
        return [
            np.asarray(
                np.clip(np.minimum.reduce([*self._plain(target, crop), *masks]), 0, 1),
                dtype=np.float32,
            )
            for target, crop, masks in zip(targets, swapped, seen, strict=True)
        ]

    def _plain(self, target: AlignedFace, swapped: SwappedCrop) -> list[Floats]:
        """The masks that need no network."""
        options, size = self._options, target.crop_bgr.shape[0]
        masks = [] if swapped.mask is None else [swapped.mask]
        if "box" in options.kinds or (swapped.mask is None and not options.kinds):
            masks.append(
                box_mask(
                    size_px=size,
                    blur_share=options.blur,
                    padding_percent=options.padding_percent,
                )
            )
        if "area" in options.kinds:
            outline = target.landmarks.outline
            if outline is None:
                raise ValueError("an area mask needs the 68 points of a face")
            masks.append(area_mask(outline, size_px=size, areas=options.areas))
        return masks
