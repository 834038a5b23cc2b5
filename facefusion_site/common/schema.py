"""Problem answers for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse

from facefusion_site.common.drf import PROBLEM_TYPE, ProblemSerializer
from facefusion_site.common.errors import (
    DomainError,
    NotAuthenticatedError,
    PermissionDeniedError,
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
