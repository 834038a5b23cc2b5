"""HTTP face of webhooks: endpoints, deliveries, events, and the balance alert."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts import services, webhook_selectors
from accounts.api.webhook_serializers import (
    BalanceAlertSerializer,
    DeliveryDetailSerializer,
    DeliveryPageSerializer,
    DeliveryQuerySerializer,
    DeliverySerializer,
    EndpointChangeSerializer,
    EndpointCreateSerializer,
    EndpointListSerializer,
    EndpointSerializer,
    EventPageSerializer,
    EventQuerySerializer,
    EventSerializer,
    IssuedEndpointSerializer,
    ReplayedSerializer,
    ReplayRangeSerializer,
    RotateSerializer,
)
from accounts.errors import RoleRequiredError, ScopeMissingError
from accounts.permissions import ScopedView
from accounts.webhook_errors import (
    WebhookDeliveryNotFoundError,
    WebhookEndpointDisabledError,
    WebhookEndpointLimitError,
    WebhookEndpointNotFoundError,
    WebhookEventNotFoundError,
    WebhookEventUnknownError,
    WebhookRangeError,
    WebhookUrlRefusedError,
)
from accounts.webhook_types import EndpointChange
from facefusion_site.common.drf import user_id
from facefusion_site.common.errors import (
    InvalidCursorError,
    InvalidRequestError,
    RateLimitedError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems

TAGS = ["webhooks"]
NO_STORE = {"Cache-Control": "no-store"}
ALWAYS = (RoleRequiredError, ScopeMissingError)
CHANGES = (*ALWAYS, InvalidRequestError, RateLimitedError)


class WebhookView(ScopedView):
    """Reading needs one scope, everything else the other."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "webhooks:read",
        "POST": "webhooks:write",
        "PUT": "webhooks:write",
        "PATCH": "webhooks:write",
        "DELETE": "webhooks:write",
    }


