"""The account's own tokens."""

from __future__ import annotations

from collections.abc import Iterator

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport
from facefusion_platform_client.models import Balance, StatementLine


class Wallet:
    """Balance and statement."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def balance(self) -> Balance:
        """What is free to spend and what is set aside for jobs."""
        return build(Balance, self._transport.json("GET", "balance"))

    def statement(self) -> Iterator[StatementLine]:
        """Every movement, newest first; pages are fetched as you go."""
        lines = self._transport.pages("statement", params={"limit": 200})
        return (build(StatementLine, line) for line in lines)
