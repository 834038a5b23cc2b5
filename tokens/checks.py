"""System checks of the tokens app."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.checks import CheckMessage, Error

PRICE_SETTINGS = ("TOKENS_PRICE_IMAGE", "TOKENS_PRICE_VIDEO_SECOND")
GRANT_SETTINGS = (
    "VIP_GRANT_TOKENS",
    "VIP_GRANT_VALID_DAYS",
    "VIP_GRANT_TOTAL_MAX",
    "GRANT_CATCH_UP_DAYS",
    "FREE_CLAIM_TOKENS",
)
MISSED_RUNS = ("catch_up", "report")

# A trigger refuses to purge earlier, whatever the setting says.
CHUNK_KEEP_DAYS_MIN = 7


def check_purge(**_kwargs: Any) -> list[CheckMessage]:
    """Staged rows are kept at least as long as the database insists on."""
    if settings.RECHARGE_CHUNK_KEEP_DAYS >= CHUNK_KEEP_DAYS_MIN:
        return []
    return [
        Error(
            f"RECHARGE_CHUNK_KEEP_DAYS must be {CHUNK_KEEP_DAYS_MIN} or more.",
            hint="Set it in the environment.",
            id="tokens.E004",
        )
    ]


def check_prices(**_kwargs: Any) -> list[CheckMessage]:
    """Every price is at least 1 token: a hold of 0 tokens is not a hold."""
    return [
        Error(
            f"{name} must be 1 token or more.", hint="Set it in the environment.", id="tokens.E001"
        )
        for name in PRICE_SETTINGS
        if getattr(settings, name) < 1
    ]


def check_grants(**_kwargs: Any) -> list[CheckMessage]:
    """The settings of scheduled grants can be used: they are read at night, when nobody watches."""
    faults = [
        Error(f"{name} must be 0 or more.", hint="Set it in the environment.", id="tokens.E002")
        for name in GRANT_SETTINGS
        if getattr(settings, name) < 0
    ]
    try:
        ZoneInfo(settings.GRANT_TIME_ZONE)
    except (ValueError, OSError, KeyError):
        faults.append(
            Error(
                f"GRANT_TIME_ZONE names no time zone: {settings.GRANT_TIME_ZONE!r}.",
                hint="Use a name of the IANA database, such as Asia/Shanghai.",
                id="tokens.E003",
            )
        )
    if settings.GRANT_MISSED_RUNS not in MISSED_RUNS:
        faults.append(
            Error(
                f"GRANT_MISSED_RUNS is neither of {', '.join(MISSED_RUNS)}.",
                hint="Set it in the environment.",
                id="tokens.E005",
            )
        )
    return [*faults]
