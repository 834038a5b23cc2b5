"""Closed months in the console: where each month stands, closing and reopening."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import second_factor
from accounts.console_permissions import may, require
from accounts.errors import StepUpRequiredError
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id, posted
from facefusion_site.common.tables import FigureTable, figure
from facefusion_site.common.unfold import action
from tokens import books, closing, exports
from tokens.admin_base import LedgerModelAdmin
from tokens.closing import Blocker
from tokens.decision_pages import factor_at, refuse
from tokens.export_forms import ExportForm
from tokens.finance_forms import FactorForm, ReopenMonthForm
from tokens.models import Account, MonthClose
from tokens.services import reconciliation

BLOCKERS = {
    Blocker.NOT_ENDED: _("The month has not ended."),
    Blocker.NOT_RECONCILED: _("Its last day is not reconciled; the nightly run does that."),
    Blocker.PREVIOUS_OPEN: _("The month before is open and has transfers."),
    Blocker.BREAKS_OPEN: _("Breaks are not resolved."),
}
EXPORT_TEXTS = {
    "journal": _("Every transfer"),
    "balances": _("Balances at the end of the month"),
    "daily": _("Opening, in, out and closing of each day"),
    "consumption": _("Consumption by account, operation and day"),
    "audit": _("Audit events"),
    "seals": _("The hash chain"),
}


@admin.register(MonthClose)
class MonthCloseAdmin(LedgerModelAdmin[MonthClose]):
    """Closed months."""

    list_display = ("month", "closed_at", "closed_by", "reopened_at", "reopened_by")
    list_select_related = ("closed_by", "reopened_by")
    ordering = ("-month", "-closed_at")
    actions_list = ("exports",)

    def get_urls(self) -> list[URLPattern]:
        """The pages come first: the object pages would swallow their addresses."""
        pages = (
            ("months/", self.months_view, "finance_months"),
            ("months/<str:month>/close/", self.close_view, "finance_close_month"),
            ("months/<str:month>/reopen/", self.reopen_view, "finance_reopen_month"),
        )
        return [
            *(path(url, self.admin_site.admin_view(view), name=name) for url, view, name in pages),
            *super().get_urls(),
        ]

    def has_export_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may see the books may take them along."""
        return self.has_view_permission(request)

    @action(description=_("Exports"), url_path="exports", permissions=["export"], icon="download")
    def exports(self, request: HttpRequest) -> HttpResponse:
        """Choose a month and perhaps one account, then download what is wanted."""
        form = ExportForm(request.GET or None)
        files = []
        if form.is_valid():
            wanted = form.query()
            names = exports.OWNED_NAMES if "user" in wanted else exports.NAMES
            files = [
                (name, f"{reverse('export', args=[name])}?{urlencode(wanted)}") for name in names
            ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Exports"),
            "opts": self.opts,
            "form": form,
            "files": [(name, EXPORT_TEXTS[name], url) for name, url in files],
        }
        return render(request, "tokens/exports.html", context)

    def months_view(self, request: HttpRequest) -> HttpResponse:
        """Where every month stands, and what stands in the way of closing it."""
        require(request, Scope.AUDIT_READ)
        months = [
            {
                "month": standing.month,
                "slug": f"{standing.month:%Y-%m}",
                "closed": standing.closed,
                "texts": [BLOCKERS[blocker] for blocker in standing.blockers],
                "can_close": standing.can_close,
                "can_reopen": standing.can_reopen,
            }
            for standing in closing.month_standings(now=timezone.now())
        ]
        return self._page(
            request,
            "months",
            title=_("Months"),
            months=months,
            may_close=may(request.user, Scope.BOOKS_WRITE),
        )

    def close_view(self, request: HttpRequest, month: str) -> HttpResponse:
        """Show the figures, ask for the second factor, close."""
        first = _first_day(month)
        form = FactorForm(posted(request), is_proven=factor_at(request, "") is not None)

        def close() -> None:
            reconciliation.close_month(month=first, actor_id=actor_id(request))

        return self._step(
            request,
            form,
            close,
            title=_("Close %(month)s") % {"month": month},
            explanation=_(
                "From then on no transfer takes effect in the month or before it. Only reopening it"
                " changes that, with a reason that the audit trail keeps."
            ),
            table=_accounts_table(first),
        )

    def reopen_view(self, request: HttpRequest, month: str) -> HttpResponse:
        """Ask why, and for the second factor; open again."""
        first = _first_day(month)
        form = ReopenMonthForm(posted(request), is_proven=factor_at(request, "") is not None)

        def reopen() -> None:
            reconciliation.reopen_month(
                month=first, actor_id=actor_id(request), reason=form.cleaned_data["reason"]
            )

        return self._step(
            request,
            form,
            reopen,
            title=_("Reopen %(month)s") % {"month": month},
            explanation=_("Transfers may take effect in the month again until it is closed anew."),
        )

    def _step(
        self,
        request: HttpRequest,
        form: FactorForm,
        do: Callable[[], None],
        *,
        title: object,
        **context: object,
    ) -> HttpResponse:
        """Show the form; or act, and go back to the months."""
        require(request, Scope.BOOKS_WRITE)
        if form.is_bound and form.is_valid():
            try:
                if factor_at(request, form.cleaned_data.get("code", "")) is None:
                    raise StepUpRequiredError(_("Prove your second factor to go on."))
                do()
            except DomainError as error:
                refuse(form, error)
            else:
                messages.success(request, _("Done; the audit trail keeps it."))
                return HttpResponseRedirect(reverse("admin:finance_months"))
        return self._page(
            request,
            "month_step",
            title=title,
            form=form,
            has_authenticator=second_factor.state(user_id=actor_id(request)).is_enrolled,
            second_factor_url=f"{reverse('second-factor')}?next={request.path}",
            **context,
        )

    def _page(
        self, request: HttpRequest, name: str, *, title: object, **context: object
    ) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        return render(request, f"tokens/finance/{name}.html", {**shared, **context})


def _first_day(month: str) -> dt.date:
    try:
        return dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise Http404 from error


def _accounts_table(month: dt.date) -> FigureTable:
    """Every account at the end of the month by business time, as the closing will keep it."""
    _start, end = closing.bounds(month)
    balances = books.accounts_at(at=end - dt.timedelta(microseconds=1), basis=books.Basis.EFFECTIVE)
    return FigureTable(
        key="accounts",
        caption=_("Accounts at the end of the month, in tokens; their sum is 0"),
        head=[_("account"), _("closing")],
        rows=[
            [Account(account).label, figure(balance)]
            for account, balance in balances.items()
            if balance
        ],
        foot=[_("Total"), figure(sum(balances.values()))],
        empty=_("No account has moved."),
    )
