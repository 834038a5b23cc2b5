"""The geometric face swapper as one ONNX graph: standard operators, no learned weights.

It bends an unrolled texture of the source face onto the target's mesh, lights it like the target
and says where to paint. See ``build_mesh_swapper`` for the tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from inference.pipeline.builtin import swapper_tables
from inference.pipeline.builtin.graph import Graph, Value
from inference.pipeline.swappers.mesh_shape import fit_weights
from inference.pipeline.topology import POINT_COUNT, face_topology

TEXTURE_SIZE: Final = 1024
# Share of the source's face shape in the result; 1 gains little identity and strains the warp.
_SHAPE_SHARE: Final = 0.8
# The warp is solved on a grid of this many cells a side and then enlarged.
_GRID: Final = 64
# Reach of a vertex in the warp, in half crop widths.
_REACH: Final = 0.035
# Added to the moments of the local fits: keeps them invertible where vertices line up.
_RIDGE: Final = 2e-5
# Farthest extrapolation from the local vertices, in half crop widths.
_EXTRAPOLATION_MAX: Final = 0.08
# Light: width of the low-pass, as a share of the crop, and the side of the map it is done on.
_LIGHT_SIGMA: Final = 0.18
_LIGHT_MAP: Final = 32
# At the mask's edge the low-pass is this narrow, so that a shadow of hair or cheek that falls there
# stays; between these shares of painted surface around, one fades into the other.
_EDGE_SIGMA: Final = 0.02
_EDGE_INSIDE, _EDGE_OUTSIDE = 0.9, 0.5
# Contrast of the source's detail may change by these factors to match the target's.
_GAIN_MIN, _GAIN_MAX = 0.8, 1.12
# Rows: luma, blue and red difference of BT.601 full range, from RGB.
_RGB_TO_YCC: Final = np.asarray(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_YCC_TO_RGB: Final = np.asarray([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])


@dataclass(frozen=True, slots=True)
class _Inputs:
    texture: Value
    basis: Value
    target: Value
    points: Value
    visible: Value
    size: int


def build_mesh_swapper(size: int) -> onnx.ModelProto:
    """Build the swapper for crops of ``size`` px.

    Inputs: ``source`` (N, 1024, 1024, 4) uint8, face texture RGB and confidence; ``source_basis``
    (N, 468, 4) float32, see ``swapper_shape``; ``target`` (N, 3, S, S) float32 RGB 0..1;
    ``target_points`` (N, 468, 3) float32, mesh in crop widths 0..1; ``target_visible``
    (N, 1, S, S) float32, 1 where nothing (hair, hat) covers the target's face.
    Outputs: ``output`` (N, 3, S, S) float32 RGB 0..1; ``mask`` (N, 1, S, S) float32 0..1.
    """
    graph = Graph()
    inputs = _Inputs(
        texture=graph.input("source", ["N", TEXTURE_SIZE, TEXTURE_SIZE, 4], TensorProto.UINT8),
        basis=graph.input("source_basis", ["N", POINT_COUNT, 4]),
        target=graph.input("target", ["N", 3, size, size]),
        points=graph.input("target_points", ["N", POINT_COUNT, 3]),
        visible=graph.input("target_visible", ["N", 1, size, size]),
        size=size,
    )
    points = inputs.points * 2.0 - 1.0
    facing = _facing(graph, points)
    shape = _output_shape(graph, points.part(0, 2, axis=2), inputs.basis)
    field = _texture_field(graph, shape, facing)
    full = field.enlarge(size / _GRID)
    half = field.enlarge(size / 2 / _GRID)
    rgb, confidence = _sample_source(graph, inputs, full)
    mask = _paste_mask(full.part(2, 3, axis=1), confidence, inputs)
    lit = _light_like_target(graph, rgb, mask, inputs)
    mouth = _mouth_weight(graph, half, size // 2).enlarge(2)
    result = (lit + (inputs.target - lit) * mouth).clip(0.0, 1.0)
    graph.output("output", result, ["N", 3, size, size])
    graph.output("mask", mask, ["N", 1, size, size])
    return graph.model(f"mesh_swapper_{size}")


def _facing(graph: Graph, points: Value) -> Value:
    """(N, 468, 1), 1 for vertices that face the camera, 0 for those turned away."""
    corners = [
        points.take(graph.constant(face_topology().triangles[:, index]), axis=1)
        for index in range(3)
    ]
    ax, ay, az = graph.split(corners[1] - corners[0], 3, axis=2)
    bx, by, bz = graph.split(corners[2] - corners[0], 3, axis=2)
    cross = graph.concat(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx, axis=2)
    normals = graph.constant(swapper_tables.normal_sums()) @ cross
    length = (normals * normals).total(2).sqrt() + 1e-6
    return (normals.part(2, 3, axis=2) / length).ramp(0.02, 0.22)


def _output_shape(graph: Graph, target: Value, basis: Value) -> Value:
    """(N, 468, 2): the target's pose and expression with most of the source's shape.

    ``basis`` Q spans the source's shape in any pose, orthonormal under the weights W, so the
    weighted least-squares fit of it to the target is Q Q^T W t.
    """
    weighted = target * graph.floats(fit_weights().reshape(1, -1, 1))
    fitted = basis @ (basis.transpose(0, 2, 1) @ weighted)
    transfer = graph.floats(swapper_tables.shape_transfer(_SHAPE_SHARE))
    return target + transfer @ (fitted - target)


def _texture_field(graph: Graph, shape: Value, facing: Value) -> Value:
    """(N, 3, G, G): texture coordinates u and v in -1..1 and the paste weight, on the grid.

    A global affine map takes the output's vertices to their texture places; what it leaves over is
    interpolated by moving least squares (Schaefer, McPhail, Warren 2006) with Gaussian weights,
    written as a softmax over the vertices.
    """
    uv = graph.floats((face_topology().uv * 2 - 1)[np.newaxis])
    weight = facing + 0.05
    total = weight.total(1)
    shape_mean = (weight * shape).total(1) / total
    uv_mean = (weight * uv).total(1) / total
    centred = shape - shape_mean
    affine = _fit_affine(graph, centred, uv - uv_mean, weight)
    rest = (uv - uv_mean) - centred @ affine

    cells = _grid_cells()
    closeness, guard = _closeness(graph, shape, cells)
    moments = closeness @ _vertex_moments(graph, shape, rest, facing)
    local = _local_rest(graph, moments, cells)
    coordinates = (graph.floats(cells[np.newaxis]) - shape_mean) @ affine + uv_mean + local
    paste = moments.part(12, 13, axis=2) * guard
    field = graph.concat(coordinates.clip(-1.2, 1.2), paste, axis=2)
    return field.transpose(0, 2, 1).reshape(0, 3, _GRID, _GRID)


def _grid_cells() -> NDArray[np.float64]:
    """(G*G, 2): centres of the grid's cells, x and y in -1..1."""
    centres = (np.arange(_GRID) + 0.5) / _GRID * 2 - 1
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _fit_affine(graph: Graph, points: Value, values: Value, weight: Value) -> Value:
    """(N, 2, 2): A with points @ A ~ values, weighted least squares; both are centred."""
    weighted = (points * weight).transpose(0, 2, 1)
    top, bottom = graph.split(weighted @ points, 2, axis=1)
    xx, xy = graph.split(top, 2, axis=2)
    _, yy = graph.split(bottom, 2, axis=2)
    a, b, c = _invert_symmetric(xx, xy, yy)
    inverse = graph.concat(graph.concat(a, b, axis=2), graph.concat(b, c, axis=2), axis=1)
    return inverse @ (weighted @ values)


