"""Jobs of sandboxes: outcomes by what the job names, without models. No live job comes here."""

from __future__ import annotations

import time
import uuid
from typing import Final, NoReturn

from django.conf import settings

from inference import storage
from inference.errors import FailureCode
from inference.models import MediaAsset, SwapJob
from inference.observers import JobObserver
from inference.pipeline import errors as pipeline_errors
from inference.sandbox_media import Outcome, outcome_of
from inference.types import Claim, StoredMedia, SwapOutput

_STAGE: Final = "swap"
_STEP_S: Final = 0.2


class ForcedFailureError(pipeline_errors.PipelineError):
    """What the magic upload “fail” forces: the end of a job that broke at each attempt."""

    code = FailureCode.INTERNAL_ERROR


def produce(claim: Claim) -> SwapOutput:
    """One attempt of a sandbox's job: what its source forces, else its target, else success.

    The result of a success is the target as it is.

    Raises:
        PipelineError: the forced failure.
        StoppedError: another attempt owns the job, or the job has ended.
    """
    quote = SwapJob.objects.select_related("quote__target").get(pk=claim.job_id).quote
    observer = JobObserver(claim)
    inputs: tuple[tuple[pipeline_errors.Where, uuid.UUID], ...] = (
        ("source", quote.source_id),
        ("target", quote.target_id),
    )
    for where, asset_id in inputs:
        match outcome_of(asset_id):
            case Outcome.SLOW:
                _wait(observer)
            case None | Outcome.OK:
                pass
            case forced:
                _fail(forced, where)
    observer.publishing()
    if observer.should_stop():
        raise pipeline_errors.StoppedError("publish")
    return SwapOutput(media=_copy(claim, quote.target))


def _fail(outcome: Outcome, where: pipeline_errors.Where) -> NoReturn:
    match outcome:
        case Outcome.NO_FACE:
            raise pipeline_errors.NoFaceFoundError(where)
        case Outcome.TWO_FACES:
            raise pipeline_errors.SeveralFacesError(where, 2)
        case Outcome.BLOCKED:
            raise pipeline_errors.ContentBlockedError(where, ("sandbox",))
    raise ForcedFailureError(f"the {where} forces a failure")


def _wait(observer: JobObserver) -> None:
    """Be at work for SANDBOX_SLOW_S seconds, with progress, until somebody cancels."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < settings.SANDBOX_SLOW_S:
        observer.progress(_STAGE, passed / settings.SANDBOX_SLOW_S)
        if observer.should_stop():
            raise pipeline_errors.StoppedError(_STAGE)
        time.sleep(_STEP_S)


def _copy(claim: Claim, target: MediaAsset) -> StoredMedia:
    key = storage.result_key(
        job_id=claim.job_id, attempt=claim.attempt, content_type=target.content_type
    )
    with storage.local_file(target.file_key) as path, path.open("rb") as file:
        sha256 = storage.write_stream(key=key, file=file)
    with storage.local_file(storage.thumbnail_key(target.file_key)) as path:
        storage.write_thumbnail(key=key, thumbnail=path.read_bytes())
    return StoredMedia(
        key=key,
        sha256=sha256,
        content_type=target.content_type,
        size_bytes=target.size_bytes,
        width_px=target.width_px,
        height_px=target.height_px,
        duration_ms=target.duration_ms,
    )
