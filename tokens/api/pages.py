"""Bounds and pages of the tokens API."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from facefusion_site.common.serializers import PageQuerySerializer

# Amounts below 1 are a per-line outcome, so the wire only bounds what the column can hold.
BIGINT_MAX = 2**63 - 1


def page_query(request: Request) -> dict[str, Any]:
    """The validated ``limit`` and ``cursor`` of a list request."""
    query = PageQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)
