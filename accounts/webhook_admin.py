"""Webhook endpoints and deliveries in the console: looked at, switched off, sent again."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import services
from accounts.console_permissions import may
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import ModelAdmin, TabularInline, display

Row = TypeVar("Row", bound=Model)


class ReadOnlyAdmin(ModelAdmin[Row]):
    """Rows belong to their owners; what may be done with them are actions."""

    show_full_result_count = False
    list_per_page = 50
    ordering = ("-created_at", "-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Nobody."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whoever serves customers acts; a mere viewer does not."""
        return may(request.user, Scope.SUPPORT_WRITE)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin[WebhookEndpoint]):
    """Where accounts want to hear of events."""

    list_display = (
        "url",
        "user",
        "status_label",
        "disabled_reason",
        "last_success_at",
        "created_at",
    )
    list_filter = ("status", "disabled_reason")
    list_select_related = ("user",)
    search_fields = ("=id", "url", "user__user_ref", "user__username")
    search_help_text = _("endpoint id, address, user_ref or user name")
    fields = (
        "id",
        "user",
        "url",
        "description",
        "events",
        "status",
        "disabled_reason",
        "disabled_at",
        "previous_secret_until",
        "last_success_at",
        "created_at",
    )
    actions = ("switch_off",)

    @display(
        description=_("status"),
        ordering="status",
        label={"ACTIVE": "success", "DISABLED": "warning", "DELETED": "info"},
    )
    def status_label(self, endpoint: WebhookEndpoint) -> tuple[str, str]:
        """A coloured badge."""
        return endpoint.status, str(endpoint.get_status_display())

    @admin.action(description=_("Stop sending to the chosen endpoints"), permissions=["operate"])
    def switch_off(self, request: HttpRequest, queryset: Any) -> None:
        """Their owners are told and can switch them on again."""
        actor_id = request.user.pk
        assert isinstance(actor_id, int), "the console lets nobody in who has not signed in"
        for endpoint in queryset:
            services.switch_endpoint_off(endpoint_id=endpoint.pk, actor_id=actor_id)
            self.log_change(request, endpoint, [{"changed": {"fields": ["status"]}}])
        self.message_user(request, _("Nothing is sent to the chosen endpoints any more."))


class AttemptInline(TabularInline[WebhookAttempt, WebhookDelivery]):
    """The tries of a delivery."""

    model = WebhookAttempt
    extra = 0
    fields = ("number", "started_at", "status_code", "error", "latency_ms", "excerpt")
    readonly_fields = fields
    ordering = ("number",)
    can_delete = False
    verbose_name_plural = _("tries")

    def has_add_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: WebhookDelivery | None = None
    ) -> bool:
        """Nobody."""
        return False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin[WebhookDelivery]):
    """Events on their way, with every try."""

    list_display = (
        "id",
        "event_type",
        "endpoint",
        "status_label",
        "attempts_count",
        "next_attempt_at",
        "created_at",
        "finished_at",
    )
    list_filter = ("status", "event__type")
    list_select_related = ("event", "endpoint")
    search_fields = ("=id", "=event__id", "=endpoint__id", "endpoint__user__user_ref")
    search_help_text = _("id of the delivery, the event or the endpoint, or user_ref")
    fields = (
        "id",
        "endpoint",
        "event_type",
        "event_id",
        "event_data",
        "status",
        "attempts_count",
        "next_attempt_at",
        "created_at",
        "finished_at",
    )
    inlines = (AttemptInline,)
    actions = ("resend",)

    @display(description=_("event"), ordering="event__type")
    def event_type(self, delivery: WebhookDelivery) -> str:
        """What happened."""
        return delivery.event.type

    @display(description=_("content"))
    def event_data(self, delivery: WebhookDelivery) -> Any:
        """As it is sent."""
        return delivery.event.data

    @display(
        description=_("status"),
        ordering="status",
        label={
            "PENDING": "info",
            "DELIVERED": "success",
            "FAILED": "danger",
            "CANCELED": "warning",
        },
    )
    def status_label(self, delivery: WebhookDelivery) -> tuple[str, str]:
        """A coloured badge."""
        return delivery.status, str(delivery.get_status_display())

    @admin.action(description=_("Send the chosen events again"), permissions=["operate"])
    def resend(self, request: HttpRequest, queryset: Any) -> None:
        """With the same ids, and a schedule that starts anew."""
        sent_count = 0
        for delivery in queryset.select_related("endpoint"):
            try:
                services.replay_delivery(user_id=delivery.endpoint.user_id, delivery_id=delivery.pk)
            except DomainError as error:
                self.message_user(request, f"{delivery.pk}: {error}", messages.ERROR)
            else:
                sent_count += 1
                self.log_change(request, delivery, [{"changed": {"fields": ["status"]}}])
        if sent_count:
            text = ngettext(
                "%(count)d event will be sent again.",
                "%(count)d events will be sent again.",
                sent_count,
            )
            self.message_user(request, text % {"count": sent_count})
