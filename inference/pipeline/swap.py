"""Orders the stages of an image swap, reports progress and asks whether to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inference.pipeline.analysis.analyser import AnalysisOptions, FaceAnalyser, largest_first
from inference.pipeline.analysis.detection import DetectorOptions
from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.engine import RECOGNISER, Engine
from inference.pipeline.errors import NoFaceFoundError, SeveralFacesError, StoppedError, Where
from inference.pipeline.frame import Assignment, Painter, swap_frame
from inference.pipeline.masks.combine import MaskMaker, MaskOptions
from inference.pipeline.swappers.base import SourcePicture
from inference.pipeline.swappers.catalogue import SwapperOptions, open_swapper
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


@dataclass(frozen=True, slots=True)
class _Scene:
    engine: Engine
    source_bgr: Image
    target_bgr: Image


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
    options = AnalysisOptions(detector=DetectorOptions(score_min=score_min))
    found = FaceAnalyser(engine.pool, options).find(image_bgr)
    faces = largest_first(found.faces)
    if not faces:
        raise NoFaceFoundError(where, turned_away_count=found.turned_away_count)
    if choice == "one" and len(faces) > 1:
        raise SeveralFacesError(where, len(faces))
    return faces if choice == "all" else faces[:1]


def _swap_faces(
    scene: _Scene, *, source: Face, targets: Sequence[Face], observer: Observer
) -> SwapResult:
    engine = scene.engine
    _enter(observer, "prepare", 0.0)
    recogniser = engine.model(RECOGNISER)
    identity = embed_face(recogniser, image_bgr=scene.source_bgr, landmarks=source.landmarks)
    swapper = open_swapper(engine.pool, SwapperOptions())
    picture = SourcePicture(image_bgr=scene.source_bgr, landmarks=source.landmarks)
    prepared = swapper.prepare([picture])
    observer.progress("prepare", 1.0)
    assignments = [Assignment(face=face, source=prepared) for face in targets]
    result = swap_frame(
        scene.target_bgr,
        painter=Painter(swapper=swapper, masks=MaskMaker(engine.pool, MaskOptions())),
        assignments=assignments,
        on_faces=lambda count: _enter(observer, "swap", count / len(targets)),
    )
    observer.progress("swap", 1.0)
    reports = []
    for index, face in enumerate(targets):
        _enter(observer, "blend", index / len(targets))
        reports.append(_report(scene, face, identity, result))
    observer.progress("blend", 1.0)
    return SwapResult(image_bgr=result, faces=tuple(reports))


def _report(scene: _Scene, face: Face, identity: Embedding, result_bgr: Image) -> FaceReport:
    before, after = (
        identity.similarity(
            embed_face(scene.engine.model(RECOGNISER), image_bgr=image, landmarks=face.landmarks)
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
