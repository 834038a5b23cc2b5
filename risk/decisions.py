"""The steps of a decision, in the caller's transaction and under the lock on the account."""

from __future__ import annotations

import datetime as dt
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import structlog
from django.db import transaction
from django.utils import timezone

from accounts import selectors as accounts_selectors
from accounts import services as accounts_services
from accounts.freeze_errors import FreezeEndedError
from accounts.freeze_types import FreezeCode, FreezeGrounds, FreezeKind
from facefusion_site.common import audit
from risk.models import RiskDecision, RiskRule
from risk.types import Action, Crossing, Signal
from tokens.wallet_errors import WalletClosedError

log = structlog.get_logger(__name__)
_CODES: Final = MappingProxyType(
    {
        Signal.KEY_NETWORKS: FreezeCode.STOLEN_CREDENTIALS,
        Signal.SIGN_IN_NETWORKS: FreezeCode.STOLEN_CREDENTIALS,
        Signal.BLOCKED: FreezeCode.ABUSE,
        Signal.BURN: FreezeCode.FRAUD,
    }
)


def source_of(rule: RiskRule) -> str:
    """How freezes name the version that placed them."""
    return f"rule:{rule.name}:{rule.version}"


def evidence_of(rule: RiskRule, crossing: Crossing) -> dict[str, Any]:
    """Why, in a form that explains itself without the rule."""
    return {
        "signal": rule.signal,
        "value": crossing.value,
        "threshold": rule.threshold,
        "floor": rule.floor,
        "window_s": rule.window_s,
        "since": crossing.since.isoformat(),
        "at": crossing.at.isoformat(),
        "count": crossing.count,
        "about": crossing.group,
        "references": list(crossing.references),
    }


def make(*, rule: RiskRule, crossing: Crossing) -> RiskDecision:
    """Store a decision about a locked account, and act on it.

    Freezing a closed wallet is impossible and needless: the decision then only asks for a look.
    """
    now = timezone.now()
    decision = RiskDecision(
        rule=rule,
        rule_name=rule.name,
        user_id=crossing.user_id,
        action=rule.action,
        freeze_kind=rule.freeze_kind,
        evidence=evidence_of(rule, crossing),
        expires_at=None
        if rule.action == Action.REVIEW
        else now + dt.timedelta(seconds=rule.action_s),
    )
    if decision.action == Action.FREEZE:
        _freeze(decision, rule)
    decision.save(force_insert=True)
    if decision.action == Action.SLOW:
        slow_again(user_id=decision.user_id)
    record(decision, "risk.decided", actor_id=None, before=None)
    transaction.on_commit(
        partial(
            log.warning,
            "risk.account.decided",
            user_id=decision.user_id,
            decision_id=str(decision.pk),
            rule=str(rule),
            action=decision.action,
            value=crossing.value,
        )
    )
    return decision


def close(*, decision: RiskDecision, actor_id: int | None, reason: str, is_early: bool) -> None:
    """End a locked decision; what it did to the account ends with it where that is ``is_early``.

    Freezes end by themselves at the end of their time.
    """
    before = state(decision)
    decision.closed_at = timezone.now()
    decision.closed_by_id = actor_id
    decision.close_reason = reason
    decision.save()
    if is_early and decision.freeze_id is not None:
        try:
            accounts_services.lift_freeze(
                freeze_id=decision.freeze_id, reason=reason, actor_id=actor_id
            )
        except FreezeEndedError:
            log.info("risk.freeze.ended_before", decision_id=str(decision.pk))
    if decision.action == Action.SLOW:
        slow_again(user_id=decision.user_id)
    record(decision, "risk.closed", actor_id=actor_id, before=before)


def slow_again(*, user_id: int) -> None:
    """Slow the account for as long as the open decisions say, or not any more."""
    ends = RiskDecision.objects.filter(user_id=user_id, action=Action.SLOW, closed_at=None)
    latest = ends.order_by("-expires_at").values_list("expires_at", flat=True).first()
    accounts_services.slow_account(user_id=user_id, until=latest)


def record(
    decision: RiskDecision, action: str, *, actor_id: int | None, before: dict[str, Any] | None
) -> None:
    """Write an event of the audit trail about a decision."""
    refs = accounts_selectors.user_refs(ids=[decision.user_id])
    audit.record(
        actor_id=actor_id,
        action=action,
        subject=f"user:{refs[decision.user_id]}",
        before=before,
        after=state(decision),
    )


def state(decision: RiskDecision) -> dict[str, Any]:
    """A decision as audit events keep it."""
    return {
        "id": str(decision.pk),
        "rule": str(decision.rule),
        "action": decision.action,
        "freeze_kind": decision.freeze_kind,
        "evidence": decision.evidence,
        "expires_at": None if decision.expires_at is None else decision.expires_at.isoformat(),
        "closed_at": None if decision.closed_at is None else decision.closed_at.isoformat(),
        "close_reason": decision.close_reason,
        "verdict": decision.verdict,
        "appeal": decision.appeal,
    }


def _freeze(decision: RiskDecision, rule: RiskRule) -> None:
    value, threshold = decision.evidence["value"], rule.threshold
    grounds = FreezeGrounds(
        code=_CODES.get(Signal(rule.signal), FreezeCode.VELOCITY),
        reason=f"{rule.title}: {value} of {threshold} in {rule.window_s} s",
        evidence=f"risk_decision:{decision.pk}",
        notice=rule.notice,
    )
    try:
        freeze = accounts_services.freeze_account(
            user_id=decision.user_id,
            kind=FreezeKind(decision.freeze_kind),
            grounds=grounds,
            actor_id=None,
            expires_at=decision.expires_at,
            source=source_of(rule),
        )
    except WalletClosedError:
        decision.action, decision.freeze_kind, decision.expires_at = Action.REVIEW, "", None
        return
    decision.freeze_id = freeze.pk