def _invert_symmetric(xx: Value, xy: Value, yy: Value) -> tuple[Value, Value, Value]:
    determinant = xx * yy - xy * xy
    return yy / determinant, -xy / determinant, xx / determinant


def _closeness(graph: Graph, shape: Value, cells: NDArray[np.float64]) -> tuple[Value, Value]:
    """Weights (N, G*G, 468) of the vertices in each cell, and a guard (N, G*G, 1).

    The guard is 0 where the nearest vertex is far: beside the silhouette of a turned head.
    """
    sharpness = 1 / (2 * _REACH**2)
    squares = (shape * shape).total(2).transpose(0, 2, 1)
    dots = graph.floats(cells * 2 * sharpness) @ shape.transpose(0, 2, 1)
    # -|cell - vertex|^2 up to a term that is equal for all vertices and cancels in the softmax.
    logits = dots - squares * sharpness
    cell_squares = graph.floats((cells**2).sum(axis=1).reshape(1, -1, 1))
    nearest = (cell_squares - logits.maximum(2) * (1 / sharpness)).clip(0.0, 9.0).sqrt()
    guard = nearest.ramp(0.16, 0.10)
    return graph.apply("Softmax", logits, axis=-1), guard


def _vertex_moments(graph: Graph, shape: Value, rest: Value, facing: Value) -> Value:
    """(N, 468, 13): per vertex w, then w times x, y, xx, xy, yy, r, s, xr, xs, yr, ys; paste.

    (r, s) is the rest. Their weighted sums are all that the local fits need.
    """
    x, y = graph.split(shape, 2, axis=2)
    r, s = graph.split(rest, 2, axis=2)
    weight = facing + 1e-4
    products = [x, y, x * x, x * y, y * y, r, s, x * r, x * s, y * r, y * s]
    paste = facing * graph.floats(swapper_tables.paste_weights().reshape(1, -1, 1))
    return graph.concat(weight, *[weight * value for value in products], paste, axis=2)


