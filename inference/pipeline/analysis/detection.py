"""Finds face boxes with one detector or several, at every angle that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from inference.pipeline.analysis import anchors, candidates, yoloface, yunet
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.types import Detection, Floats, Image

ANGLES: Final = (0, 90, 180, 270)
SIZES_PX: Final = (160, 320, 480, 512, 640, 1280)
MARGIN_MAX_PERCENT: Final = 100
# Several looks at the same face agree less exactly, so they are merged at less overlap.
_OVERLAP_MAX: Final = {1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1}
_OVERLAP_MAX_SEVERAL_MODELS: Final = 0.1
# YuNet's own value, which its published results use.
_OVERLAP_MAX_YUNET: Final = 0.3
# Longest sides to try after the usual one, until a face is found: a larger one for small faces in
# large pictures, a smaller one for a face that fills the picture.
_MORE_SIDES_PX: Final = (1280, 320)


class _Finder(Protocol):
    def __call__(
        self, model: LoadedModel, *, image_bgr: Image, size_px: int, score_min: float
    ) -> Floats: ...


_FINDERS: Final[dict[str, _Finder]] = {
    "yunet": yunet.find_candidates,
    "scrfd": anchors.find_candidates,
    "yoloface": yoloface.find_candidates,
}


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """How to look for faces.

    Attributes:
        models: keys of the detectors; what several of them find is merged.
        size_px: longer side of the picture as the detector sees it.
        score_min: 0..1.
        angles: degrees by which the picture is turned for a look; None: upright, and turned only
            when nothing was found.
        margin_percent: black border added before the look, top, right, bottom, left; 100 is half
            of the picture's side. Finds faces that are cut by the edge.
        faces_max: the best-scored faces to keep, so that a crowd cannot make a frame endless.
        looks_again: look at other sizes where nothing was found; off for videos, whose empty frames
            would cost most.
    """

    models: tuple[str, ...] = ("face_detector_yunet",)
    size_px: int = 640
    score_min: float = 0.7
    angles: tuple[int, ...] | None = None
    margin_percent: tuple[int, int, int, int] = (0, 0, 0, 0)
    faces_max: int = 64
    looks_again: bool = True

    def __post_init__(self) -> None:
        if not self.models:
            raise InvalidOptionsError("detector.models", "at least one detector is needed")
        if self.size_px not in SIZES_PX:
            raise InvalidOptionsError("detector.size_px", f"must be one of {SIZES_PX}")
        if not 0 < self.score_min <= 1:
            raise InvalidOptionsError("detector.score_min", "must be above 0 and at most 1")
        if self.angles is not None and (not self.angles or set(self.angles) - set(ANGLES)):
            raise InvalidOptionsError("detector.angles", f"must be some of {ANGLES}")
        if not all(0 <= margin <= MARGIN_MAX_PERCENT for margin in self.margin_percent):
            raise InvalidOptionsError("detector.margin_percent", "must be four values, 0 to 100")
        if self.faces_max < 1:
            raise InvalidOptionsError("detector.faces_max", "must be at least 1")


def detect_faces(
    models: Sequence[LoadedModel], *, image_bgr: Image, options: DetectorOptions
) -> list[Detection]:
    """All faces of a picture, best score first, at most ``options.faces_max``.

    Args:
        models: the sessions that ``options.models`` names.
        image_bgr: (H, W, 3) uint8 BGR, not written to.
        options: see there.
    """
    padded, origin = _add_margin(image_bgr, options.margin_percent)
    rows = _look(models, padded, options)[: options.faces_max]
    rows[:, :14] -= np.tile(origin, 7)
    return [candidates.to_detection(row) for row in rows]


def _look(models: Sequence[LoadedModel], image_bgr: Image, options: DetectorOptions) -> Floats:
    if options.angles is not None:
        turned = [_look_turned(models, image_bgr, options, angle // 90) for angle in options.angles]
        return _merge(turned, models, angles_count=len(options.angles))
    rows = np.zeros((0, candidates.ROW_LENGTH), dtype=np.float32)
    for quarter_turns in range(len(ANGLES)):
        # Turned pictures only if there is nothing upright: most faces are, and it costs little.
        found = _look_turned(models, image_bgr, options, quarter_turns)
        rows = _merge([found], models, angles_count=1)
        if len(rows):
            break
    return rows


def _merge(found: list[Floats], models: Sequence[LoadedModel], *, angles_count: int) -> Floats:
    overlap_max = _OVERLAP_MAX[angles_count]
    if len(models) > 1:
        overlap_max = _OVERLAP_MAX_SEVERAL_MODELS
    elif models[0].spec.contract == "yunet":
        overlap_max = min(overlap_max, _OVERLAP_MAX_YUNET)
    return candidates.suppress_overlaps(np.concatenate(found), overlap_max=overlap_max)


def _look_turned(
    models: Sequence[LoadedModel], image_bgr: Image, options: DetectorOptions, quarter_turns: int
) -> Floats:
    turned = np.ascontiguousarray(np.rot90(image_bgr, quarter_turns))
    rows = np.concatenate([_find(model, turned, options) for model in models])
    height, width = turned.shape[:2]
    return candidates.turn_back(rows, quarter_turns=quarter_turns, size_px=(width, height))


def _find(model: LoadedModel, image_bgr: Image, options: DetectorOptions) -> Floats:
    find = _FINDERS[model.spec.contract]
    rows = np.zeros((0, candidates.ROW_LENGTH), dtype=np.float32)
    sizes = _sizes(model, image_bgr, options.size_px)
    for size in sizes if options.looks_again else sizes[:1]:
        rows = find(model, image_bgr=image_bgr, size_px=size, score_min=options.score_min)
        if len(rows):
            break
    return rows


def _sizes(model: LoadedModel, image_bgr: Image, size_px: int) -> list[int]:
    """The sizes at which a model looks, until it finds something."""
    spec = model.spec
    if spec.crop_size_px:
        return [spec.crop_size_px]
    offered = spec.params.get("sizes_px")
    if offered is not None:
        return [max((size for size in offered if size <= size_px), default=min(offered))]
    longest = max(image_bgr.shape[:2])
    return list(dict.fromkeys(min(side, longest) for side in (size_px, *_MORE_SIDES_PX)))


def _add_margin(
    image_bgr: Image, margin_percent: tuple[int, int, int, int]
) -> tuple[Image, Floats]:
    """The padded picture, and where the original begins in it: (2,) float32 x, y."""
    if not any(margin_percent):
        return image_bgr, np.zeros(2, dtype=np.float32)
    height, width = image_bgr.shape[:2]
    top, right, bottom, left = margin_percent
    pad_y = (round(height * top / 200), round(height * bottom / 200))
    pad_x = (round(width * left / 200), round(width * right / 200))
    padded = np.pad(image_bgr, (pad_y, pad_x, (0, 0)))
    return padded, np.asarray([pad_x[0], pad_y[0]], dtype=np.float32)
