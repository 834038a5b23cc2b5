"""Parameters, headers and examples of the OpenAPI document."""

from __future__ import annotations

from typing import Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from facefusion_site.common import idempotency
from facefusion_site.common.schema import KEY_PARAMETER, problems
from inference import storage
from inference.api import waiting
from inference.media_errors import RangeNotSatisfiableError

MEDIA: Final = {
    (status, content_type): OpenApiTypes.BINARY
    for status in (200, 206)
    for content_type in storage.EXTENSIONS
} | problems(RangeNotSatisfiableError, is_public=True)
RANGE: Final = OpenApiParameter(
    name="Range",
    location=OpenApiParameter.HEADER,
    description="One range of bytes, for example bytes=0-1023; If-Range takes the ETag.",
)
THUMBNAIL: Final = {(200, "image/jpeg"): OpenApiTypes.BINARY}

_ID: Final = "0d9a3a52-6a7c-4f6c-9c54-0a3f6a1f5f10"
_SOURCE: Final = "7b0f3c1e-30b7-4d5a-8d54-4f1e0f6d8a21"
_TARGET: Final = "5c2ad7f4-9a0e-4d0c-b7b8-1f1f2e3d4c5b"
_QUOTE: Final = "a3a1f0c2-7f5e-4a53-8d0e-9b6f6f2f7c11"


def header(name: str, description: str, *, status: int) -> OpenApiParameter:
    """A header of the answer with this status."""
    return OpenApiParameter(
        name=name,
        location=OpenApiParameter.HEADER,
        response=[status],
        description=description,
    )


REPLAYED_HEADER: Final = header(
    idempotency.REPLAYED_HEADER, "“true” when an earlier request made the job.", status=202
)
LOCATION_HEADER: Final = header("Location", "Where to poll the job.", status=202)
ETAG_HEADER: Final = header("ETag", "Send it back as If-None-Match.", status=200)
RETRY_HEADER: Final = header(
    "Retry-After", "Seconds until the next poll makes sense; absent at the end.", status=200
)
IF_NONE_MATCH: Final = OpenApiParameter(
    name="If-None-Match",
    location=OpenApiParameter.HEADER,
    description="The ETag of the last answer; 304 when nothing changed.",
)
PREFER: Final = OpenApiParameter(
    name=waiting.HEADER,
    location=OpenApiParameter.HEADER,
    description=(
        f"wait=n answers when the job has ended, or after n seconds (at most {waiting.WAIT_MAX_S})."
    ),
)
APPLIED_HEADER: Final = OpenApiParameter(
    name=waiting.APPLIED_HEADER,
    location=OpenApiParameter.HEADER,
    response=[200, 202],
    description="wait=n when it was waited for; absent while too many others wait.",
)
LAST_EVENT_ID: Final = OpenApiParameter(
    name="Last-Event-ID",
    location=OpenApiParameter.HEADER,
    description="The id of the last event that was seen; that state is not told again.",
)
SUBMIT_PARAMETERS: Final = [
    KEY_PARAMETER,
    PREFER,
    LOCATION_HEADER,
    REPLAYED_HEADER,
    APPLIED_HEADER,
]
NOT_MODIFIED: Final = OpenApiResponse(description="Nothing changed since the given ETag.")

