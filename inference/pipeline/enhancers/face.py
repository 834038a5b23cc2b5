"""Face enhancers: a crop goes through a restoration network and comes back in the face's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.aligner import AlignedFace, align_face
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.masks.networks import occlusion_masks
from inference.pipeline.masks.shapes import box_mask
from inference.pipeline.paste.blend import blend_into
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers.pixels import from_blob, to_blob
from inference.pipeline.types import Face, Floats, Image

_PERCENT: Final = 100
_NO_PADDING: Final = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class FaceEnhancerOptions:
    """How faces are enhanced.

    Attributes:
        model: key of a face enhancer.
        blend_percent: 0..100, how much of the enhanced face is seen.
        weight: 0..1, how close the result stays to the picture. Only CodeFormer takes one; others
            keep to the neutral 0.5.
    """

    model: str = "gfpgan_1.4"
    blend_percent: int = 80
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.blend_percent <= _PERCENT:
            raise InvalidOptionsError("face_enhancer.blend_percent", "must be from 0 to 100")
        if not 0 <= self.weight <= 1:
            raise InvalidOptionsError("face_enhancer.weight", "must be from 0 to 1")


class FaceEnhancer:
    """One such model. Holds sessions and nothing of any job; threads may share it."""

    def __init__(
        self,
        pool: SessionPool,
        options: FaceEnhancerOptions,
        *,
        blur: float = 0.3,
        occluders: tuple[str, ...] = (),
    ) -> None:
        """Open the sessions.

        Args:
            pool: where the sessions are.
            options: which model, and how.
            blur: 0..1, softness of the box in which the face is blended.
            occluders: keys of the occlusion models, where the job's masks have that kind.

        Raises:
            InvalidOptionsError: no face enhancer of this name, or a weight that it does not take.
            PipelineError: a model is missing, altered or not allowed.
        """
        spec = pool.registry.models.get(options.model)
        if spec is None or spec.task != "face_enhancer":
            names = ", ".join(model.key for model in pool.registry.by_task("face_enhancer"))
            raise InvalidOptionsError(
                "face_enhancer.model", f"'{options.model}' is none of: {names}"
            )
        self._takes_weight = spec.contract == "codeformer"
        if not self._takes_weight and options.weight != FaceEnhancerOptions().weight:
            raise InvalidOptionsError("face_enhancer.weight", f"'{options.model}' takes no weight")
        self._model = pool.get(options.model)
        self._occluders = [pool.get(key) for key in occluders]
        self._options = options
        self._box = box_mask(
            size_px=spec.crop_size_px, blur_share=blur, padding_percent=_NO_PADDING
        )

    def enhance(self, image_bgr: Image, face: Face, *, seen_bgr: Image | None = None) -> None:
        """Enhance one face of a picture; see ``enhance_all``."""
        self.enhance_all(image_bgr, [face], seen_bgr=seen_bgr)

    def enhance_all(
        self, image_bgr: Image, faces: Sequence[Face], *, seen_bgr: Image | None = None
    ) -> None:
        """Enhance faces that lie apart, in place, in one run where the model's batch is free.

        Nothing outside their crops changes.

        Args:
            image_bgr: (H, W, 3) uint8 BGR, written to.
            faces: their landmarks in px of the picture.
            seen_bgr: the picture in which to look for what covers the faces, such as the frame
                before the swap; None: ``image_bgr``.
        """
        aligned = [self._align(image_bgr, face) for face in faces]
        masks = [self._box] * len(faces)
        if self._occluders:
            covered = aligned
            if seen_bgr is not None:
                covered = [self._align(seen_bgr, face) for face in faces]
            seen = occlusion_masks(self._occluders, [crop.crop_bgr for crop in covered])
            masks = [np.minimum(self._box, mask) for mask in seen]
        share = np.float32(self._options.blend_percent / _PERCENT)
        crops = self.run([crop.crop_bgr for crop in aligned])
        for crop, mask, place in zip(crops, masks, aligned, strict=True):
            blend_into(image_bgr, crop_bgr=crop, mask=mask * share, matrix=place.matrix)

    def _align(self, image_bgr: Image, face: Face) -> AlignedFace:
        spec = self._model.spec
        return align_face(
            image_bgr,
            landmarks=face.landmarks,
            template=spec.template,
            size_px=spec.crop_size_px,
        )

    def run(self, crops_bgr: Sequence[Image]) -> Floats:
        """N times (S, S, 3) uint8 BGR of the model's size -> (N, S, S, 3) float32 BGR 0..255."""
        spec = self._model.spec
        scalars = {}
        if self._takes_weight:
            scalars["weight"] = np.asarray([self._options.weight], dtype=np.float64)
        (output,) = run_batch(self._model, {"input": to_blob(crops_bgr, spec)}, scalars=scalars)
        is_symmetric = spec.params["output_range"] == "symmetric"
        return from_blob(np.asarray(output, np.float32), is_symmetric=is_symmetric)
