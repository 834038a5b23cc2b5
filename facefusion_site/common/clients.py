"""Where a request really comes from, behind proxies of ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_ip(request: HttpRequest) -> str:
    """Name the address a request came from, for request limits.

    Each of our ``TRUSTED_PROXY_HOPS`` proxies appends the address it saw to X-Forwarded-For; what
    stands before those entries was written by the client and is ignored.
    """
    hops: int = settings.TRUSTED_PROXY_HOPS
    seen = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if hops and len(seen) >= hops and seen[-hops]:
        return seen[-hops]
    return str(request.META["REMOTE_ADDR"])


def client_address(request: HttpRequest) -> Address | None:
    """The same as an address; None when it is none, as with a server behind a Unix socket."""
    return parse_address(client_ip(request))


def is_trusted_peer(request: HttpRequest) -> bool:
    """Whether the other end of the connection may say for whom it forwards.

    Without TRUSTED_PROXIES every peer may, as long as TRUSTED_PROXY_HOPS says that there are
    proxies: then only they can reach us.
    """
    if not settings.TRUSTED_PROXY_HOPS:
        return False
    networks: list[str] = settings.TRUSTED_PROXIES
    if not networks:
        return True
    peer = parse_address(str(request.META.get("REMOTE_ADDR", "")))
    return peer is not None and is_inside(peer, networks)


def is_inside(address: Address, networks: Iterable[str]) -> bool:
    """Whether one of the networks, in CIDR notation, holds the address."""
    return any(address in ipaddress.ip_network(network) for network in networks)


def parse_address(text: str) -> Address | None:
    """Read an address; one of IPv4 that is dressed up as IPv6 counts as what it is."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
