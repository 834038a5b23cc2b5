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


@dataclass(slots=True)
class TrackSmoother:
    """Exponential means of the detail gains and colours of one track; thread-safe.

    The caller owns it: one per track, and ``reset`` on a scene cut. Each frame gives and takes in
    one step, so frames that are painted out of order disturb a mean only by as much as they differ.

    Attributes:
        share: 0..1, how much of a new frame enters; 1 smooths nothing.
        colour: how far colours are matched.
    """

    share: float = 0.25
    colour: ColourOptions = field(default_factory=ColourOptions)
    _means: dict[str, Doubles] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError("the share of a new frame must be above 0 and at most 1")

    def reset(self) -> None:
        """Forget all frames so far."""
        with self._lock:
            self._means.clear()

    def smooth_gains(self, measured: DetailGains) -> DetailGains:
        """See ``blend.Adjuster``."""
        mean = self._mean(_GAINS, np.asarray([measured.gains, measured.grains]))
        (a, b), (c, d) = mean.tolist()
        return DetailGains(gains=(a, b), grains=(c, d))

    def recolour(self, crop_bgr: Floats, *, target_bgr: Floats, mask: Floats) -> Floats:
        """See ``blend.Adjuster``."""
        if not self.colour.strength:
            return crop_bgr
        found = measure_shift(crop_bgr, target_bgr=target_bgr, mask=mask)
        if found is None:
            return crop_bgr
        mean = self._mean(_COLOUR, np.asarray([found.ratio, found.shift]))
        (a, b, c), (d, e, f) = mean.tolist()
        # The pivot stays that of the frame: the line has to go through this crop's own mean.
        smooth = ColourShift(pivot=found.pivot, ratio=(a, b, c), shift=(d, e, f))
        return apply_shift(crop_bgr, smooth, strength=self.colour.strength)

    def _mean(self, name: str, values: Doubles) -> Doubles:
        with self._lock:
            before = self._means.get(name)
            if before is not None:
                values = before + self.share * (values - before)
            self._means[name] = values
            return values


@dataclass(slots=True)
class MaskSmoother:
    """Exponential mean of the masks of one track, which all have the size of its crop.

    In crops of one template a face keeps its place, so their masks can be averaged as they are.
    One thread, frames in order; the caller owns it and calls ``reset`` on a scene cut.

    Attributes:
        share: 0..1, how much of a new mask enters; 1 smooths nothing.
    """

    share: float = 0.5
    _mean: Floats | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError("the share of a new mask must be above 0 and at most 1")

    def reset(self) -> None:
        """Forget all frames so far."""
        self._mean = None

    def smooth(self, mask: Floats) -> Floats:
        """(S, S) float32 0..1; a crop of another size begins anew."""
        if self._mean is None or self._mean.shape != mask.shape:
            self._mean = mask.copy()
        else:
            self._mean = self._mean + np.float32(self.share) * (mask - self._mean)
        return self._mean
