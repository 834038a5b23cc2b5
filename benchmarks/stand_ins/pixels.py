"""What the stand-ins share: pictures in 0..1, colours, and the pattern of 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand_ins.heavy import burn
from inference.pipeline.builtin.graph import Graph, Value
from inference.pipeline.registry.spec import ModelSpec

#: Detectors take a pure blue, green or red square of one cell as a face, by their stride.
STRIDE_COLOURS: Final = {8: "G", 16: "B", 32: "R"}
#: Side of a planted face's box in strides; it is centred on the middle of the marked cell.
BOX_STRIDES: Final = 4.0
#: Its five points, in strides from the middle of the cell: eyes, nose, mouth corners.
POINT_STRIDES: Final = ((-0.8, -0.6), (0.8, -0.6), (0.0, 0.1), (-0.6, 0.9), (0.6, 0.9))
# Eyes of the ffhq_512 template, fractions of the crop.
_FFHQ_EYES: Final = ((0.37691676, 0.46864664), (0.62285697, 0.46912813))


@dataclass(frozen=True, slots=True)
class StandInOptions:
    """Which variant to build.

    Attributes:
        heavy: with about the arithmetic and the size of the real model; results stay the same.
        batched: with a free first axis; otherwise it is 1.
    """

    heavy: bool = False
    batched: bool = True

    @property
    def batch(self) -> int | str:
        """The first axis of inputs and outputs."""
        return "N" if self.batched else 1


#: The usual variant.
LIGHT: Final = StandInOptions()


def unit_picture(value: Value, spec: ModelSpec) -> Value:
    """(N, 3, H, W) as the model gets it -> the same in 0..1, channels as they come."""
    mean, std = (
        np.asarray(values, dtype=np.float64).reshape(1, 3, 1, 1) for values in (spec.mean, spec.std)
    )
    return (value * std + mean) * (spec.scale / 255)


def model_picture(value: Value, spec: ModelSpec) -> Value:
    """(N, 3, H, W) in 0..1 -> as a swapper gives it back, by its ``output_range``."""
    return value * 2.0 - 1.0 if spec.params["output_range"] == "symmetric" else value


def channel(value: Value, letter: str, spec: ModelSpec) -> Value:
    """One channel, kept as an axis of length 1."""
    index = spec.colour.index(letter)
    return value.part(index, index + 1, axis=1)


def dominance(value: Value, letter: str, spec: ModelSpec) -> Value:
    """How far a channel stands out: its value less the larger of the other two, at least 0."""
    others = [channel(value, other, spec) for other in "RGB" if other != letter]
    rest = value.graph.apply("Max", *others)
    return (channel(value, letter, spec) - rest).clip(0.0, 1.0)


def picture_mean(value: Value) -> Value:
    """(N, 3, 1, 1): the mean colour."""
    return value.graph.apply("ReduceMean", value, axes=[2, 3], keepdims=1)


def picture_input(graph: Graph, spec: ModelSpec, options: StandInOptions) -> Value:
    """The input called ``input``: a square of the model's size, or of any size."""
    side = spec.crop_size_px
    size: list[int | str] = [side, side] if side else ["H", "W"]
    return weighed(graph.input("input", [options.batch, 3, *size]), spec, options)


def weighed(picture: Value, spec: ModelSpec, options: StandInOptions) -> Value:
    """The same (N, 3, H, W) picture; in a heavy variant it takes as long as the real model."""
    return picture + burn(picture, spec) if options.heavy else picture


def landmark_pattern() -> NDArray[Any]:
    """(68, 2) float64: a plain face in the usual order of 68 points, fractions of the crop."""
    half = np.linspace(0, np.pi, 17)
    jaw = np.stack([0.5 - 0.38 * np.cos(half), 0.45 + 0.42 * np.sin(half)], axis=1)
    brow = np.stack([np.linspace(0.2, 0.42, 5), np.full(5, 0.33)], axis=1)
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.42, 0.6, 4)], axis=1)
    nostrils = np.stack([np.linspace(0.43, 0.57, 5), np.full(5, 0.64)], axis=1)
    eye = _ring(0.33, 0.42, 0.06, 0.02, 6)
    other_eye = eye + np.asarray([0.34, 0])
    lips = np.concatenate([_ring(0.5, 0.76, 0.14, 0.06, 12), _ring(0.5, 0.76, 0.1, 0.02, 8)])
    right_brow = brow[::-1] * np.asarray([-1, 1]) + np.asarray([1, 0])
    return np.concatenate([jaw, brow, right_brow, bridge, nostrils, eye, other_eye, lips])


def ffhq_pattern() -> NDArray[Any]:
    """(68, 2) float64: the same face with its eyes where the ffhq_512 template has them."""
    pattern = landmark_pattern()
    eyes = np.stack([pattern[36:42].mean(axis=0), pattern[42:48].mean(axis=0)])
    wanted = np.asarray(_FFHQ_EYES)
    scale = np.linalg.norm(wanted[1] - wanted[0]) / np.linalg.norm(eyes[1] - eyes[0])
    return np.asarray((pattern - eyes.mean(axis=0)) * scale + wanted.mean(axis=0))


def _ring(x: float, y: float, width: float, height: float, count: int) -> NDArray[Any]:
    """Points on an ellipse, from its left end over the top."""
    angles = np.pi + np.arange(count) * 2 * np.pi / count
    return np.stack([x + width * np.cos(angles), y + height * np.sin(angles)], axis=1)
