"""Grants that a rule makes by itself: the daily tokens of the VIP plan."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import services as accounts_services
from accounts.types import Plan
from facefusion_site.common import idempotency
from tokens.errors import GrantAmountError, GrantDayError, GrantTotalError
from tokens.ledger import grants
from tokens.ledger.grants import RuleDay
from tokens.models import RechargeBatch, ScheduledGrant
from tokens.recharge_rows import StagedRow
from tokens.services.recharge import create, draft_batch, preview, staged_template
from tokens.types import (
    Category,
    GrantPreview,
    GrantReceipt,
    LotTerms,
    RechargeMode,
    RechargeOrder,
    RechargeSource,
)

log = structlog.get_logger(__name__)
OPERATOR = "grant_vip"


class _NobodyIsDueError(Exception):
    """Rolls an empty run back; never leaves this module."""


def grant_vip(
    *,
    now: dt.datetime | None = None,
    day: dt.date | None = None,
    amount: int | None = None,
    limit: int | None = None,
) -> GrantReceipt:
    """Grant the daily tokens of the VIP plan, once per account and day.

    Owns its transactions, so it must be the outermost one. Accounts without a claim on the day are
    claimed and put into one batch in the same transaction, so that a crash leaves both or neither.
    Up to RECHARGE_SYNC_LINES_MAX accounts are credited before this returns; a larger batch is
    queued for a worker. It needs no approval: the settings are the rule that approves it, within
    VIP_GRANT_TOTAL_MAX tokens a day. Safe to call twice, late, or on several hosts at once.

    Args:
        now: the moment of the run, which decides on the day and does not move on while the run
            goes past midnight; the current one by default.
        day: the day to grant for, in GRANT_TIME_ZONE; that of ``now`` by default.
        amount: whole tokens per account; VIP_GRANT_TOKENS by default.
        limit: at most this many accounts, never more than a batch may have.

    Raises:
        GrantDayError: the day lies in the future or too far back.
        GrantAmountError: the amount or the limit is below 1; an amount of 0 means switched off.
        GrantTotalError: the day's grants would exceed VIP_GRANT_TOTAL_MAX; nothing was granted.
        RechargeBusyError: the wallets could not be locked in time; nothing was granted.
    """
    moment = now or timezone.now()
    rule_day = _rule_day(moment, day)
    tokens = _checked_amount(amount)
    actor_id = accounts_services.system_user()
    batch_id = uuid.uuid4()
    order = _order(rule_day, moment=moment, amount=tokens)
    limit = _checked_limit(limit)
    claimed_rows = partial(
        _claimed_rows,
        rule_day,
        batch_id=batch_id,
        template=staged_template(order=order, amount=tokens),
        limit=limit,
    )
    receipt = None
    try:
        receipt = create(
            draft=partial(_draft, order, rule_day, batch_id, actor_id), rows=claimed_rows
        )
    except _NobodyIsDueError:
        log.info("tokens.grant.empty", rule=rule_day.rule.value, day=rule_day.day.isoformat())
    except GrantTotalError as error:
        log.exception("tokens.grant.refused", rule=rule_day.rule.value, **error.context)
        raise
    return GrantReceipt(
        day=rule_day.day,
        amount=tokens,
        expires_at=order.terms.expires_at,
        receipt=receipt,
        remaining_count=_count_due(rule_day),
        unfinished=tuple(grants.unfinished_batches(rule_day=rule_day)),
    )


def preview_vip_grant(
    *,
    now: dt.datetime | None = None,
    day: dt.date | None = None,
    amount: int | None = None,
    limit: int | None = None,
) -> GrantPreview:
    """Say what ``grant_vip`` would do at this moment, without any effect; raises what it raises."""
    moment = now or timezone.now()
    rule_day = _rule_day(moment, day)
    tokens = _checked_amount(amount)
    order = _order(rule_day, moment=moment, amount=tokens)
    limit = _checked_limit(limit)
    due_count = _count_due(rule_day)
    outcome = None
    if due_count:
        template = staged_template(order=order, amount=tokens)
        outcome = preview(
            order=order,
            rows=lambda: (
                template._replace(user_ref=ref)
                for ref in grants.due_refs(rule_day=rule_day, limit=limit)
            ),
        )
        _check_total(
            rule_day,
            before=grants.day_tokens(rule_day=rule_day),
            tokens=outcome.lines_count * tokens,
        )
    return GrantPreview(
        day=rule_day.day,
        amount=tokens,
        expires_at=order.terms.expires_at,
        due_count=due_count,
        preview=outcome,
    )


def _rule_day(moment: dt.datetime, day: dt.date | None) -> RuleDay:
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    today = moment.astimezone(zone).date()
    chosen = today if day is None else day
    if chosen > today:
        raise GrantDayError(
            _("%(day)s has not begun in %(zone)s.") % {"day": chosen, "zone": zone.key},
            param="date",
        )
    if chosen < today - dt.timedelta(days=settings.GRANT_CATCH_UP_DAYS):
        raise GrantDayError(
            _("%(day)s is more than %(max)d days ago.")
            % {"day": chosen, "max": settings.GRANT_CATCH_UP_DAYS},
            param="date",
        )
    return RuleDay(
        rule=ScheduledGrant.Rule.VIP_DAILY,
        day=chosen,
        plan=Plan.VIP,
        ends_at=_midnight(chosen + dt.timedelta(days=1), zone),
    )


def _midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The first moment of a day; where clocks skip midnight, the moment at which they do."""
    return dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.UTC)


