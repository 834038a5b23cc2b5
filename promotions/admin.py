"""The console's pages of promotions: draft, preview, activate, run, end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from accounts import step_up
from accounts.console_permissions import may, require
from accounts.errors import StepUpRequiredError
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import ServiceAdmin, actor_id, posted
from facefusion_site.common.unfold import action, display
from promotions import services
from promotions.forms import ConfirmForm, LimitForm, RewardRuleForm, WindowForm
from promotions.models import Campaign, RewardRule
from promotions.services.drafts import CAMPAIGN_FIELDS, REWARD_FIELDS
from promotions.types import State
from tokens.grants import GrantRun, GrantRunPreview

Row = TypeVar("Row", Campaign, RewardRule)


class PromotionAdmin(ServiceAdmin[Row]):
    """What both have in common. Whoever may recharge drafts; whoever may vote activates."""

    list_filter = ("state",)
    list_select_related = ("created_by", "activated_by")
    search_fields = ("name", "title")
    search_help_text = _("short name or title")
    ordering = ("-created_at", "-id")
    actions_detail: ClassVar[tuple[str, ...]] = ("preview", "activate", "run", "end")
    step_form: type[LimitForm]

    @display(
        description=_("state"),
        ordering="state",
        label={State.DRAFT: "warning", State.ACTIVE: "success", State.ENDED: "info"},
    )
    def state_badge(self, row: Row) -> tuple[str, str]:
        return row.state, row.get_state_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may recharge."""
        return may(request.user, Scope.RECHARGES_WRITE)

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never: what another person agreed to does not change; end it and draft another one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Never: claims keep its name."""
        return False

    def has_look_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever sees it may see what it would do."""
        return self.has_view_permission(request)

    def has_recharge_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return may(request.user, Scope.RECHARGES_WRITE)

    def has_vote_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return may(request.user, Scope.APPROVALS_VOTE)

    def has_end_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return may(request.user, Scope.RECHARGES_WRITE, Scope.APPROVALS_VOTE)

    @action(description=_("Preview"), url_path="preview", permissions=["look"], icon="visibility")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say what a run would do now."""
        row = get_object_or_404(self.model, pk=object_id)
        form = self.step_form(posted(request))
        return self._step(
            request, row, form, partial(self.preview_of, row, form), title=_("Preview")
        )

    @action(
        description=_("Activate"), url_path="activate", permissions=["vote"], icon="how_to_vote"
    )
    def activate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it grant tokens, as another person than who drafted it."""
        row = get_object_or_404(self.model, pk=object_id)

        def send() -> None:
            _require_second_factor(request)
            services.activate(promotion=row, actor_id=actor_id(request))

        return self._step(request, row, ConfirmForm(posted(request)), send, title=_("Activate"))

    @action(description=_("Run now"), url_path="run", permissions=["recharge"], icon="play_arrow")
    def run(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Grant what is due, as the schedule does."""
        row = get_object_or_404(self.model, pk=object_id)
        form = self.step_form(posted(request))

        def send() -> GrantRun:
            _require_second_factor(request)
            return self.run_of(row, form)

        return self._step(request, row, form, send, title=_("Run now"))

    @action(description=_("End"), url_path="end", permissions=["end"], icon="stop")
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it grant nothing any more."""
        row = get_object_or_404(self.model, pk=object_id)
        send = partial(services.end, promotion=row, actor_id=actor_id(request))
        return self._step(request, row, ConfirmForm(posted(request)), send, title=_("End"))

    def preview_of(self, row: Row, form: Any) -> GrantRunPreview:
        """What a run would do."""
        raise NotImplementedError

    def run_of(self, row: Row, form: Any) -> GrantRun:
        """Run it."""
        raise NotImplementedError

    def _step(
        self,
        request: HttpRequest,
        row: Row,
        form: forms.Form,
        send: Callable[[], GrantRun | GrantRunPreview | None],
        *,
        title: Promise,
    ) -> HttpResponse:
        """Show the form; or act, and then show the row, or what a run would do."""
        planned = None
        if request.method == "POST" and form.is_valid():
            try:
                done = send()
            except DomainError as error:
                form.add_error(None, f"{error} {error.next_step}")
            else:
                if not isinstance(done, GrantRunPreview):
                    self._report(request, done)
                    return HttpResponseRedirect(self._page(row))
                planned = done
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "original": row,
            "form": form,
            "planned": planned,
        }
        return render(request, "promotions/step.html", context)

    def _report(self, request: HttpRequest, done: GrantRun | None) -> None:
        if done is None:
            messages.success(request, _("Done."))
        elif done.receipt is None:
            messages.info(request, _("Nobody was due: everyone has had these tokens."))
        else:
            page = reverse("admin:tokens_rechargebatch_change", args=[done.receipt.batch_id])
            text = _("Done; the batch says what became of it.")
            messages.success(request, format_html('<a href="{}">{}</a>', page, text))

    def _page(self, row: Row) -> str:
        return reverse(f"admin:promotions_{self.opts.model_name}_change", args=[row.pk])


