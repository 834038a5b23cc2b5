"""Bodies of the tasks of approvals and policy changes."""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.db import transaction
from django.utils import timezone

from tokens.ledger import approvals, batches, policy_changes
from tokens.models import ApprovalRequest, PolicyChange, RechargeBatch

log = structlog.get_logger(__name__)


def expire_approvals(*, now: dt.datetime | None = None, limit: int = 500) -> int:
    """End the requests whose time has run out, with their batches, one transaction each.

    Args:
        now: the moment that decides; the current one by default.
        limit: at most this many requests a run, so that a run stays short.

    Returns:
        How many requests this run expired.
    """
    moment = now or timezone.now()
    due = ApprovalRequest.objects.filter(status=ApprovalRequest.Status.OPEN, expires_at__lte=moment)
    request_ids = list(due.order_by("expires_at", "pk").values_list("pk", flat=True)[:limit])
    return sum(_expire(request_id=request_id, now=moment) for request_id in request_ids)


def expire_policy_changes(*, limit: int = 500) -> int:
    """End the policy changes whose time has run out, one transaction each.

    Returns:
        How many this run expired.
    """
    due = PolicyChange.objects.filter(
        status=PolicyChange.Status.OPEN, expires_at__lte=timezone.now()
    )
    change_ids = list(due.order_by("expires_at", "pk").values_list("pk", flat=True)[:limit])
    return sum(_expire_change(change_id=change_id) for change_id in change_ids)


@transaction.atomic(durable=True)
def _expire_change(*, change_id: uuid.UUID) -> bool:
    change = policy_changes.lock(change_id=change_id)
    # Decided between the listing and the lock: nothing is due any more.
    if change.status != PolicyChange.Status.OPEN:
        return False
    policy_changes.close(change=change, status=PolicyChange.Status.EXPIRED, actor_id=None)
    return True


@transaction.atomic(durable=True)
def _expire(*, request_id: uuid.UUID, now: dt.datetime) -> bool:
    request = approvals.lock_due(request_id=request_id, now=now)
    if request is None:
        return False
    approvals.close(request=request, status=ApprovalRequest.Status.EXPIRED, actor_id=None)
    # After the request, as a vote does: the same order everywhere.
    batch = batches.lock(batch_id=request.batch_id)
    if batch.status == RechargeBatch.Status.PENDING_APPROVAL:
        batches.end_unapplied(
            batch=batch,
            status=RechargeBatch.Status.APPROVAL_EXPIRED,
            action="approval_expired",
            actor_id=None,
        )
    transaction.on_commit(
        lambda: log.warning("tokens.approval.expired", request_id=str(request_id))
    )
    return True
