"""The console's pages of risk: decisions to look at, appeals to answer, rules to change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.console_permissions import may, require
from accounts.freeze_types import FreezeKind
from accounts.types import Plan, Scope
from facefusion_site.common.service_admin import ServiceAdmin, actor_id, posted
from facefusion_site.common.unfold import action, display
from risk import selectors, services
from risk.admin_base import RiskAdmin
from risk.forms import AnswerForm, ConfirmForm, DaysForm, ReasonForm
from risk.models import RiskDecision, RiskRule
from risk.rule_rows import FIELDS
from risk.services import BacktestReport
from risk.types import Action, Appeal, RuleState, Verdict

_KINDS: Final = {
    FreezeKind.SPEND: _("spending"),
    FreezeKind.API: _("API"),
    FreezeKind.LOGIN: _("sign-in"),
    FreezeKind.UPLOAD: _("uploads"),
}
_PAGES: Final = {
    "swap_job": "admin:inference_swapjob_change",
    "job_batch": "admin:inference_jobbatch_change",
}

_COLOURS: Final = {
    Action.ALLOW: "info",
    Action.REVIEW: "warning",
    Action.SLOW: "warning",
    Action.FREEZE: "danger",
}


@admin.register(RiskDecision)
class RiskDecisionAdmin(RiskAdmin[RiskDecision]):
    """Decisions with their evidence."""

    list_display = (
        "decided_at",
        "user",
        "rule",
        "action_badge",
        "measured",
        "expires_at",
        "closed_at",
        "verdict_badge",
        "appeal_badge",
    )
    list_filter = (
        "action",
        "verdict",
        "appeal",
        "rule_name",
        ("closed_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("user", "rule")
    search_fields = ("user__user_ref__exact", "user__username__exact", "rule_name__exact")
    search_help_text = _("user reference, user name or short name of the rule, in full")
    ordering = ("-decided_at", "-id")
    show_full_result_count = False
    actions_detail: ClassVar[tuple[str, ...]] = ("lift", "judge", "answer_appeal")
    fields = (
        "customer",
        "rule",
        "action_text",
        "explanation",
        "references",
        "decided_at",
        "expires_at",
        "closed_at",
        "closed_by",
        "close_reason",
        "verdict",
        "appeal",
        "appeal_text",
        "appealed_at",
        "answer",
        "answered_by",
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: rules decide."""
        return False

    @display(description=_("action"), ordering="action", label=_COLOURS)
    def action_badge(self, row: RiskDecision) -> tuple[str, str]:
        return row.action, _words(row)

    @display(description=_("action"))
    def action_text(self, row: RiskDecision) -> str:
        return _words(row)

    @display(
        description=_("verdict"),
        ordering="verdict",
        label={Verdict.OPEN: "info", Verdict.ABUSE: "danger", Verdict.HONEST: "success"},
    )
    def verdict_badge(self, row: RiskDecision) -> tuple[str, str]:
        return row.verdict, row.get_verdict_display()

    @display(
        description=_("appeal"),
        ordering="appeal",
        label={Appeal.OPEN: "warning", Appeal.GRANTED: "success", Appeal.REJECTED: "danger"},
    )
    def appeal_badge(self, row: RiskDecision) -> tuple[str, str]:
        return row.appeal, row.get_appeal_display()

    @display(description=_("measured"))
    def measured(self, row: RiskDecision) -> str:
        return f"{row.evidence['value']} / {row.evidence['threshold']}"

    @display(description=_("user"))
    def customer(self, row: RiskDecision) -> str:
        page = reverse("admin:accounts_user_change", args=[row.user_id])
        return format_html('<a class="underline" href="{}">{}</a>', page, row.user.user_ref)

    @display(description=_("why"))
    def explanation(self, row: RiskDecision) -> str:
        """The evidence in words."""
        seen = row.evidence
        return _(
            "%(title)s. Measured: %(signal)s = %(value)d; the rule acts from %(threshold)d on "
            "within %(window)d seconds. Things that were counted: %(count)d, the first one at "
            "%(since)s, the last one at %(at)s."
        ) % {
            "title": row.rule.title_text,
            "signal": row.rule.get_signal_display(),
            "value": seen["value"],
            "threshold": seen["threshold"],
            "window": seen["window_s"],
            "count": seen["count"],
            "since": _moment(seen["since"]),
            "at": _moment(seen["at"]),
        }

    @display(description=_("where to look"))
    def references(self, row: RiskDecision) -> str:
        """The newest things that were counted; jobs with their pages."""
        return (
            format_html_join("", "{} ", ((_link(it),) for it in row.evidence["references"])) or "—"
        )

    @action(description=_("Lift"), url_path="lift", permissions=["analyst"], icon="lock_open")
    def lift(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End it, and what it did to the account."""
        return self._with_verdict(request, object_id, services.lift_decision, title=_("Lift"))

    @action(description=_("Judge"), url_path="judge", permissions=["analyst"], icon="gavel")
    def judge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say whether it was right; ends a review."""
        return self._with_verdict(request, object_id, services.judge_decision, title=_("Judge"))

    @action(
        description=_("Answer appeal"), url_path="answer", permissions=["analyst"], icon="reply"
    )
    def answer_appeal(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Reject or grant what the account objects."""
        row = get_object_or_404(self.model, pk=object_id)
        form = AnswerForm(posted(request))

        def send() -> object:
            return services.answer_appeal(
                decision_id=row.pk,
                is_granted=form.cleaned_data["is_granted"] == "yes",
                text=form.cleaned_data["text"],
                actor_id=actor_id(request),
            )

        return self.step(request, row, form, send, title=_("Answer appeal"))

    def _with_verdict(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[..., object],
        *,
        title: Promise,
    ) -> HttpResponse:
        row = get_object_or_404(self.model, pk=object_id)
        form = ReasonForm(posted(request))

        def send() -> object:
            return service(
                decision_id=row.pk,
                reason=form.cleaned_data["reason"],
                verdict=Verdict(form.cleaned_data["verdict"]),
                actor_id=actor_id(request),
            )

        return self.step(request, row, form, send, title=title)


@admin.register(RiskRule)
class RiskRuleAdmin(ServiceAdmin[RiskRule], RiskAdmin[RiskRule]):
    """Rules and their versions."""

    list_display = (
        "__str__",
        "state_badge",
        "title_shown",
        "threshold",
        "action_badge",
    )
    list_filter = ("state", "signal", "action")
    search_fields = ("name", "title")
    ordering = ("state", "name", "-version")
    fields = FIELDS
    actions_detail: ClassVar[tuple[str, ...]] = ("backtest", "activate", "retire")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may freeze accounts drafts rules."""
        return may(request.user, Scope.FREEZES_WRITE)

    @display(
        description=_("state"),
        ordering="state",
        label={RuleState.DRAFT: "warning", RuleState.ACTIVE: "success", RuleState.RETIRED: "info"},
    )
    def state_badge(self, row: RiskRule) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=_("title"), ordering="title")
    def title_shown(self, row: RiskRule) -> str:
        return row.title_text

    @display(description=_("action"), ordering="action", label=_COLOURS)
    def action_badge(self, row: RiskRule) -> tuple[str, str]:
        return row.action, _words(row)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Plans are ticked, not typed."""
        if db_field.name == "exempt_plans":
            return forms.MultipleChoiceField(
                label=capfirst(str(db_field.verbose_name)),
                choices=Plan.choices,
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_urls(self) -> list[Any]:
        """One page beside those of rows: how right the rules were."""
        page = self.admin_site.admin_view(self.record)
        return [path("record/", page, name="risk_riskrule_record"), *super().get_urls()]

    def record(self, request: HttpRequest) -> HttpResponse:
        """How often each rule decided, and how often wrongly."""
        if not self.has_view_permission(request):
            require(request, Scope.FREEZES_WRITE)
        context = {
            **self.admin_site.each_context(request),
            "title": _("How right the rules were"),
            "opts": self.opts,
            "records": selectors.rule_records(),
        }
        return render(request, "risk/record.html", context)

    def save_model(
        self,
        request: HttpRequest,
        obj: RiskRule,
        form: forms.ModelForm[RiskRule],
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        """The service writes the next version and its event."""
        require(request, Scope.FREEZES_WRITE)
        drafted = services.draft_rule(values=form.cleaned_data, actor_id=actor_id(request))
        obj.pk = drafted.pk

    @action(description=_("Test"), url_path="test", permissions=["analyst"], icon="history")
    def backtest(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say what it would have decided, and keep that with a draft."""
        row = get_object_or_404(self.model, pk=object_id)
        form = DaysForm(posted(request))

        def send() -> BacktestReport:
            return services.backtest_rule(
                rule_id=row.pk, days=form.cleaned_data["days"], actor_id=actor_id(request)
            )

        return self.step(request, row, form, send, title=_("Test on history"))

    @action(
        description=_("Activate"), url_path="activate", permissions=["analyst"], icon="play_arrow"
    )
    def activate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it decide, as another person than who drafted it."""
        row = get_object_or_404(self.model, pk=object_id)
        send = partial(services.activate_rule, rule_id=row.pk, actor_id=actor_id(request))
        return self.step(request, row, ConfirmForm(posted(request)), send, title=_("Activate"))

    @action(description=_("Retire"), url_path="retire", permissions=["analyst"], icon="stop")
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it decide nothing any more."""
        row = get_object_or_404(self.model, pk=object_id)
        send = partial(services.retire_rule, rule_id=row.pk, actor_id=actor_id(request))
        return self.step(request, row, ConfirmForm(posted(request)), send, title=_("Retire"))


def _words(row: RiskDecision | RiskRule) -> str:
    """What is done, in as few words as fit into a badge."""
    text = str(row.get_action_display())
    return f"{text}: {_KINDS[FreezeKind(row.freeze_kind)]}" if row.freeze_kind else text


def _moment(text: str) -> str:
    """A moment of the evidence to the second, in the viewer's words."""
    moment = dt.datetime.fromisoformat(text).astimezone(timezone.get_current_timezone())
    return f"{date_format(moment)} {time_format(moment, 'H:i:s')}"


def _link(reference: str) -> str:
    kind, _colon, number = reference.partition(":")
    if kind not in _PAGES:
        return reference
    page = reverse(_PAGES[kind], args=[number])
    return format_html('<a class="underline" href="{}">{}</a>', page, number)
