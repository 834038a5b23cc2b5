"""What accounts did lately, for rules that measure it."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from typing import Final

from django.db.models import Count

from accounts.models import SignIn
from facefusion_site.common.activity import Activity

# What one household or company is given: smaller parts change hands within it.
_V4_PREFIX: Final = 24
_V6_PREFIX: Final = 48
_CHUNK: Final = 2000


def network_of(address: str | None) -> str:
    """The network of an address in CIDR notation, wide enough for one place; "" for none."""
    if not address:
        return ""
    parsed = ipaddress.ip_address(address)
    is_v4 = isinstance(parsed, ipaddress.IPv4Address)
    prefix = _V4_PREFIX if is_v4 else _V6_PREFIX
    return str(ipaddress.ip_network((parsed, prefix), strict=False))


def sign_ins(*, since: dt.datetime, until: dt.datetime, count_min: int) -> Iterator[Activity]:
    """Sign-ins with the network they came from, of accounts with so many of them, oldest first."""
    within = SignIn.objects.filter(created_at__gt=since, created_at__lte=until)
    busy = within.values("user").annotate(count=Count("pk")).filter(count__gte=count_min)
    rows = within.filter(user__in=busy.values("user"), address__isnull=False)
    for user_id, at, address in (
        rows.order_by("created_at", "pk")
        .values_list("user_id", "created_at", "address")
        .iterator(chunk_size=_CHUNK)
    ):
        yield Activity(user_id=user_id, at=at, group=network_of(address))
