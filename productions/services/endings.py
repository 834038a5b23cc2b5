"""The end of a production: its jobs stop, and the tokens that were not used go back.

The end is committed first, so that no row becomes a job after it. Then what is left is asked back
by a reversal of the recharge, under an idempotency key of the production: once, whoever asks.
"""

from __future__ import annotations

import uuid
from typing import Final

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from inference import services as inference_services
from productions import selectors
from productions.errors import ProductionBusyError
from productions.models import ENDED, UNFUNDED, Person, Production
from productions.services import funding, steps
from productions.types import State
from tokens import recharge_selectors
from tokens import services as tokens_services
from tokens.reversal_outlook import reversal_outlook
from tokens.types import RechargeMode, RechargeReceipt, ReversalOrder, ReversalPolicy

log = structlog.get_logger(__name__)
_STOPPABLE: Final = frozenset({"pending_approval", "queued", "applying", "paused"})


def finish(*, production: Production, actor_id: int | None) -> Production:
    """End a production whose rows have all ended, and give its unspent tokens back.

    Owns its transactions. Repeating it on one that has finished goes on with the return.

    Raises:
        ProductionStateError: it does not run.
        ProductionBusyError: rows are ready, or jobs have not ended.
    """
    with transaction.atomic(durable=True):
        locked = steps.lock(
            production_id=production.pk, allowed={State.FUNDED, State.RUNNING, State.FINISHED}
        )
        if locked.state != State.FINISHED:
            open_rows = selectors.unfinished_count(production=locked)
            if open_rows:
                raise ProductionBusyError(
                    _("%(count)d rows have not ended.") % {"count": open_rows},
                    open_rows=open_rows,
                    retry_after_s=5,
                )
            locked.finished_at = timezone.now()
            steps.move(locked, to=State.FINISHED, action="finished", actor_id=actor_id)
    return settle(production=locked)


def cancel(*, production: Production, actor_id: int | None) -> Production:
    """End a production as it stands: cancel its jobs and give its unspent tokens back.

    Owns its transactions. What was done by then is charged, see ``cancel_swap_job``; tokens that
    were asked for and have not come are not asked for any more. Repeating it goes on with what a
    crash left open.

    Raises:
        ProductionStateError: it has finished.
    """
    with transaction.atomic(durable=True):
        locked = steps.lock(production_id=production.pk, allowed=steps.ANY - {State.FINISHED})
        if locked.state != State.CANCELED:
            locked.finished_at = timezone.now()
            if locked.state in UNFUNDED:
                # It has no part of the wallet, which another one may be using.
                locked.settled_at = locked.finished_at
            steps.move(locked, to=State.CANCELED, action="canceled", actor_id=actor_id)
    cancel_jobs(production=locked)
    return settle(production=locked)


def cancel_jobs(*, production: Production, person: Person | None = None) -> int:
    """Cancel the jobs of a production, or of one person, each in a transaction of its own.

    Returns:
        How many were canceled by this call.
    """
    canceled = 0
    for job_id in selectors.open_job_ids(production=production, person=person):
        try:
            inference_services.cancel_swap_job(owner_id=production.owner_id, job_id=job_id)
        except DomainError as error:
            # It ended by itself in the meantime.
            log.info("productions.job_not_canceled", job_id=str(job_id), code=error.code)
        else:
            canceled += 1
    return canceled


def settle(*, production: Production) -> Production:
    """Give back what an ended production has not used. Owns its transactions; may be repeated.

    The reversal is that of who asked for the tokens, and takes what is left of them: approval
    policies may hold it up. While a job is open nothing happens, because its tokens may come back.

    Raises:
        RechargeBusyError: the wallet could not be locked in time; repeating it goes on.
    """
    production.refresh_from_db()
    is_due = production.state in ENDED and production.settled_at is None
    if not is_due or selectors.open_job_ids(production=production):
        return production
    receipt = _ended_recharge(production)
    return_id = _return_rest(production, receipt) if receipt.applied_count else None
    with transaction.atomic(durable=True):
        locked = steps.lock(production_id=production.pk, allowed=set(map(State, ENDED)))
        if locked.settled_at is None:
            locked.settled_at = timezone.now()
            locked.return_batch_id = return_id
            locked.funding_batch_id = locked.funding_batch_id or receipt.batch_id
            steps.move(
                locked,
                to=State(locked.state),
                action="settled",
                actor_id=None,
                batch_id=None if return_id is None else str(return_id),
            )
    return locked


def _ended_recharge(production: Production) -> RechargeReceipt:
    """The recharge once nothing of it can come any more."""
    receipt = funding.recharge(production=production)
    if receipt.status in _STOPPABLE:
        assert production.funded_by_id is not None, "a wish has its maker"
        receipt = tokens_services.stop_batch(
            batch_id=receipt.batch_id, actor_id=production.funded_by_id
        )
    return receipt


def _return_rest(production: Production, recharge: RechargeReceipt) -> uuid.UUID | None:
    """Reverse the unused part of a recharge; None where nothing is left of it.

    What was reversed before, by a call that did not live to note it, is left no more either.
    """
    batch_id = recharge.batch_id
    if not reversal_outlook(batch_id=batch_id).available:
        return recharge.reversals[0] if recharge.reversals else None
    assert production.funded_by_id is not None, "a wish has its maker"
    order = ReversalOrder(
        mode=RechargeMode.ATOMIC,
        policy=ReversalPolicy.UNUSED_PART,
        reason=recharge_selectors.batch_by_id(batch_id=batch_id).reason,
        operator=funding.OPERATOR,
    )
    receipt = tokens_services.reverse_batch(
        batch_id=batch_id,
        order=order,
        actor_id=production.funded_by_id,
        idempotency_key=f"production:{production.pk}",
    )
    return receipt.batch_id
