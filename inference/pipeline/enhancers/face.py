"""Face enhancers: a crop goes through a restoration network and comes back in the face's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.masks.networks import occlusion_mask
from inference.pipeline.masks.shapes import box_mask
from inference.pipeline.paste.blend import blend_into
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
        """Enhance one face of a picture, in place; nothing outside its crop changes.

        Args:
            image_bgr: (H, W, 3) uint8 BGR, written to.
            face: its landmarks in px of the picture.
            seen_bgr: the picture in which to look for what covers the face, such as the frame
                before the swap; None: ``image_bgr``.
        """
        spec = self._model.spec
        aligned = align_face(
            image_bgr,
            landmarks=face.landmarks,
            template=spec.template,
            size_px=spec.crop_size_px,
        )
        mask = self._box
        if self._occluders:
            covered = aligned
            if seen_bgr is not None:
                covered = align_face(
                    seen_bgr,
                    landmarks=face.landmarks,
                    template=spec.template,
                    size_px=spec.crop_size_px,
                )
            mask = np.minimum(mask, occlusion_mask(self._occluders, covered.crop_bgr))
        share = np.float32(self._options.blend_percent / _PERCENT)
        blend_into(
            image_bgr,
            crop_bgr=self.run(aligned.crop_bgr),
            mask=mask * share,
            matrix=aligned.matrix,
        )

    def run(self, crop_bgr: Image) -> Floats:
        """(S, S, 3) uint8 BGR of the model's size -> float32 BGR 0..255."""
        spec = self._model.spec
        feed = {"input": to_blob([crop_bgr], spec)}
        if self._takes_weight:
            weight = np.asarray([self._options.weight], dtype=np.float64)
            (output,) = self._model.run({**feed, "weight": weight})
        else:
            (output,) = self._model.run(feed)
        is_symmetric = spec.params["output_range"] == "symmetric"
        (crop,) = from_blob(np.asarray(output, np.float32), is_symmetric=is_symmetric)
        return np.asarray(crop, dtype=np.float32)
