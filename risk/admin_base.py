"""What the screens of risk share: rows that only services write, and pages that ask once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may, require
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import ModelAdmin
from risk.models import RiskDecision, RiskRule
from risk.services import BacktestReport

Row = TypeVar("Row", RiskDecision, RiskRule)


class RiskAdmin(ModelAdmin[Row]):
    """What both screens have in common: rows that only services write."""

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never: rows are evidence."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never."""
        return False

    def has_analyst_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may freeze accounts."""
        return may(request.user, Scope.FREEZES_WRITE)

    def step(
        self,
        request: HttpRequest,
        row: Row,
        form: forms.Form,
        send: Callable[[], BacktestReport | object],
        *,
        title: Promise,
    ) -> HttpResponse:
        """Show the form; or act, and then show the row, or what a rule would have done."""
        require(request, Scope.FREEZES_WRITE)
        report = None
        if request.method == "POST" and form.is_valid():
            try:
                done = send()
            except DomainError as error:
                form.add_error(None, f"{error} {error.next_step}")
            else:
                if not isinstance(done, BacktestReport):
                    messages.success(request, _("Done."))
                    page = f"admin:risk_{self.opts.model_name}_change"
                    return HttpResponseRedirect(reverse(page, args=[row.pk]))
                report = done
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "original": row,
            "form": form,
            "report": report,
        }
        return render(request, "risk/step.html", context)
