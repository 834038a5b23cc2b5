"""FairFace: a guess at gender, age group and, where a deployment allows to ask, race."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Attributes, Image, Landmarks

# Each group reaches up to where the next begins, so that no age falls in between.
_AGE_STARTS: Final = (0, 3, 10, 20, 30, 40, 50, 60, 70, 120)
_RACES: Final = ("white", "black", "latino", "asian", "asian", "indian", "arabic")
_FEMALE: Final = 1


def classify_face(
    model: LoadedModel, *, image_bgr: Image, landmarks: Landmarks, with_race: bool
) -> Attributes:
    """Guess the attributes of one face.

    Args:
        model: a FairFace session; its outputs are race, gender and age, as class numbers.
        image_bgr: (H, W, 3) uint8 BGR.
        landmarks: of the face, px of the picture.
        with_race: whether the guess at the race leaves this function.
    """
    spec = model.spec
    face = align_face(
        image_bgr, landmarks=landmarks, template=spec.template, size_px=spec.crop_size_px
    )
    rgb = face.crop_bgr[:, :, ::-1].astype(np.float32) / np.float32(spec.scale)
    pixels = (rgb - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    blob = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
    race, gender, age = (int(np.ravel(output)[0]) for output in model.run({"input": blob}))
    sex: Literal["female", "male"] = "female" if gender == _FEMALE else "male"
    return Attributes(
        gender=sex,
        age_from=_AGE_STARTS[age],
        age_to=_AGE_STARTS[age + 1],
        race=_RACES[race] if with_race else None,
    )
