"""What the views share."""

from __future__ import annotations

import uuid
from typing import Any, Final

from rest_framework import status
from rest_framework.response import Response

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


def erased(receipt_id: uuid.UUID | None) -> Response:
    """The answer of a deletion; of one that is repeated, without a receipt of erasure."""
    headers = {} if receipt_id is None else {"Erasure-Receipt": str(receipt_id)}
    return Response(status=status.HTTP_204_NO_CONTENT, headers=headers)
