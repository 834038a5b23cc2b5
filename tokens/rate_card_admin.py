"""The console's pages of rate cards: draft, preview, publish by a second person, try."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts import second_factor, step_up
from accounts.console_permissions import may
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import display
from tokens import price_selectors, rate_card_checks, services
from tokens.approvals import Obstacle
from tokens.decision_forms import PolicyDecisionForm
from tokens.decision_pages import OBSTACLES, DecisionPageMixin, factor_at, refuse
from tokens.models import RateCard
from tokens.price_types import Curve, PriceCard
from tokens.rate_card_facts import facts_of
from tokens.rate_card_forms import CodeForm, RateCardForm, TrialForm

WEEK = dt.timedelta(days=7)


def week_picture(curve: Curve) -> str:
    """What a curve would have made of the recorded load of the last week, as a picture."""
    now = timezone.now()
    recorded = price_selectors.ticks(since=now - WEEK, until=now)
    points = services.simulate_prices(
        loads=[(point.at, point.load) for point in recorded], curve=curve
    )
    return services.draw_prices(points=points, curve=curve, title=_t("The last week, by this card"))


@admin.register(RateCard)
class RateCardAdmin(DecisionPageMixin[RateCard]):
    """Saving proposes a card; another person publishes it."""

    list_display = (
        "version",
        "note",
        "status_label",
        "maker",
        "checker",
        "opened_at",
        "effective_at",
        "shadow_percent",
    )
    list_filter = ("status",)
    list_select_related = ("maker", "checker")
    search_fields = ("=version", "note", "maker__user_ref")
    search_help_text = _("version, note or the maker's user_ref")
    ordering = ("-version",)
    decision_template = "tokens/rate_card.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who steers prices proposes cards."""
        return may(request.user, Scope.PRICES_WRITE)

    @display(
        description=_("status"),
        ordering="status",
        label={
            RateCard.Status.OPEN: "warning",
            RateCard.Status.PUBLISHED: "success",
            RateCard.Status.REJECTED: "danger",
        },
    )
    def status_label(self, card: RateCard) -> tuple[str, str]:
        """As a coloured badge."""
        return card.status, card.get_status_display()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Preview a card as often as wanted, then propose it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        card = price_selectors.in_force().card
        form = RateCardForm(request.POST or None, card=card)
        code_form = CodeForm(request.POST or None)
        picture = ""
        if request.method == "POST" and form.is_valid() and code_form.is_valid():
            try:
                if request.POST.get("intent") == "propose":
                    return self._propose(request, form, code_form)
                draft = form.draft()
                rate_card_checks.check(draft, now=timezone.now())
                picture = week_picture(draft.curve)
                if not picture:
                    messages.info(request, _("No load was recorded yet, so there is no preview."))
            except DomainError as error:
                _show(form, error)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Draft a rate card"),
            "opts": self.opts,
            "form": form,
            "code_form": code_form,
            "is_proven": step_up.session_proven_at(request) is not None,
            "has_authenticator": second_factor.state(user_id=actor_id(request)).is_enrolled,
            "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
            "picture": mark_safe(picture),  # noqa: S308  our own SVG, its texts escaped
        }
        return render(request, "tokens/rate_card_draft.html", context)

    def act(self, request: HttpRequest, row: RateCard) -> dict[str, Any] | None:
        """Publish, reject, recall, or set the share of the trial."""
        match request.POST.get("step"):
            case "vote":
                return self._decide(request, row)
            case "recall":
                return self._recall(request, row)
            case "trial":
                return self._try(request, row)
        raise PermissionDenied

    def page_context(
        self, request: HttpRequest, row: RateCard, refused: dict[str, Any]
    ) -> dict[str, Any]:
        """The card beside the one it would replace, and the forms the viewer may use."""
        card = price_selectors.card_of(row)
        obstacle = _obstacle(request, row)
        form = refused.get("vote")
        if form is None and obstacle is Obstacle.NONE:
            form = PolicyDecisionForm(
                initial={"content_sha256": row.content_sha256},
                is_proven=step_up.session_proven_at(request) is not None,
            )
        is_open = row.status == RateCard.Status.OPEN
        can_steer = may(request.user, Scope.PRICES_WRITE)
        trial_form = refused.get("trial") or TrialForm(initial={"percent": row.shadow_percent})
        return {
            "title": _("Rate card %(version)d") % {"version": row.version},
            "card": row,
            "rows": _compared(row, card),
            "status_text": row.get_status_display(),
            "picture": mark_safe(week_picture(card.curve)),  # noqa: S308  our own SVG, escaped
            "effect_url": f"{reverse('admin:inference_jobmeter_effect')}?card={row.version}",
            "obstacle": OBSTACLES[obstacle],
            "vote_form": form,
            "can_recall": is_open and actor_id(request) == row.maker_id,
            "recall_error": refused.get("recall"),
            "trial_form": trial_form if is_open and can_steer else None,
        }

    def _propose(
        self, request: HttpRequest, form: RateCardForm, code_form: CodeForm
    ) -> HttpResponse:
        card_id: uuid.UUID = services.propose_rate_card(
            actor_id=actor_id(request),
            draft=form.draft(),
            second_factor_at=factor_at(request, code_form.cleaned_data["code"]),
        )
        messages.success(request, _("Proposed; another person publishes it."))
        return HttpResponseRedirect(reverse("admin:tokens_ratecard_change", args=[card_id]))

    def _decide(self, request: HttpRequest, row: RateCard) -> dict[str, Any] | None:
        is_proven = step_up.session_proven_at(request) is not None
        form = PolicyDecisionForm(request.POST, is_proven=is_proven)
        if not form.is_valid():
            return {"vote": form}
        try:
            ballot = form.ballot(second_factor_at=factor_at(request, form.cleaned_data["code"]))
            services.decide_rate_card(card_id=row.pk, checker_id=actor_id(request), ballot=ballot)
        except DomainError as error:
            refuse(form, error)
            return {"vote": form}
        messages.success(request, _("Your decision is recorded."))
        return None

    def _recall(self, request: HttpRequest, row: RateCard) -> dict[str, Any] | None:
        try:
            services.recall_rate_card(card_id=row.pk, actor_id=actor_id(request))
        except DomainError as error:
            return {"recall": str(error)}
        messages.success(request, _("Recalled: prices stay as they are."))
        return None

    def _try(self, request: HttpRequest, row: RateCard) -> dict[str, Any] | None:
        form = TrialForm(request.POST)
        if not form.is_valid():
            return {"trial": form}
        try:
            services.try_rate_card(
                card_id=row.pk,
                actor_id=actor_id(request),
                percent=form.cleaned_data["percent"],
            )
        except DomainError as error:
            refuse(form, error)
            return {"trial": form}
        messages.success(request, _("The trial is set; nobody pays anything else."))
        return None


def _obstacle(request: HttpRequest, row: RateCard) -> Obstacle:
    if row.status != RateCard.Status.OPEN:
        return Obstacle.DECIDED
    if actor_id(request) == row.maker_id:
        return Obstacle.MAKER
    return Obstacle.NONE if may(request.user, Scope.PRICES_WRITE) else Obstacle.ROLE


def _compared(row: RateCard, card: PriceCard) -> list[tuple[str, str, str]]:
    """Label, what the replaced card says, what this one says."""
    before = dict(facts_of(price_selectors.card_of_version(version=row.replaces_version)))
    after = dict(facts_of(card))
    return [
        (label, before.get(label, "—"), after.get(label, "—"))
        for label in dict.fromkeys([*after, *before])
    ]


def _show(form: RateCardForm, error: DomainError) -> None:
    refuse(form, error)
    for fault in error.errors:
        form.add_error(None, str(fault["detail"]))
