"""Rows become jobs, a wave at a time, and those that came to nothing are tried again.

A wave is one transaction under the production's lock: it looks at consents, quotas and budget,
makes the jobs and says which row has which. A crash leaves all of that or none of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common.errors import InvalidRequestError
from inference import selectors as inference_selectors
from inference import services as inference_services
from inference.errors import AssetNotFoundError, FailureCode
from productions import selectors
from productions.errors import NothingToRetryError
from productions.models import ManifestRow, Production, RowAttempt
from productions.services import steps
from productions.services.fitting import Room, fit, refuse
from productions.types import RetryOrder, RowState, State

# What is worth trying again unasked: the same picture without a face fails in the same way.
TRANSIENT: Final = frozenset(
    {
        FailureCode.INTERNAL_ERROR,
        FailureCode.WORKER_LOST,
        FailureCode.QUEUE_TIMEOUT,
        FailureCode.HOLD_EXPIRED,
        FailureCode.START_DEADLINE,
    }
)
_RETRIES_AT_ONCE: Final = 10_000


def start(*, production: Production, actor_id: int | None) -> Production:
    """Begin with a funded production: make jobs of its first rows; the others follow.

    Owns its transactions. Repeating it on one that runs changes nothing but goes on with it.

    Raises:
        ProductionStateError: it has no tokens, or has ended.
        WalletFrozenError: an operator keeps the wallet frozen; the rows stay ready.
    """
    with transaction.atomic(durable=True):
        locked = steps.lock(production_id=production.pk, allowed={State.FUNDED, State.RUNNING})
        if locked.state == State.FUNDED:
            locked.started_at = timezone.now()
            steps.move(locked, to=State.RUNNING, action="started", actor_id=actor_id)
    run_wave(production=locked)
    return locked


def run_wave(*, production: Production) -> int:
    """Make jobs of the next ready rows, as far as consents, quotas and budget allow.

    Owns its transaction. Each row that is looked at either gets its job or an error, so calling it
    until it returns 0 comes to an end.

    Returns:
        How many rows were looked at.

    Raises:
        WalletFrozenError: an operator keeps the wallet frozen; the rows stay ready.
        WalletClosedError: the wallet is closed; the rows stay ready.
    """
    with transaction.atomic(durable=True):
        locked = steps.lock(production_id=production.pk, allowed=steps.ANY)
        if locked.state != State.RUNNING:
            return 0
        ready = ManifestRow.objects.filter(production=locked, state=RowState.READY)
        rows = list(
            ready.select_related("person").order_by("row_no")[: settings.PRODUCTION_WAVE_ROWS]
        )
        if rows:
            _make_jobs(locked, rows)
    return len(rows)


@transaction.atomic(durable=True)
def retry(*, production: Production, orders: Sequence[RetryOrder] = (), actor_id: int) -> int:
    """Make rows ready again that failed, expired, were canceled or were refused.

    Owns its transaction; the next wave makes their jobs, at the prices of then, within the same
    quotas and budget: what failed was refunded and is there to be spent. The jobs of before stay
    on record.

    Args:
        production: one that runs.
        orders: which rows, with another target where one is named; all of them where empty.
        actor_id: who asks.

    Returns:
        How many rows are tried again.

    Raises:
        ProductionStateError: it does not run.
        InvalidRequestError: a row is named twice.
        NothingToRetryError: none of the rows can be tried again.
        AssetNotFoundError: a new target is no upload of the owner.
    """
    locked = steps.lock(production_id=production.pk, allowed={State.RUNNING})
    by_row = {order.row_no: order for order in orders}
    if len(by_row) < len(orders):
        raise InvalidRequestError(_("A row is named twice."), param="rows")
    rows = list(selectors.retryable(production=locked, row_nos=by_row or None))
    if not rows:
        raise NothingToRetryError(_("None of these rows failed or was refused."))
    targets = {order.target_asset_id for order in orders if order.target_asset_id is not None}
    found = inference_selectors.assets_by_id(owner_id=locked.owner_id, asset_ids=targets)
    if targets - found.keys():
        raise AssetNotFoundError(_("You have no upload with this id."), param="target_asset_id")
    for row in rows:
        order = by_row.get(row.row_no)
        if order is not None and order.target_asset_id is not None:
            row.target_id = order.target_asset_id
    _make_ready(rows)
    steps.move(locked, to=State.RUNNING, action="retried", actor_id=actor_id, rows=len(rows))
    return len(rows)


@transaction.atomic(durable=True)
def retry_transient(*, production: Production) -> int:
    """Make rows ready again that a fault of ours has failed, ``retries_max`` times at most.

    Owns its transaction.

    Returns:
        How many rows are tried again.
    """
    locked = steps.lock(production_id=production.pk, allowed=steps.ANY)
    if locked.state != State.RUNNING or not locked.retries_max:
        return 0
    tries = RowAttempt.objects.filter(row=OuterRef("pk")).values("row").order_by()
    failed = (
        selectors.retryable(production=locked)
        .filter(job__error_code__in=TRANSIENT)
        .annotate(tries=Coalesce(Subquery(tries.annotate(n=Count("pk")).values("n")), 0))
        .filter(tries__lte=locked.retries_max)
    )
    rows = list(failed[:_RETRIES_AT_ONCE])
    if rows:
        _make_ready(rows)
        steps.move(locked, to=State.RUNNING, action="retried", actor_id=None, rows=len(rows))
    return len(rows)


def _make_jobs(production: Production, rows: list[ManifestRow]) -> None:
    """Decide about every row; of those that fit, the wallet decides last."""
    room = Room.of(production)
    found = fit(production=production, rows=rows, room=room, now=timezone.now())
    if found.rows:
        production.waves_count += 1
        production.save(update_fields=["waves_count"])
        batch = inference_services.join_job_batch(
            owner_id=production.owner_id,
            order=found.order,
            plan=found.plan,
            idempotency_key=f"production:{production.pk}:{production.waves_count}",
        )
        for refusal in batch.refusals:
            refuse(found.rows[refusal["row"] - 1], code=refusal["code"], detail=refusal["detail"])
        started = {found.rows[number - 1]: job_id for number, job_id in batch.job_ids.items()}
        for row, job_id in started.items():
            row.state, row.job_id = RowState.STARTED, job_id
        _note_attempts(started)
    ManifestRow.objects.bulk_update(
        rows, ["state", "estimate", "job", "error_code", "error_detail"]
    )


def _note_attempts(jobs: Mapping[ManifestRow, uuid.UUID]) -> None:
    earlier = RowAttempt.objects.filter(row__in=list(jobs)).values_list("row_id")
    counts = dict(earlier.annotate(count=Count("pk")).order_by())
    RowAttempt.objects.bulk_create(
        [
            RowAttempt(row=row, number=counts.get(row.pk, 0) + 1, job_id=job_id)
            for row, job_id in jobs.items()
        ]
    )


def _make_ready(rows: Sequence[ManifestRow]) -> None:
    for row in rows:
        row.state, row.job_id = RowState.READY, None
        row.error_code = row.error_detail = ""
    ManifestRow.objects.bulk_update(
        rows, ["state", "target", "job", "error_code", "error_detail"], batch_size=1_000
    )
