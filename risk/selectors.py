"""Read queries of the risk engine."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from risk.errors import RiskDecisionNotFoundError, RiskRuleNotFoundError
from risk.models import RiskDecision, RiskRule
from risk.types import Action, Appeal, RuleState, Verdict


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """What became of the decisions of one version of a rule.

    ``wrong_percent`` is of those that people have judged; None while they have judged none.
    """

    rule: RiskRule
    decisions_count: int
    abuse_count: int
    honest_count: int

    @property
    def wrong_percent(self) -> int | None:
        """How many of the judged decisions hit an honest account, in percent."""
        judged = self.abuse_count + self.honest_count
        return None if not judged else round(100 * self.honest_count / judged)


def rule(*, name: str, version: int | None = None) -> RiskRule:
    """A version of a rule; where none is named, the active one, else the newest.

    Raises:
        RiskRuleNotFoundError: there is none.
    """
    rows = RiskRule.objects.filter(name=name)
    if version is not None:
        rows = rows.filter(version=version)
    found = rows.filter(state=RuleState.ACTIVE).first() or rows.order_by("-version").first()
    if found is None:
        raise RiskRuleNotFoundError(_("No rule has this name and version."), param="name")
    return found


def active_rules() -> list[RiskRule]:
    """The rules that are in force."""
    return list(RiskRule.objects.filter(state=RuleState.ACTIVE).order_by("name"))


def rule_records() -> list[RuleRecord]:
    """All versions that decided something or are active, with what people found. Two queries."""
    counts: dict[int, Counter[str]] = {}
    found = RiskDecision.objects.order_by().values("rule", "verdict").annotate(count=Count("pk"))
    for row in found:
        counts.setdefault(row["rule"], Counter())[row["verdict"]] = row["count"]
    rules = RiskRule.objects.filter(Q(pk__in=counts) | Q(state=RuleState.ACTIVE))
    return [
        RuleRecord(
            rule=it,
            decisions_count=sum(of_rule.values()),
            abuse_count=of_rule[Verdict.ABUSE],
            honest_count=of_rule[Verdict.HONEST],
        )
        for it in rules.order_by("name", "-version")
        for of_rule in [counts.get(it.pk, Counter())]
    ]


def decisions_about(*, user_id: int, limit: int = 100) -> list[RiskDecision]:
    """What an account is told: decisions that keep it from something, newest first."""
    rows = told(RiskDecision.objects.filter(user_id=user_id)).select_related("rule")
    return list(rows.order_by("-decided_at", "pk")[:limit])


def decision_about(*, user_id: int, decision_id: uuid.UUID) -> RiskDecision:
    """One of ``decisions_about``.

    Raises:
        RiskDecisionNotFoundError: there is none of this id about this account.
    """
    rows = told(RiskDecision.objects.filter(user_id=user_id)).select_related("rule")
    found = rows.filter(pk=decision_id).first()
    if found is None:
        raise RiskDecisionNotFoundError(_("No decision about your account has this id."))
    return found


def told(decisions: QuerySet[RiskDecision]) -> QuerySet[RiskDecision]:
    """Without what is for staff alone: looking, and letting go on."""
    return decisions.filter(action__in=[Action.SLOW, Action.FREEZE])


def decisions_by_user() -> dict[int, list[RiskDecision]]:
    """All decisions, oldest first, by account; for reports on small numbers of them."""
    found: dict[int, list[RiskDecision]] = {}
    for decision in RiskDecision.objects.order_by("decided_at"):
        found.setdefault(decision.user_id, []).append(decision)
    return found


def waiting_count() -> int:
    """Open reviews and appeals that wait for an answer."""
    return RiskDecision.objects.filter(
        Q(action=Action.REVIEW, closed_at=None) | Q(appeal=Appeal.OPEN)
    ).count()


def last_moments(*, rule_name: str, since: dt.datetime) -> dict[int, dt.datetime]:
    """Until when an account's doings were decided on by a rule, where that was after ``since``.

    What led to a decision does not lead to another one; nor does what happened while it was in
    force, or before somebody lifted it.
    """
    rows = RiskDecision.objects.filter(rule_name=rule_name).filter(
        Q(closed_at=None) | Q(closed_at__gt=since) | Q(decided_at__gt=since)
    )
    return {
        row.user_id: row.closed_at or dt.datetime.max.replace(tzinfo=dt.UTC)
        for row in rows.order_by("decided_at")
    }


def judged_user_ids(*, user_ids: set[int]) -> dict[int, Verdict]:
    """What people last found accounts to be, by any rule; without those nobody has looked at."""
    rows = RiskDecision.objects.filter(user_id__in=user_ids).exclude(verdict=Verdict.OPEN)
    return {row.user_id: Verdict(row.verdict) for row in rows.order_by("decided_at")}
