"""Orders the stages of an image swap, reports progress and asks whether to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inference.pipeline.aligner import AlignedFace, align_face, crop_matrix, scale_of
from inference.pipeline.analysis.detection import DetectorOptions, detect_faces
from inference.pipeline.analysis.face_mesh import find_landmarks
from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.blend import paste_back
from inference.pipeline.engine import Engine
from inference.pipeline.errors import NoFaceFoundError, SeveralFacesError, StoppedError, Where
from inference.pipeline.masks import find_cover_of_target
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.source_texture import CROP_SIZE_PX, SourceFace, prepare_source
from inference.pipeline.swapper import SwappedCrop, swap_crop
from inference.pipeline.types import (
    Embedding,
    Face,
    FaceChoice,
    FaceReport,
    Image,
    Observer,
    SwapOptions,
    SwapResult,
)

__all__ = ["FaceReport", "Observer", "SwapOptions", "SwapResult", "find_faces", "swap_image"]

STAGES: Final = ("detect", "prepare", "swap", "blend")
_SOURCE_SCORE_MIN: Final = 0.8
_TARGET_SCORE_MIN: Final = 0.7
_LANDMARK_SCORE_MIN: Final = 0.5
_TEMPLATE: Final = "arcface_128"


@dataclass(frozen=True, slots=True)
class _Scene:
    engine: Engine
    source_bgr: Image
    target_bgr: Image


@dataclass(frozen=True, slots=True)
class _Crop:
    aligned: AlignedFace
    swapped: SwappedCrop


def swap_image(
    *,
    engine: Engine,
    source_bgr: Image,
    target_bgr: Image,
    options: SwapOptions,
    observer: Observer,
) -> SwapResult:
    """Put the source's face onto faces of the target picture.

    Args:
        engine: open sessions.
        source_bgr: (H, W, 3) uint8 BGR, not written to.
        target_bgr: (H, W, 3) uint8 BGR, not written to.
        options: which faces take part.
        observer: gets the stages detect, prepare, swap, blend.

    Raises:
        NoFaceFoundError: a picture has no usable face.
        SeveralFacesError: a picture has several faces where one is needed.
        StoppedError: the observer asked to stop.
    """
    _enter(observer, "detect", 0.0)
    source = find_faces(
        engine,
        image_bgr=source_bgr,
        where="source",
        choice=options.source_faces,
    )[0]
    _enter(observer, "detect", 0.5)
    targets = find_faces(engine, image_bgr=target_bgr, where="target", choice=options.target_faces)
    observer.progress("detect", 1.0)
    scene = _Scene(engine=engine, source_bgr=source_bgr, target_bgr=target_bgr)
    return _swap_faces(scene, source=source, targets=targets, observer=observer)


def find_faces(engine: Engine, *, image_bgr: Image, where: Where, choice: FaceChoice) -> list[Face]:
    """The usable faces of a picture that ``choice`` selects, largest first; at least one.

    Raises:
        NoFaceFoundError: none at all, or all are turned too far to the side.
        SeveralFacesError: ``choice`` is ``one`` and there are more.
    """
    score_min = _SOURCE_SCORE_MIN if where == "source" else _TARGET_SCORE_MIN
    detections = detect_faces(
        [engine.detector], image_bgr=image_bgr, options=DetectorOptions(score_min=score_min)
    )
    seen = [
        find_landmarks(engine.landmarker, image_bgr=image_bgr, detection=detection)
        for detection in detections
    ]
    faces = [face for face in seen if face.landmarks.score >= _LANDMARK_SCORE_MIN]
    faces.sort(key=lambda face: face.area_px, reverse=True)
    if not faces:
        raise NoFaceFoundError(where, turned_away_count=len(seen))
    if choice == "one" and len(faces) > 1:
        raise SeveralFacesError(where, len(faces))
    return faces if choice == "all" else faces[:1]


def _swap_faces(
    scene: _Scene, *, source: Face, targets: Sequence[Face], observer: Observer
) -> SwapResult:
    engine = scene.engine
    _enter(observer, "prepare", 0.0)
    identity = embed_face(engine.recogniser, image_bgr=scene.source_bgr, landmarks=source.landmarks)
    prepared = _prepare(scene, source, targets)
    observer.progress("prepare", 1.0)
    crops: list[_Crop] = []
    for index, face in enumerate(targets):
        _enter(observer, "swap", index / len(targets))
        crops.append(_swap_one(scene, face, prepared))
    observer.progress("swap", 1.0)
    result = scene.target_bgr
    for index, crop in enumerate(crops):
        _enter(observer, "blend", index / len(crops))
        result = paste_back(result, swapped=crop.swapped, matrix=crop.aligned.matrix)
    reports = [_report(scene, face, identity, result) for face in targets]
    observer.progress("blend", 1.0)
    return SwapResult(image_bgr=result, faces=tuple(reports))


def _prepare(scene: _Scene, source: Face, targets: Sequence[Face]) -> dict[int, SourceFace]:
    """One prepared source per crop size that the targets need."""
    aligned = align_face(
        scene.source_bgr, landmarks=source.landmarks, template=_TEMPLATE, size_px=CROP_SIZE_PX
    )
    sizes = {_swapper_for(scene.engine, face).spec.crop_size_px for face in targets}
    return {size: prepare_source(aligned, swapper_size_px=size) for size in sizes}


def _swap_one(scene: _Scene, face: Face, prepared: dict[int, SourceFace]) -> _Crop:
    swapper = _swapper_for(scene.engine, face)
    size = swapper.spec.crop_size_px
    aligned = align_face(
        scene.target_bgr, landmarks=face.landmarks, template=swapper.spec.template, size_px=size
    )
    swapped = swap_crop(
        swapper, source=prepared[size], target=aligned, cover=find_cover_of_target(aligned)
    )
    return _Crop(aligned=aligned, swapped=swapped)


def _swapper_for(engine: Engine, face: Face) -> LoadedModel:
    unit = crop_matrix(face.landmarks.five, template=_TEMPLATE, size_px=1)
    return engine.swapper(crop_side_px=1 / scale_of(unit))


def _report(scene: _Scene, face: Face, identity: Embedding, result_bgr: Image) -> FaceReport:
    before, after = (
        identity.similarity(
            embed_face(scene.engine.recogniser, image_bgr=image, landmarks=face.landmarks)
        )
        for image in (scene.target_bgr, result_bgr)
    )
    left, top, right, bottom = (float(value) for value in face.detection.box_xyxy)
    return FaceReport(
        box_xyxy=(left, top, right, bottom),
        detector_score=face.detection.score,
        landmark_score=face.landmarks.score,
        similarity_before=before,
        similarity_after=after,
    )


def _enter(observer: Observer, stage: str, fraction: float) -> None:
    """Report progress and leave if the observer wants to stop."""
    if observer.should_stop():
        raise StoppedError(stage)
    observer.progress(stage, fraction)