def _local_rest(graph: Graph, moments: Value, cells: NDArray[np.float64]) -> Value:
    """(N, G*G, 2): the rest at each cell by its local affine fit."""
    columns = graph.split(moments, 13, axis=2)
    x, y, xx, xy, yy, r, s, xr, xs, yr, ys = (column / columns[0] for column in columns[1:12])
    a, b, c = _invert_symmetric(xx - x * x + _RIDGE, xy - x * y, yy - y * y + _RIDGE)
    reach = _EXTRAPOLATION_MAX
    dx = (graph.floats(cells[np.newaxis, :, :1]) - x).clip(-reach, reach)
    dy = (graph.floats(cells[np.newaxis, :, 1:]) - y).clip(-reach, reach)
    along_x, along_y = dx * a + dy * b, dx * b + dy * c
    fitted_r = r + along_x * (xr - x * r) + along_y * (yr - y * r)
    fitted_s = s + along_x * (xs - x * s) + along_y * (ys - y * s)
    return graph.concat(fitted_r, fitted_s, axis=2)


def _texel_index(field: Value, pixels: int, texture_size: int) -> Value:
    """(N, pixels) int32: row of a flattened texture under each pixel, nearest neighbour.

    One row lookup in an over-sampled texture; ONNX Runtime's GridSample is far slower on CPUs.
    """
    column, row = (
        ((field.part(axis, axis + 1, axis=1).reshape(0, pixels) + 1.0) * (texture_size / 2)).clip(
            0.0, texture_size - 1.0
        )
        for axis in range(2)
    )
    whole = field.graph.apply("Floor", row) * float(texture_size) + field.graph.apply(
        "Floor", column
    )
    return whole.cast(TensorProto.INT32)


def _sample_source(graph: Graph, inputs: _Inputs, field: Value) -> tuple[Value, Value]:
    """Source colour (N, 3, S, S) RGB 0..1 and confidence (N, 1, S, S) under each crop pixel."""
    size = inputs.size
    index = _texel_index(field, size * size, TEXTURE_SIZE)
    batch = graph.apply("Squeeze", graph.apply("Shape", inputs.target, start=0, end=1))
    first = graph.constant(np.asarray(0, dtype=np.int64))
    step = graph.constant(np.asarray(1, dtype=np.int64))
    sample = graph.apply("Range", first, batch, step).cast(TensorProto.INT32).reshape(-1, 1)
    texels = graph.constant(np.asarray(TEXTURE_SIZE**2, dtype=np.int32))
    rows = inputs.texture.reshape(-1, 4).take(index + sample * texels, axis=0)
    planes = rows.transpose(0, 2, 1).reshape(0, 4, size, size)
    values = planes.cast(TensorProto.FLOAT) * (1 / 255)
    return values.part(0, 3, axis=1), values.part(3, 4, axis=1)


def _mouth_weight(graph: Graph, field: Value, size: int) -> Value:
    """(N, 1, size, size): 1 inside the open mouth, where the target's own pixels stay."""
    index = _texel_index(field, size * size, swapper_tables.MOUTH_MAP_SIZE)
    rows = graph.constant(swapper_tables.mouth_map()).take(index, axis=0)
    planes = rows.transpose(0, 2, 1).reshape(0, 1, size, size)
    return planes.cast(TensorProto.FLOAT) * (1 / 255)


