"""Whose job or batch an id names, for staff who look things up."""

from __future__ import annotations

import uuid

from inference.models import JobBatch, SwapJob


def job_owner(*, job_id: uuid.UUID) -> str | None:
    """The user_ref of a job's owner; None where there is no such job."""
    jobs = SwapJob.objects.filter(pk=job_id)
    return jobs.values_list("owner__user_ref", flat=True).first()


def job_batch_owner(*, batch_id: uuid.UUID) -> str | None:
    """The user_ref of a batch's owner; None where there is no such batch."""
    batches = JobBatch.objects.filter(pk=batch_id)
    return batches.values_list("owner__user_ref", flat=True).first()