def _expires_at(moment: dt.datetime) -> dt.datetime | None:
    """Counted from the day of the run, so that a late run costs nobody a day."""
    if not settings.VIP_GRANT_VALID_DAYS:
        return None
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    last_day = moment.astimezone(zone).date() + dt.timedelta(days=settings.VIP_GRANT_VALID_DAYS)
    return _midnight(last_day + dt.timedelta(days=1), zone)


def _order(rule_day: RuleDay, *, moment: dt.datetime, amount: int) -> RechargeOrder:
    """What applies to every account of the run."""
    order = RechargeOrder(
        mode=RechargeMode.SOFT_FAIL,
        reason=f"{rule_day.rule}: {rule_day.day.isoformat()}",
        operator=OPERATOR,
        fingerprint="",
        terms=LotTerms(category=Category.PLAN, expires_at=_expires_at(moment)),
        source=RechargeSource.SCHEDULE,
    )
    fingerprint = idempotency.fingerprint([order.reason, amount, str(order.terms)])
    return replace(order, fingerprint=fingerprint)


def _draft(
    order: RechargeOrder, rule_day: RuleDay, batch_id: uuid.UUID, actor_id: int
) -> RechargeBatch:
    """Claims make a run safe to repeat, so its key only has to be one that no other run has."""
    batch = draft_batch(order=order, actor_id=actor_id, idempotency_key=str(batch_id))
    batch.pk = batch_id
    batch.key_scope = rule_day.key_scope
    return batch


def _claimed_rows(
    rule_day: RuleDay, *, batch_id: uuid.UUID, template: StagedRow, limit: int
) -> Iterator[StagedRow]:
    """Claim, in the transaction that creates the batch, and pass on whom it is for."""
    grants.lock_day(rule_day)
    before = grants.day_tokens(rule_day=rule_day)
    claimed_count = grants.claim(rule_day=rule_day, batch_id=batch_id, limit=limit)
    if not claimed_count:
        raise _NobodyIsDueError
    _check_total(rule_day, before=before, tokens=claimed_count * template.amount)
    return (
        template._replace(user_ref=ref)
        for ref in grants.claimed_refs(rule_day=rule_day, batch_id=batch_id)
    )


def _check_total(rule_day: RuleDay, *, before: int, tokens: int) -> None:
    if before + tokens > settings.VIP_GRANT_TOTAL_MAX:
        raise GrantTotalError(
            _("The grants of %(day)s would be %(total)d tokens, and the most is %(max)d.")
            % {
                "day": rule_day.day,
                "total": before + tokens,
                "max": settings.VIP_GRANT_TOTAL_MAX,
            },
            day=rule_day.day.isoformat(),
            tokens_total=before + tokens,
            tokens_max=settings.VIP_GRANT_TOTAL_MAX,
        )


@transaction.atomic
def _count_due(rule_day: RuleDay) -> int:
    return grants.count_due(rule_day=rule_day)


def _checked_amount(amount: int | None) -> int:
    tokens = settings.VIP_GRANT_TOKENS if amount is None else amount
    if tokens < 1:
        raise GrantAmountError(_("The daily grant has no tokens to give."), param="amount")
    return int(tokens)


def _checked_limit(limit: int | None) -> int:
    if limit is not None and limit < 1:
        raise GrantAmountError(_("The limit is below one account."), param="limit")
    lines_max: int = settings.RECHARGE_SOFT_FAIL_LINES_MAX
    return lines_max if limit is None else min(limit, lines_max)
