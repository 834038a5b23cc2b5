"""Expected failures around webhooks."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class WebhookUrlRefusedError(DomainError):
    """The address is not one that events may be sent to."""

    code = "webhook_url_refused"
    title = _("Events cannot be sent to this address")
    next_step = _("Name a public https address on port 443 or 8443, without a user name.")


class WebhookEventUnknownError(DomainError):
    """A filter names an event that there is not, or none at all."""

    code = "webhook_event_unknown"
    title = _("There is no such event")
    next_step = _("Name events of the list in the documentation of webhooks, or “*” for all.")


class WebhookEndpointLimitError(DomainError):
    """The account has as many endpoints as it may have."""

    code = "webhook_endpoint_limit"
    http_status = 409
    title = _("There are too many webhook endpoints")
    next_step = _("Delete an endpoint that is not needed, or widen the filter of another one.")


class WebhookEndpointNotFoundError(DomainError):
    """The account has no such endpoint."""

    code = "webhook_endpoint_not_found"
    http_status = 404
    title = _("There is no such webhook endpoint")
    next_step = _("Check the id; the list of endpoints shows yours.")


class WebhookEndpointDisabledError(DomainError):
    """Nothing is sent to an endpoint that is switched off."""

    code = "webhook_endpoint_disabled"
    http_status = 409
    title = _("The webhook endpoint is switched off")
    next_step = _("Switch it on again with PATCH and “is_enabled”: true, then try again.")


class WebhookDeliveryNotFoundError(DomainError):
    """The account has no such delivery, or it is older than deliveries are kept."""

    code = "webhook_delivery_not_found"
    http_status = 404
    title = _("There is no such delivery")
    next_step = _("Check the id; the list of deliveries shows yours.")


class WebhookRangeError(DomainError):
    """A replay of a time that ends before it begins, or of too many events."""

    code = "webhook_range_invalid"
    title = _("The range cannot be replayed")
    next_step = _("Let “from” lie before “to”, and split a range that has too many events.")


class WebhookEventNotFoundError(DomainError):
    """The account has no such event, or it is older than events are kept."""

    code = "webhook_event_not_found"
    http_status = 404
    title = _("There is no such event")
    next_step = _("Check the id; the list of events shows yours.")
