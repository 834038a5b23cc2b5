"""Pages of lists."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request


class PageQuerySerializer(serializers.Serializer[Any]):
    """Query parameters of every list."""

    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)
    cursor = serializers.CharField(
        required=False, default=None, help_text=_("“next_cursor” of the page before.")
    )


def page_query(request: Request) -> dict[str, Any]:
    """The validated ``limit`` and ``cursor`` of a list request."""
    query = PageQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)
