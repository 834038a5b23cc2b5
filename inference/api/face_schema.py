"""Examples of faces in the OpenAPI document."""

from __future__ import annotations

from typing import Final

from drf_spectacular.utils import OpenApiExample

_SOURCE: Final = "7b0f3c1e-30b7-4d5a-8d54-4f1e0f6d8a21"
_TARGET: Final = "5c2ad7f4-9a0e-4d0c-b7b8-1f1f2e3d4c5b"
_SOURCE_FACE: Final = "2f9a4e8b-6c1d-5e3f-9a7b-8c6d5e4f3a2b"
_TARGET_FACE: Final = "c1d2e3f4-a5b6-5c7d-8e9f-0a1b2c3d4e5f"

FACES_ANSWER: Final = OpenApiExample(
    "A person of a video",
    value={
        "asset_id": _TARGET,
        "state": "done",
        "has_faces": True,
        "faces": [
            {
                "id": _TARGET_FACE,
                "box_xyxy": [412.5, 96.25, 508.0, 219.75],
                "quality": {
                    "score": 0.93,
                    "landmark_score": 1.0,
                    "size_px": 95.5,
                    "sharpness": 412.7,
                },
                "track": {"start_ms": 0, "end_ms": 8500, "sample_ms": 2000, "samples": 18},
                "thumbnail_url": (
                    f"https://swap.example/api/v1/assets/{_TARGET}/faces/{_TARGET_FACE}/thumbnail"
                ),
            }
        ],
        "turned_away": 2,
        "left_out": 0,
        "samples": 20,
        "error": None,
        "expires_at": "2026-11-30T09:00:00Z",
    },
    response_only=True,
    status_codes=["200"],
)
MAPPING_REQUEST: Final = OpenApiExample(
    "Price a swap of one chosen face",
    value={
        "operation": "image_swap",
        "source_asset_id": _SOURCE,
        "target_asset_id": _TARGET,
        "options": {
            "mapping": [{"source_face_id": _SOURCE_FACE, "target_face_id": _TARGET_FACE}],
        },
    },
    request_only=True,
)
