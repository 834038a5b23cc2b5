"""Gives a stand-in about the cost of the real model without changing what it computes.

A stack of 3 x 3 convolutions runs beside the exact arithmetic and its mean is added with a factor
that no float32 picture can feel. The number of weights follows the size of the real file; each
weight is used once per cell of a square grid. Where the arithmetic of the real model is published
(YOLOv8n, SCRFD, IResNet-50, ResNet-34), the grid is chosen to match it; all other grids are guesses
from the input's size, so absolute times stand for the order of magnitude only.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.builtin.graph import Value
from inference.pipeline.registry.spec import ModelSpec

_BYTES_PER_WEIGHT: Final = 4
_IMPERCEPTIBLE: Final = 1e-30
_TAPS: Final = 9


@dataclass(frozen=True, slots=True)
class Cost:
    """A stack of equal convolutions.

    Attributes:
        channels: of each convolution.
        grid: cells per side that it runs on.
        weights: where the real file's size is not known.
    """

    channels: int
    grid: int
    weights: int


COSTS: Final[Mapping[str, Cost]] = {
    "yunet": Cost(channels=32, grid=40, weights=75_000),
    "scrfd": Cost(channels=96, grid=55, weights=800_000),
    "yoloface": Cost(channels=192, grid=38, weights=3_100_000),
    "fan2d": Cost(channels=512, grid=32, weights=24_400_000),
    "peppa": Cost(channels=192, grid=16, weights=3_400_000),
    "arcface": Cost(channels=512, grid=12, weights=43_600_000),
    "fairface": Cost(channels=512, grid=13, weights=21_300_000),
    "inswapper": Cost(channels=1024, grid=32, weights=138_800_000),
    "hyperswap": Cost(channels=1024, grid=32, weights=100_000_000),
    "latent_swapper": Cost(channels=1024, grid=32, weights=130_000_000),
    "image_swapper": Cost(channels=1024, grid=32, weights=100_000_000),
    "xseg": Cost(channels=512, grid=32, weights=17_600_000),
    "bisenet": Cost(channels=512, grid=32, weights=12_000_000),
    "face_enhancer": Cost(channels=1024, grid=32, weights=85_000_000),
    "codeformer": Cost(channels=1024, grid=32, weights=94_000_000),
    "upscaler": Cost(channels=64, grid=128, weights=1_000_000),
    "nsfw_detector": Cost(channels=512, grid=40, weights=20_000_000),
    "nsfw_logits": Cost(channels=512, grid=14, weights=22_000_000),
}


def burn(picture: Value, spec: ModelSpec) -> Value:
    """(N, 1, 1, 1): next to nothing, at the cost of the real model.

    ``picture`` is (N, C, H, W).
    """
    graph, cost = picture.graph, COSTS[spec.contract]
    weights = spec.size_bytes // _BYTES_PER_WEIGHT or cost.weights
    layers = max(1, round(weights / (_TAPS * cost.channels**2)))
    random = np.random.default_rng(zlib.crc32(spec.key.encode()))
    sizes = graph.apply("Shape", picture, start=0, end=2)
    sizes = graph.apply("Concat", sizes, graph.ints(cost.grid, cost.grid), axis=0)
    x = graph.apply("Resize", picture, None, None, sizes, mode="nearest")
    x = x.convolve(random.standard_normal((cost.channels, 3, 1, 1)))
    spread = np.sqrt(2 / (_TAPS * cost.channels))
    for _ in range(layers):
        shape = (cost.channels, cost.channels, 3, 3)
        kernel = random.standard_normal(shape, dtype=np.float32) * np.float32(spread)
        x = graph.apply("Relu", x.convolve(kernel, pads=(1, 1, 1, 1)))
    mean = graph.apply("ReduceMean", x, axes=[1, 2, 3], keepdims=1)
    # Limited, so that no stack of random weights can overflow.
    return mean.clip(0.0, 1.0) * _IMPERCEPTIBLE
