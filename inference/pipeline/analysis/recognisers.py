"""SFace: a face as a unit vector; the cosine of two of them tells whether it is one person."""

from __future__ import annotations

from typing import Final

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Floats, Image

#: OpenCV's threshold for "the same person" on SFace's cosine.
SAME_PERSON_MIN: Final = 0.363


def embed_face(model: LoadedModel, *, image_bgr: Image, mesh: Floats) -> Floats:
    """Identity of one face.

    Args:
        model: the SFace session; it normalises pixels itself.
        image_bgr: (H, W, 3) uint8 BGR.
        mesh: (468, 3) float32, px of the picture.

    Returns:
        (128,) float32 of length 1.
    """
    spec = model.spec
    face = align_face(image_bgr, mesh=mesh, template=spec.template, size_px=spec.crop_size_px)
    rgb = face.crop_bgr[:, :, ::-1].transpose(2, 0, 1)[np.newaxis]
    (vectors,) = model.run({"data": np.ascontiguousarray(rgb, dtype=np.float32)})
    return np.asarray(vectors[0] / np.linalg.norm(vectors[0]), dtype=np.float32)


def similarity(first: Floats, second: Floats) -> float:
    """Cosine of two unit vectors, -1..1."""
    return float(first @ second)
