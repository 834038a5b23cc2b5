"""How a request carries an API key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from accounts import keys

KEY_HEADER: Final = "X-Api-Key"
_BEARER: Final = "bearer"


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The API key in the headers of a request, if there is one; it may be malformed.

    A bearer token that is no API key is none.
    """
    if (key := headers.get(KEY_HEADER)) is not None:
        return key.strip()
    scheme, _space, value = headers.get("Authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == _BEARER and value.startswith(keys.FAMILY):
        return value
    return None
