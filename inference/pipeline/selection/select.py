"""Orders and filters faces, and compares them with a reference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from inference.pipeline.selection.options import FaceFilter, Order
from inference.pipeline.types import Attributes, Embedding, Face

# A face found again in the same frame keeps its id although its box moves by a few pixels.
_ID_GRID_PX: Final = 16
_ID_LENGTH: Final = 12

_KEYS: Final[dict[str, tuple[Callable[[Face], float], bool]]] = {
    "left_right": (lambda face: float(face.detection.box_xyxy[[0, 2]].mean()), False),
    "right_left": (lambda face: float(face.detection.box_xyxy[[0, 2]].mean()), True),
    "top_bottom": (lambda face: float(face.detection.box_xyxy[[1, 3]].mean()), False),
    "bottom_top": (lambda face: float(face.detection.box_xyxy[[1, 3]].mean()), True),
    "small_large": (lambda face: face.area_px, False),
    "large_small": (lambda face: face.area_px, True),
    "best_worst": (lambda face: face.detection.score, True),
    "worst_best": (lambda face: face.detection.score, False),
}


def in_order(faces: Sequence[Face], order: Order) -> list[Face]:
    """Faces in one of the eight orders; equal ones keep their places."""
    key, is_reversed = _KEYS[order]
    return sorted(faces, key=key, reverse=is_reversed)


def passes(attributes: Attributes, face_filter: FaceFilter) -> bool:
    """Whether a face's guessed attributes fit a filter; age groups count when they overlap."""
    if face_filter.gender is not None and attributes.gender != face_filter.gender:
        return False
    if face_filter.age_from is not None and attributes.age_to <= face_filter.age_from:
        return False
    if face_filter.age_to is not None and attributes.age_from >= face_filter.age_to:
        return False
    return face_filter.race is None or attributes.race == face_filter.race


def distance(first: Embedding, second: Embedding) -> float:
    """(1 - cosine) / 2: 0 for one picture, 0.5 for strangers, 1 at most."""
    return (1 - first.similarity(second)) / 2


def nearest(embedding: Embedding, references: Sequence[Embedding]) -> tuple[int, float]:
    """Index of the reference that is most like a face, and its distance."""
    distances = [distance(embedding, reference) for reference in references]
    best = int(np.argmin(distances))
    return best, distances[best]


def face_id(*, asset_sha256: str, frame_no: int, face: Face) -> str:
    """A name for one face of one frame, the same whenever the frame is analysed again.

    Made of the file's checksum, the frame's number and the centre of the face on a grid of 16 px.
    """
    left, top, right, bottom = face.detection.box_xyxy
    x, y = (int((low + high) / 2 // _ID_GRID_PX) for low, high in ((left, right), (top, bottom)))
    text = f"{asset_sha256}:{frame_no}:{x}:{y}"
    return f"face_{hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]}"
