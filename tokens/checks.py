"""System checks of the tokens app."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

PRICE_SETTINGS = ("TOKENS_PRICE_IMAGE", "TOKENS_PRICE_VIDEO_SECOND")


def check_prices(**_kwargs: Any) -> list[CheckMessage]:
    """Every price is at least 1 token: a hold of 0 tokens is not a hold."""
    return [
        Error(
            f"{name} must be 1 token or more.", hint="Set it in the environment.", id="tokens.E001"
        )
        for name in PRICE_SETTINGS
        if getattr(settings, name) < 1
    ]
