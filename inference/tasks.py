"""Celery entry points of the inference app."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_shutdown

from inference import (
    face_handlers,
    handlers,
    isolated,
    job_reports,
    media_handlers,
    runtime,
    worker_life,  # noqa: F401  # connects itself to Celery's signals
)

_RETRY_DELAY_S: Final = 2


@shared_task(
    name="inference.run_swap_job", acks_late=True, reject_on_worker_lost=True, ignore_result=True
)
def run_swap_job(*, job_id: str, **_later: object) -> None:
    """Run one swap job. Safe to deliver twice: the handler claims the row first."""
    if isolated.run_swap_job(job_id=uuid.UUID(job_id)):
        run_swap_job.apply_async(kwargs={"job_id": job_id}, countdown=_RETRY_DELAY_S)
    # The job may have been split just now; a message that gets lost here is sent by the sweep.
    _send_segments(handlers.unsent_segments(job_id=uuid.UUID(job_id)))
    send_jobs(handlers.jobs_to_send_after(job_id=uuid.UUID(job_id)))


@shared_task(
    name="inference.run_swap_segment",
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
)
def run_swap_segment(*, job_id: str, index: int, **_later: object) -> None:
    """Run one segment of a video. Safe to deliver twice: the handler claims the row first."""
    again = isolated.run_swap_segment(job_id=uuid.UUID(job_id), index=index)
    if again.segment:
        run_swap_segment.apply_async(
            kwargs={"job_id": job_id, "index": index}, countdown=_RETRY_DELAY_S
        )
    if again.job:
        run_swap_job.apply_async(kwargs={"job_id": job_id}, countdown=_RETRY_DELAY_S)
    send_jobs(handlers.jobs_to_send_after(job_id=uuid.UUID(job_id)))


@shared_task(name="inference.requeue_stale_jobs", ignore_result=True)
def requeue_stale_jobs(**_later: object) -> None:
    """Periodic: give jobs that a crash left behind a new worker, or their tokens back."""
    report = handlers.requeue_stale_jobs()
    send_jobs(report.to_send)
    _send_segments(report.segments_to_send)


@shared_task(
    name="inference.find_faces", acks_late=True, reject_on_worker_lost=True, ignore_result=True
)
def find_faces(*, search_id: str, **_later: object) -> None:
    """Find the faces of an upload. Safe to deliver twice: the handler claims the row first."""
    if isolated.find_faces(search_id=uuid.UUID(search_id)):
        find_faces.apply_async(kwargs={"search_id": search_id}, countdown=_RETRY_DELAY_S)


@shared_task(name="inference.sweep_faces", ignore_result=True)
def sweep_faces(**_later: object) -> None:
    """Periodic: send the messages of lost searches again, and forget faces after their time."""
    for search_id in face_handlers.lost_searches():
        find_faces.apply_async(kwargs={"search_id": str(search_id)})
    face_handlers.forget_expired_faces()


def send_jobs(job_ids: Iterable[uuid.UUID]) -> None:
    """Put the messages of these jobs in the queue."""
    for job_id in job_ids:
        run_swap_job.apply_async(kwargs={"job_id": str(job_id)})


def _send_segments(places: Iterable[tuple[uuid.UUID, int]]) -> None:
    for job_id, index in places:
        run_swap_segment.apply_async(kwargs={"job_id": str(job_id), "index": index})


@shared_task(name="inference.purge_media", ignore_result=True)
def purge_media(**_later: object) -> None:
    """Periodic: delete uploads whose time is over."""
    media_handlers.purge_media()


@shared_task(name="inference.sweep_incoming", ignore_result=True)
def sweep_incoming(**_later: object) -> None:
    """Periodic: remove bytes that came for uploads which do not wait for them."""
    media_handlers.sweep_incoming()


@shared_task(name="inference.count_jobs", ignore_result=True)
def count_jobs(**_later: object) -> None:
    """Periodic: count the jobs that ended, by day, for the overview."""
    job_reports.count_days()


@worker_process_shutdown.connect
@worker_shutdown.connect
def close_engine(**_details: object) -> None:
    """Free the models at the end of a pool process (prefork) or of the worker itself (solo)."""
    isolated.close()
    runtime.holder.close()
