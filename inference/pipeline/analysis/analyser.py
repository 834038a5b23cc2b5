"""Finds the faces of pictures with the models that the options name."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from inference.pipeline.analysis.cache import AnalysisCache
from inference.pipeline.analysis.classifier import classify_face
from inference.pipeline.analysis.detection import DetectorOptions, detect_faces
from inference.pipeline.analysis.face_mesh import find_landmarks
from inference.pipeline.analysis.outlines import find_outline, guess_outline, head_angle
from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.errors import InvalidOptionsError, ModelMissingError, ModelNotAllowedError
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.types import (
    Attributes,
    Detection,
    Embedding,
    Face,
    Floats,
    Image,
    Landmarks,
)

MESH: Final = "face_mesh_468"
_ANGLE_MODEL: Final = "fan_68_5"
_CLASSIFIER: Final = "fairface"
# Where two landmarkers disagree about themselves, the first is believed unless clearly worse.
_FIRST_LANDMARKER_BONUS: Final = 0.2


@dataclass(frozen=True, slots=True)
class LandmarkerOptions:
    """How to find landmarks.

    Attributes:
        models: keys of the landmarkers. Of several, the first wins unless another one is surer by
            more than 0.2.
        score_min: 0..1; below it the landmarks are not used.
    """

    models: tuple[str, ...] = (MESH,)
    score_min: float = 0.5

    def __post_init__(self) -> None:
        if not self.models:
            raise InvalidOptionsError("landmarker.models", "at least one landmarker is needed")
        if not 0 <= self.score_min <= 1:
            raise InvalidOptionsError("landmarker.score_min", "must be from 0 to 1")


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How pictures are analysed.

    Attributes:
        detector: how to look for faces.
        landmarker: how to find landmarks.
        allow_race: whether a deployment allows to ask for a guess at the race, which is a
            sensitive attribute.
    """

    detector: DetectorOptions = field(default_factory=DetectorOptions)
    landmarker: LandmarkerOptions = field(default_factory=LandmarkerOptions)
    allow_race: bool = False


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """The faces of one picture.

    Attributes:
        faces: what can be used, best detector score first.
        turned_away_count: faces that were seen but whose landmarks are too doubtful.
    """

    faces: tuple[Face, ...]
    turned_away_count: int


class FaceAnalyser:
    """Analyses the pictures of one job. Threads may share it; it holds sessions and a cache."""

    def __init__(self, pool: SessionPool, options: AnalysisOptions) -> None:
        self._pool = pool
        self._options = options
        self._faces: AnalysisCache[FoundFaces] = AnalysisCache()
        self._embeddings: AnalysisCache[Embedding] = AnalysisCache(entries_max=1_024)
        self._attributes: AnalysisCache[Attributes] = AnalysisCache(entries_max=1_024)

    def find(self, image_bgr: Image, *, key: Hashable = None) -> FoundFaces:
        """All faces of a picture.

        Args:
            image_bgr: (H, W, 3) uint8 BGR.
            key: names the picture within the job, such as (asset, frame number); a second call
                with it costs nothing. None: not remembered.
        """
        if key is None:
            return self._find(image_bgr)
        return self._faces.get(key, lambda: self._find(image_bgr))

    def embedding(
        self, image_bgr: Image, landmarks: Landmarks, *, recogniser: str, key: Hashable = None
    ) -> Embedding:
        """Identity of a face; ``key`` names the face within the job, None: not remembered."""
        model = self._pool.get(recogniser)

        def make() -> Embedding:
            return embed_face(model, image_bgr=image_bgr, landmarks=landmarks)

        return make() if key is None else self._embeddings.get((recogniser, key), make)

    def attributes(
        self, image_bgr: Image, landmarks: Landmarks, *, key: Hashable = None
    ) -> Attributes:
        """Guessed attributes of a face; the classifier is loaded on the first call.

        Raises:
            ModelMissingError: the classifier is not installed.
        """
        model = self._pool.get(_CLASSIFIER)

        def make() -> Attributes:
            return classify_face(
                model,
                image_bgr=image_bgr,
                landmarks=landmarks,
                with_race=self._options.allow_race,
            )

        return make() if key is None else self._attributes.get(key, make)

    def landmarks_of(self, image_bgr: Image, detection: Detection) -> Landmarks:
        """Landmarks of one detected face by the landmarkers of the options."""
        found = [
            self._landmarks_by(self._pool.get(key), image_bgr, detection)
            for key in self._options.landmarker.models
        ]
        best = found[0]
        for other in found[1:]:
            if other.score > best.score + _FIRST_LANDMARKER_BONUS:
                best = other
        return best

    def detect(self, image_bgr: Image) -> Sequence[Detection]:
        """Where faces are, best score first, without a look at their landmarks."""
        detectors = [self._pool.get(key) for key in self._options.detector.models]
        return detect_faces(detectors, image_bgr=image_bgr, options=self._options.detector)

    def face_at(self, image_bgr: Image, detection: Detection) -> Face | None:
        """A detected face with its landmarks; None where they are too doubtful."""
        landmarks = self.landmarks_of(image_bgr, detection)
        if landmarks.score < self._options.landmarker.score_min:
            return None
        return Face(detection=detection, landmarks=landmarks)

    def _find(self, image_bgr: Image) -> FoundFaces:
        seen = [self.face_at(image_bgr, detection) for detection in self.detect(image_bgr)]
        faces = tuple(face for face in seen if face is not None)
        return FoundFaces(faces=faces, turned_away_count=len(seen) - len(faces))

    def _landmarks_by(
        self, model: LoadedModel, image_bgr: Image, detection: Detection
    ) -> Landmarks:
        if model.spec.contract == "mesh468":
            face = find_landmarks(model, image_bgr=image_bgr, detection=detection)
            return face.landmarks
        return find_outline(
            model,
            image_bgr=image_bgr,
            detection=detection,
            angle_deg=self._angle_of(detection.points),
        )

    def _angle_of(self, five: Floats) -> int:
        """How far a head is turned, by the 68 points that fit its five, else by its eyes."""
        try:
            model = self._pool.get(_ANGLE_MODEL)
        except (ModelNotAllowedError, ModelMissingError):
            across = five[1] - five[0]
            return round(float(np.degrees(np.arctan2(across[1], across[0]))) / 90) * 90 % 360
        return head_angle(guess_outline(model, five=five))


def largest_first(faces: Sequence[Face]) -> list[Face]:
    """Faces by the area of their box."""
    return sorted(faces, key=lambda face: face.area_px, reverse=True)