@admin.register(Campaign)
class CampaignAdmin(PromotionAdmin[Campaign]):
    """Campaigns with their budgets."""

    list_display = (
        "name",
        "title",
        "state_badge",
        "code",
        "tokens",
        "granted",
        "budget",
        "starts_at",
        "ends_at",
        "created_by",
        "activated_by",
    )
    fields = CAMPAIGN_FIELDS
    step_form = LimitForm

    def save_model(
        self,
        request: HttpRequest,
        obj: Campaign,
        form: forms.ModelForm[Campaign],
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        """The service writes the row and its event."""
        require(request, Scope.RECHARGES_WRITE)
        drafted = services.draft_campaign(values=form.cleaned_data, actor_id=actor_id(request))
        obj.pk = drafted.pk

    def preview_of(self, row: Campaign, form: LimitForm) -> GrantRunPreview:
        """What a run would do."""
        return services.preview_campaign(campaign=row, limit=form.cleaned_data["limit"])

    def run_of(self, row: Campaign, form: LimitForm) -> GrantRun:
        """Run it."""
        return services.run_campaign(campaign=row, limit=form.cleaned_data["limit"])


@admin.register(RewardRule)
class RewardRuleAdmin(PromotionAdmin[RewardRule]):
    """Rules of rewards."""

    list_display = (
        "name",
        "title",
        "state_badge",
        "metric",
        "window",
        "cap",
        "total_max",
        "starts_on",
        "ends_on",
        "created_by",
        "activated_by",
    )
    form = RewardRuleForm
    step_form = WindowForm

    def get_fields(self, request: HttpRequest, obj: RewardRule | None = None) -> tuple[str, ...]:
        """A row that is there shows its tiers in words."""
        if obj is None:
            return REWARD_FIELDS
        return tuple("tiers_in_words" if name == "tiers" else name for name in REWARD_FIELDS)

    def get_readonly_fields(
        self, request: HttpRequest, obj: RewardRule | None = None
    ) -> tuple[str, ...]:
        """The words are no field of the form."""
        return () if obj is None else ("tiers_in_words",)

    @display(description=_("tiers"))
    def tiers_in_words(self, row: RewardRule) -> str:
        return format_html_join(
            mark_safe("<br>"),
            "{}",
            (
                (_("from %(from)d units on: %(tokens)d tokens for every full %(per)d") % tier,)
                for tier in row.tiers
            ),
        )

    def save_model(
        self,
        request: HttpRequest,
        obj: RewardRule,
        form: forms.ModelForm[RewardRule],
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        """The service writes the row and its event."""
        require(request, Scope.RECHARGES_WRITE)
        drafted = services.draft_reward_rule(values=form.cleaned_data, actor_id=actor_id(request))
        obj.pk = drafted.pk

    def preview_of(self, row: RewardRule, form: WindowForm) -> GrantRunPreview:
        """What a run would do."""
        return services.preview_reward(
            rule=row, window=form.window(row), limit=form.cleaned_data["limit"]
        )

    def run_of(self, row: RewardRule, form: WindowForm) -> GrantRun:
        """Run it."""
        return services.reward_creators(
            rule=row, window=form.window(row), limit=form.cleaned_data["limit"]
        )


def _require_second_factor(request: HttpRequest) -> None:
    if step_up.session_proven_at(request) is None:
        raise StepUpRequiredError(_("Prove your second factor first."))
