"""When given tokens end."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django.conf import settings

from tokens.plans import midnight


def expires_at(moment: dt.datetime, valid_days: int) -> dt.datetime | None:
    """The midnight of GRANT_TIME_ZONE so many whole days after the day of a moment; 0: never."""
    if not valid_days:
        return None
    zone = ZoneInfo(settings.GRANT_TIME_ZONE)
    return midnight(moment.astimezone(zone).date() + dt.timedelta(days=valid_days + 1), zone)
