"""Grants that a rule makes by itself, and the daily tokens of the VIP plan."""

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

from accounts import selectors as accounts_selectors
from accounts import services as accounts_services
from accounts.types import Plan
from facefusion_site.common import idempotency
from tokens import plan_selectors
from tokens.errors import GrantAmountError, GrantDayError, GrantTotalError
from tokens.grants import GrantOrder, GrantRun, GrantRunPreview, same_for_all
from tokens.ledger import grants
from tokens.ledger.grants import RulePeriod
from tokens.models import RechargeBatch
from tokens.plans import Allowance, Cadence, midnight
from tokens.recharge_orders import draft_batch, staged_template
from tokens.recharge_rows import StagedRow, iso
from tokens.services.recharge import create, preview
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
VIP_RULE = "vip_daily"


class _NobodyIsDueError(Exception):
    """Rolls an empty run back; never leaves this module."""


def run_grant(*, order: GrantOrder) -> GrantRun:
    """Grant what a rule promises, once per account and period.

    Owns its transactions, so it must be the outermost one. Accounts without a claim on the period
    are claimed and put into one batch in the same transaction, so that a crash leaves both or
    neither. Up to RECHARGE_SYNC_LINES_MAX accounts are credited before this returns; a larger
    batch is queued for a worker. Safe to call twice, late, or on several hosts at once.

    Raises:
        GrantAmountError: the limit is below 1.
        GrantTotalError: the grants of the period would exceed ``total_max``; nothing was granted.
        RechargeBusyError: the wallets could not be locked in time; nothing was granted.
        DomainError: what the hooks of the order raise.
    """
    period = _period(order)
    actor_id = accounts_services.system_user() if order.actor_id is None else order.actor_id
    batch_id = uuid.uuid4()
    recharge_order = _recharge_order(order)
    rows = partial(
        _claimed_rows,
        order,
        batch_id=batch_id,
        template=staged_template(order=recharge_order, amount=0),
        limit=_checked_limit(order.limit),
    )
    draft = partial(_draft, recharge_order, period, batch_id, actor_id)
    receipt = None
    try:
        receipt = create(draft=draft, rows=rows, is_preapproved=not order.needs_approval)
    except _NobodyIsDueError:
        log.info("tokens.grant.empty", rule=order.rule, period=order.period)
    except GrantTotalError as error:
        log.exception("tokens.grant.refused", rule=order.rule, **error.context)
        raise
    return GrantRun(
        receipt=receipt,
        remaining_count=_count_due(period)[0],
        unfinished=tuple(grants.unfinished_batches(period=period)),
    )


def preview_grant(*, order: GrantOrder) -> GrantRunPreview:
    """Say what ``run_grant`` would do at this moment, without any effect; raises what it raises.

    Hooks are not called: they may write.
    """
    period = _period(order)
    limit = _checked_limit(order.limit)
    due_count, due_tokens = _count_due(period)
    outcome = None
    if due_count:
        recharge_order = _recharge_order(order)
        template = staged_template(order=recharge_order, amount=0)
        outcome = preview(
            order=recharge_order,
            rows=lambda: (
                _staged(row, template) for row in grants.due_rows(period=period, limit=limit)
            ),
        )
        _counted, tokens = _count_due(period, limit=limit)
        _check_total(order, before=grants.period_tokens(period=period), tokens=tokens)
    return GrantRunPreview(due_count=due_count, due_tokens=due_tokens, preview=outcome)


