"""Finance pages of the console: reconciliation by day, consumption, liability and expiry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib import admin
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import require
from accounts.types import Scope
from facefusion_site.common.errors import InvalidCursorError
from facefusion_site.common.tables import FigureTable, figure
from tokens import proof_selectors, report_selectors
from tokens.admin_base import LedgerModelAdmin
from tokens.finance_forms import ConsumptionForm, LiabilityForm, ReconciliationForm
from tokens.models import Book, CreditLot, JournalDay, ReconRun, Transfer
from tokens.report_selectors import Expiring, SourceDay, Spent

ROWS_PER_PAGE = 100
WEEKS_SHOWN = 26
PLACES = {"journal": _("Journal"), "wallets": _("Wallets"), "lots": _("Lots")}


@admin.register(JournalDay)
class JournalDayAdmin(LedgerModelAdmin[JournalDay]):
    """The journal by day, and the pages that are made of it."""

    list_display = (
        "day",
        "book",
        "source",
        "kind",
        "operation",
        "debit",
        "credit",
        "transfers_count",
        "tokens",
    )
    list_filter = ("book", "source", "kind")
    ordering = ("-day", "book", "source", "kind")

    def get_urls(self) -> list[URLPattern]:
        """The pages come first: the object pages would swallow their addresses."""
        pages = (
            ("reconciliation", self.reconciliation_view),
            ("consumption", self.consumption_view),
            ("liability", self.liability_view),
        )
        return [
            *(
                path(f"{name}/", self.admin_site.admin_view(view), name=f"finance_{name}")
                for name, view in pages
            ),
            *super().get_urls(),
        ]

    def reconciliation_view(self, request: HttpRequest) -> HttpResponse:
        """What is owed by day and source, and the journal against what is cached."""
        require(request, Scope.AUDIT_READ)
        form = ReconciliationForm(request.GET.dict())
        days: list[SourceDay] = []
        if form.is_valid():
            days = report_selectors.source_days(
                book=form.wanted_book(),
                first=form.cleaned_data["first"],
                last=form.cleaned_data["last"],
            )
        status = proof_selectors.proof_status()
        return self._page(
            request,
            "reconciliation",
            title=_("Reconciliation"),
            form=form,
            table=_source_table(days),
            totals_table=_source_totals(days),
            run=status.last_run,
            is_proven=status.is_proven,
            balances_table=_balances_table(status.last_run),
            breaks_count=proof_selectors.open_breaks_count(),
        )

    def consumption_view(self, request: HttpRequest) -> HttpResponse:
        """What was spent by account, operation and day."""
        require(request, Scope.AUDIT_READ)
        form = ConsumptionForm(request.GET.dict())
        rows: list[Spent] = []
        totals: list[Spent] = []
        next_cursor = None
        if form.is_valid():
            wanted = form.wanted()
            totals = report_selectors.spent_by_operation(wanted=wanted)
            try:
                rows, next_cursor = report_selectors.spent(
                    wanted=wanted, limit=ROWS_PER_PAGE, cursor=request.GET.get("cursor") or None
                )
            except InvalidCursorError as error:
                form.add_error(None, str(error))
        query = request.GET.copy()
        query.pop("cursor", None)
        return self._page(
            request,
            "consumption",
            title=_("Consumption"),
            form=form,
            totals_table=_totals_table(totals),
            table=_spent_table(rows),
            first_url=f"?{query.urlencode()}" if request.GET.get("cursor") else "",
            next_url=f"?{query.urlencode()}&{urlencode({'cursor': next_cursor})}"
            if next_cursor
            else "",
        )

    def liability_view(self, request: HttpRequest) -> HttpResponse:
        """What is owed, and when it expires if nobody spends it."""
        require(request, Scope.AUDIT_READ)
        form = LiabilityForm({"book": request.GET.get("book") or Book.LIVE.value})
        expiring: list[Expiring] = []
        if form.is_valid():
            expiring = report_selectors.expiry_forecast(
                book=Book(form.cleaned_data["book"]),
                today=timezone.now().astimezone(dt.UTC).date(),
            )
        return self._page(
            request,
            "liability",
            title=_("Liability and expiry"),
            form=form,
            table=_liability_table(expiring),
            chart=_expiry_chart(expiring),
        )

    def _page(
        self, request: HttpRequest, name: str, *, title: object, **context: object
    ) -> HttpResponse:
        return render(
            request,
            f"tokens/finance/{name}.html",
            {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": self.opts,
                "freshness": report_selectors.freshness(),
                "exports_url": reverse("admin:tokens_exportjob_changelist"),
                **context,
            },
        )


def _source_table(days: Sequence[SourceDay]) -> FigureTable:
    return FigureTable(
        key="source-days",
        caption=_("Owed tokens by day and source: opening + in - out = closing"),
        head=[_("day"), _("source"), _("opening"), _("in"), _("out"), _("closing"), _("movements")],
        rows=[
            [
                day.day.isoformat(),
                CreditLot.Category(day.source).label,
                figure(day.opening),
                figure(day.credited),
                figure(day.debited),
                figure(day.closing),
                _moves(day),
            ]
            for day in reversed(days)
        ],
        numbers_from=2,
        texts_from=6,
        empty=_("Nothing moved on these days."),
    )


def _moves(day: SourceDay) -> str:
    parts = [f"{Transfer.Kind(kind).label} {net:+,}" for kind, net in day.moves.items()]
    return ", ".join(parts)


def _source_totals(days: Sequence[SourceDay]) -> FigureTable:
    """One line per source over the whole range, and one of all of them."""
    lines: dict[str, list[int]] = {}
    for day in days:
        line = lines.setdefault(day.source, [day.opening, 0, 0, 0])
        line[1] += day.credited
        line[2] += day.debited
        line[3] = day.closing
    rows = [
        [str(CreditLot.Category(source).label), *map(figure, line)]
        for source, line in sorted(lines.items())
    ]
    return FigureTable(
        key="source-totals",
        caption=_("The whole range by source, in tokens"),
        head=[_("source"), _("opening"), _("in"), _("out"), _("closing")],
        rows=rows,
        foot=[gettext("Total"), *map(figure, map(sum, zip(*lines.values(), strict=True)))]
        if lines
        else [],
        empty=_("Nothing moved on these days."),
    )


def _balances_table(run: ReconRun | None) -> FigureTable:
    balances = run.summary.get("balances", {}) if run else {}
    journal = balances.get("journal", {"available": 0, "held": 0})
    return FigureTable(
        key="balances",
        caption=_("The journal beside the balances that are kept, in tokens"),
        head=[_("where"), _("available"), _("held"), _("difference")],
        rows=[
            [
                PLACES[place],
                figure(kept["available"]),
                figure(kept["held"]),
                figure(sum(kept.values()) - sum(journal.values())),
            ]
            for place, kept in sorted(balances.items())
        ],
        empty=_("No run has compared them yet."),
    )


def _totals_table(totals: Sequence[Spent]) -> FigureTable:
    sums = [sum(it.charged for it in totals), sum(it.refunded for it in totals)]
    return FigureTable(
        key="consumption-totals",
        caption=_("The whole range by operation, in tokens"),
        head=[_("operation"), _("charged"), _("refunded"), _("net")],
        rows=[
            [it.operation or "—", figure(it.charged), figure(it.refunded), figure(it.net)]
            for it in totals
        ],
        foot=[gettext("Total"), *map(figure, (*sums, sums[0] - sums[1]))] if totals else [],
        empty=_("Nothing was spent on these days."),
    )


def _spent_table(rows: Sequence[Spent]) -> FigureTable:
    return FigureTable(
        key="consumption",
        caption=_("By day, account and operation, in tokens; the newest day first"),
        head=[
            _("day"),
            _("Account"),
            _("operation"),
            _("paid jobs"),
            _("charged"),
            _("refunded"),
            _("net"),
        ],
        rows=[
            [
                it.day.isoformat() if it.day else "",
                it.user_ref,
                it.operation or "—",
                figure(it.holds),
                figure(it.charged),
                figure(it.refunded),
                figure(it.net),
            ]
            for it in rows
        ],
        numbers_from=3,
        empty=_("Nothing was spent on these days."),
    )


def _by_week(expiring: Sequence[Expiring]) -> dict[dt.date | None, dict[str, int]]:
    weeks: dict[dt.date | None, dict[str, int]] = {}
    for it in expiring:
        weeks.setdefault(it.week, {})[it.source] = it.total
    return weeks


def _liability_table(expiring: Sequence[Expiring]) -> FigureTable:
    sources = sorted({it.source for it in expiring})
    totals = [sum(it.total for it in expiring if it.source == source) for source in sources]
    return FigureTable(
        key="liability",
        caption=_("Owed tokens by the week in which they expire, if nobody spends them"),
        head=[
            _("week from"),
            *(CreditLot.Category(source).label for source in sources),
            _("total"),
        ],
        rows=[
            [
                week.isoformat() if week else gettext("never"),
                *(figure(line.get(source, 0)) for source in sources),
                figure(sum(line.values())),
            ]
            for week, line in _by_week(expiring).items()
        ],
        foot=[gettext("Total"), *map(figure, totals), figure(sum(totals))] if expiring else [],
        empty=_("Nobody owns a token."),
    )


def _expiry_chart(expiring: Sequence[Expiring]) -> str:
    """The next weeks as stacked bars, for the chart of the console; empty without any."""
    weeks = {week: line for week, line in _by_week(expiring).items() if week is not None}
    shown = sorted(weeks)[:WEEKS_SHOWN]
    if not shown:
        return ""
    sources = sorted({source for week in shown for source in weeks[week]})
    colours = ("600", "300", "800", "400", "200", "950")
    datasets = [
        {
            "label": str(CreditLot.Category(source).label),
            "data": [weeks[week].get(source, 0) for week in shown],
            "backgroundColor": f"var(--color-primary-{colour})",
            "stack": "owed",
            "displayYAxis": True,
        }
        for source, colour in zip(sources, colours, strict=False)
    ]
    labels = [week.isoformat() for week in shown]
    return DjangoJSONEncoder().encode({"labels": labels, "datasets": datasets})
