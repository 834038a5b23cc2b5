"""The client."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from facefusion_platform_client._transport import RetryPolicy, Transport
from facefusion_platform_client.assets import Assets
from facefusion_platform_client.jobs import Jobs, Quotes
from facefusion_platform_client.recharges import Recharges
from facefusion_platform_client.wallet import Wallet
from facefusion_platform_client.webhooks import Webhooks


class Client:
    """One account's way to the API. Use it as a context manager, from any number of threads.

    Args:
        base_url: of the server, such as ``https://faces.example.com``.
        api_key: ``ffk_…``.
        language: of texts in answers: ``en`` or ``zh-hans``.
        timeout_s: for connecting, and between two blocks of an answer.
        retry: how often what can safely be repeated is repeated; five attempts by default.
        http: an ``httpx.Client`` of your own, for proxies or certificates.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        language: str = "en",
        timeout_s: float = 30.0,
        retry: RetryPolicy | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._transport = Transport(
            base_url=base_url,
            api_key=api_key,
            language=language,
            timeout_s=timeout_s,
            retry=retry or RetryPolicy(),
            http=http,
        )
        self.assets = Assets(self._transport)
        self.quotes = Quotes(self._transport)
        self.jobs = Jobs(self._transport)
        self.wallet = Wallet(self._transport)
        self.recharges = Recharges(self._transport)
        self.webhooks = Webhooks(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
