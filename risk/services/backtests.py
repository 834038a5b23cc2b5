"""A rule is played against what has happened before it may decide about anybody."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from facefusion_site.common import audit
from risk import activities, selectors, subjects, windows
from risk.errors import RiskRuleInvalidError, RiskRuleNotFoundError
from risk.models import RiskRule
from risk.services.rules import require_analyst
from risk.types import Crossing, RuleState, Verdict

_ACCOUNTS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Hit:
    """What the rule would have decided about one account."""

    user_ref: str
    times: int
    first_at: str
    highest: int
    verdict: str


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What a rule would have done.

    Attributes:
        rule: name and version.
        since: the test looks at what happened after it, in ISO 8601.
        until: and up to it.
        decisions_count: how often it would have decided.
        accounts_count: about how many accounts.
        abuse_count: of these, found to be abuse by people, whatever the rule.
        honest_count: of these, found to be honest.
        by_day: decisions by day.
        accounts: those hit most often, at most 50.
    """

    rule: str
    since: str
    until: str
    decisions_count: int
    accounts_count: int
    abuse_count: int
    honest_count: int
    by_day: dict[str, int] = field(default_factory=dict)
    accounts: list[Hit] = field(default_factory=list)

    @property
    def wrong_percent(self) -> int | None:
        """How many of the accounts that people judged are honest, in percent; None if none is."""
        known = self.abuse_count + self.honest_count
        return None if not known else round(100 * self.honest_count / known)

    def to_json(self) -> dict[str, Any]:
        """As kept with the rule and printed by the command."""
        return asdict(self) | {"wrong_percent": self.wrong_percent}


def backtest(*, rule: RiskRule, since: dt.datetime, until: dt.datetime) -> BacktestReport:
    """Play a version of a rule against history, without any effect.

    Windows begin empty at ``since``. Streams what happened: memory grows with the accounts that are
    inside a window, not with the length of history. Rules on requests see whole minutes.

    Raises:
        RiskRuleInvalidError: the time ends before it begins.
    """
    if since >= until:
        raise RiskRuleInvalidError(_("The time ends before it begins."), param="to")
    found = activities.activities(rule=rule, since=since, until=until)
    hits: dict[int, list[Crossing]] = {}
    are_subjects: dict[int, bool] = {}
    by_day: Counter[str] = Counter()
    for crossing in windows.crossings(found, window=activities.window_of(rule)):
        user_id = crossing.user_id
        if user_id not in are_subjects:
            are_subjects[user_id] = subjects.is_subject(rule=rule, user_id=user_id)
        if are_subjects[user_id] and not _is_still_in_force(hits.get(user_id), crossing, rule):
            hits.setdefault(user_id, []).append(crossing)
            by_day[crossing.at.date().isoformat()] += 1
    judged = selectors.judged_user_ids(user_ids=set(hits))
    verdicts = Counter(judged.values())
    return BacktestReport(
        rule=str(rule),
        since=since.isoformat(),
        until=until.isoformat(),
        decisions_count=sum(by_day.values()),
        accounts_count=len(hits),
        abuse_count=verdicts[Verdict.ABUSE],
        honest_count=verdicts[Verdict.HONEST],
        by_day=dict(sorted(by_day.items())),
        accounts=_most_hit(hits, judged),
    )


@transaction.atomic
def backtest_rule(
    *, rule_id: int, days: int | None = None, actor_id: int | None = None
) -> BacktestReport:
    """Play a draft against the last days and keep the report with it, so that it may go live.

    Owns its transaction, or joins the caller's. Of versions that are no drafts nothing is kept.

    Args:
        rule_id: which version.
        days: how many; all of history if None.
        actor_id: a member of staff whose role may freeze accounts; None for the command line.

    Raises:
        RoleRequiredError: the actor may not.
        RiskRuleNotFoundError: there is no such version.
    """
    if actor_id is not None:
        require_analyst(actor_id)
    rule = RiskRule.objects.select_for_update(no_key=True).filter(pk=rule_id).first()
    if rule is None:
        raise RiskRuleNotFoundError(_("No rule has this number."))
    until = timezone.now()
    since = until - dt.timedelta(days=days or settings.RISK_HISTORY_DAYS)
    report = backtest(rule=rule, since=since, until=until)
    return keep_report(rule=rule, report=report, actor_id=actor_id)


@transaction.atomic
def keep_report(
    *, rule: RiskRule, report: BacktestReport, actor_id: int | None = None
) -> BacktestReport:
    """Note on a draft that it was tested; returns the report. Owns or joins a transaction."""
    if rule.state == RuleState.DRAFT:
        before = {"tested_at": None if rule.tested_at is None else rule.tested_at.isoformat()}
        rule.tested_at = timezone.now()
        rule.test_report = report.to_json()
        rule.save(update_fields=["tested_at", "test_report"])
        audit.record(
            actor_id=actor_id,
            action="risk_rule.tested",
            subject=f"risk_rule:{rule.name}",
            before=before,
            after={"version": rule.version, "tested_at": rule.tested_at.isoformat()},
        )
    return report


def _is_still_in_force(before: list[Crossing] | None, crossing: Crossing, rule: RiskRule) -> bool:
    """Whether the decision before would have lasted so long that this one was not needed."""
    if not before:
        return False
    return crossing.at < before[-1].at + dt.timedelta(seconds=rule.action_s)


def _most_hit(hits: dict[int, list[Crossing]], judged: dict[int, Verdict]) -> list[Hit]:
    most = sorted(hits, key=lambda user_id: len(hits[user_id]), reverse=True)[:_ACCOUNTS_MAX]
    refs = accounts_selectors.user_refs(ids=most)
    return [
        Hit(
            user_ref=refs[user_id],
            times=len(hits[user_id]),
            first_at=hits[user_id][0].at.isoformat(),
            highest=max(it.value for it in hits[user_id]),
            verdict=judged.get(user_id, Verdict.OPEN).value,
        )
        for user_id in most
    ]
