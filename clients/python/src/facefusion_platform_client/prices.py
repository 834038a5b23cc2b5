"""What swaps cost in general; what one swap costs is told by a quote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport
from facefusion_platform_client.models import PriceChange, Pricing


class Prices:
    """The price of the moment and how it came about."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def now(self) -> Pricing:
        """Ordinary prices and the multiplier of this moment."""
        return build(Pricing, self._transport.json("GET", "pricing"))

    def history(self, *, since: dt.datetime | None = None) -> Iterator[PriceChange]:
        """Changes of the price, newest first; pages are fetched as you go."""
        params = {"since": None if since is None else since.isoformat(), "limit": 200}
        items = self._transport.pages("pricing/history", params=params)
        return (build(PriceChange, item) for item in items)
