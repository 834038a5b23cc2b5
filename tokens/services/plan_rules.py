"""Rules of plans: written by administrators, one row after another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tokens.grant_errors import PlanRuleInvalidError
from tokens.ledger.events import record_event
from tokens.models import PlanRule

FIELDS = (
    "plan",
    "cadence",
    "tokens",
    "effective_from",
    "total_max",
    "valid_days",
    "cycle_months",
    "rollover",
    "rollover_max",
    "reason",
)


@transaction.atomic
def add_plan_rule(
    *, values: Mapping[str, Any], actor_id: int, now: dt.datetime | None = None
) -> int:
    """Write what a plan gives from a day on. Joins the caller's transaction, or owns one.

    Args:
        values: some of ``FIELDS``; those left out get their default.
        actor_id: who writes it.
        now: the moment of writing; the current one by default.

    Returns:
        The number of the rule.

    Raises:
        PlanRuleInvalidError: a value is out of range, or the day is over: what was in force on a
            day of the past never changes. ``errors`` says which.
    """
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise ValueError(f"not fields of a rule: {sorted(unknown)}")
    rule = PlanRule(created_by_id=actor_id, **values)
    _check(rule)
    today = (now or timezone.now()).astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
    if rule.effective_from < today:
        raise _invalid(ValidationError({"effective_from": _("A rule begins today or later.")}))
    rule.save(force_insert=True)
    record_event(
        actor_id=actor_id,
        action="plan_rule.added",
        subject=f"plan_rule:{rule.pk}",
        before=None,
        after={
            name: value.isoformat() if isinstance(value, dt.date) else value
            for name, value in ((name, getattr(rule, name)) for name in FIELDS)
        },
    )
    return rule.pk


def _check(rule: PlanRule) -> None:
    try:
        rule.full_clean()
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> PlanRuleInvalidError:
    return PlanRuleInvalidError(
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
    )
