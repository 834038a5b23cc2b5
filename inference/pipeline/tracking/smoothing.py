"""Damps the trembling of a face's shape without making it lag behind the head.

The One Euro filter (Casiez, Roussel, Vogel 2012) on the shape in a frame of its own: position,
size and roll are taken as found, from all points at once, so that a moving head is not smoothed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from inference.pipeline.aligner import fit_similarity, invert, transform_mesh
from inference.pipeline.types import Doubles, Floats

# In the shape's own frame the face is one unit wide; the rates are per second.
_CUTOFF_OPEN_HZ: Final = 12.0
_CUTOFF_CLOSED_HZ: Final = 1.5
_SPEED_GAIN: Final = 30.0
_SPEED_CUTOFF_HZ: Final = 2.0


class ShapeFilter:
    """The filter of one track; frames go through it in order."""

    def __init__(self, *, strength: float) -> None:
        """Start without a past; ``strength`` is 0..1."""
        self._cutoff_hz = _CUTOFF_OPEN_HZ + (_CUTOFF_CLOSED_HZ - _CUTOFF_OPEN_HZ) * strength
        self._is_off = strength == 0
        self._frame: Doubles | None = None
        self._shape: Floats | None = None
        self._speed: Floats | None = None

    def apply(self, mesh: Floats, *, step_s: float) -> Floats:
        """The smoothed (468, 3) float32 mesh, px of the picture.

        Args:
            mesh: as found, px of the picture.
            step_s: time since the frame before.
        """
        if self._is_off:
            return mesh
        plane = mesh[:, :2].astype(np.float64)
        if self._frame is None or self._shape is None or self._speed is None:
            width = max(float(np.ptp(plane[:, 0])), 1.0)
            self._frame = (plane - plane.mean(axis=0)) / width
        to_frame = fit_similarity(plane, self._frame)
        shape = transform_mesh(mesh, to_frame)
        if self._shape is None or self._speed is None:
            self._shape, self._speed = shape, np.zeros_like(shape)
            return mesh
        speed = (shape - self._shape) / np.float32(step_s)
        self._speed += _share(_SPEED_CUTOFF_HZ, step_s) * (speed - self._speed)
        cutoff = np.asarray(self._cutoff_hz + _SPEED_GAIN * np.abs(self._speed), np.float32)
        self._shape = (self._shape + _shares(cutoff, step_s) * (shape - self._shape)).astype(
            np.float32
        )
        return transform_mesh(self._shape, invert(to_frame))


def _share(cutoff_hz: float, step_s: float) -> float:
    """How much of the new value an exponential filter takes."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def _shares(cutoff_hz: Floats, step_s: float) -> Floats:
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s)), dtype=np.float32)
