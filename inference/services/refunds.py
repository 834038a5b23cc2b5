"""Giving back what a finished job has cost, by hand."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Final

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError
from accounts.types import ROLE_SCOPES, Scope
from facefusion_site.common import audit
from inference import selectors
from inference.errors import JobNotFoundError
from inference.models import SwapJob
from tokens import services as tokens_services
from tokens.errors import RefundRefusedError
from tokens.wallet_errors import ReasonMissingError

log = structlog.get_logger(__name__)
REASON_LENGTH_MAX: Final = 255


@transaction.atomic
def refund_swap_job(*, job_id: uuid.UUID, amount: int, reason: str, actor_id: int) -> None:
    """Give back some or all tokens that a job was charged, once. Joins a transaction, or owns one.

    Args:
        job_id: a job that has ended.
        amount: whole tokens, at most what it was charged.
        reason: 1 to 255 characters, kept with the refund and in the audit trail.
        actor_id: a member of staff whose role may correct wallets; the interface has asked for the
            second factor.

    Raises:
        RoleRequiredError: the actor's role may not.
        ReasonMissingError: no reason, or a longer one.
        JobNotFoundError: there is no such job.
        RefundRefusedError: nothing was charged, it was refunded before, or more than was charged.
    """
    role = accounts_selectors.active_role(user_id=actor_id)
    if role is None or Scope.WALLETS_WRITE not in ROLE_SCOPES[role]:
        raise RoleRequiredError(_("Your role gives no tokens back."))
    words = reason.strip()
    if not 1 <= len(words) <= REASON_LENGTH_MAX:
        raise ReasonMissingError(_("Give a reason of 1 to 255 characters."), param="reason")
    # The job before its wallet, as everywhere.
    job = SwapJob.objects.select_for_update(no_key=True).filter(pk=job_id).first()
    if job is None:
        raise JobNotFoundError(_("No job has this id."))
    if job.hold_id is None or amount < 1:
        raise RefundRefusedError(_("There is nothing to give back."), reason="nothing_charged")
    before = _charged(job)
    tokens_services.refund_hold(hold_id=job.hold_id, amount=amount, note=words)
    audit.record(
        actor_id=actor_id,
        action="swap_job.refunded",
        subject=f"swap_job:{job.pk}",
        before={"charged": before},
        after={"charged": _charged(job), "refunded": amount, "reason": words},
    )
    transaction.on_commit(
        partial(log.info, "inference.job.refunded", job_id=str(job_id), actor_id=actor_id)
    )


def _charged(job: SwapJob) -> int:
    return selectors.with_receipts([job])[0].receipt.settled
