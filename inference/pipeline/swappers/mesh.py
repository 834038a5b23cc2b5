"""The built-in swapper: bends the source's texture onto the target's mesh, in one ONNX graph."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.aligner import align_face
from inference.pipeline.masks.cover import TargetCover, find_cover_of_target
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers.base import (
    PreparedSource,
    SourcePicture,
    SwappedCrop,
    SwapTarget,
)
from inference.pipeline.swappers.mesh_texture import CROP_SIZE_PX, SourceFace, prepare_source
from inference.pipeline.swappers.pixels import to_blob
from inference.pipeline.types import Floats

KEYS: Final = ("mesh_swapper_256", "mesh_swapper_512")
_TEMPLATE: Final = "arcface_128"
# A crop may be this much smaller than the face it is pasted back onto before the next size pays.
_ENLARGEMENT_MAX: Final = 1.5


class MeshSource(PreparedSource):
    """A person's texture, made for each size of swapper when it is first needed."""

    def __init__(self, picture: SourcePicture) -> None:
        self._face = align_face(
            picture.image_bgr,
            landmarks=picture.landmarks,
            template=_TEMPLATE,
            size_px=CROP_SIZE_PX,
        )
        self._lock = threading.Lock()
        self._by_size: dict[int, SourceFace] = {}

    def for_size(self, size_px: int) -> SourceFace:
        """The texture for a swapper with this crop size."""
        with self._lock:
            if size_px not in self._by_size:
                self._by_size[size_px] = prepare_source(self._face, swapper_size_px=size_px)
            return self._by_size[size_px]


class MeshSwapper:
    """Both sizes of the model; a face gets the smallest that does not blur it."""

    def __init__(self, pool: SessionPool) -> None:
        """Open the sessions.

        Raises:
            PipelineError: a model is missing or altered.
        """
        models = [pool.get(key) for key in KEYS]
        self._models = {model.spec.crop_size_px: model for model in models}

    @property
    def template(self) -> str:
        """See ``Swapper``."""
        return _TEMPLATE

    @property
    def needs_mesh(self) -> bool:
        """See ``Swapper``."""
        return True

    @property
    def recogniser(self) -> str | None:
        """See ``Swapper``."""
        return None

    def crop_size_px(self, *, face_px: float) -> int:
        """See ``Swapper``."""
        sizes = sorted(self._models)
        return next((size for size in sizes if size * _ENLARGEMENT_MAX >= face_px), sizes[-1])

    def prepare(self, sources: Sequence[SourcePicture]) -> MeshSource:
        """Take the picture whose face is seen best; several textures would not agree in light."""
        return MeshSource(max(sources, key=lambda source: source.landmarks.score))

    def swap(self, targets: Sequence[SwapTarget], source: PreparedSource) -> list[SwappedCrop]:
        """See ``Swapper``.

        Raises:
            ValueError: a crop has another size than the model, or a face has no mesh.
        """
        if not isinstance(source, MeshSource):
            raise TypeError("the source was prepared for another kind of swapper")
        size = targets[0].aligned.crop_bgr.shape[0]
        if any(target.aligned.crop_bgr.shape != (size, size, 3) for target in targets):
            raise ValueError("all crops of one run have to be squares of one size")
        if size not in self._models:
            raise ValueError(f"the swapper takes crops of {sorted(self._models)} px, not {size}")
        model, face = self._models[size], source.for_size(size)
        covers = [find_cover_of_target(target.aligned, hint=target.cover) for target in targets]
        # The graph counts from the crop's edge, pixel coordinates from the first pixel's centre.
        half = np.asarray([0.5, 0.5, 0], dtype=np.float32)
        points = np.stack([(target.aligned.mesh + half) / size for target in targets])
        count = len(targets)
        feed: dict[str, NDArray[Any]] = {
            "source": np.repeat(face.texture[np.newaxis], count, axis=0),
            "source_basis": np.repeat(face.basis[np.newaxis], count, axis=0),
            "target": to_blob([cover.clean_bgr for cover in covers], model.spec),
            "target_points": points.astype(np.float32),
            "target_visible": np.stack([cover.visible for cover in covers])[:, np.newaxis],
        }
        outputs, masks = run_batch(model, feed)
        crops = outputs.transpose(0, 2, 3, 1)[..., ::-1] * np.float32(255)
        return [
            _over_clean(crop, np.clip(mask[0], 0, 1), cover)
            for crop, mask, cover in zip(crops, masks, covers, strict=True)
        ]


def _over_clean(crop_bgr: Floats, mask: Floats, cover: TargetCover) -> SwappedCrop:
    """The swap over the cleaned target, as one layer; both cover what they replace."""
    if cover.temples is None:
        return SwappedCrop(crop_bgr=np.ascontiguousarray(crop_bgr), mask=mask)
    rest = (1 - mask) * np.clip(cover.temples * 2, 0, 1)
    total = mask + rest
    share = (mask / np.maximum(total, 1e-6))[:, :, np.newaxis]
    mixed = crop_bgr * share + cover.clean_bgr * (1 - share)
    return SwappedCrop(crop_bgr=mixed.astype(np.float32), mask=total.astype(np.float32))
