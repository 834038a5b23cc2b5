"""System checks of the accounts app."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_webhooks(**_kwargs: Any) -> list[CheckMessage]:
    """A delivery's lease outlives its call: else a second worker calls while the first still does.

    Between the end of the call and the note of it, the worker needs some time as well.
    """
    if settings.WEBHOOK_LEASE_S > settings.WEBHOOK_TIMEOUT_S:
        return []
    return [
        Error(
            "WEBHOOK_LEASE_S must be more than WEBHOOK_TIMEOUT_S.",
            hint="Leave it some seconds more: by default it is 60 beside 15.",
            id="accounts.E001",
        )
    ]
