"""Recharges in preparation: bring rows, give terms, submit what was looked at."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Collection
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts.errors import StepUpRequiredError
from facefusion_site.common.celery import send_on_commit
from tokens import draft_selectors, recharge_selectors, tasks
from tokens.approvals import BatchFacts
from tokens.draft_errors import DraftChangedError, DraftHasFaultsError, DraftStateError
from tokens.drafts import DraftTerms
from tokens.errors import FileTooLargeError, InvalidRechargeError, UnreadableFileError
from tokens.ledger import approvals as ledger_approvals
from tokens.ledger import draft_terms
from tokens.models import RechargeBatch, RechargeDraft, RechargeDraftFile
from tokens.recharge_lists import chosen, pasted
from tokens.recharge_orders import draft_batch
from tokens.recharge_uploads import source_of
from tokens.services.recharge import create
from tokens.types import RechargeReceipt, RechargeSource

Status = RechargeDraft.Status
FILES = frozenset({RechargeSource.CSV, RechargeSource.XLSX})


def draft_from_file(*, maker_id: int, name: str, content: bytes) -> uuid.UUID:
    """Begin a recharge with a file; nothing is read yet. Owns its transaction.

    Raises:
        UnreadableFileError: neither CSV nor a workbook, by the ending of its name.
        FileTooLargeError: more bytes than a draft may have.
    """
    source = source_of(name)
    if source not in FILES:
        raise UnreadableFileError(_("The name of the file must end in .csv or .xlsx."))
    return _start(maker_id=maker_id, source=source, name=name, content=content)


def draft_from_list(*, maker_id: int, text: str) -> uuid.UUID:
    """Begin a recharge with a pasted list: users, or users and amounts. Owns its transaction.

    Raises:
        InvalidRechargeError: the list is empty.
        FileTooLargeError: more bytes than a draft may have.
    """
    if not text.strip():
        raise InvalidRechargeError(_("The list is empty."), param="text")
    return _start(maker_id=maker_id, source=RechargeSource.LIST, name="", content=pasted(text))


def draft_from_users(*, maker_id: int, user_ids: Collection[int]) -> uuid.UUID:
    """Begin a recharge for chosen users. Owns its transaction.

    Raises:
        InvalidRechargeError: nobody was chosen.
    """
    refs = sorted(accounts_selectors.user_refs(ids=user_ids).values())
    if not refs:
        raise InvalidRechargeError(_("Nobody was chosen."), param="users")
    return _start(maker_id=maker_id, source=RechargeSource.FILTER, name="", content=chosen(refs))


def draft_from_segment(*, maker_id: int, segment_id: uuid.UUID) -> uuid.UUID:
    """Begin a recharge for the users that a segment has now; who joins later gets nothing.

    Raises:
        SegmentNotFoundError: there is no such segment in use.
        InvalidRechargeError: nobody meets its conditions.
        FileTooLargeError: too many users meet them.
    """
    segment = draft_selectors.segment(segment_id=segment_id)
    with transaction.atomic(durable=True):
        refs = list(
            accounts_selectors.active_user_refs(
                role=segment.role or None,
                plan=segment.plan or None,
                prefix=segment.user_ref_prefix or None,
                joined_after=segment.joined_after,
            )
        )
    if not refs:
        raise InvalidRechargeError(_("Nobody meets the conditions of the segment."), param="users")
    return _start(
        maker_id=maker_id, source=RechargeSource.FILTER, name=segment.name, content=chosen(refs)
    )


@transaction.atomic(durable=True)
def give_terms(*, draft_id: uuid.UUID, maker_id: int, terms: DraftTerms) -> None:
    """Say what applies to all rows, and have them checked against it by a worker.

    Owns its transaction. New terms may be given until the draft is submitted; each time all rows
    are checked again.

    Raises:
        DraftNotFoundError: there is no such draft of the maker's.
        DraftStateError: it was submitted before.
    """
    draft = draft_terms.lock(draft_id=draft_id, maker_id=maker_id)
    if draft.batch_id is not None:
        raise DraftStateError(_("This draft was submitted; its batch says what became of it."))
    draft_terms.ask_for_check(draft=draft, terms=terms)
    send_on_commit(tasks.check_recharge_draft, draft_id=str(draft.pk))


def submit_draft(
    *,
    draft_id: uuid.UUID,
    maker_id: int,
    batch_sha256: str,
    second_factor_at: dt.datetime | None,
) -> RechargeReceipt:
    """Make the batch of a checked draft; it goes the way of every batch, with its approvals.

    Owns its transactions. The batch's key names the draft, so a second click, or a crash between
    the two transactions, ends in the one batch.

    Args:
        draft_id: the draft.
        maker_id: whose it is.
        batch_sha256: the digest that the maker has seen and signs.
        second_factor_at: when the maker proved the second factor; None when that was not done.

    Raises:
        DraftNotFoundError: there is no such draft of the maker's.
        DraftStateError: it has not been checked, or not with its present terms.
        DraftChangedError: the digest is another one by now.
        DraftHasFaultsError: all lines or none, and some would fail.
        StepUpRequiredError: the second factor was not proven in the last minutes.
        RechargeBusyError: the wallets could not be locked in time; nothing was stored.
    """
    draft = draft_selectors.draft(draft_id=draft_id, maker_id=maker_id)
    if draft.batch_id is not None:
        return recharge_selectors.recharge_receipt(batch_id=draft.batch_id, is_replay=True)
    _judge(draft, batch_sha256=batch_sha256, second_factor_at=second_factor_at)
    order = draft_terms.order(draft)

    def batch() -> RechargeBatch:
        unsaved = draft_batch(order=order, actor_id=maker_id, idempotency_key=f"draft:{draft.pk}")
        unsaved.content_sha256 = batch_sha256
        return unsaved

    receipt = create(draft=batch, rows=partial(draft_selectors.staged_rows, draft_id=draft.pk))
    with transaction.atomic(durable=True):
        draft_terms.mark_submitted(draft_id=draft.pk, batch_id=receipt.batch_id)
    return receipt


@transaction.atomic(durable=True)
def expected_policies(*, draft: RechargeDraft) -> tuple[str, ...]:
    """Names of the policies that would ask for approval if the draft were submitted now."""
    figures = draft_selectors.figures(draft=draft)
    assert figures is not None, "the draft was checked"
    facts = BatchFacts(
        rows_count=draft.rows_count,
        tokens_total=draft.tokens_total,
        largest_row=max((row.amount for row in figures.top), default=0),
    )
    needed, _day = ledger_approvals.reached(
        maker_id=draft.maker_id, facts=facts, now=timezone.now()
    )
    return () if needed is None else tuple(policy.name for policy in needed.policies)


def _judge(
    draft: RechargeDraft, *, batch_sha256: str, second_factor_at: dt.datetime | None
) -> None:
    if draft.status != Status.CHECKED:
        raise DraftStateError(
            _("The draft is “%(status)s”.") % {"status": draft.get_status_display()},
            status=draft.status.lower(),
        )
    if draft.batch_sha256 != batch_sha256:
        raise DraftChangedError(_("The draft has other terms or rows than you have seen."))
    if draft.failed_count and draft.mode == draft_terms.ATOMIC:
        raise DraftHasFaultsError(
            _("%(count)d rows would fail, and with them all others.")
            % {"count": draft.failed_count}
        )
    oldest = timezone.now() - dt.timedelta(seconds=settings.STEP_UP_TTL_S)
    if second_factor_at is None or second_factor_at < oldest:
        raise StepUpRequiredError(_("Prove your second factor to submit a recharge."))


@transaction.atomic(durable=True)
def _start(*, maker_id: int, source: RechargeSource, name: str, content: bytes) -> uuid.UUID:
    if len(content) > settings.RECHARGE_DRAFT_BYTES_MAX:
        raise FileTooLargeError(
            _("A file has at most %(max)d bytes.") % {"max": settings.RECHARGE_DRAFT_BYTES_MAX},
            bytes_max=settings.RECHARGE_DRAFT_BYTES_MAX,
        )
    draft = RechargeDraft.objects.create(
        maker_id=maker_id,
        source=source.name,
        name=name[-255:],
        content_sha256=hashlib.sha256(content).hexdigest(),
        language=get_language() or settings.LANGUAGE_CODE,
    )
    RechargeDraftFile.objects.create(draft=draft, content=content)
    return draft.pk
