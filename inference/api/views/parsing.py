"""What the views share."""

from __future__ import annotations

from typing import Any, Final

from facefusion_site.common.errors import InvalidRequestError
from tokens.errors import InvalidCursorError

LIST_ERRORS: Final = (InvalidRequestError, InvalidCursorError)


def valid(serializer: Any) -> dict[str, Any]:
    """What the caller sent, checked.

    Raises:
        ValidationError: it is not as the serializer says.
    """
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
