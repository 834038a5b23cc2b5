"""The client."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import httpx

from facefusion_platform_client._transport import Credentials, RetryPolicy, Transport
from facefusion_platform_client.assets import Assets
from facefusion_platform_client.jobs import Jobs, Quotes
from facefusion_platform_client.prices import Prices
from facefusion_platform_client.recharges import Recharges
from facefusion_platform_client.sandbox import Sandbox
from facefusion_platform_client.wallet import Wallet
from facefusion_platform_client.webhooks import Webhooks

TEST_PREFIX: Final = "ffk_test_"


class Client:
    """One account's way to the API. Use it as a context manager, from any number of threads.

    ``is_test`` says whether the key is of a sandbox, whose tokens are worth nothing.

    Args:
        base_url: of the server, such as ``https://faces.example.com``.
        api_key: ``ffk_live_…`` or ``ffk_test_…``.
        signing_secret: ``ffs_…``, of a key that was issued with ``requires_signature``.
        language: of texts in answers: ``en`` or ``zh-hans``.
        timeout_s: for connecting, and between two blocks of an answer.
        retry: how often what can safely be repeated is repeated; five attempts by default.
        http: an ``httpx.Client`` of your own, for proxies or certificates.
    """

    def __init__(  # noqa: PLR0913  # all but the first two by name only
        self,
        base_url: str,
        api_key: str,
        *,
        signing_secret: str | None = None,
        language: str = "en",
        timeout_s: float = 30.0,
        retry: RetryPolicy | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._transport = Transport(
            base_url=base_url,
            credentials=Credentials(api_key, signing_secret),
            language=language,
            timeout_s=timeout_s,
            retry=retry or RetryPolicy(),
            http=http,
        )
        self.is_test: Final = api_key.startswith(TEST_PREFIX)
        self.assets = Assets(self._transport)
        self.quotes = Quotes(self._transport)
        self.jobs = Jobs(self._transport)
        self.prices = Prices(self._transport)
        self.wallet = Wallet(self._transport)
        self.recharges = Recharges(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.sandbox = Sandbox(self._transport)

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
