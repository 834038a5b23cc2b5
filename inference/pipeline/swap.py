"""Swaps faces in a picture, reports progress and asks whether to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from inference.pipeline.analysis.recognisers import embed_faces
from inference.pipeline.engine import Engine
from inference.pipeline.enhancers.frame import check_result_size
from inference.pipeline.errors import NoFaceFoundError, StoppedError
from inference.pipeline.frame import swap_frame
from inference.pipeline.image_io import RESULT_SIDE_MAX_PX
from inference.pipeline.job import Job, SwapRequest, prepare_job, tell_identities, usable
from inference.pipeline.selection.casting import Cast
from inference.pipeline.types import Embedding, FaceReport, Image, Observer, SwapResult

STAGES: Final = ("detect", "prepare", "swap", "blend")
# Of the stage blend, where the picture is enlarged.
_ENLARGING_SHARE: Final = 0.9
# Faces that are compared between two looks at whether to stop.
_REPORTS_AT_ONCE: Final = 8


def swap_image(
    *, engine: Engine, request: SwapRequest, target_bgr: Image, observer: Observer
) -> SwapResult:
    """Put faces onto faces of the target picture.

    Args:
        engine: open sessions.
        request: whose faces, onto which, and how; its pictures are not written to.
        target_bgr: (H, W, 3) uint8 BGR, not written to.
        observer: gets the stages detect, prepare, swap, blend.

    Raises:
        NoFaceFoundError: a picture has no usable face, or none that is meant.
        SeveralFacesError: a picture has several faces where one is needed.
        InvalidOptionsError: see ``prepare_job``.
        ResultTooLargeError: the picture would grow beyond ``request.pixels_max``.
        ContentBlockedError: the deployment refuses a source, the target or the result.
        StoppedError: the observer asked to stop.
    """
    enter(observer, "detect", 0.0)
    if request.pixels_max is not None:
        check_result_size(
            engine.pool.registry,
            request.spec.frame_enhancer,
            size_px=(target_bgr.shape[1], target_bgr.shape[0]),
            pixels_max=request.pixels_max,
            side_max_px=RESULT_SIDE_MAX_PX,
        )
    job = prepare_job(engine=engine, request=request)
    tell_identities(job, observer)
    engine.safety.require(target_bgr, where="target")
    enter(observer, "detect", 0.5)
    faces = usable(job.analyser.find(target_bgr), where="target")
    casts = job.director.cast(
        target_bgr, faces, embedding_of=lambda face: job.embed(target_bgr, face.landmarks)
    )
    if not casts:
        raise NoFaceFoundError("target")
    observer.progress("detect", 1.0)
    return _swap(job, target_bgr, casts, observer)


def _swap(job: Job, target_bgr: Image, casts: Sequence[Cast], observer: Observer) -> SwapResult:
    enter(observer, "prepare", 0.0)
    assignments = job.assign_all(target_bgr, casts, covers=[None] * len(casts))
    observer.progress("prepare", 1.0)
    result = swap_frame(
        target_bgr,
        painter=job.painter,
        assignments=assignments,
        on_faces=lambda count: enter(observer, "swap", count / len(casts)),
    )
    observer.progress("swap", 1.0)
    job.engine.safety.require(result, where="result")
    done, shown = 0.0, result
    if job.frame_enhancer is not None:
        done = _ENLARGING_SHARE
        shown = job.frame_enhancer.enhance(
            result, on_share=lambda share: enter(observer, "blend", share * _ENLARGING_SHARE)
        )
    reports: list[FaceReport] = []
    for start in range(0, len(casts), _REPORTS_AT_ONCE):
        enter(observer, "blend", done + (1 - done) * start / len(casts))
        reports += _reports(job, casts[start : start + _REPORTS_AT_ONCE], target_bgr, result)
    enter(observer, "blend", 1.0)
    return SwapResult(image_bgr=shown, faces=tuple(reports))


def _reports(
    job: Job, casts: Sequence[Cast], target_bgr: Image, result_bgr: Image
) -> list[FaceReport]:
    model = job.engine.model(job.recogniser)
    landmarks = [cast.face.landmarks for cast in casts]
    before, after = (
        embed_faces(model, image_bgr=image, faces=landmarks) for image in (target_bgr, result_bgr)
    )
    return [
        _report(cast, job.identity_embeddings[cast.identity], *seen)
        for cast, *seen in zip(casts, before, after, strict=True)
    ]


def _report(cast: Cast, identity: Embedding, before: Embedding, after: Embedding) -> FaceReport:
    left, top, right, bottom = (float(value) for value in cast.face.detection.box_xyxy)
    return FaceReport(
        box_xyxy=(left, top, right, bottom),
        detector_score=cast.face.detection.score,
        landmark_score=cast.face.landmarks.score,
        similarity_before=identity.similarity(before),
        similarity_after=identity.similarity(after),
        person=cast.person,
    )


def enter(observer: Observer, stage: str, fraction: float) -> None:
    """Report progress and leave if the observer wants to stop.

    Raises:
        StoppedError: it does.
    """
    if observer.should_stop():
        raise StoppedError(stage)
    observer.progress(stage, fraction)
