"""The built-in swapper: bends the source's texture onto the target's mesh, in one ONNX graph."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.pipeline.aligner import align_face
from inference.pipeline.filters import on_colours
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
_MASK_NONE: Final = np.float32(1e-6)


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
            "source": _for_each(face.texture, count),
            "source_basis": _for_each(face.basis, count),
            "target": to_blob([cover.clean_bgr for cover in covers], model.spec),
            "target_points": points.astype(np.float32),
            "target_visible": np.stack([cover.visible for cover in covers])[:, np.newaxis],
        }
        outputs, masks = run_batch(model, feed)
        return [
            _over_clean(_to_bgr(planes), np.clip(mask[0], 0, 1), cover)
            for planes, mask, cover in zip(outputs, masks, covers, strict=True)
        ]


def _for_each(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The array once for each face; the usual single face does not pay for a copy of megabytes."""
    return array[np.newaxis] if count == 1 else np.repeat(array[np.newaxis], count, axis=0)


def _to_bgr(planes: Floats) -> Floats:
    """(3, S, S) float32 RGB 0..1 -> (S, S, 3) float32 BGR 0..255."""
    red, green, blue = planes * np.float32(255)
    return np.asarray(cv2.merge([blue, green, red]), dtype=np.float32)


def _over_clean(crop_bgr: Floats, mask: Floats, cover: TargetCover) -> SwappedCrop:
    """The swap over the cleaned target, as one layer; both cover what they replace.

    Crop and mask are written to.
    """
    if cover.temples is None:
        return SwappedCrop(crop_bgr=crop_bgr, mask=mask)
    rows = cover.temples.rows
    swapped, clean = crop_bgr[rows], cover.clean_bgr[rows].astype(np.float32)
    own = mask[rows]
    total = own + (1 - own) * np.clip(cover.temples.mask * 2, 0, 1)
    # Where neither is painted, nothing counts; the swap stays, as it does beyond these rows.
    share = np.where(total > 0, own / np.maximum(total, _MASK_NONE), np.float32(1))
    swapped -= clean
    swapped *= on_colours(share)
    swapped += clean
    mask[rows] = total
    return SwappedCrop(crop_bgr=crop_bgr, mask=mask)
