"""Stand-ins that take a picture and give a picture, a mask or a vote: masks, enhancers, safety."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from benchmarks.stand_ins.pixels import (
    StandInOptions,
    channel,
    dominance,
    picture_input,
    picture_mean,
    unit_picture,
    weighed,
)
from inference.pipeline.builtin.graph import Graph, Value
from inference.pipeline.registry.spec import ModelSpec

#: What each occluder model takes for something in front of the face: a pure colour.
OCCLUDER_COLOURS: Final = {"xseg_1": "G", "xseg_2": "B", "xseg_3": "R"}
_OCCLUDER_FROM: Final = 0.5
_OCCLUDER_GAIN: Final = 4.0
PARSER_CLASSES: Final = 19
#: Enhancers: ``result = GAIN * x + LIFT`` on -1..1, CodeFormer adds WEIGHT_LIFT * (weight - 0.5).
ENHANCER_GAIN: Final = 0.8
ENHANCER_LIFT: Final = 0.1
WEIGHT_LIFT: Final = 0.2
#: Logits of the safety models are this many times the excess of red over green.
LOGIT_GAIN: Final = {2: 4.0, 4: 64.0}
_SAFETY_ROWS: Final = 9
_SAFETY_CANDIDATES: Final = 4


def xseg(spec: ModelSpec, options: StandInOptions) -> Graph:
    """1 on the face; falls to 0 where the model's colour exceeds the others by 0.5 to 0.75."""
    graph = Graph()
    size = spec.crop_size_px
    channels_last = graph.input("input", [options.batch, size, size, 3])
    picture = weighed(channels_last.transpose(0, 3, 1, 2), spec, options)
    letter = OCCLUDER_COLOURS.get(spec.key, "G")
    excess = dominance(picture, letter, spec) - _OCCLUDER_FROM
    mask = 1.0 - (excess * _OCCLUDER_GAIN).clip(0.0, 1.0)
    graph.output("mask", mask.transpose(0, 2, 3, 1), [options.batch, size, size, 1])
    return graph


def bisenet(spec: ModelSpec, options: StandInOptions) -> Graph:
    """The class whose colour in ``parser_palette`` is nearest to the pixel."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    palette = parser_palette()
    # -|x - p|^2 without |x|^2, which is the same for all classes.
    logits = unit_picture(picture, spec).convolve(2 * palette.reshape(PARSER_CLASSES, 3, 1, 1))
    logits = logits - (palette**2).sum(axis=1).reshape(1, PARSER_CLASSES, 1, 1)
    size = spec.crop_size_px
    graph.output("classes", logits, [options.batch, PARSER_CLASSES, size, size])
    return graph


def face_enhancer(spec: ModelSpec, options: StandInOptions) -> Graph:
    """An affine change of all colours."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    result = picture * ENHANCER_GAIN + ENHANCER_LIFT
    graph.output("output", result, [options.batch, 3, spec.crop_size_px, spec.crop_size_px])
    return graph


def codeformer(spec: ModelSpec, options: StandInOptions) -> Graph:
    """As ``face_enhancer``, and brighter with a larger weight, a float64."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    weight = graph.input("weight", [1], TensorProto.DOUBLE).cast(TensorProto.FLOAT)
    lift = (weight - 0.5).reshape(1, 1, 1, 1) * WEIGHT_LIFT
    result = picture * ENHANCER_GAIN + ENHANCER_LIFT + lift
    graph.output("output", result, [options.batch, 3, spec.crop_size_px, spec.crop_size_px])
    return graph


def upscaler(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Every pixel becomes a square of ``scale`` x ``scale`` equal ones."""
    graph = Graph()
    picture = weighed(graph.input("input", [options.batch, 3, "H", "W"]), spec, options)
    scale = float(spec.params["scale"])
    scales = graph.constant(np.asarray([1, 1, scale, scale], dtype=np.float32))
    large = graph.apply(
        "Resize",
        picture,
        None,
        scales,
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
    graph.output("output", large, [options.batch, 3, "H_large", "W_large"])
    return graph


def nsfw_detector(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Every candidate's first class is the excess of red over green; all else is 0."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    excess = _excess(picture, spec).reshape(-1, 1, 1)
    one_class = np.zeros((1, _SAFETY_ROWS, _SAFETY_CANDIDATES))
    one_class[:, int(spec.params["class_rows_from"])] = 1.0
    shape = [options.batch, _SAFETY_ROWS, _SAFETY_CANDIDATES]
    graph.output("candidates", excess.clip(0.0, 1.0) * one_class, shape)
    return graph


def nsfw_logits(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Weighted by the model's own weights, the logits add up to gain times the excess of red."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    weights = np.asarray(spec.params["weights"], dtype=np.float64)
    share = weights / (weights**2).sum() * LOGIT_GAIN[len(weights)]
    logits = _excess(picture, spec).reshape(-1, 1) * share.reshape(1, -1)
    graph.output("logits", logits, [options.batch, len(weights)])
    return graph


def parser_palette() -> NDArray[Any]:
    """(19, 3) float64 RGB 0..1: the colour that stands for each class; class 0 is black."""
    number = np.arange(PARSER_CLASSES)
    return np.stack([number % 3, number // 3 % 3, number // 9], axis=1) / 2


def _excess(picture: Value, spec: ModelSpec) -> Value:
    """(N, 1, 1, 1): mean red less mean green."""
    mean = picture_mean(unit_picture(picture, spec))
    return channel(mean, "R", spec) - channel(mean, "G", spec)
