"""The overview of the console: what needs somebody, what moved, what ran, and whether it adds up.

Every figure comes from rows that are few or found by an index; none reads a large table. A role
sees the parts of its duties.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site import trust_alerts
from facefusion_site.common.tables import FigureTable, Text, figure
from inference import job_reports, queue_selectors
from tokens import approval_selectors, proof_selectors, report_selectors
from tokens.proof_selectors import DayProof, ProofStatus
from tokens.report_selectors import Freshness, MovedDay

DAYS: Final = 30
TOP: Final = 10
TOP_DAYS: Final = 7
EXPIRING_DAYS: Final = 7
# Two nightly runs may be late before somebody has to know.
PROVEN_WITHIN: Final = dt.timedelta(hours=36)
REPORTS_WITHIN: Final = dt.timedelta(minutes=20)
MONEY: Final = (Scope.AUDIT_READ, Scope.WALLETS_READ)
WORK: Final = (Scope.OPERATIONS_READ, Scope.SUPPORT_READ)
COLOURS: Final = {
    "SUCCEEDED": "primary-600",
    "FAILED": "red-600",
    "BLOCKED": "orange-600",
    "CANCELED": "base-400",
    "EXPIRED": "orange-300",
}
DAY_SIGNS: Final = {"passed": "✓", "failed": "✕", "none": "—"}


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should look at now; ``url`` leads to where."""

    text: str
    url: str
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One figure with its unit, and what it is about."""

    title: Text
    value: str
    unit: Text
    note: Text = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures over days, and the same as a table for those who do not see bars.

    ``legend`` has the label and the colour of each series, a variable of the console's style.
    """

    key: str
    title: Text
    explanation: Text
    data: str
    legend: Sequence[tuple[str, str]]
    table: FigureTable


