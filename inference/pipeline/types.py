"""Values that travel between the stages and to the callers of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

#: (H, W, 3) uint8 BGR, or (H, W) uint8 where a docstring says so.
Image = NDArray[np.uint8]
#: float32 of the shape the docstring states.
Floats = NDArray[np.float32]
#: float64, used where a formula is sensitive to rounding.
Doubles = NDArray[np.float64]


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that the stages use; ``run`` is thread-safe."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, object]
    ) -> list[NDArray[Any]]:
        """Run the model and return the named outputs in that order, or all of them."""

    def get_inputs(self) -> Sequence[Any]:
        """Name, type and shape of each input."""

    def get_outputs(self) -> Sequence[Any]:
        """Name, type and shape of each output."""


class Observer(Protocol):
    """Gets progress and may stop the run; called from the thread that runs it."""

    def progress(self, stage: str, fraction: float) -> None:
        """Report that ``fraction`` (0..1) of ``stage`` is done."""

    def should_stop(self) -> bool:
        """Answer whether the run is to end early."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header of an image says; width and height are as stored, before rotation."""

    format: Literal["jpeg", "png", "webp"]
    width: int
    height: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Detection:
    """One face box.

    Attributes:
        box_xyxy: (4,) float32, px of the image: left, top, right, bottom.
        points: (5, 2) float32, px: image-left eye, image-right eye, nose, mouth corners. They are
            wrong when the head is rolled by more than about 45 degrees.
        score: 0..1.
    """

    box_xyxy: Floats
    points: Floats
    score: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Where the parts of a face are.

    Attributes:
        five: (5, 2) float32, px of the image: image-left eye, image-right eye, nose, mouth corners.
            Alignment uses them.
        score: 0..1, how well the face is seen; 0.5 and more can be used.
        dense: (468, 3) float32 face mesh, px of the image, z in the same unit, smaller is nearer;
            None from a landmarker that has no mesh.
        outline: (68, 2) float32, px of the image, in the order of the 300-W scheme; None where
            nothing but the five points is known.
    """

    five: Floats
    score: float
    dense: Floats | None = None
    outline: Floats | None = None


def require_mesh(landmarks: Landmarks) -> Floats:
    """The (468, 3) mesh.

    Raises:
        ValueError: the landmarker in use has no mesh.
    """
    if landmarks.dense is None:
        raise ValueError("this face has no mesh: its landmarker finds fewer points")
    return landmarks.dense


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face with its landmarks."""

    detection: Detection
    landmarks: Landmarks

    @property
    def mesh(self) -> Floats:
        """The (468, 3) mesh.

        Raises:
            ValueError: the landmarker in use has no mesh.
        """
        return require_mesh(self.landmarks)

    @property
    def area_px(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.detection.box_xyxy
        return float((right - left) * (bottom - top))


@dataclass(frozen=True, slots=True)
class Embedding:
    """Who a face is, as a recogniser sees it; only those of one recogniser can be compared.

    Attributes:
        raw: (D,) float32 as the network yields it; some swappers need its length.
        unit: (D,) float32 of length 1.
    """

    raw: Floats
    unit: Floats

    def similarity(self, other: Embedding) -> float:
        """Cosine, -1..1; 1 is the same picture of the same person."""
        return float(self.unit @ other.unit)


@runtime_checkable
class IdentityObserver(Observer, Protocol):
    """An observer that also wants to know whose faces are taken."""

    def identities(self, embeddings: Sequence[Embedding], *, recogniser: str) -> None:
        """Report the identities of a run, each by the recogniser of this key."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a classifier takes a face for: a guess, and never a fact about a person.

    Attributes:
        gender: ``female`` or ``male``.
        age_from: youngest year of the group.
        age_to: first year after the group.
        race: as the classifier names it; None unless the deployment allows to ask.
    """

    gender: Literal["female", "male"]
    age_from: int
    age_to: int
    race: str | None


@dataclass(frozen=True, slots=True)
class FaceReport:
    """What happened to one target face.

    Attributes:
        box_xyxy: px of the target picture.
        detector_score: 0..1.
        landmark_score: 0..1, see ``Landmarks.score``.
        similarity_before: cosine of the target's own face to the source, -1..1.
        similarity_after: cosine of the swapped face to the source, -1..1.
        person: which of the people that the request named it is; None where it named nobody.
    """

    box_xyxy: tuple[float, float, float, float]
    detector_score: float
    landmark_score: float
    similarity_before: float
    similarity_after: float
    person: int | None = None


@dataclass(frozen=True, slots=True)
class SwapResult:
    """The new picture, (H, W, 3) uint8 BGR, and one report per swapped face.

    The reports are in pixels of the target, also where the new picture is enlarged.
    """

    image_bgr: Image
    faces: tuple[FaceReport, ...]
