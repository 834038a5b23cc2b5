"""Time zones of people, by their names in the IANA database."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


def is_time_zone(name: str) -> bool:
    """Whether the database of time zones has this name; upper and lower case differ."""
    return name in _names()


def check_time_zone(name: str) -> None:
    """Refuse a name that no time zone has, as validators of fields do.

    Raises:
        ValidationError: there is no such time zone.
    """
    if not is_time_zone(name):
        raise ValidationError(
            _("“%(name)s” names no time zone; an example is Asia/Shanghai."),
            code="time_zone_unknown",
            params={"name": name},
        )


@cache
def _names() -> frozenset[str]:
    """Reading them all costs a walk over the system's files, so once."""
    return frozenset(available_timezones())
