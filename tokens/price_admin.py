"""The console's pages of the price: each minute, the curve of the last week, the kill switch."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may, require
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import action
from tokens import price_selectors, services
from tokens.admin_base import LedgerModelAdmin
from tokens.decision_pages import refuse
from tokens.models import PriceStop, PriceTick
from tokens.price_types import ORDINARY_BP, REASON_TEXTS
from tokens.rate_card_facts import facts_of
from tokens.rate_card_forms import StopForm

_WEEK = dt.timedelta(days=7)
_CHANGES_SHOWN = 20


@admin.register(PriceTick)
class PriceTickAdmin(LedgerModelAdmin[PriceTick]):
    """The price of each minute and the load it came from."""

    list_display = (
        "taken_at",
        "price",
        "reason",
        "oldest_wait_s",
        "waiting_count",
        "running_count",
        "utilisation_percent",
        "card_version",
        "is_shadow",
    )
    list_filter = ("reason", "is_change", "is_shadow")
    search_fields = ("=card_version",)
    search_help_text = _("version of the rate card")
    ordering = ("-id",)
    actions_list = ("curve",)

    @admin.display(description=_("price"))
    def price(self, tick: PriceTick) -> str:
        """In percent of the ordinary one."""
        return _percent(tick.multiplier_bp)

    def has_curve_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may see prices may see their curve."""
        return self.has_view_permission(request)

    @action(
        description=_("Price curve"),
        url_path="curve",
        permissions=["curve"],
        icon="monitoring",
    )
    def curve(self, request: HttpRequest) -> HttpResponse:
        """The price now, the last week as a picture and in words, and the kill switch."""
        form = StopForm(request.POST or None)
        if request.method == "POST":
            require(request, Scope.PRICES_WRITE)
            if form.is_valid() and _switch(request, form):
                return HttpResponseRedirect(request.path)
        now = timezone.now()
        prices = price_selectors.in_force(now=now)
        multiplier_bp, reason = prices.moment(prices.card)
        points = price_selectors.ticks(since=now - _WEEK, until=now)
        picture = services.draw_prices(
            points=points, curve=prices.card.curve, title=_t("Prices of the last week")
        )
        changes, _cursor = price_selectors.price_changes(limit=_CHANGES_SHOWN)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Price curve"),
            "opts": self.opts,
            "price": _percent(multiplier_bp),
            "reason": REASON_TEXTS[reason],
            "prices": prices,
            "facts": list(facts_of(prices.card)),
            "last": points[-1] if points else None,
            "picture": mark_safe(picture),  # noqa: S308  our own SVG, its texts escaped
            "changes": [(one, _percent(one.multiplier_bp)) for one in changes],
            "stop": PriceStop.objects.select_related("actor").order_by("-pk").first(),
            "form": form if may(request.user, Scope.PRICES_WRITE) else None,
        }
        return render(request, "tokens/price_curve.html", context)


def _switch(request: HttpRequest, form: StopForm) -> bool:
    is_stopped = request.POST.get("step") == "stop"
    try:
        services.stop_prices(
            actor_id=actor_id(request),
            is_stopped=is_stopped,
            reason=form.cleaned_data["reason"],
        )
    except DomainError as error:
        refuse(form, error)
        return False
    text: Any = _("Ordinary prices only, from now on.")
    messages.success(request, text if is_stopped else _("Prices follow the load again."))
    return True


def _percent(bp: int) -> str:
    return f"{100 * bp // ORDINARY_BP} %"
