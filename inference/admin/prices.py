"""The console's pages of metering: attempts, calibration, the effect of a rate card."""

from __future__ import annotations

import csv
import datetime as dt
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.console_permissions import may
from accounts.types import Plan, Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import action, display
from inference import calibration
from inference.admin.base import InferenceModelAdmin
from inference.calibration import CalibrationRow, CostRates
from inference.models import JobMeter, SwapQuote
from tokens import price_selectors
from tokens import services as tokens_services
from tokens.price_types import PriceCard

_WEEK: Final = dt.timedelta(days=7)
_MICROS: Final = 1_000_000
_SIZE_TEXTS: Final = {
    "1mp": _("up to 1 megapixel"),
    "2mp": _("up to 2.1 megapixels (1080p)"),
    "8mp": _("up to 8.4 megapixels (4K)"),
    calibration.LARGEST: _("above 8.4 megapixels"),
}


class CalibrationForm(forms.Form):
    """The range of the report."""

    days = forms.IntegerField(
        label=_("Days up to now"),
        min_value=1,
        max_value=366,
        initial=7,
        widget=UnfoldAdminIntegerFieldWidget,
    )


@admin.register(JobMeter)
class JobMeterAdmin(InferenceModelAdmin[JobMeter]):
    """What attempts took."""

    list_display = (
        "recorded_at",
        "job",
        "segment_index",
        "attempt",
        "outcome_label",
        "wall_ms",
        "cpu_ms",
        "gpu_ms",
        "memory_mb",
        "frames_count",
    )
    list_filter = ("outcome",)
    list_select_related = ("job",)
    search_fields = ("=job__id",)
    search_help_text = _("job id")
    ordering = ("-recorded_at", "-id")
    actions_list = ("calibration", "effect")

    @display(
        description=_("outcome"),
        ordering="outcome",
        label={
            JobMeter.Outcome.DONE: "success",
            JobMeter.Outcome.REFUSED: "warning",
            JobMeter.Outcome.BROKE: "danger",
        },
    )
    def outcome_label(self, meter: JobMeter) -> tuple[str, str]:
        """As a coloured badge."""
        return meter.outcome, meter.get_outcome_display()

    @admin.display(description=_("memory in MB"), ordering="memory_peak_bytes")
    def memory_mb(self, meter: JobMeter) -> int:
        """The most at once."""
        return meter.memory_peak_bytes // 1_000_000

    def has_prices_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Income is not for everybody who may see what machines do."""
        return may(request.user, Scope.PRICES_READ)

    @action(
        description=_("Calibration"),
        url_path="calibration",
        permissions=["prices"],
        icon="balance",
    )
    def calibration(self, request: HttpRequest) -> HttpResponse:
        """Income against cost by operation, plan and size; as a file too."""
        form = CalibrationForm(request.GET if "days" in request.GET else {"days": 7})
        until = timezone.now()
        is_valid = form.is_valid()
        since = until - dt.timedelta(days=form.cleaned_data["days"] if is_valid else 7)
        rows = calibration.calibrate(since=since, until=until) if is_valid else []
        if is_valid and request.GET.get("as") == "csv":
            return _file(rows)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Calibration of prices"),
            "opts": self.opts,
            "form": form,
            "rows": [_shown(row) for row in rows],
            "rates": CostRates.from_settings(),
            "trials": [
                (_operation(tried.operation), _plan(tried.plan), tried)
                for tried in (calibration.trial(since=since, until=until) if is_valid else [])
            ],
            "csv_url": f"{request.path}?days={form['days'].value()}&as=csv",
        }
        return render(request, "inference/calibration.html", context)

    @action(
        description=_("Effect of a rate card"),
        url_path="effect",
        permissions=["prices"],
        icon="compare_arrows",
    )
    def effect(self, request: HttpRequest) -> HttpResponse:
        """What a card would have charged for the jobs of the last week."""
        now = timezone.now()
        try:
            card = _wanted_card(request.GET.get("card"))
        except DomainError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:tokens_ratecard_changelist"))
        found = calibration.card_effect(card=card, since=now - _WEEK, until=now)
        picture = tokens_services.draw_prices(
            points=found.points, curve=card.curve, title=_t("The last week, by this card")
        )
        context = {
            **self.admin_site.each_context(request),
            "title": _("Effect of rate card %(version)d") % {"version": card.version},
            "opts": self.opts,
            "picture": mark_safe(picture),  # noqa: S308  our own SVG, its texts escaped
            "rows": [(_operation(row.operation), _plan(row.plan), row) for row in found.rows],
            "tokens": sum(row.tokens for row in found.rows),
            "card_tokens": sum(row.card_tokens for row in found.rows),
        }
        return render(request, "inference/card_effect.html", context)


def _wanted_card(version: str | None) -> PriceCard:
    """The card of the address; without one, the card in force."""
    if version is None:
        return price_selectors.in_force().card
    if not version.isascii() or not version.isdigit() or len(version) > 9:  # noqa: PLR2004  digits of a version
        raise Http404
    return price_selectors.card_of_version(version=int(version))


def _file(rows: list[CalibrationRow]) -> HttpResponse:
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="calibration.csv"'
    csv.writer(answer).writerows(calibration.as_csv(rows))
    return answer


def _shown(row: CalibrationRow) -> dict[str, Any]:
    """A row in words and units for people."""
    return {
        "operation": _operation(row.operation),
        "plan": _plan(row.plan),
        "size": _SIZE_TEXTS[row.size],
        "row": row,
        "cpu_s": f"{row.cpu_ms / 1_000:,.1f}",
        "gpu_s": f"{row.gpu_ms / 1_000:,.1f}",
        "income": f"{row.income_micros / _MICROS:,.4f}",
        "cost": f"{row.cost_micros / _MICROS:,.4f}",
    }


def _operation(operation: str) -> str:
    return str(SwapQuote.Operation[operation.upper()].label)


def _plan(plan: str) -> str:
    return str(Plan(plan).label) if plan else "—"
