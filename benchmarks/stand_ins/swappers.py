"""Stand-ins for swappers and converters: the target takes on a tint that depends on the source.

``result = KEEP * target + (1 - KEEP) * tint`` on pictures in 0..1. For a swapper with a vector,
``tint = 0.5 + 0.5 * clip(gain * source[:3], -1, 1)`` for red, green and blue.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand_ins.pixels import (
    StandInOptions,
    model_picture,
    picture_mean,
    unit_picture,
    weighed,
)
from inference.pipeline.builtin.graph import Graph, Value
from inference.pipeline.registry.spec import ModelSpec

KEEP: Final = 0.5
#: For vectors of length 1, whose numbers are around 0.04.
UNIT_GAIN: Final = 8.0
#: Length of the vectors that "raw" and not normalised latents have.
RAW_LENGTH: Final = 22.0
#: Places by which each converter turns its vector; no two give the same result.
CONVERTER_TURNS: Final = {"crossface_ghost": 1, "crossface_simswap": 2, "crossface_hififace": 3}
_DIMENSIONS: Final = 512
#: Half axes of the painted ellipse, fractions of the crop; its middle is the crop's.
_ELLIPSE: Final = (0.36, 0.42)
_MASK_EDGE: Final = 4.0


def inswapper(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Unit latents. The matrix turns a vector by one place: without it the tint is another one."""
    graph = Graph()
    target, source = _target(graph, spec, options), _source(graph, options)
    result = _tinted(unit_picture(target, spec), latent_tint(source, UNIT_GAIN))
    graph.output("output", model_picture(result, spec), _shape(spec, options))
    # The contract: the last initialiser of the file. No node uses it, as in the published files.
    graph.constant(emap())
    return graph


def hyperswap(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Unit latents; the result is blended with the target by the mask, an ellipse."""
    graph = Graph()
    source, target = _source(graph, options), _target(graph, spec, options)
    picture = unit_picture(target, spec)
    tinted = _tinted(picture, latent_tint(source, UNIT_GAIN))
    mask = ellipse(spec.crop_size_px)[np.newaxis, np.newaxis]
    result = picture + (tinted - picture) * mask
    touch = graph.apply("ReduceMean", target, axes=[1, 2, 3], keepdims=1) * 0.0
    graph.output("output", model_picture(result, spec), _shape(spec, options))
    graph.output("mask", touch + mask, _shape(spec, options, channels=1))
    return graph


def latent_swapper(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Latents of length 1, or around ``RAW_LENGTH`` where the contract does not normalise them."""
    graph = Graph()
    source, target = _source(graph, options), _target(graph, spec, options)
    result = _tinted(unit_picture(target, spec), latent_tint(source, latent_gain(spec)))
    graph.output("output", model_picture(result, spec), _shape(spec, options))
    return graph


def image_swapper(spec: ModelSpec, options: StandInOptions) -> Graph:
    """The tint is the mean colour of the source picture, which comes in 0..1 as it is."""
    graph = Graph()
    size = int(spec.params["source_size_px"])
    source = graph.input("source", [options.batch, 3, size, size])
    target = _target(graph, spec, options)
    result = _tinted(unit_picture(target, spec), picture_mean(source))
    graph.output("output", model_picture(result, spec), _shape(spec, options))
    return graph


def crossface(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Brings the vector to length 1, turns it and makes it ``RAW_LENGTH`` long."""
    graph = Graph()
    vector = graph.input("input", [options.batch, _DIMENSIONS])
    length = (vector * vector).total(1).sqrt()
    places = CONVERTER_TURNS.get(spec.key, 4)
    turned = graph.concat(
        vector.part(_DIMENSIONS - places, _DIMENSIONS, axis=1),
        vector.part(0, _DIMENSIONS - places, axis=1),
        axis=1,
    )
    graph.output("output", turned / length * RAW_LENGTH, [options.batch, _DIMENSIONS])
    return graph


def emap() -> NDArray[np.float32]:
    """(512, 512) float32: ``e @ emap`` is e turned by one place."""
    return np.roll(np.eye(_DIMENSIONS, dtype=np.float32), 1, axis=1)


def latent_gain(spec: ModelSpec) -> float:
    """The gain of a model's tint, by the length of the vectors it takes."""
    is_long = spec.params["latent"] == "raw" or spec.params.get("is_latent_unit") is False
    return UNIT_GAIN / RAW_LENGTH if is_long else UNIT_GAIN


def latent_tint(source: Value, gain: float) -> Value:
    """(N, 512) -> (N, 3, 1, 1) in 0..1."""
    return (source.part(0, 3, axis=1) * gain).clip(-1.0, 1.0).reshape(0, 3, 1, 1) * 0.5 + 0.5


def ellipse(size_px: int) -> NDArray[Any]:
    """(S, S) float64 in 0..1: 1 inside the ellipse, with an edge that falls off outwards."""
    middle = (np.arange(size_px) + 0.5) / size_px - 0.5
    far = np.hypot(middle[np.newaxis] / _ELLIPSE[0], middle[:, np.newaxis] / _ELLIPSE[1])
    return np.clip(1 - (far - 1) * _MASK_EDGE, 0, 1)


def _tinted(picture: Value, tint: Value) -> Value:
    return picture * KEEP + tint * (1 - KEEP)


def _target(graph: Graph, spec: ModelSpec, options: StandInOptions) -> Value:
    return weighed(graph.input("target", _shape(spec, options)), spec, options)


def _source(graph: Graph, options: StandInOptions) -> Value:
    return graph.input("source", [options.batch, _DIMENSIONS])


def _shape(spec: ModelSpec, options: StandInOptions, channels: int = 3) -> list[int | str]:
    return [options.batch, channels, spec.crop_size_px, spec.crop_size_px]
