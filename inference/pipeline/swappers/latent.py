"""Swappers that take the source as a vector: inswapper, hyperswap, ghost, simswap and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.errors import ModelMismatchError
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers import pixel_boost
from inference.pipeline.swappers.base import (
    PreparedSource,
    SourcePicture,
    SwappedCrop,
    SwapTarget,
)
from inference.pipeline.swappers.pixels import from_blob, to_blob
from inference.pipeline.types import Embedding, Floats

#: The weight that leaves the source as it is.
NEUTRAL_WEIGHT: Final = 0.5
# How far a weight of 0 or 1 goes towards the target's identity, or away from it.
_WEIGHT_REACH: Final = 0.35


@dataclass(frozen=True, slots=True)
class LatentSource(PreparedSource):
    """A person as the model takes it: (D,) float32."""

    latent: Floats


class LatentSwapper:
    """One such model with its recogniser and, where it has one, its converter."""

    def __init__(
        self,
        pool: SessionPool,
        key: str,
        *,
        weight: float = NEUTRAL_WEIGHT,
        pixel_boost_px: int | None = None,
    ) -> None:
        """Open the sessions.

        Args:
            pool: where the sessions are.
            key: of the swapper.
            weight: 0..1; above 0.5 pushes away from the target's identity, below mixes it in.
            pixel_boost_px: side of the crop; None: the model's own.

        Raises:
            InvalidOptionsError: the model does not offer this pixel boost.
            PipelineError: a model is missing, altered or not allowed.
        """
        self._model = pool.get(key)
        spec = self._model.spec
        self._recogniser = pool.get(str(spec.params["recogniser"]))
        converter = spec.params.get("converter")
        self._converter = None if converter is None else pool.get(str(converter))
        self._weight = weight
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
        return self._recogniser.spec.key

    def crop_size_px(self, *, face_px: float) -> int:
        """See ``Swapper``."""
        return self._size_px

    def prepare(self, sources: Sequence[SourcePicture]) -> LatentSource:
        """Average the identities of the pictures and bring them into the model's space.

        Raw vectors and unit vectors are averaged apart; the mean of the unit vectors gets length 1
        again, because the models were trained on such.
        """
        found = [
            embed_face(self._recogniser, image_bgr=source.image_bgr, landmarks=source.landmarks)
            for source in sources
        ]
        return LatentSource(latent=self._to_latent(mean_embedding(found)))

    def swap(self, targets: Sequence[SwapTarget], source: PreparedSource) -> list[SwappedCrop]:
        """See ``Swapper``; all parts of all targets form one batch."""
        if not isinstance(source, LatentSource):
            raise TypeError("the source was prepared for another kind of swapper")
        size = self._model.spec.crop_size_px
        factor = self._size_px // size
        parts = [
            part
            for target in targets
            for part in pixel_boost.split(target.aligned.crop_bgr, factor=factor)
        ]
        latents = [self._weighted(source.latent, target.embedding) for target in targets]
        feed = {
            "target": to_blob(parts, self._model.spec),
            "source": np.repeat(np.stack(latents), factor * factor, axis=0),
        }
        outputs = run_batch(self._model, feed)
        is_symmetric = self._model.spec.params["output_range"] == "symmetric"
        images = from_blob(outputs[0], is_symmetric=is_symmetric)
        masks = outputs[1][:, 0] if len(outputs) > 1 else None
        return [
            self._joined(images, masks, start, factor)
            for start in range(0, len(parts), factor * factor)
        ]

    def _joined(self, images: Floats, masks: Floats | None, start: int, factor: int) -> SwappedCrop:
        end = start + factor * factor
        mask = None
        if masks is not None:
            joined = pixel_boost.join(masks[start:end], factor=factor)
            mask = np.clip(joined, 0, 1).astype(np.float32)
        crop = pixel_boost.join(images[start:end], factor=factor)
        return SwappedCrop(crop_bgr=crop, mask=mask)

    def _weighted(self, latent: Floats, target: Embedding | None) -> Floats:
        """The source's vector with part of the target's, both in the model's space.

        f = 0.35 - 0.7 * weight; latent * (1 - f) + target * f. Mixing before the projection, as
        others do, would add vectors of two different spaces.
        """
        if self._weight == NEUTRAL_WEIGHT:
            return latent
        if target is None:
            raise ValueError("a weight needs the embedding of the target")
        share = np.float32(_WEIGHT_REACH * (1 - 2 * self._weight))
        mixed = latent * (1 - share) + self._to_latent(target) * share
        return _unit(mixed) if self._is_unit else mixed

    @property
    def _is_unit(self) -> bool:
        params = self._model.spec.params
        return params["latent"] == "unit" or bool(params.get("is_latent_unit"))

    def _to_latent(self, embedding: Embedding) -> Floats:
        """An identity as the model takes it, (D,) float32.

        emap: (e @ M) / |e| with the matrix of the file; converter: the network's output; unit and
        raw: the embedding itself.
        """
        kind = self._model.spec.params["latent"]
        if kind == "emap":
            return _times_emap(embedding, self._model)
        if kind == "converter":
            assert self._converter is not None, "the registry names a converter for this kind"
            (latent,) = self._converter.run({"input": embedding.raw[np.newaxis]})
            return _unit(latent[0]) if self._is_unit else np.asarray(latent[0], np.float32)
        return embedding.unit if kind == "unit" else embedding.raw


def mean_embedding(embeddings: Sequence[Embedding]) -> Embedding:
    """One identity out of several pictures of a person."""
    if len(embeddings) == 1:
        return embeddings[0]
    raw = np.stack([embedding.raw for embedding in embeddings])
    unit = np.stack([embedding.unit for embedding in embeddings])
    return Embedding(raw=np.asarray(raw.mean(axis=0)), unit=_unit(np.asarray(unit.mean(axis=0))))


def _times_emap(embedding: Embedding, model: LoadedModel) -> Floats:
    if model.emap is None:
        raise ModelMismatchError(f"'{model.spec.key}' was imported without its matrix")
    length = max(float(np.linalg.norm(embedding.raw)), 1e-12)
    return np.asarray((embedding.raw @ model.emap) / length, dtype=np.float32)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), dtype=np.float32)
