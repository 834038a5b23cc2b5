"""Values that travel between the stages and to the callers of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

#: (H, W, 3) uint8 BGR, or (H, W) uint8 where a docstring says so.
Image = NDArray[np.uint8]
#: float32 of the shape the docstring states.
Floats = NDArray[np.float32]
#: float64, used where a formula is sensitive to rounding.
Doubles = NDArray[np.float64]

FaceChoice = Literal["one", "largest", "all"]


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that the stages use; ``run`` is thread-safe."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, object]
    ) -> list[NDArray[Any]]:
        """Run the model and return the named outputs in that order, or all of them."""

    def get_inputs(self) -> Sequence[Any]:
        """Name, type and shape of each input."""


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
class Face:
    """A detected face with its dense landmarks.

    Attributes:
        detection: the box it came from.
        mesh: (468, 3) float32, px of the image; z in the same unit, smaller is nearer.
        mesh_score: logit of "this is a face seen well enough"; frontal faces have 30 and more.
    """

    detection: Detection
    mesh: Floats
    mesh_score: float

    @property
    def area_px(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.detection.box_xyxy
        return float((right - left) * (bottom - top))


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """Which faces take part.

    Attributes:
        target_faces: ``one`` insists on exactly one, ``largest`` takes the largest, ``all`` swaps
            every usable face.
        source_faces: ``one`` insists on exactly one, ``largest`` takes the largest.
    """

    target_faces: FaceChoice = "one"
    source_faces: Literal["one", "largest"] = "one"


@dataclass(frozen=True, slots=True)
class FaceReport:
    """What happened to one target face.

    Attributes:
        box_xyxy: px of the target picture.
        detector_score: 0..1.
        mesh_score: logit, see ``Face.mesh_score``.
        similarity_before: cosine of the target's own face to the source, -1..1.
        similarity_after: cosine of the swapped face to the source, -1..1.
    """

    box_xyxy: tuple[float, float, float, float]
    detector_score: float
    mesh_score: float
    similarity_before: float
    similarity_after: float


@dataclass(frozen=True, slots=True)
class SwapResult:
    """The new picture, (H, W, 3) uint8 BGR, and one report per swapped face, largest first."""

    image_bgr: Image
    faces: tuple[FaceReport, ...]