@dataclass(frozen=True, slots=True)
class StripDay:
    """One day of the reconciliation strip."""

    day: dt.date
    outcome: str
    sign: str
    text: str
    url: str


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page of the console shows, beside the list of its pages."""
    now = timezone.now()
    today = now.astimezone(dt.UTC).date()
    first = today - dt.timedelta(days=DAYS - 1)
    status = proof_selectors.proof_status()
    freshness = report_selectors.freshness()
    context |= {"alerts": list(_alerts(request, now=now, status=status, freshness=freshness))}
    if may(request.user, *MONEY):
        moved = report_selectors.moved_days(first=first, last=today)
        context |= {
            "freshness": freshness,
            "money_cards": _money_cards(moved, today=today),
            "money_chart": _money_chart(moved),
            "top_table": _top_table(today=today),
            "strip": _strip(proof_selectors.days_proven(first=first, last=today)),
        }
    if may(request.user, *WORK):
        ended = job_reports.ended_by_day(first=first, last=today)
        context |= {
            "job_cards": _job_cards(ended, now=now),
            "job_chart": _job_chart(ended, first=first, last=today),
        }
    return context


def _alerts(
    request: HttpRequest, *, now: dt.datetime, status: ProofStatus, freshness: Freshness
) -> Iterator[Alert]:
    if may(request.user, Scope.AUDIT_READ):
        yield from _alerts_of_books(now=now, status=status, freshness=freshness)
    if may(request.user, *WORK):
        yield from _alerts_of_queues()
    if may(request.user, Scope.MEDIA_REVIEW):
        yield from (Alert(text, url, is_urgent=True) for text, url in trust_alerts.overdue())
    viewer_id, role = request.user.pk, getattr(request.user, "role", "")
    assert isinstance(viewer_id, int), "the console lets nobody in without signing in"
    count = approval_selectors.waiting_count(viewer_id=viewer_id, role=role)
    if count:
        text = ngettext(
            "%(count)d approval waits for you.", "%(count)d approvals wait for you.", count
        )
        url = reverse("admin:tokens_approvalrequest_changelist")
        yield Alert(text % {"count": count}, url, is_urgent=False)


def _alerts_of_books(
    *, now: dt.datetime, status: ProofStatus, freshness: Freshness
) -> Iterator[Alert]:
    run = status.last_run
    runs_url = reverse("admin:tokens_reconrun_changelist")
    if run is not None and not status.is_proven:
        run_url = reverse("admin:tokens_reconrun_change", args=[run.pk])
        yield Alert(
            gettext("The books do not balance: the newest proof failed."), run_url, is_urgent=True
        )
    elif run is None or now - run.started_at > PROVEN_WITHIN:
        yield Alert(gettext("The books were not proven lately."), runs_url, is_urgent=False)
    breaks = proof_selectors.open_breaks_count()
    if breaks:
        text = ngettext(
            "%(count)d break is not resolved.", "%(count)d breaks are not resolved.", breaks
        )
        url = reverse("admin:tokens_reconbreak_changelist")
        yield Alert(text % {"count": breaks}, url, is_urgent=True)
    stale = report_selectors.stale_holds_count(now=now)
    if stale:
        text = ngettext(
            "%(count)d hold is past its deadline: is the scheduler running?",
            "%(count)d holds are past their deadline: is the scheduler running?",
            stale,
        )
        url = reverse("admin:tokens_hold_changelist")
        yield Alert(text % {"count": stale}, url, is_urgent=True)
    is_behind = freshness.folded_at is None or now - freshness.folded_at > REPORTS_WITHIN
    if freshness.waiting_blocks and is_behind:
        yield Alert(
            gettext("The reports are behind: is the scheduler running?"),
            reverse("admin:finance_reconciliation"),
            is_urgent=False,
        )


def _alerts_of_queues() -> Iterator[Alert]:
    url = reverse("admin:inference_worker_operations")
    for queue in queue_selectors.queues():
        if queue.is_stuck:
            text = gettext("%(count)d wait in the queue “%(name)s”, and no worker takes them.")
            told = text % {"count": queue.waiting_count, "name": queue.name}
            yield Alert(told, url, is_urgent=True)
        elif not queue.workers_count:
            text = gettext("No worker listens to the queue “%(name)s”.") % {"name": queue.name}
            yield Alert(text, url, is_urgent=queue.name == "swaps")


def _money_cards(moved: Sequence[MovedDay], *, today: dt.date) -> list[Card]:
    until = today + dt.timedelta(days=EXPIRING_DAYS)
    owed = report_selectors.outstanding(expiring_before=until)
    month_granted = sum(day.granted for day in moved)
    month_spent = sum(day.spent for day in moved)
    in_days = gettext("%(tokens)s in %(days)d days")
    return [
        Card(
            _("Granted today"),
            figure(moved[-1].granted),
            _("tokens"),
            in_days % {"tokens": figure(month_granted), "days": DAYS},
        ),
        Card(
            _("Spent today"),
            figure(moved[-1].spent),
            _("tokens"),
            in_days % {"tokens": figure(month_spent), "days": DAYS},
        ),
        Card(_("Free to spend"), figure(owed.available), _("tokens"), _("of all accounts")),
        Card(_("Held for running work"), figure(owed.held), _("tokens"), _("of all accounts")),
        Card(
            _("Expiring soon"),
            figure(owed.expiring),
            _("tokens"),
            gettext("in the next %(days)d days") % {"days": EXPIRING_DAYS},
        ),
    ]


def _money_chart(moved: Sequence[MovedDay]) -> Chart:
    # What is drawn first lies on top.
    series = [
        ((gettext("spent"), "orange-600"), [day.spent for day in moved]),
        ((gettext("granted"), "primary-600"), [day.granted for day in moved]),
    ]
    return Chart(
        key="tokens-by-day",
        title=_("Tokens by day"),
        explanation=_(
            "Tokens that were granted (bars) and spent for good (line) each day, without sandboxes."
        ),
        data=_series([day.day for day in moved], series, lines=1),
        legend=[key for key, _values in series],
        table=FigureTable(
            key="tokens-by-day-table",
            caption=_("Tokens by day"),
            head=[_("day"), _("granted"), _("spent"), _("expired")],
            rows=[
                [day.day.isoformat(), figure(day.granted), figure(day.spent), figure(day.expired)]
                for day in reversed(moved)
            ],
        ),
    )


def _top_table(*, today: dt.date) -> FigureTable:
    first = today - dt.timedelta(days=TOP_DAYS - 1)
    return FigureTable(
        key="top-accounts",
        caption=gettext("Who spent most in %(days)d days, in tokens") % {"days": TOP_DAYS},
        head=[_("Account"), _("paid jobs"), _("net")],
        rows=[
            [it.user_ref, figure(it.holds), figure(it.net)]
            for it in report_selectors.top_accounts(first=first, last=today, limit=TOP)
        ],
        empty=_("Nobody has spent anything."),
    )


def _strip(days: Sequence[DayProof]) -> list[StripDay]:
    texts = {
        "passed": gettext("%(day)s: the proof passed"),
        "failed": gettext("%(day)s: the proof failed"),
        "none": gettext("%(day)s: no proof"),
    }
    return [
        StripDay(
            day=day.day,
            outcome=day.outcome,
            sign=DAY_SIGNS[day.outcome],
            text=texts[day.outcome] % {"day": day.day.isoformat()},
            url=reverse("admin:tokens_reconrun_change", args=[day.run_id]) if day.run_id else "",
        )
        for day in days
    ]


def _job_cards(ended: Mapping[dt.date, Mapping[str, int]], *, now: dt.datetime) -> list[Card]:
    waiting = job_reports.open_by_status()
    latency = job_reports.latency(since=now - dt.timedelta(days=1))
    sample = gettext("of the last %(jobs)d jobs in 24 hours") % {"jobs": latency.jobs}
    return [
        Card(
            _("Waiting"),
            figure(waiting["QUEUED"] + waiting["AWAITING_INPUT"]),
            _("jobs"),
            gettext("%(jobs)d of them for their uploads") % {"jobs": waiting["AWAITING_INPUT"]},
        ),
        Card(_("Running"), figure(waiting["RUNNING"]), _("jobs")),
        _success_card(ended),
        Card(
            _("Wait in the queue"),
            _seconds(latency.wait_p50_s),
            _("seconds, median"),
            gettext("95 %% within %(seconds)s s, ") % {"seconds": _seconds(latency.wait_p95_s)}
            + sample,
        ),
        Card(
            _("Run time"),
            _seconds(latency.run_p50_s),
            _("seconds, median"),
            gettext("95 %% within %(seconds)s s, ") % {"seconds": _seconds(latency.run_p95_s)}
            + sample,
        ),
    ]


def _success_card(ended: Mapping[dt.date, Mapping[str, int]]) -> Card:
    """Over all days shown; what the customer stopped or the rules forbid is no failure."""
    good = sum(day.get("SUCCEEDED", 0) for day in ended.values())
    bad = sum(day.get("FAILED", 0) + day.get("EXPIRED", 0) for day in ended.values())
    rate = f"{100 * good / (good + bad):.1f}" if good + bad else "—"
    note = gettext("%(good)s succeeded, %(bad)s failed or expired in %(days)d days") % {
        "good": figure(good),
        "bad": figure(bad),
        "days": DAYS,
    }
    return Card(_("Success rate"), rate, _("percent"), note)


def _job_chart(
    ended: Mapping[dt.date, Mapping[str, int]], *, first: dt.date, last: dt.date
) -> Chart:
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    series = [
        (
            (str(status.label), COLOURS[status.value]),
            [ended.get(day, {}).get(status.value, 0) for day in days],
        )
        for status in job_reports.ENDINGS
    ]
    return Chart(
        key="jobs-by-day",
        title=_("Jobs by day"),
        explanation=_("Jobs by the day on which they ended and how, without sandboxes."),
        data=_series(days, series),
        legend=[key for key, _values in series],
        table=FigureTable(
            key="jobs-by-day-table",
            caption=_("Jobs by day"),
            head=[_("day"), *(status.label for status in job_reports.ENDINGS)],
            rows=[
                [
                    day.isoformat(),
                    *(
                        figure(ended.get(day, {}).get(status.value, 0))
                        for status in job_reports.ENDINGS
                    ),
                ]
                for day in reversed(days)
            ],
        ),
    )


def _series(
    days: Sequence[dt.date],
    series: Sequence[tuple[tuple[str, str], Sequence[int]]],
    *,
    lines: int = 0,
) -> str:
    """Data of the console's chart: by label and colour a value a day.

    The first ``lines`` series are drawn as lines, the others as bars upon each other.
    """
    datasets = [
        {
            "label": label,
            "data": list(values),
            "type": "line" if number < lines else "bar",
            "stack": "line" if number < lines else "bars",
            "backgroundColor": f"var(--color-{colour})",
            "borderColor": f"var(--color-{colour})",
            "displayYAxis": True,
            "maxTicksXLimit": 10,
        }
        for number, ((label, colour), values) in enumerate(series)
    ]
    labels = [f"{day:%m-%d}" for day in days]
    return json.dumps({"labels": labels, "datasets": datasets})


def _seconds(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"
