"""Telling an owner that an endpoint was switched off."""

from __future__ import annotations

import uuid

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import WebhookEndpoint

log = structlog.get_logger(__name__)


def tell_owner(*, endpoint_id: uuid.UUID) -> None:
    """Log it, and write a mail to the owner's address if there is one.

    Call it after the commit. The endpoint itself says the same for as long as it is off, so a mail
    that does not arrive loses nothing.
    """
    endpoint = WebhookEndpoint.objects.select_related("user").get(pk=endpoint_id)
    log.warning(
        "accounts.webhook.endpoint_disabled",
        endpoint_id=str(endpoint_id),
        user_id=endpoint.user_id,
        reason=endpoint.disabled_reason.lower(),
    )
    if not endpoint.user.email:
        return
    with translation.override(settings.LANGUAGE_CODE):
        send_mail(
            subject=_("A webhook endpoint was switched off"),
            message=_(
                "We stopped sending events to %(url)s: %(reason)s.\n\n"
                "What happened meanwhile is kept for %(days)d days. Correct the receiver, switch"
                " the endpoint on again, and replay what it missed.\n"
            )
            % {
                "url": endpoint.url,
                "reason": endpoint.get_disabled_reason_display(),
                "days": settings.WEBHOOK_KEEP_DAYS,
            },
            from_email=None,
            recipient_list=[endpoint.user.email],
        )
