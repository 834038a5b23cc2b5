"""Wire format of webhooks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.models import WebhookDelivery
from accounts.models.webhooks import URL_LENGTH_MAX
from accounts.webhook_deliveries import API_VERSION
from accounts.webhook_selectors import DeliveryDetail
from accounts.webhook_types import EVERY_EVENT, WebhookEventType
from facefusion_site.common.serializers import (
    PageQuerySerializer,
    StrictCharField,
    StrictIntegerField,
)

BIGINT_MAX = 2**63 - 1
OVERLAP_MAX_S = 7 * 24 * 60 * 60


class LowerCaseField(serializers.CharField):
    """States are in lower case on the wire."""

    def to_representation(self, value: Any) -> str:
        """From the row's upper case."""
        return str(value).lower()


class EventFilterField(serializers.ListField):
    """Names of events; “*” stands for all of them."""

    child = StrictCharField(max_length=40)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_empty=False,
            max_length=len(WebhookEventType.values) + 1,
            help_text=_("Names of events, or “*” for all, those to come included."),
            **kwargs,
        )


class EndpointCreateSerializer(serializers.Serializer[Any]):
    """An address to send events to."""

    url = StrictCharField(
        max_length=URL_LENGTH_MAX, help_text=_("A public https address, on port 443 or 8443.")
    )
    events = EventFilterField(default=[EVERY_EVENT])
    description = StrictCharField(max_length=200, default="", allow_blank=True)


class EndpointChangeSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    url = StrictCharField(max_length=URL_LENGTH_MAX, required=False)
    events = EventFilterField(required=False)
    description = StrictCharField(max_length=200, required=False, allow_blank=True)
    is_enabled = serializers.BooleanField(
        required=False,
        help_text=_("True sends what waits; false keeps it. What was given up can be replayed."),
    )


class EndpointSerializer(serializers.Serializer[Any]):
    """An endpoint without its secret."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField()
    status = LowerCaseField(help_text=_("active or disabled."))
    disabled_reason = LowerCaseField(
        help_text=_("owner, operator, gone (it answered 410), failing; empty while active.")
    )
    disabled_at = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(
        allow_null=True, help_text=_("Until when the secret before the last rotation signs too.")
    )
    last_success_at = serializers.DateTimeField(
        allow_null=True, help_text=_("When it last took an event, to the minute.")
    )
    created_at = serializers.DateTimeField()


class EndpointListSerializer(serializers.Serializer[Any]):
    """All endpoints of the caller."""

    items = EndpointSerializer(many=True)


class IssuedEndpointSerializer(EndpointSerializer):
    """An endpoint with a new secret, shown this once."""

    secret = serializers.CharField(help_text=_("whsec_ and Base64, as verifiers take it."))


class RotateSerializer(serializers.Serializer[Any]):
    """How long both secrets sign."""

    overlap_s = StrictIntegerField(
        min_value=0,
        max_value=OVERLAP_MAX_S,
        required=False,
        help_text=_("Seconds in which the old secret signs as well; 0 ends it at once."),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The setting decides where the request says nothing."""
        return {"overlap_s": settings.WEBHOOK_ROTATION_OVERLAP_S} | attrs


class ReplayRangeSerializer(serializers.Serializer[Any]):
    """The time of the events to deliver again."""

    only_undelivered = serializers.BooleanField(
        default=True, help_text=_("Leave out what the endpoint has accepted.")
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """“from” is a word of the language."""
        return {
            "from": serializers.DateTimeField(source="begins_at"),
            "to": serializers.DateTimeField(source="ends_at"),
            **super().get_fields(),
        }


class ReplayedSerializer(serializers.Serializer[Any]):
    """What will be delivered again."""

    events_count = serializers.IntegerField()


class EventSerializer(serializers.Serializer[Any]):
    """An event as it is sent to endpoints."""

    id = serializers.UUIDField(help_text=_("The same in every try and at every endpoint."))
    type = serializers.ChoiceField(choices=WebhookEventType.values)
    api_version = serializers.SerializerMethodField()
    timestamp = serializers.DateTimeField(source="created_at")
    # DRF collects the declaration away, so the base class keeps its own property of this name.
    data = serializers.DictField()  # type: ignore[assignment]

    def get_api_version(self, _event: Any) -> str:
        """What the content's form is called."""
        return API_VERSION


class EventPageSerializer(serializers.Serializer[Any]):
    """A page of events, newest first."""

    items = EventSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class EventQuerySerializer(PageQuerySerializer):
    """Query parameters of the list of events."""

    type = serializers.ChoiceField(
        choices=WebhookEventType.values,
        required=False,
        default=None,
        source="event_type",
        help_text=_("Only events of this type."),
    )


class DeliverySerializer(serializers.Serializer[Any]):
    """One event on its way to one endpoint."""

    id = serializers.UUIDField()
    webhook_endpoint_id = serializers.UUIDField(source="endpoint_id")
    event_id = serializers.UUIDField()
    event_type = serializers.CharField(source="event.type")
    status = LowerCaseField(help_text=_("pending, delivered, failed (given up) or canceled."))
    attempts_count = serializers.IntegerField()
    last_status_code = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField(allow_null=True)
    next_attempt_at = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_next_attempt_at(self, row: WebhookDelivery) -> str | None:
        """Null once it has ended."""
        if row.status != WebhookDelivery.Status.PENDING:
            return None
        text: str = serializers.DateTimeField().to_representation(row.next_attempt_at)
        return text


class DeliveryPageSerializer(serializers.Serializer[Any]):
    """A page of deliveries, newest first."""

    items = DeliverySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class DeliveryQuerySerializer(PageQuerySerializer):
    """Query parameters of the list of deliveries."""

    webhook_endpoint_id = serializers.UUIDField(required=False, default=None, source="endpoint_id")
    status = serializers.ChoiceField(
        choices=[(value.lower(), value.lower()) for value in WebhookDelivery.Status.values],
        required=False,
        default=None,
    )

    def validate_status(self, status: str | None) -> str | None:
        """The row's spelling."""
        return status.upper() if status else None


class AttemptSerializer(serializers.Serializer[Any]):
    """One try."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    latency_ms = serializers.IntegerField(
        allow_null=True, help_text=_("Null while it runs, and when its worker was lost.")
    )
    status_code = serializers.IntegerField(
        allow_null=True, help_text=_("What the receiver answered.")
    )
    error = serializers.CharField(
        help_text=_(
            "Why there was no answer: not_public, unreachable, untrusted_certificate, too_slow,"
            " redirected, broken_answer, invalid_url, secret_unreadable, worker_lost; else empty."
        )
    )
    excerpt = serializers.CharField(help_text=_("The first bytes of the answer."))


class DeliveryDetailSerializer(serializers.Serializer[Any]):
    """A delivery with its tries."""

    def to_representation(self, detail: DeliveryDetail) -> dict[str, Any]:
        """The fields of the delivery, and beside them the tries."""
        return {
            **DeliverySerializer(detail.delivery).data,
            "attempts": AttemptSerializer(detail.attempts, many=True).data,
        }


class BalanceAlertSerializer(serializers.Serializer[Any]):
    """Below how many spendable tokens to tell."""

    below = StrictIntegerField(
        min_value=1,
        max_value=BIGINT_MAX,
        allow_null=True,
        help_text=_("Whole tokens; null switches the alert off."),
    )
