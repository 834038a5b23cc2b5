"""Pages of named user segments: look, save, retire."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import console_permissions
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import action
from tokens import services
from tokens.admin_base import LedgerModelAdmin
from tokens.decision_pages import refuse
from tokens.draft_forms import SegmentForm
from tokens.models import UserSegment


@admin.register(UserSegment)
class UserSegmentAdmin(LedgerModelAdmin[UserSegment]):
    """Filters under a name; those that were retired stay readable."""

    list_display = (
        "name",
        "role",
        "plan",
        "user_ref_prefix",
        "joined_after",
        "is_active",
        "created_by",
        "created_at",
    )
    list_filter = ("is_active",)
    list_select_related = ("created_by",)
    search_fields = ("name",)
    ordering = ("name",)
    actions = ("retire",)
    actions_list = ("new_segment",)

    def has_view_permission(self, request: HttpRequest, obj: UserSegment | None = None) -> bool:
        """Whoever makes recharges."""
        return console_permissions.may(request.user, Scope.RECHARGES_WRITE)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As the pages."""
        return self.has_view_permission(request)

    def has_recharge_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """As the pages."""
        return self.has_view_permission(request)

    @action(description=_("New segment"), url_path="new", permissions=["recharge"], icon="add")
    def new_segment(self, request: HttpRequest) -> HttpResponse:
        """Name a filter; or only count whom it has now."""
        form = SegmentForm(request.POST or None)
        count = None
        if form.is_valid():
            if "count" in request.POST:
                count = services.count_users(users=form.users())
            else:
                try:
                    services.save_segment(
                        actor_id=actor_id(request),
                        name=form.cleaned_data["name"],
                        users=form.users(),
                    )
                except DomainError as error:
                    refuse(form, error)
                else:
                    messages.success(request, _("Saved; recharges can be aimed at it."))
                    return HttpResponseRedirect(reverse("admin:tokens_usersegment_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("New segment"),
            "opts": self.opts,
            "form": form,
            "count_text": None
            if count is None
            else ngettext("%(count)d user now", "%(count)d users now", count) % {"count": count},
        }
        return render(request, "tokens/segment_new.html", context)

    @admin.action(description=_("Retire the chosen segments"), permissions=["recharge"])
    def retire(self, request: HttpRequest, queryset: Any) -> None:
        """Take them out of use."""
        for segment in queryset.filter(is_active=True):
            services.retire_segment(actor_id=actor_id(request), segment_id=segment.pk)
        self.message_user(request, _("The chosen segments are out of use."))
