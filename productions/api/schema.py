"""Examples and answers of the productions API."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample
from rest_framework.response import Response

from accounts.errors import RoleRequiredError, ScopeMissingError
from facefusion_site.common.errors import RateLimitedError, ServiceUnavailableError
from productions import selectors
from productions.api import serializers
from productions.models import Production
from productions.types import RowView

READ_ERRORS: Final = (RoleRequiredError, ScopeMissingError)
STEP_ERRORS: Final = (*READ_ERRORS, RateLimitedError, ServiceUnavailableError)

_ID: Final = "5c2ad7f4-9a0e-4d0c-b7b8-1f1f2e3d4c5b"
_SPENDING: Final = {"held": 0, "settled": 39, "refunded": 2}
CREATE: Final = OpenApiExample(
    "a series of lessons",
    request_only=True,
    value={
        "name": "Lessons of autumn",
        "budget": 50,
        "people": [
            {
                "ref": "ada",
                "name": "Ada",
                "face_asset_id": "7b0f3c1e-30b7-4d5a-8d54-4f1e0f6d8a21",
                "token_quota": 20,
                "consent": {"kind": "documented", "text_version": "2026-11"},
            }
        ],
    },
)
MANIFEST: Final = OpenApiExample(
    "two rows",
    request_only=True,
    media_type="application/json",
    value={
        "rows": [
            {"person": "ada", "target_asset_id": "0d9a6a52-1b7f-4e55-9d0c-3f5f2b6a9c10"},
            {
                "person": "ada",
                "target_asset_id": "1e4b7c63-2c80-4f66-8e1d-4a6a3c7b0d21",
                "options": {"target_faces": "largest"},
            },
        ]
    },
)
RETRY: Final = OpenApiExample(
    "one row with a better picture",
    request_only=True,
    value={"rows": [{"row": 7, "target_asset_id": "0d9a6a52-1b7f-4e55-9d0c-3f5f2b6a9c10"}]},
)
PRODUCTION: Final = OpenApiExample(
    "a finished production",
    response_only=True,
    status_codes=["200"],
    value={
        "id": _ID,
        "name": "Lessons of autumn",
        "state": "finished",
        "budget": 50,
        "is_automatic": True,
        "retries_max": 1,
        "estimate": 40,
        "estimated_at": "2026-11-24T09:00:00Z",
        "funding_tokens": 50,
        "funding_batch_id": "3f0c9b1a-77de-4e41-8a55-0c3c0f7d9b11",
        "funding_error": "",
        "return_batch_id": "4a1d0c2b-88ef-4f52-9b66-1d4d1a8e0c22",
        "created_at": "2026-11-24T08:55:00Z",
        "started_at": "2026-11-24T09:05:00Z",
        "finished_at": "2026-11-24T09:20:00Z",
        "settled_at": "2026-11-24T09:20:01Z",
        "progress": {
            "rows_count": 40,
            "states": {"succeeded": 39, "failed": 1},
            "row_errors": {"no_face_in_target": 1},
            "people": [
                {
                    "ref": "ada",
                    "name": "Ada",
                    "states": {"succeeded": 39, "failed": 1},
                    "spending": _SPENDING,
                    "token_quota": None,
                    "job_quota": None,
                    "has_consent": True,
                }
            ],
            "books": {
                "funded": 50,
                "spending": _SPENDING,
                "returned": 11,
                "return_status": "applied",
                "left": 0,
            },
        },
    },
)


def shown(production: Production, *, status: int = 200, **headers: str) -> Response:
    """A production with its progress."""
    body = serializers.ProductionSerializer(_with_progress(production)).data
    return Response(body, status=status, headers=headers)


def reported(production: Production, rows: list[RowView]) -> Response:
    """A production with its progress and all its rows."""
    report = {**_with_progress(production), "rows": rows}
    return Response(serializers.ProductionReportSerializer(report).data)


def _with_progress(production: Production) -> dict[str, Any]:
    summary = serializers.ProductionSummarySerializer()
    return {
        **{str(name): getattr(production, str(name)) for name in summary.fields},
        "progress": selectors.progress(production=production),
    }
