"""Frame enhancers: a picture is enlarged tile by tile, and tiles fade into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inference.pipeline.errors import InvalidOptionsError, ResultTooLargeError
from inference.pipeline.filters import to_levels
from inference.pipeline.registry.spec import ModelSpec, Registry
from inference.pipeline.sessions.batching import ITEMS_MAX, run_batch
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers.pixels import from_blob, to_blob
from inference.pipeline.types import Floats, Image

_PERCENT: Final = 100
# Tiles that go through the model together have at most so many pixels before enlarging: what a
# network holds for each of them is many times the size of its result.
_PIXELS_AT_ONCE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class FrameEnhancerOptions:
    """How whole frames are enlarged.

    Attributes:
        model: key of a frame enhancer; it enlarges by its own scale.
        blend_percent: 0..100, how much of its work is seen; the rest is the picture enlarged by
            straight lines.
    """

    model: str = "span_kendata_x4"
    blend_percent: int = 80

    def __post_init__(self) -> None:
        if not 0 <= self.blend_percent <= _PERCENT:
            raise InvalidOptionsError("frame_enhancer.blend_percent", "must be from 0 to 100")


def check_result_size(
    registry: Registry,
    options: FrameEnhancerOptions | None,
    *,
    size_px: tuple[int, int],
    pixels_max: int,
    side_max_px: int,
) -> None:
    """Refuse frames that would grow too large, before any work is done on them.

    Args:
        registry: where the model is described; it need not be installed.
        options: which model; None enlarges nothing.
        size_px: width and height of the frames as they come.
        pixels_max: most pixels of a frame of the result.
        side_max_px: of its longer side.

    Raises:
        ResultTooLargeError: the result would be larger.
        InvalidOptionsError: no frame enhancer has this name.
    """
    if options is None:
        return
    scale = int(_described(registry, options).params["scale"])
    width, height = size_px[0] * scale, size_px[1] * scale
    if width * height > pixels_max or max(width, height) > side_max_px:
        raise ResultTooLargeError(
            "frame_enhancer.model",
            f"'{options.model}' enlarges to {width} x {height} px; a result may have {pixels_max} "
            f"pixels and {side_max_px} px a side",
        )


def _described(registry: Registry, options: FrameEnhancerOptions) -> ModelSpec:
    spec = registry.models.get(options.model)
    if spec is None or spec.task != "frame_enhancer":
        names = ", ".join(model.key for model in registry.by_task("frame_enhancer"))
        raise InvalidOptionsError("frame_enhancer.model", f"'{options.model}' is none of: {names}")
    return spec


@dataclass(frozen=True, slots=True)
class _Tile:
    """Place of a tile along one axis, px before enlarging.

    Attributes:
        start: first pixel that the model sees; negative where it lies beside the picture.
        weights: (T,) float32, how much each pixel counts; they add up to 1 with the neighbours'.
    """

    start: int
    weights: Floats

    def inside(self, length: int) -> slice:
        """The pixels of the tile that lie in the picture."""
        return slice(max(-self.start, 0), min(length - self.start, len(self.weights)))


class FrameEnhancer:
    """One such model. Holds a session and nothing of any job; threads may share it."""

    def __init__(self, pool: SessionPool, options: FrameEnhancerOptions) -> None:
        """Open the session.

        Raises:
            InvalidOptionsError: no frame enhancer of this name.
            PipelineError: the model is missing, altered or not allowed.
        """
        spec = _described(pool.registry, options)
        self._model = pool.get(spec.key)
        self._share = options.blend_percent / _PERCENT
        self._tiles_at_once = max(1, min(ITEMS_MAX, _PIXELS_AT_ONCE // spec.crop_size_px**2))

    @property
    def scale(self) -> int:
        """How many times as wide and as high the result is."""
        return int(self._model.spec.params["scale"])

    def enhance(
        self, image_bgr: Image, *, on_share: Callable[[float], None] = lambda _share: None
    ) -> Image:
        """(H, W, 3) uint8 BGR -> (H * scale, W * scale, 3) uint8 BGR.

        Beside the result itself, no more than one row of tiles is held in floats. Tiles of a row go
        through the model together where its first axis is free.

        Args:
            image_bgr: the picture, not written to.
            on_share: told before each row of tiles which part is done, 0..1; may raise to end the
                work.
        """
        height, width = image_bgr.shape[:2]
        scale = self.scale
        size = (width * scale, height * scale)
        plain = cv2.resize(image_bgr, size, interpolation=cv2.INTER_LINEAR)
        result = np.asarray(plain, dtype=np.uint8)
        if not self._share:
            return result
        carried = np.zeros((0, width * scale, 3), dtype=np.float32)
        for row in self._tiles(height):
            on_share(max(row.start, 0) / height)
            band = self._band(image_bgr, row)
            # What the row above has left for the pixels that both rows show.
            band[: len(carried)] += carried
            top = max(row.start, 0) * scale
            done = self._done_rows(row, height) * scale
            part = result[top : top + done]
            share = np.float32(self._share)
            part[:] = to_levels(part + (band[:done] - part) * share)
            carried = band[done:]
        return result

    def _done_rows(self, row: _Tile, height: int) -> int:
        """Rows of a band, from the first one inside the picture, that no later row shares."""
        following = [other.start for other in self._tiles(height) if other.start > row.start]
        end = min([*following[:1], height])
        return end - max(row.start, 0)

    def _band(self, image_bgr: Image, row: _Tile) -> Floats:
        """One row of tiles, weighted: (h * scale, W * scale, 3) float32 BGR 0..255."""
        height, width = image_bgr.shape[:2]
        scale, side = self.scale, self._model.spec.crop_size_px
        low, high = max(row.start, 0), min(row.start + side, height)
        band = np.zeros(((high - low) * scale, width * scale, 3), dtype=np.float32)
        rows = slice(low - row.start, high - row.start)
        tiles = list(self._tiles(width))
        for first in range(0, len(tiles), self._tiles_at_once):
            together = tiles[first : first + self._tiles_at_once]
            cuts = [np.zeros((side, side, 3), dtype=np.uint8) for _ in together]
            for cut, column in zip(cuts, together, strict=True):
                part = image_bgr[low:high, max(column.start, 0) : column.start + side]
                cut[rows, column.inside(width)] = part
            for large, column in zip(self._run(cuts), together, strict=True):
                columns = column.inside(width)
                weights = np.outer(row.weights[rows], column.weights[columns])
                weights = weights.repeat(scale, axis=0).repeat(scale, axis=1)
                seen = large[_times(rows, scale), _times(columns, scale)]
                left = max(column.start, 0) * scale
                band[:, left : left + seen.shape[1]] += seen * weights[:, :, np.newaxis]
        return band

    def _run(self, tiles_bgr: list[Image]) -> Floats:
        feed = {"input": to_blob(tiles_bgr, self._model.spec)}
        (output,) = run_batch(self._model, feed, items_max=self._tiles_at_once)
        return from_blob(np.asarray(output, np.float32), is_symmetric=False)

    def _tiles(self, length: int) -> Iterator[_Tile]:
        """Tiles that cover an axis: steps of T - 2 * overlap, from ``padding`` px before it.

        The outermost ``overlap`` px of a tile are what a network knows least about; neighbours
        share twice as many, and there a tile's weight falls in a straight line.
        """
        spec = self._model.spec
        side = spec.crop_size_px
        overlap, padding = int(spec.params["overlap_px"]), int(spec.params["padding_px"])
        ramp = ((np.arange(2 * overlap) + 0.5) / (2 * overlap)).astype(np.float32)
        start, step = -padding, side - 2 * overlap
        is_first = True
        while True:
            is_last = start + side - overlap >= length
            weights = np.ones(side, dtype=np.float32)
            if not is_first:
                weights[: 2 * overlap] = ramp
            if not is_last:
                weights[side - 2 * overlap :] = ramp[::-1]
            yield _Tile(start=start, weights=weights)
            if is_last:
                return
            start, is_first = start + step, False


def _times(part: slice, scale: int) -> slice:
    """The same part of the enlarged picture."""
    return slice(part.start * scale, part.stop * scale)
