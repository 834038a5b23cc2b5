"""Celery entry points of the inference app."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_shutdown

from inference import handlers, runtime

_RETRY_DELAY_S: Final = 2


@shared_task(
    name="inference.run_swap_job", acks_late=True, reject_on_worker_lost=True, ignore_result=True
)
def run_swap_job(*, job_id: str, **_later: object) -> None:
    """Run one swap job. Safe to deliver twice: the handler claims the row first."""
    if handlers.run_swap_job(job_id=uuid.UUID(job_id)):
        run_swap_job.apply_async(kwargs={"job_id": job_id}, countdown=_RETRY_DELAY_S)
    # The job may have been split just now; a message that gets lost here is sent by the sweep.
    _send_segments(handlers.unsent_segments(job_id=uuid.UUID(job_id)))


@shared_task(
    name="inference.run_swap_segment",
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
)
def run_swap_segment(*, job_id: str, index: int, **_later: object) -> None:
    """Run one segment of a video. Safe to deliver twice: the handler claims the row first."""
    again = handlers.run_swap_segment(job_id=uuid.UUID(job_id), index=index)
    if again.segment:
        run_swap_segment.apply_async(
            kwargs={"job_id": job_id, "index": index}, countdown=_RETRY_DELAY_S
        )
    if again.job:
        run_swap_job.apply_async(kwargs={"job_id": job_id}, countdown=_RETRY_DELAY_S)


@shared_task(name="inference.requeue_stale_jobs", ignore_result=True)
def requeue_stale_jobs(**_later: object) -> None:
    """Periodic: give jobs that a crash left behind a new worker, or their tokens back."""
    report = handlers.requeue_stale_jobs()
    for job_id in report.to_send:
        run_swap_job.apply_async(kwargs={"job_id": str(job_id)})
    _send_segments(report.segments_to_send)


def _send_segments(places: Iterable[tuple[uuid.UUID, int]]) -> None:
    for job_id, index in places:
        run_swap_segment.apply_async(kwargs={"job_id": str(job_id), "index": index})


@worker_process_shutdown.connect
@worker_shutdown.connect
def close_engine(**_details: object) -> None:
    """Free the models at the end of a pool process (prefork) or of the worker itself (solo)."""
    runtime.holder.close()
