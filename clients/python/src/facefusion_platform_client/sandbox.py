"""The sandbox of an account: free tokens, and media that force how a job ends."""

from __future__ import annotations

from typing import Final

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport
from facefusion_platform_client.models import Balance

OK: Final = "00000000-7e57-4000-8000-000000000001"
NO_FACE: Final = "00000000-7e57-4000-8000-000000000002"
TWO_FACES: Final = "00000000-7e57-4000-8000-000000000003"
BLOCKED: Final = "00000000-7e57-4000-8000-000000000004"
SLOW: Final = "00000000-7e57-4000-8000-000000000005"
FAIL: Final = "00000000-7e57-4000-8000-000000000006"


class Sandbox:
    """What only a client with a test key can do; name the ids above as source or target."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def refill(self) -> Balance:
        """Top the wallet up for free; a full one stays as it is.

        Raises:
            PermissionDeniedError: the key is a live one.
            RateLimitedError: too many refills in this hour.
        """
        # Twice fills no more than once.
        body = self._transport.json("POST", "sandbox/refill", is_repeatable=True)
        return build(Balance, body)
