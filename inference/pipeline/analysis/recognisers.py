"""Recognisers: a face as a vector; the cosine of two of them tells whether it is one person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Embedding, Floats, Image, Landmarks

#: OpenCV's threshold for "the same person" on SFace's cosine.
SAME_PERSON_MIN: Final = 0.363


def embed_faces(
    model: LoadedModel, *, image_bgr: Image, faces: Sequence[Landmarks]
) -> list[Embedding]:
    """Identities of the faces of one picture; one run where the model's batch is free.

    Args:
        model: a recogniser's session; its contract says how pixels are normalised.
        image_bgr: (H, W, 3) uint8 BGR.
        faces: their landmarks, px of the picture.
    """
    if not faces:
        return []
    blobs = [_to_blob(model, image_bgr, landmarks) for landmarks in faces]
    name = model.spec.inputs[0].name
    (vectors,) = run_batch(model, {name: np.concatenate(blobs)})
    return [
        Embedding(raw=vector, unit=vector / max(float(np.linalg.norm(vector)), 1e-12))
        for vector in vectors
    ]


def embed_face(model: LoadedModel, *, image_bgr: Image, landmarks: Landmarks) -> Embedding:
    """Identity of one face; see ``embed_faces``."""
    return embed_faces(model, image_bgr=image_bgr, faces=[landmarks])[0]


def _to_blob(model: LoadedModel, image_bgr: Image, landmarks: Landmarks) -> Floats:
    """(1, 3, S, S) float32 RGB, normalised as described."""
    spec = model.spec
    face = align_face(
        image_bgr, landmarks=landmarks, template=spec.template, size_px=spec.crop_size_px
    )
    planes = face.crop_bgr[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)
    mean = np.asarray(spec.mean, dtype=np.float32).reshape(3, 1, 1)
    std = np.asarray(spec.std, dtype=np.float32).reshape(3, 1, 1)
    return np.ascontiguousarray((planes / np.float32(spec.scale) - mean) / std)[np.newaxis]
