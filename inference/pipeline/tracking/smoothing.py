"""Damps the trembling of a face without making it lag behind the head.

The One Euro filter (Casiez, Roussel, Vogel 2012), twice: on place, size and roll of the face, which
are taken from all its points at once, and on each point in the face's own frame. What rests is
damped strongly, and the faster something moves the less it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.aligner import fit_similarity, invert, transform_points
from inference.pipeline.analysis.face_mesh import landmarks_of
from inference.pipeline.types import Doubles, Floats, Landmarks

# Rates are per second, and lengths in widths of the face.
_CUTOFF_OPEN_HZ: Final = 12.0
_CUTOFF_CLOSED_HZ: Final = 1.0
_SPEED_GAIN: Final = 60.0
_SPEED_CUTOFF_HZ: Final = 4.0
# A head turns back within a few frames, and all points together tremble little: its speed may be
# believed sooner. What trembling alone looks like counts as rest.
_POSE_SPEED_GAIN: Final = 150.0
_POSE_SPEED_CUTOFF_HZ: Final = 6.0
_POSE_SPEED_AT_REST: Final = 0.05

_Complexes = NDArray[np.complex128]


class LandmarkFilter:
    """The filter of one track; frames go through it in order."""

    def __init__(self, *, strength: float) -> None:
        """Start without a past; ``strength`` is 0..1, and 0 takes landmarks as they are found."""
        self._strength = strength
        self._points = PointFilter(strength=strength)
        self._count = 0

    def reset(self) -> None:
        """Forget all frames so far, as where a face was out of sight."""
        self._points = PointFilter(strength=self._strength)
        self._count = 0

    def apply(self, landmarks: Landmarks, *, step_s: float) -> Landmarks:
        """The smoothed landmarks, px of the picture.

        Args:
            landmarks: as found, px of the picture.
            step_s: time since the frame before.
        """
        if self._strength == 0:
            return landmarks
        dense, five, outline = landmarks.dense, landmarks.five, landmarks.outline
        points = five if outline is None else np.concatenate([five, outline])
        if dense is not None:
            points = dense
        if len(points) != self._count:
            # Another landmarker was surer of this frame; its points are not the same ones.
            self.reset()
            self._count = len(points)
        smooth = self._points.apply(points, step_s=step_s)
        if dense is not None:
            return replace(landmarks_of(smooth, logit=0), score=landmarks.score)
        if outline is None:
            return replace(landmarks, five=smooth)
        return replace(landmarks, five=smooth[: len(five)], outline=smooth[len(five) :])


class PointFilter:
    """The filter of one set of points that moves as a whole and changes its shape."""

    def __init__(self, *, strength: float) -> None:
        """Start without a past; ``strength`` is 0..1."""
        # Equal steps of strength are equal factors of what is left of the trembling.
        cutoff_hz = _CUTOFF_OPEN_HZ * (_CUTOFF_CLOSED_HZ / _CUTOFF_OPEN_HZ) ** strength
        self._frame: Doubles | None = None
        self._pose = _PoseFilter(cutoff_hz=cutoff_hz)
        self._shape = _ShapeFilter(cutoff_hz=cutoff_hz)

    def apply(self, points: Floats, *, step_s: float) -> Floats:
        """The smoothed (K, 2) or (K, 3) float32 points, px of the picture.

        Args:
            points: as found, px of the picture. A third coordinate is depth and scales along.
            step_s: time since the frame before.
        """
        plane = points[:, :2].astype(np.float64)
        if self._frame is None:
            width = max(float(np.ptp(plane[:, 0])), 1.0)
            self._frame = (plane - plane.mean(axis=0)) / width
        to_frame = fit_similarity(plane, self._frame)
        shape = self._shape.apply(_moved(points, to_frame), step_s=step_s)
        pose = self._pose.apply(invert(to_frame), step_s=step_s)
        return _moved(shape, pose)


class _ShapeFilter:
    """On each coordinate of each point by itself."""

    def __init__(self, *, cutoff_hz: float) -> None:
        self._cutoff_hz = cutoff_hz
        self._last: Floats | None = None
        self._speed: Floats | None = None

    def apply(self, values: Floats, *, step_s: float) -> Floats:
        if self._last is None or self._speed is None:
            self._last, self._speed = values, np.zeros_like(values)
            return values
        speed = (values - self._last) / np.float32(step_s)
        self._speed += np.float32(_share(_SPEED_CUTOFF_HZ, step_s)) * (speed - self._speed)
        cutoff_hz = self._cutoff_hz + _SPEED_GAIN * np.abs(self._speed)
        share = np.asarray(_share(cutoff_hz, step_s), dtype=np.float32)
        self._last = self._last + share * (values - self._last)
        return self._last


class _PoseFilter:
    """On a similarity transform: its shift, and its turn and scale together.

    Both are complex numbers, in which a turn is a factor: the logarithm of the quotient of two
    poses has the difference of their sizes as its real part and of their angles as the other.
    """

    def __init__(self, *, cutoff_hz: float) -> None:
        self._cutoff_hz = cutoff_hz
        self._found: _Complexes | None = None
        self._smooth: _Complexes | None = None
        self._speed = np.zeros(2, dtype=np.complex128)

    def apply(self, matrix: Doubles, *, step_s: float) -> Doubles:
        """The next pose, smoothed: (2, 3) float64 in and out, ``step_s`` seconds after the last."""
        (a, _, x), (c, _, y) = matrix.tolist()
        found = np.asarray([complex(x, y), complex(a, c)])
        if self._found is None or self._smooth is None:
            self._found = self._smooth = found
            return matrix
        speed = _difference(found, self._found) / step_s
        self._speed += _share(_POSE_SPEED_CUTOFF_HZ, step_s) * (speed - self._speed)
        moving = np.maximum(np.abs(self._speed) - _POSE_SPEED_AT_REST, 0)
        cutoff_hz = self._cutoff_hz + _POSE_SPEED_GAIN * moving
        step = _share(cutoff_hz, step_s) * _difference(found, self._smooth)
        place, turn = self._smooth
        self._found = found
        self._smooth = np.asarray([place + step[0] * abs(turn), turn * np.exp(step[1])])
        place, turn = self._smooth
        return np.asarray([[turn.real, -turn.imag, place.real], [turn.imag, turn.real, place.imag]])


def _difference(pose: _Complexes, before: _Complexes) -> _Complexes:
    """From one pose to another: the shift in widths of the face, and the logarithm of the turn."""
    return np.asarray([(pose[0] - before[0]) / abs(before[1]), np.log(pose[1] / before[1])])


def _moved(points: Floats, matrix: Doubles) -> Floats:
    plane = transform_points(points[:, :2], matrix)
    scale = np.float32(np.hypot(matrix[0, 0], matrix[1, 0]))
    return np.column_stack([plane, points[:, 2:] * scale]).astype(np.float32, copy=False)


def _share(cutoff_hz: float | Doubles | Floats, step_s: float) -> float | Doubles | Floats:
    """How much of the new value an exponential filter takes."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))
