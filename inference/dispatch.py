"""Which queued jobs may go to the workers: each account has a number of places for jobs at work.

A job has a place from the moment its message is sent until it ends. Jobs beyond the number wait in
the order in which they came, so the broker never holds more messages of one account than it has
places, and nobody waits behind the thousand jobs of somebody else.
"""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from accounts import selectors as accounts_selectors
from inference.models import OPEN_STATUSES, SwapJob

Status = SwapJob.Status
_LOCK_SQL: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_TAKE_SQL: Final = """
UPDATE inference_swapjob SET sent_at = statement_timestamp(), placed_at = statement_timestamp()
 WHERE id IN (
    SELECT id FROM inference_swapjob
     WHERE owner_id = %(owner)s AND status = 'QUEUED' AND sent_at IS NULL
     ORDER BY created_at, batch_row, id
     LIMIT greatest(0, %(places)s - (
        SELECT count(*) FROM inference_swapjob
         WHERE owner_id = %(owner)s
           AND (status = 'RUNNING' OR (status = 'QUEUED' AND sent_at IS NOT NULL))))
       FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
"""


def take_places(*, owner_id: int) -> tuple[uuid.UUID, ...]:
    """Give free places of the account to its jobs that wait longest. Joins the transaction.

    The lock lasts until the transaction ends and nothing waits for anything under it, so it cannot
    be part of a deadlock.

    Returns:
        The jobs whose messages the caller must send after the commit.
    """
    plan = accounts_selectors.plan_of(user_id=owner_id)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SQL, [f"inference.dispatch:{owner_id}"])
        cursor.execute(_TAKE_SQL, {"owner": owner_id, "places": places_of(plan)})
        return tuple(row[0] for row in cursor.fetchall())


@transaction.atomic(durable=True)
def after(*, job_id: uuid.UUID) -> tuple[uuid.UUID, ...]:
    """Hand on the place of a job that may have ended; for whoever ended it.

    Returns:
        The jobs whose messages the caller must send.
    """
    owner_id = (
        SwapJob.objects.filter(pk=job_id)
        .exclude(status__in=OPEN_STATUSES)
        .values_list("owner_id", flat=True)
        .first()
    )
    if owner_id is None or not _waiting().filter(owner_id=owner_id).exists():
        return ()
    return take_places(owner_id=owner_id)


def owners_with_room(*, limit: int) -> list[int]:
    """Accounts with a job that waits although a place may be free; for the sweep.

    In any order, so that nobody is always behind the limit.
    """
    at_work = Q(status=Status.RUNNING) | Q(status=Status.QUEUED, sent_at__isnull=False)
    waiting = Q(status=Status.QUEUED, sent_at__isnull=True)
    owners = (
        SwapJob.objects.filter(status__in=OPEN_STATUSES)
        .values("owner_id")
        .annotate(at_work=Count("pk", filter=at_work), waiting=Count("pk", filter=waiting))
        .filter(waiting__gt=0, at_work__lt=max(settings.JOBS_AT_ONCE.values()))
    )
    return list(owners.order_by("?").values_list("owner_id", flat=True)[:limit])


@transaction.atomic(durable=True)
def sweep(*, owner_id: int) -> tuple[uuid.UUID, ...]:
    """Give free places of one account to its waiting jobs.

    Returns:
        The jobs whose messages the caller must send.
    """
    return take_places(owner_id=owner_id)


def places_of(plan: str) -> int:
    """How many jobs an account of this plan may have at work at once."""
    places: int = settings.JOBS_AT_ONCE[plan]
    return places


def _waiting() -> QuerySet[SwapJob]:
    return SwapJob.objects.filter(status=Status.QUEUED, sent_at__isnull=True)