UPLOAD_REQUEST: Final = OpenApiExample(
    "Announce a picture",
    value={
        "filename": "target.jpg",
        "size_bytes": 183_204,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "content_type": "image/jpeg",
    },
    request_only=True,
)
IMPORT_REQUEST: Final = OpenApiExample(
    "Import a picture", value={"url": "https://media.example.com/target.jpg"}, request_only=True
)
QUOTE_REQUEST: Final = OpenApiExample(
    "Price one swap",
    value={
        "operation": "image_swap",
        "source_asset_id": _SOURCE,
        "target_asset_id": _TARGET,
        "options": {"target_faces": "largest"},
    },
    request_only=True,
)
VIDEO_QUOTE_REQUEST: Final = OpenApiExample(
    "Price five seconds of a video",
    value={
        "operation": "video_swap",
        "source_asset_id": _SOURCE,
        "target_asset_id": _TARGET,
        "options": {
            "target_faces": "largest",
            "video": {"start_s": 10, "end_s": 15, "format": "mp4", "quality": 80},
        },
    },
    request_only=True,
)
QUOTE_ANSWER: Final = OpenApiExample(
    "A promised price",
    value={
        "id": _QUOTE,
        "operation": "image_swap",
        "source_asset_id": _SOURCE,
        "target_asset_id": _TARGET,
        "options": {"target_faces": "largest"},
        "tokens": 1,
        "lines": [
            {
                "operation": "image_swap",
                "quantity": 1,
                "units": 1,
                "unit_price": 1,
                "multiplier": 1.0,
                "total": 1,
            }
        ],
        "price": {
            "rate_card_version": 3,
            "multiplier": 1.0,
            "multiplier_bp": 10_000,
            "reason": "ordinary",
            "reason_text": "The ordinary price.",
        },
        "balance": {"available": 100, "after": 99},
        "affordable": True,
        "eta_s": 3,
        "state": "open",
        "job_id": None,
        "created_at": "2026-11-23T09:00:00Z",
        "price_locked_until": "2026-11-23T09:15:00Z",
        "expires_at": "2026-11-23T09:15:00Z",
    },
    response_only=True,
    status_codes=["200", "201"],
)
JOB_REQUEST: Final = OpenApiExample("Redeem a quote", value={"quote_id": _QUOTE}, request_only=True)
BATCH_REQUEST: Final = OpenApiExample(
    "Two swaps, both or none",
    value={
        "mode": "atomic",
        "max_tokens": 2,
        "jobs": [
            {"operation": "image_swap", "source_asset_id": _SOURCE, "target_asset_id": _TARGET},
            {
                "operation": "image_swap",
                "source_asset_id": _SOURCE,
                "target_asset_id": _TARGET,
                "options": {"target_faces": "largest"},
            },
        ],
    },
    request_only=True,
)
IMAGE_SET_REQUEST: Final = OpenApiExample(
    "One face onto many pictures",
    value={"image_set": {"source_asset_id": _SOURCE, "target_asset_ids": [_TARGET]}},
    request_only=True,
)
JOB_ANSWER: Final = OpenApiExample(
    "An accepted job",
    value={
        "id": _ID,
        "state": "queued",
        "operation": "image_swap",
        "quote_id": _QUOTE,
        "source_asset_id": _SOURCE,
        "target_asset_id": _TARGET,
        "options": {"target_faces": "largest"},
        "attempt": 0,
        "retry_of": None,
        "batch_id": None,
        "batch_row": None,
        "progress": {
            "stage": None,
            "percent": 0,
            "frames_done": None,
            "frames": None,
            "eta_s": 3,
            "queue_position": 1,
            "segments_done": None,
            "segments": None,
        },
        "error": None,
        "output": None,
        "faces": [],
        "people": [],
        "report": None,
        "receipt": {
            "quoted": 1,
            "held": 1,
            "settled": 0,
            "refunded": 0,
            "price": {
                "rate_card_version": 3,
                "multiplier": 1.0,
                "multiplier_bp": 10_000,
                "reason": "ordinary",
                "reason_text": "The ordinary price.",
            },
            "transfers": [
                {
                    "id": "tr_42",
                    "kind": "hold",
                    "tokens": 1,
                    "available_change": -1,
                    "recorded_at": "2026-11-23T09:01:00Z",
                }
            ],
        },
        "created_at": "2026-11-23T09:01:00Z",
        "start_deadline_at": None,
        "started_at": None,
        "finished_at": None,
        "result_deleted_at": None,
    },
    response_only=True,
    status_codes=["202"],
)
