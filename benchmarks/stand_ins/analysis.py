"""Stand-ins for detectors, landmarkers, the recogniser and the classifier."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from benchmarks.stand_ins.pixels import (
    BOX_STRIDES,
    POINT_STRIDES,
    STRIDE_COLOURS,
    StandInOptions,
    channel,
    dominance,
    ffhq_pattern,
    landmark_pattern,
    picture_input,
    picture_mean,
    unit_picture,
    weighed,
)
from inference.pipeline.builtin.graph import Graph, Value
from inference.pipeline.registry.spec import ModelSpec

_POINTS: Final = np.asarray(POINT_STRIDES)
_SECOND_ANCHOR: Final = 0.9
#: The recogniser's vector is this many times the difference of pooled pixels from their mean.
EMBEDDING_GAIN: Final = 2.0
#: A mean brightness of this share of white gives landmarks their full score.
FULL_SCORE_BRIGHTNESS: Final = 0.25


def yunet(spec: ModelSpec, options: StandInOptions) -> Graph:
    """A marked cell scores v / 255 for a marker of value v; both its factors are that score."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    scores = _cell_scores(unit_picture(picture, spec), spec)
    box = np.asarray([0.5, 0.5, np.log(BOX_STRIDES), np.log(BOX_STRIDES)])
    points = (_POINTS + 0.5).reshape(-1)
    for kind, values in (("cls", None), ("obj", None), ("bbox", box), ("kps", points)):
        for stride, score in scores.items():
            value = score if values is None else score * 0.0 + values.reshape(1, 1, -1)
            width = 1 if values is None else len(values)
            axis = (spec.crop_size_px // stride) ** 2 or f"A_{kind}_{stride}"
            graph.output(f"{kind}_{stride}", value, [options.batch, axis, width])
    return graph


def scrfd(spec: ModelSpec, options: StandInOptions) -> Graph:
    """As ``yunet``; each cell has a second anchor with the same face at 0.9 of the score."""
    graph = Graph()
    picture = weighed(graph.input("input", [1, 3, "H", "W"]), spec, options)
    scores = _cell_scores(unit_picture(picture, spec), spec)
    near, far = BOX_STRIDES / 2 - 0.5, BOX_STRIDES / 2 + 0.5
    box = np.asarray([near, near, far, far])
    points = (_POINTS + 0.5).reshape(-1)
    for kind, values in (("score", None), ("box", box), ("points", points)):
        for stride, score in scores.items():
            anchors = graph.concat(score, score * _SECOND_ANCHOR, axis=2).reshape(-1, 1)
            value = anchors if values is None else anchors * 0.0 + values.reshape(1, -1)
            width = 1 if values is None else len(values)
            graph.output(f"{kind}_{stride}", value, [f"A_{kind}_{stride}", width])
    return graph


def yoloface(spec: ModelSpec, options: StandInOptions) -> Graph:
    """As ``yunet``; boxes and points are in px of the input, every point has confidence 1."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    scores = _cell_scores(unit_picture(picture, spec), spec)
    score = graph.concat(*scores.values(), axis=1).transpose(0, 2, 1)
    grids = [_yolo_rows(stride, spec.crop_size_px // stride) for stride in scores]
    rows = np.concatenate(grids, axis=1)[np.newaxis]
    value = graph.concat(score * 0.0 + rows[:, :4], score, score * 0.0 + rows[:, 4:], axis=1)
    graph.output("output", value, [options.batch, 20, rows.shape[2]])
    return graph


def fan2d(spec: ModelSpec, options: StandInOptions) -> Graph:
    """The pattern, whatever the picture; the score grows with the brightness."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    level = _brightness(picture, spec) * spec.params["score_full"]
    grid = int(spec.params["grid"])
    pattern = landmark_pattern() * grid
    points = np.concatenate([pattern, np.ones((68, 1))], axis=1)
    cells = np.clip(np.rint(pattern), 0, grid - 1).astype(int)
    across, down = (np.eye(grid)[cells[:, side]] for side in (0, 1))
    peaks = graph.apply("MatMul", down.reshape(1, 68, grid, 1), across.reshape(1, 68, 1, grid))
    graph.output("points", level.reshape(-1, 1, 1) * 0.0 + points, [options.batch, 68, 3])
    graph.output("heat_maps", peaks * level, [options.batch, 68, grid, grid])
    return graph


def peppa(spec: ModelSpec, options: StandInOptions) -> Graph:
    """As ``fan2d``, with the score beside each point."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    level = (_brightness(picture, spec) * spec.params["score_full"]).reshape(-1, 1, 1)
    grid = float(spec.params["grid"])
    points = level * 0.0 + landmark_pattern()[np.newaxis] * grid
    scores = level + np.zeros((1, 68, 1))
    graph.output("points", graph.concat(points, scores, axis=2), [options.batch, 68, 3])
    return graph


def fan_68_5(_spec: ModelSpec, options: StandInOptions) -> Graph:
    """The pattern, moved by as much as the mean of the five points is off that of the pattern."""
    graph = Graph()
    five = graph.input("input", [options.batch, 5, 2])
    mean = graph.apply("ReduceMean", five, axes=[1], keepdims=1)
    pattern = ffhq_pattern()
    offset = mean - five_of(pattern).mean(axis=0).reshape(1, 1, 2)
    graph.output("points", offset + pattern[np.newaxis], [options.batch, 68, 2])
    return graph


def arcface(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Means of 8 x 8 px, 512 from the middle, less their own mean, times ``EMBEDDING_GAIN``."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    pooled = picture.box_mean(8, stride=8).reshape(0, -1).part(38, 550, axis=1)
    mean = graph.apply("ReduceMean", pooled, axes=[1], keepdims=1)
    graph.output("embedding", (pooled - mean) * EMBEDDING_GAIN, [options.batch, 512])
    return graph


def fairface(spec: ModelSpec, options: StandInOptions) -> Graph:
    """Class numbers by the mean colour: race by red (0..6), gender by green, age by blue (0..8)."""
    graph = Graph()
    picture = picture_input(graph, spec, options)
    mean = picture_mean(unit_picture(picture, spec))
    for name, letter, classes in (("race", "R", 7), ("gender", "G", 2), ("age", "B", 9)):
        level = channel(mean, letter, spec).clip(0.0, 0.999) * float(classes)
        number = graph.apply("Floor", level).reshape(-1).cast(TensorProto.INT64)
        graph.output(name, number, [options.batch], TensorProto.INT64)
    return graph


def five_of(points: NDArray[Any]) -> NDArray[Any]:
    """(68, 2) -> (5, 2): eye centres, nose tip, mouth corners."""
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]])


def _cell_scores(picture: Value, spec: ModelSpec) -> dict[int, Value]:
    """(N, cells, 1) per stride, row by row."""
    return {
        stride: dominance(picture.box_mean(stride, stride=stride), letter, spec).reshape(0, -1, 1)
        for stride, letter in STRIDE_COLOURS.items()
    }


def _yolo_rows(stride: int, side: int) -> NDArray[Any]:
    """(19, cells): centre, size, and five times x, y, confidence."""
    row, column = np.divmod(np.arange(side * side), side)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    size = np.full(side * side, BOX_STRIDES * stride)
    rows = [x, y, size, size]
    for right, down in POINT_STRIDES:
        rows += [x + right * stride, y + down * stride, np.ones(side * side)]
    return np.stack(rows)


def _brightness(picture: Value, spec: ModelSpec) -> Value:
    """(N, 1, 1, 1) in 0..1: 1 from ``FULL_SCORE_BRIGHTNESS`` on."""
    graph = picture.graph
    mean = graph.apply("ReduceMean", unit_picture(picture, spec), axes=[1, 2, 3], keepdims=1)
    return (mean * (1 / FULL_SCORE_BRIGHTNESS)).clip(0.0, 1.0)
