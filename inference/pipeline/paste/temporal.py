"""Keeps what is measured per frame from pumping along the track of a face."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from inference.pipeline.paste.blend import DetailGains
from inference.pipeline.paste.colour import (
    ColourOptions,
    ColourShift,
    apply_shift,
    measure_shift,
)
from inference.pipeline.types import Doubles, Floats

_GAINS: Final = "gains"
_COLOUR: Final = "colour"
_MASK: Final = "mask"


@dataclass(slots=True)
class TrackSmoother:
    """Exponential means of the mask, detail gains and colours of one track; thread-safe.

    The caller owns it: one per track, and ``reset`` on a scene cut. Frames enter the means in the
    order in which they are painted, so only frames painted in order give the same bytes each time.

    Attributes:
        share: 0..1, how much of a new frame enters gains and colours; 1 smooths nothing.
        mask_share: the same for the mask. In crops of one template a face keeps its place, so that
            their masks can be averaged as they are.
        colour: how far colours are matched.
    """

    share: float = 0.25
    mask_share: float = 1.0
    colour: ColourOptions = field(default_factory=ColourOptions)
    _means: dict[str, Doubles] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not (0 < self.share <= 1 and 0 < self.mask_share <= 1):
            raise ValueError("the share of a new frame must be above 0 and at most 1")

    def reset(self) -> None:
        """Forget all frames so far."""
        with self._lock:
            self._means.clear()

    def smooth_mask(self, mask: Floats) -> Floats:
        """See ``blend.Adjuster``; a crop of another size begins anew."""
        if self.mask_share == 1:
            return mask
        mean = self._mean(_MASK, mask.astype(np.float64), share=self.mask_share)
        return mean.astype(np.float32)

    def smooth_gains(self, measured: DetailGains) -> DetailGains:
        """See ``blend.Adjuster``."""
        mean = self._mean(_GAINS, np.asarray([measured.gains, measured.grains]), share=self.share)
        (a, b), (c, d) = mean.tolist()
        return DetailGains(gains=(a, b), grains=(c, d))

    def recolour(self, crop_bgr: Floats, *, target_bgr: Floats, mask: Floats) -> Floats:
        """See ``blend.Adjuster``."""
        if not self.colour.strength:
            return crop_bgr
        found = measure_shift(crop_bgr, target_bgr=target_bgr, mask=mask)
        if found is None:
            return crop_bgr
        mean = self._mean(_COLOUR, np.asarray([found.ratio, found.shift]), share=self.share)
        (a, b, c), (d, e, f) = mean.tolist()
        # The pivot stays that of the frame: the line has to go through this crop's own mean.
        smooth = ColourShift(pivot=found.pivot, ratio=(a, b, c), shift=(d, e, f))
        return apply_shift(crop_bgr, smooth, strength=self.colour.strength)

    def _mean(self, name: str, values: Doubles, *, share: float) -> Doubles:
        with self._lock:
            before = self._means.get(name)
            if before is not None and before.shape == values.shape:
                values = before + share * (values - before)
            self._means[name] = values
            return values
