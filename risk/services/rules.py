"""Rules: drafted by one person, tested on history, activated by another, retired by anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts.console_permissions import roles_with
from accounts.errors import RoleRequiredError
from accounts.types import Scope
from facefusion_site.common import audit
from risk import rule_rows
from risk.errors import (
    RiskRuleInvalidError,
    RiskRuleNeedsAnotherError,
    RiskRuleNotFoundError,
    RiskRuleStateError,
    RiskRuleUntestedError,
)
from risk.models import RiskRule
from risk.types import RuleState


@transaction.atomic
def draft_rule(*, values: Mapping[str, Any], actor_id: int) -> RiskRule:
    """Write down the next version of a rule; it decides nothing before it is activated.

    Owns its transaction, or joins the caller's.

    Args:
        values: some of ``rule_rows.FIELDS``; those left out get their default.
        actor_id: who may freeze accounts, by role.

    Raises:
        RoleRequiredError: the actor may not.
        RiskRuleInvalidError: a value is out of range.
    """
    require_analyst(actor_id)
    row = RiskRule(**values, created_by_id=actor_id)
    last = RiskRule.objects.filter(name=row.name).aggregate(last=Max("version"))["last"]
    row.version = (last or 0) + 1
    try:
        row.full_clean()
    except ValidationError as error:
        raise RiskRuleInvalidError(
            " ".join(error.messages),
            errors=[
                {
                    "pointer": "#" if field == NON_FIELD_ERRORS else f"#/{field}",
                    "code": str(fault.code or "invalid"),
                    "detail": " ".join(fault.messages),
                }
                for field, faults in error.error_dict.items()
                for fault in faults
            ],
        ) from error
    row.save(force_insert=True)
    _record(row, "risk_rule.drafted", actor_id, before=None)
    return row


@transaction.atomic
def activate_rule(*, rule_id: int, actor_id: int) -> RiskRule:
    """Let a tested draft decide, in place of the version that did. Owns or joins a transaction.

    Another person than who drafted it does, as long as there is one who may.

    Raises:
        RoleRequiredError: the actor may not freeze accounts.
        RiskRuleNotFoundError: there is no such version.
        RiskRuleStateError: it is no draft.
        RiskRuleUntestedError: it was never tested on history.
        RiskRuleNeedsAnotherError: the actor drafted it.
    """
    require_analyst(actor_id)
    row = _locked(rule_id, {RuleState.DRAFT})
    if row.tested_at is None:
        raise RiskRuleUntestedError(_("This version was never tested on history."))
    if row.created_by_id == actor_id and _others_may(actor_id):
        raise RiskRuleNeedsAnotherError(_("You drafted this rule, so another one activates it."))
    before = RiskRule.objects.select_for_update(no_key=True).filter(
        name=row.name, state=RuleState.ACTIVE
    )
    for earlier in before:
        _move(earlier, RuleState.RETIRED, "risk_rule.retired", actor_id)
    row.activated_by_id = actor_id
    _move(row, RuleState.ACTIVE, "risk_rule.activated", actor_id)
    return row


@transaction.atomic
def retire_rule(*, rule_id: int, actor_id: int) -> RiskRule:
    """Let a version decide nothing any more, for good; what it decided stays.

    Owns its transaction, or joins the caller's.

    Raises:
        RoleRequiredError: the actor may not freeze accounts.
        RiskRuleNotFoundError: there is no such version.
        RiskRuleStateError: it was retired before.
    """
    require_analyst(actor_id)
    row = _locked(rule_id, {RuleState.DRAFT, RuleState.ACTIVE})
    _move(row, RuleState.RETIRED, "risk_rule.retired", actor_id)
    return row


def require_analyst(actor_id: int) -> None:
    """Let a member of staff go on whose role may freeze accounts.

    Raises:
        RoleRequiredError: the role may not.
    """
    if not accounts_selectors.active_may(user_id=actor_id, scopes=[Scope.FREEZES_WRITE]):
        raise RoleRequiredError(
            _("Your role does not include this."), required_scope=Scope.FREEZES_WRITE.value
        )


def _others_may(actor_id: int) -> bool:
    users = accounts_selectors.active_users_by_role(roles=roles_with(Scope.FREEZES_WRITE))
    return any(ids - {actor_id} for ids in users.values())


def _locked(rule_id: int, allowed: set[RuleState]) -> RiskRule:
    row = RiskRule.objects.select_for_update(no_key=True).filter(pk=rule_id).first()
    if row is None:
        raise RiskRuleNotFoundError(_("No rule has this number."))
    if row.state not in allowed:
        raise RiskRuleStateError(
            _("It is “%(state)s”, which does not allow this.") % {"state": row.state},
            state=row.state,
        )
    return row


def _move(row: RiskRule, to: RuleState, action: str, actor_id: int) -> None:
    before = {"state": row.state}
    row.state = to
    row.save(update_fields=["state", "activated_by"])
    _record(row, action, actor_id, before=before)


def _record(row: RiskRule, action: str, actor_id: int, *, before: Mapping[str, Any] | None) -> None:
    audit.record(
        actor_id=actor_id,
        action=action,
        subject=f"risk_rule:{row.name}",
        before=before,
        after=rule_rows.values_of(row) | {"state": row.state},
    )
