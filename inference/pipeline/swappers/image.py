"""Swappers that take the source as a picture: uniface and blendswap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers import pixel_boost
from inference.pipeline.swappers.base import (
    PreparedSource,
    SourcePicture,
    SwappedCrop,
    SwapTarget,
)
from inference.pipeline.swappers.pixels import from_blob, to_blob
from inference.pipeline.types import Floats, Image


@dataclass(frozen=True, slots=True)
class ImageSource(PreparedSource):
    """A person as the model takes it: (1, 3, S, S) float32 RGB 0..1."""

    blob: Floats


class ImageSwapper:
    """One such model; of several source pictures it uses the best seen face."""

    def __init__(self, pool: SessionPool, key: str, *, pixel_boost_px: int | None = None) -> None:
        """Open the session.

        Args:
            pool: where the sessions are.
            key: of the swapper.
            pixel_boost_px: side of the crop; None: the model's own.

        Raises:
            InvalidOptionsError: the model does not offer this pixel boost.
            PipelineError: the model is missing, altered or not allowed.
        """
        self._model = pool.get(key)
        spec = self._model.spec
        self._size_px = spec.crop_size_px
        if pixel_boost_px is not None:
            self._size_px = pixel_boost.check_boost(spec, pixel_boost_px)

    @property
    def template(self) -> str:
        """See ``Swapper``."""
        return self._model.spec.template

    @property
    def needs_mesh(self) -> bool:
        """See ``Swapper``."""
        return False

    @property
    def recogniser(self) -> str | None:
        """See ``Swapper``."""
        return None

    def crop_size_px(self, *, face_px: float) -> int:
        """See ``Swapper``."""
        return self._size_px

    def prepare(self, sources: Sequence[SourcePicture]) -> ImageSource:
        """Cut the best seen face out as the model wants it."""
        best = max(sources, key=lambda source: source.landmarks.score)
        params = self._model.spec.params
        aligned = align_face(
            best.image_bgr,
            landmarks=best.landmarks,
            template=str(params["source_template"]),
            size_px=int(params["source_size_px"]),
        )
        return ImageSource(blob=_source_blob(aligned.crop_bgr))

    def swap(self, targets: Sequence[SwapTarget], source: PreparedSource) -> list[SwappedCrop]:
        """See ``Swapper``."""
        if not isinstance(source, ImageSource):
            raise TypeError("the source was prepared for another kind of swapper")
        spec = self._model.spec
        factor = self._size_px // spec.crop_size_px
        parts = [
            part
            for target in targets
            for part in pixel_boost.split(target.aligned.crop_bgr, factor=factor)
        ]
        feed = {
            "target": to_blob(parts, spec),
            "source": np.repeat(source.blob, len(parts), axis=0),
        }
        (output, *_) = run_batch(self._model, feed)
        is_symmetric = spec.params["output_range"] == "symmetric"
        images = from_blob(output, is_symmetric=is_symmetric)
        count = factor * factor
        return [
            SwappedCrop(
                crop_bgr=pixel_boost.join(images[start : start + count], factor=factor), mask=None
            )
            for start in range(0, len(parts), count)
        ]


def _source_blob(crop_bgr: Image) -> Floats:
    planes = crop_bgr[:, :, ::-1].transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(planes, dtype=np.float32) / np.float32(255)