class EndpointListView(WebhookView):
    """The caller's endpoints."""

    @extend_schema(
        operation_id="webhook_endpoints_list",
        summary="List your webhook endpoints",
        tags=TAGS,
        responses={200: EndpointListSerializer} | problems(*ALWAYS),
    )
    def get(self, request: Request) -> Response:
        """List your endpoints, newest first. Secrets are never shown again."""
        rows = webhook_selectors.endpoints(user_id=user_id(request))
        return Response({"items": EndpointSerializer(rows, many=True).data})

    @extend_schema(
        operation_id="webhook_endpoints_create",
        summary="Create a webhook endpoint",
        tags=TAGS,
        request=EndpointCreateSerializer,
        responses={201: IssuedEndpointSerializer}
        | problems(
            *CHANGES, WebhookUrlRefusedError, WebhookEventUnknownError, WebhookEndpointLimitError
        ),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def post(self, request: Request) -> Response:
        """Register an address. The answer is the only time its secret is shown."""
        body = EndpointCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        issued = services.create_endpoint(user_id=user_id(request), **body.validated_data)
        location = reverse("api-webhook-endpoint", kwargs={"endpoint_id": issued.id})
        return Response(
            _shown(request, issued.id) | {"secret": issued.secret},
            status=status.HTTP_201_CREATED,
            headers=NO_STORE | {"Location": location},
        )


class EndpointView(WebhookView):
    """One of the caller's endpoints."""

    @extend_schema(
        operation_id="webhook_endpoints_retrieve",
        summary="Show a webhook endpoint",
        tags=TAGS,
        responses={200: EndpointSerializer} | problems(*ALWAYS, WebhookEndpointNotFoundError),
    )
    def get(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Show an endpoint, and why nothing is sent to it if it is off."""
        return Response(_shown(request, endpoint_id))

    @extend_schema(
        operation_id="webhook_endpoints_change",
        summary="Change a webhook endpoint",
        tags=TAGS,
        request=EndpointChangeSerializer,
        responses={200: EndpointSerializer}
        | problems(
            *CHANGES,
            WebhookUrlRefusedError,
            WebhookEventUnknownError,
            WebhookEndpointNotFoundError,
        ),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def patch(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Change an endpoint, or switch it off or on; events that waited are sent then."""
        body = EndpointChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        if "events" in wanted:
            wanted["events"] = tuple(wanted["events"])
        services.change_endpoint(
            user_id=user_id(request), endpoint_id=endpoint_id, change=EndpointChange(**wanted)
        )
        return Response(_shown(request, endpoint_id))

    @extend_schema(
        operation_id="webhook_endpoints_delete",
        summary="Delete a webhook endpoint",
        tags=TAGS,
        responses={204: None} | problems(*ALWAYS, WebhookEndpointNotFoundError),
    )
    def delete(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Forget an endpoint and its secrets. What waits for it is canceled."""
        services.delete_endpoint(user_id=user_id(request), endpoint_id=endpoint_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class EndpointRotateView(WebhookView):
    """A new secret."""

    @extend_schema(
        operation_id="webhook_endpoints_rotate_secret",
        summary="Rotate a webhook secret",
        tags=TAGS,
        request=RotateSerializer,
        responses={200: IssuedEndpointSerializer}
        | problems(*CHANGES, WebhookEndpointNotFoundError),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Replace the secret; for a while both sign every event. Shown this once."""
        body = RotateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        issued = services.rotate_secret(
            user_id=user_id(request), endpoint_id=endpoint_id, **body.validated_data
        )
        answer = _shown(request, issued.id) | {"secret": issued.secret}
        return Response(answer, headers=NO_STORE)


class EndpointTestView(WebhookView):
    """An event to try an endpoint with."""

    @extend_schema(
        operation_id="webhook_endpoints_test",
        summary="Send a test event",
        tags=TAGS,
        request=None,
        responses={202: DeliverySerializer}
        | problems(*CHANGES, WebhookEndpointNotFoundError, WebhookEndpointDisabledError),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Send “webhook.test” to this endpoint, whatever its filter. Read the delivery after."""
        delivery_id = services.send_test(user_id=user_id(request), endpoint_id=endpoint_id)
        return _accepted(request, delivery_id)


class EndpointReplayView(WebhookView):
    """The events of a time once more."""

    @extend_schema(
        operation_id="webhook_endpoints_replay",
        summary="Replay a range of events",
        tags=TAGS,
        request=ReplayRangeSerializer,
        responses={202: ReplayedSerializer}
        | problems(
            *CHANGES,
            WebhookRangeError,
            WebhookEndpointNotFoundError,
            WebhookEndpointDisabledError,
        ),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Deliver the events of a time again, with the same ids, as far as the filter goes."""
        body = ReplayRangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        count = services.replay_range(
            user_id=user_id(request), endpoint_id=endpoint_id, **body.validated_data
        )
        return Response({"events_count": count}, status=status.HTTP_202_ACCEPTED)


class DeliveryListView(WebhookView):
    """Deliveries to the caller's endpoints."""

    @extend_schema(
        operation_id="webhook_deliveries_list",
        summary="List webhook deliveries",
        tags=TAGS,
        parameters=[DeliveryQuerySerializer],
        responses={200: DeliveryPageSerializer}
        | problems(*ALWAYS, InvalidRequestError, InvalidCursorError, WebhookEndpointNotFoundError),
    )
    def get(self, request: Request) -> Response:
        """List deliveries, newest first."""
        query = DeliveryQuerySerializer(data=request.query_params)
        return _page(request, query, webhook_selectors.deliveries, DeliverySerializer)


class DeliveryView(WebhookView):
    """One delivery."""

    @extend_schema(
        operation_id="webhook_deliveries_retrieve",
        summary="Show a webhook delivery",
        tags=TAGS,
        responses={200: DeliveryDetailSerializer} | problems(*ALWAYS, WebhookDeliveryNotFoundError),
    )
    def get(self, request: Request, delivery_id: uuid.UUID) -> Response:
        """Show a delivery with every try: status, milliseconds, start of the answer."""
        found = webhook_selectors.delivery(user_id=user_id(request), delivery_id=delivery_id)
        return Response(DeliveryDetailSerializer(found).data)


class DeliveryReplayView(WebhookView):
    """One delivery once more."""

    @extend_schema(
        operation_id="webhook_deliveries_replay",
        summary="Replay a webhook delivery",
        tags=TAGS,
        request=None,
        responses={202: DeliverySerializer}
        | problems(*CHANGES, WebhookDeliveryNotFoundError, WebhookEndpointDisabledError),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def post(self, request: Request, delivery_id: uuid.UUID) -> Response:
        """Deliver an event again, with the same id, or try one that waits at once."""
        services.replay_delivery(user_id=user_id(request), delivery_id=delivery_id)
        return _accepted(request, delivery_id)


class EventListView(WebhookView):
    """What happened to the caller."""

    @extend_schema(
        operation_id="events_list",
        summary="List events",
        tags=TAGS,
        parameters=[EventQuerySerializer],
        responses={200: EventPageSerializer}
        | problems(*ALWAYS, InvalidRequestError, InvalidCursorError),
    )
    def get(self, request: Request) -> Response:
        """List events, newest first. They are kept while the account has an endpoint."""
        query = EventQuerySerializer(data=request.query_params)
        return _page(request, query, webhook_selectors.events, EventSerializer)


class EventView(WebhookView):
    """One event."""

    @extend_schema(
        operation_id="events_retrieve",
        summary="Show an event",
        tags=TAGS,
        responses={200: EventSerializer} | problems(*ALWAYS, WebhookEventNotFoundError),
    )
    def get(self, request: Request, event_id: uuid.UUID) -> Response:
        """Show an event as it is sent."""
        row = webhook_selectors.event(user_id=user_id(request), event_id=event_id)
        return Response(EventSerializer(row).data)


class BalanceAlertView(WebhookView):
    """When the caller wants to hear of its balance."""

    @extend_schema(
        operation_id="balance_alert_get",
        summary="Show the balance alert",
        tags=TAGS,
        responses={200: BalanceAlertSerializer} | problems(*ALWAYS),
    )
    def get(self, request: Request) -> Response:
        """Show below which balance “balance.low” is sent."""
        return Response({"below": webhook_selectors.balance_alert(user_id=user_id(request))})

    @extend_schema(
        operation_id="balance_alert_set",
        summary="Set the balance alert",
        tags=TAGS,
        request=BalanceAlertSerializer,
        responses={200: BalanceAlertSerializer} | problems(*CHANGES),
    )
    @limit(group="webhooks", rate="WEBHOOKS_RATE")
    def put(self, request: Request) -> Response:
        """Choose the bound. “balance.low” is sent once each time the balance falls below it."""
        body = BalanceAlertSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.set_balance_alert(user_id=user_id(request), **body.validated_data)
        return Response(body.validated_data)


def _page(
    request: Request,
    query: Serializer[Any],
    select: Callable[..., tuple[Sequence[Any], str | None]],
    serializer: type[Serializer[Any]],
) -> Response:
    """A page of what ``select`` finds of the caller's with the members of the query."""
    query.is_valid(raise_exception=True)
    rows, next_cursor = select(user_id=user_id(request), **query.validated_data)
    return Response({"items": serializer(rows, many=True).data, "next_cursor": next_cursor})


def _shown(request: Request, endpoint_id: uuid.UUID) -> dict[str, Any]:
    row = webhook_selectors.endpoint(user_id=user_id(request), endpoint_id=endpoint_id)
    return dict(EndpointSerializer(row).data)


def _accepted(request: Request, delivery_id: uuid.UUID) -> Response:
    """The delivery as it waits, and where to look what becomes of it."""
    found = webhook_selectors.delivery(user_id=user_id(request), delivery_id=delivery_id)
    location = reverse("api-webhook-delivery", kwargs={"delivery_id": delivery_id})
    return Response(
        DeliverySerializer(found.delivery).data,
        status=status.HTTP_202_ACCEPTED,
        headers={"Location": location},
    )
