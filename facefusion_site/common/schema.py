"""What the OpenAPI document of every app says in the same words."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from facefusion_site.common import idempotency
from facefusion_site.common.drf import PROBLEM_TYPE, ProblemSerializer
from facefusion_site.common.errors import (
    DomainError,
    NotAuthenticatedError,
    PermissionDeniedError,
)

KEY_PARAMETER: Final = OpenApiParameter(
    name=idempotency.KEY_HEADER,
    location=OpenApiParameter.HEADER,
    required=True,
    description="Up to 255 printable ASCII characters; repeat it when you retry.",
)
KEY_PROBLEMS: Final = (
    idempotency.IdempotencyKeyMissingError,
    idempotency.IdempotencyKeyInvalidError,
    idempotency.IdempotencyKeyReusedError,
)


def problems(*errors: type[DomainError], is_public: bool = False) -> dict[Any, Any]:
    """The ``responses`` entries of ``extend_schema`` for these errors.

    Errors of one status share an entry whose description lists the codes. Views that are not
    public also answer 401 and 403.
    """
    listed: set[type[DomainError]] = set(errors)
    if not is_public:
        listed |= {NotAuthenticatedError, PermissionDeniedError}
    by_status: dict[int, list[str]] = {}
    for error in sorted(listed, key=lambda error: (error.http_status, error.code)):
        by_status.setdefault(error.http_status, []).append(f"`{error.code}`")
    return {
        (status, PROBLEM_TYPE): OpenApiResponse(ProblemSerializer, description=", ".join(codes))
        for status, codes in by_status.items()
    }
