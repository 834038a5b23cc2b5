"""Celery entry points of the inference app."""

from __future__ import annotations

import uuid
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


@shared_task(name="inference.requeue_stale_jobs", ignore_result=True)
def requeue_stale_jobs(**_later: object) -> None:
    """Periodic: give jobs that a crash left behind a new worker, or their tokens back."""
    for job_id in handlers.requeue_stale_jobs().to_send:
        run_swap_job.apply_async(kwargs={"job_id": str(job_id)})


@worker_process_shutdown.connect
@worker_shutdown.connect
def close_engine(**_details: object) -> None:
    """Free the models at the end of a pool process (prefork) or of the worker itself (solo)."""
    runtime.holder.close()