def _paste_mask(weight: Value, confidence: Value, inputs: _Inputs) -> Value:
    """(N, 1, S, S): geometry, source confidence and target visibility together, softened."""
    shaped = weight.ramp(0.15, 0.89).smooth()
    raw = shaped * confidence.ramp(0.0, 0.8) * inputs.visible
    side = 2 * max(2, inputs.size // 128) + 1
    return raw.box_mean(side).box_mean(side)


def _light_like_target(graph: Graph, rgb: Value, mask: Value, inputs: _Inputs) -> Value:
    """(N, 3, S, S): the source's detail on the target's light.

    result = lowpass(target) + gain * relit(source - lowpass(source)). The low-pass only sees the
    painted region, and less far at its edge; the gain matches the contrast of the luma detail.
    """
    core = mask.ramp(0.15, 0.65)
    cell = inputs.size // _LIGHT_MAP
    stack = graph.concat(rgb * core, inputs.target * core, core, axis=1)
    cells = stack.box_mean(cell, stride=cell)
    inner, _ = _masked_means(cells, _LIGHT_SIGMA)
    outer, painted = _masked_means(cells, _EDGE_SIGMA)
    low = inner + (outer - inner) * painted.ramp(_EDGE_INSIDE, _EDGE_OUTSIDE)
    source_low, target_low = graph.split(low.enlarge(cell), 2, axis=1)
    kernel = _RGB_TO_YCC.reshape(3, 3, 1, 1)
    source_detail = _relit_detail(graph, (rgb, source_low, target_low))
    target_detail = (inputs.target - target_low).convolve(kernel)
    gain = _detail_gain(source_detail, target_detail, core)
    return target_low + (source_detail * gain).convolve(_YCC_TO_RGB.reshape(3, 3, 1, 1))


def _relit_detail(graph: Graph, layers: tuple[Value, Value, Value]) -> Value:
    """(N, 3, S, S): luma and chroma detail of the source under the target's light.

    Both are proportional to the light, so black stays black under a brighter one, white stays
    neutral under a warmer one, and a grey target gives a grey result.
    """
    rgb, source_low, target_low = layers
    kernel = _RGB_TO_YCC.reshape(3, 3, 1, 1)
    source_ycc, target_ycc = source_low.convolve(kernel), target_low.convolve(kernel)
    luma_ratio = (target_ycc.part(0, 1, axis=1) + 0.02) / (source_ycc.part(0, 1, axis=1) + 0.02)
    source_tint, target_tint = (
        (ycc.part(1, 3, axis=1) * ycc.part(1, 3, axis=1)).total(1).sqrt()
        for ycc in (source_ycc, target_ycc)
    )
    tint_ratio = (target_tint / (source_tint + 0.01)).clip(0.0, 1.2)
    detail = (rgb - source_low).convolve(kernel)
    luma = detail.part(0, 1, axis=1) * luma_ratio.clip(0.5, 2.0)
    return graph.concat(luma, detail.part(1, 3, axis=1) * tint_ratio, axis=1)


def _detail_gain(source: Value, target: Value, core: Value) -> Value:
    """(N, 1, 1, 1): contrast factor that brings the luma detail nearer to the target's."""
    source_energy, target_energy = (
        (luma * luma * core).total(2, 3)
        for luma in (source.part(0, 1, axis=1), target.part(0, 1, axis=1))
    )
    return (target_energy / (source_energy + 1e-4)).sqrt().clip(_GAIN_MIN, _GAIN_MAX)


def _masked_means(cells: Value, sigma: float) -> tuple[Value, Value]:
    """Six colours (N, 6, M, M) averaged where the seventh plane is, and (N, 1, M, M) its share."""
    low = _blur_planes(cells, 7, sigma)
    share = low.part(6, 7, axis=1)
    return low.part(0, 6, axis=1) / (share + 1e-3), share


def _blur_planes(value: Value, planes: int, sigma: float) -> Value:
    kernel = swapper_tables.gaussian(sigma * _LIGHT_MAP)
    margin = len(kernel) // 2
    stack = np.tile(kernel, (planes, 1, 1))
    across = value.convolve(
        stack.reshape(planes, 1, 1, -1), groups=planes, pads=(0, margin, 0, margin)
    )
    return across.convolve(
        stack.reshape(planes, 1, -1, 1), groups=planes, pads=(margin, 0, margin, 0)
    )