def grant_vip(
    *,
    now: dt.datetime | None = None,
    day: dt.date | None = None,
    amount: int | None = None,
    limit: int | None = None,
) -> GrantReceipt:
    """Grant the daily tokens of the VIP plan, once per account and day; see ``run_grant``.

    It needs no approval: the plan's rule is what approves it, within its most tokens of a day.

    Args:
        now: the moment of the run, which decides on the day and does not move on while the run
            goes past midnight; the current one by default.
        day: the day to grant for, in GRANT_TIME_ZONE; that of ``now`` by default.
        amount: whole tokens per account; what the plan gives on the day by default.
        limit: at most this many accounts, never more than a batch may have.

    Raises:
        GrantDayError: the day lies in the future or too far back.
        GrantAmountError: the amount or the limit is below 1; an amount of 0 means switched off.
        GrantTotalError: the day's grants would exceed the most of a day; nothing was granted.
        RechargeBusyError: the wallets could not be locked in time; nothing was granted.
    """
    moment = now or timezone.now()
    chosen, tokens, order = _vip_order(moment, day=day, amount=amount, limit=limit)
    run = run_grant(order=order)
    return GrantReceipt(
        day=chosen,
        amount=tokens,
        expires_at=order.expires_at,
        receipt=run.receipt,
        remaining_count=run.remaining_count,
        unfinished=run.unfinished,
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
    chosen, tokens, order = _vip_order(moment, day=day, amount=amount, limit=limit)
    planned = preview_grant(order=order)
    return GrantPreview(
        day=chosen,
        amount=tokens,
        expires_at=order.expires_at,
        due_count=planned.due_count,
        preview=planned.preview,
    )


def missed_grant_days(*, now: dt.datetime | None = None) -> list[dt.date]:
    """Days within GRANT_CATCH_UP_DAYS on which nobody had the tokens of the VIP plan."""
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    today = (now or timezone.now()).astimezone(zone).date()
    days = [today - dt.timedelta(days=back) for back in range(settings.GRANT_CATCH_UP_DAYS, 0, -1)]
    return grants.missed_days(rule=VIP_RULE, days=days)


def checked_day(moment: dt.datetime, day: dt.date | None) -> dt.date:
    """The day of a run in GRANT_TIME_ZONE: that of the moment, or one that was missed.

    Raises:
        GrantDayError: the day lies in the future or too far back.
    """
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
    return chosen


def _vip_order(
    moment: dt.datetime, *, day: dt.date | None, amount: int | None, limit: int | None
) -> tuple[dt.date, int, GrantOrder]:
    """The day, the tokens of an account, and what applies to every account of the run."""
    chosen = checked_day(moment, day)
    allowance = plan_selectors.allowance(plan=Plan.VIP, cadence=Cadence.DAILY, day=chosen)
    tokens = allowance.tokens if amount is None else amount
    if tokens < 1:
        raise GrantAmountError(_("The daily grant has no tokens to give."), param="amount")
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    # Who joins after the day had no such day.
    users = accounts_selectors.plan_users_sql(
        plan=Plan.VIP, joined_before=midnight(chosen + dt.timedelta(days=1), zone)
    )
    expires_at = _expires_at(moment, allowance)
    order = GrantOrder(
        rule=VIP_RULE,
        period=chosen.isoformat(),
        due=same_for_all(users, period=chosen, amount=tokens, expires_at=expires_at),
        reason=f"{VIP_RULE}: {chosen.isoformat()}",
        operator="grant_vip",
        category=Category.PLAN,
        expires_at=expires_at,
        total_max=allowance.total_max,
        limit=limit,
    )
    return chosen, tokens, order


def _expires_at(moment: dt.datetime, allowance: Allowance) -> dt.datetime | None:
    """Counted from the day of the run, so that a late run costs nobody a day."""
    if not allowance.valid_days:
        return None
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    last_day = moment.astimezone(zone).date() + dt.timedelta(days=allowance.valid_days)
    return midnight(last_day + dt.timedelta(days=1), zone)


def _period(order: GrantOrder) -> RulePeriod:
    return RulePeriod(
        rule=order.rule, name=order.period, due=order.due, months_apart=order.months_apart
    )


def _recharge_order(order: GrantOrder) -> RechargeOrder:
    """What the batch of a run says about itself."""
    recharge_order = RechargeOrder(
        mode=RechargeMode.SOFT_FAIL,
        reason=order.reason,
        operator=order.operator,
        fingerprint="",
        terms=LotTerms(category=order.category, expires_at=order.expires_at),
        source=RechargeSource.SCHEDULE,
    )
    fingerprint = idempotency.fingerprint([order.reason, str(recharge_order.terms)])
    return replace(recharge_order, fingerprint=fingerprint)


def _draft(
    order: RechargeOrder, period: RulePeriod, batch_id: uuid.UUID, actor_id: int
) -> RechargeBatch:
    """Claims make a run safe to repeat, so its key only has to be one that no other run has."""
    batch = draft_batch(order=order, actor_id=actor_id, idempotency_key=str(batch_id))
    batch.pk = batch_id
    batch.key_scope = period.key_scope
    return batch


def _claimed_rows(
    order: GrantOrder, *, batch_id: uuid.UUID, template: StagedRow, limit: int
) -> Iterator[StagedRow]:
    """Claim, in the transaction that creates the batch, and pass on whom it is for."""
    period = _period(order)
    grants.lock(order.lock or period.key_scope)
    if order.before is not None:
        order.before()
    before = grants.period_tokens(period=period) if order.total_max is not None else 0
    claimed = grants.claim(period=period, batch_id=batch_id, limit=limit)
    if not claimed.accounts:
        raise _NobodyIsDueError
    _check_total(order, before=before, tokens=claimed.tokens)
    if order.spend is not None:
        order.spend(claimed.tokens)
    return (
        _staged(row, template)
        for row in grants.claimed_rows(period=period, claimed=claimed, batch_id=batch_id)
    )


def _staged(row: grants.Row, template: StagedRow) -> StagedRow:
    return template._replace(
        user_ref=row.user_ref, amount=row.amount, expires_at=iso(row.expires_at)
    )


def _check_total(order: GrantOrder, *, before: int, tokens: int) -> None:
    if order.total_max is not None and before + tokens > order.total_max:
        raise GrantTotalError(
            _("The grants of %(period)s would be %(total)d tokens, and the most is %(max)d.")
            % {"period": order.period, "total": before + tokens, "max": order.total_max},
            day=order.period,
            tokens_total=before + tokens,
            tokens_max=order.total_max,
        )


@transaction.atomic
def _count_due(period: RulePeriod, *, limit: int | None = None) -> tuple[int, int]:
    return grants.count_due(period=period, limit=limit)


def _checked_limit(limit: int | None) -> int:
    if limit is not None and limit < 1:
        raise GrantAmountError(_("The limit is below one account."), param="limit")
    lines_max: int = settings.RECHARGE_SOFT_FAIL_LINES_MAX
    return lines_max if limit is None else min(limit, lines_max)
