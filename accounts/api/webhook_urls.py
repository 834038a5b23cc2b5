"""Routes of webhooks, below ``/api/v1/``."""

from django.urls import path

from accounts.api import webhooks

urlpatterns = [
    path("webhook-endpoints", webhooks.EndpointListView.as_view(), name="api-webhook-endpoints"),
    path(
        "webhook-endpoints/<uuid:endpoint_id>",
        webhooks.EndpointView.as_view(),
        name="api-webhook-endpoint",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/rotate-secret",
        webhooks.EndpointRotateView.as_view(),
        name="api-webhook-rotate",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/test",
        webhooks.EndpointTestView.as_view(),
        name="api-webhook-test",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/replay",
        webhooks.EndpointReplayView.as_view(),
        name="api-webhook-replay",
    ),
    path("webhook-deliveries", webhooks.DeliveryListView.as_view(), name="api-webhook-deliveries"),
    path(
        "webhook-deliveries/<uuid:delivery_id>",
        webhooks.DeliveryView.as_view(),
        name="api-webhook-delivery",
    ),
    path(
        "webhook-deliveries/<uuid:delivery_id>/replay",
        webhooks.DeliveryReplayView.as_view(),
        name="api-webhook-delivery-replay",
    ),
    path("events", webhooks.EventListView.as_view(), name="api-events"),
    path("events/<uuid:event_id>", webhooks.EventView.as_view(), name="api-event"),
    path("balance-alert", webhooks.BalanceAlertView.as_view(), name="api-balance-alert"),
]
