"""The life of a draft: its terms, its check, its end. All functions join the transaction."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final

from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common import idempotency
from tokens.draft_errors import DraftNotFoundError
from tokens.drafts import DraftTerms
from tokens.ledger.locks import require_transaction
from tokens.models import RechargeBatch, RechargeDraft
from tokens.types import Category, Funding, LotTerms, RechargeMode, RechargeOrder, RechargeSource

ATOMIC: Final = RechargeBatch.Mode.ATOMIC
FAULT_LENGTH: Final = 500
Status = RechargeDraft.Status


def lock(*, draft_id: uuid.UUID, maker_id: int) -> RechargeDraft:
    """A draft of the maker's under its row's lock.

    Raises:
        DraftNotFoundError: there is none.
    """
    require_transaction()
    found = RechargeDraft.objects.select_for_update(no_key=True, of=("self",))
    draft = found.filter(pk=draft_id, maker_id=maker_id).first()
    if draft is None:
        raise DraftNotFoundError(_("You have no recharge draft with this id."))
    return draft


def claim(*, draft_id: uuid.UUID) -> RechargeDraft | None:
    """A draft that waits to be checked, locked; None when there is nothing to do.

    Whoever else is at it holds the lock until it is done, and a worker that dies lets go of it.
    """
    require_transaction()
    locked = RechargeDraft.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    return locked.filter(pk=draft_id, status=Status.CHECKING).first()


def ask_for_check(*, draft: RechargeDraft, terms: DraftTerms) -> None:
    """Give a locked draft other terms; what an earlier check said of it is forgotten."""
    draft.mode = terms.mode.name
    draft.amount = terms.amount
    draft.category = terms.category.name
    draft.priority = terms.priority
    draft.expires_at = terms.expires_at
    draft.reason = terms.reason
    draft.funding = terms.funding.name
    draft.ticket = terms.ticket
    draft.status = Status.CHECKING
    draft.revision += 1
    draft.asked_at = timezone.now()
    draft.checked_at = None
    draft.fault = draft.batch_sha256 = ""
    draft.rows_count = draft.warned_count = draft.failed_count = draft.tokens_total = 0
    draft.figures = {}
    draft.save()


def order(draft: RechargeDraft) -> RechargeOrder:
    """The terms of a draft as a value."""
    return RechargeOrder(
        mode=RechargeMode[draft.mode],
        reason=draft.reason,
        fingerprint=idempotency.fingerprint([str(draft.pk), draft.revision, draft.content_sha256]),
        terms=LotTerms(
            category=Category[draft.category],
            priority=draft.priority,
            expires_at=draft.expires_at,
        ),
        source=RechargeSource[draft.source],
        funding=Funding[draft.funding],
        ticket=draft.ticket,
    )


def keep_fault(*, draft_id: uuid.UUID, revision: int, fault: str) -> None:
    """Say why the file of a draft cannot be read, unless it has other terms by now."""
    RechargeDraft.objects.filter(pk=draft_id, status=Status.CHECKING, revision=revision).update(
        status=Status.UNREADABLE, fault=fault[:FAULT_LENGTH], checked_at=Now()
    )


def mark_submitted(*, draft_id: uuid.UUID, batch_id: uuid.UUID) -> None:
    """Name the batch that a draft has become."""
    RechargeDraft.objects.filter(pk=draft_id).update(status=Status.SUBMITTED, batch_id=batch_id)


def unchecked(*, since: dt.timedelta, limit: int) -> list[uuid.UUID]:
    """Drafts whose check was asked for long ago, the oldest first: its message may be lost."""
    waiting = RechargeDraft.objects.filter(
        status=Status.CHECKING, asked_at__lt=timezone.now() - since
    )
    return list(waiting.order_by("asked_at").values_list("pk", flat=True)[:limit])
