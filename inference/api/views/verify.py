"""Whether a file came from here. Public: nobody has to sign in to ask."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facefusion_site.common.errors import (
    InvalidRequestError,
    ParseError,
    RateLimitedError,
    ServiceUnavailableError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from inference import services
from inference.api.serializers import verify as serializers
from inference.api.views.parsing import valid
from inference.errors import UploadTooLargeError
from inference.types import Verdict

_SHA256: Final = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
_ORIGINAL: Final = OpenApiExample(
    "A picture that was made here",
    value={
        "origin": "original",
        "sha256": _SHA256,
        "kind": "picture",
        "made_on": "2026-11-24",
        "labels": ["visible", "c2pa", "iptc", "aigc"],
    },
    response_only=True,
)
_EDITED: Final = OpenApiExample(
    "The same picture after somebody cropped it",
    value={
        "origin": "edited",
        "sha256": "0" * 64,
        "kind": "picture",
        "made_on": "2026-11-24",
        "labels": ["c2pa", "iptc", "aigc"],
    },
    response_only=True,
)
_UNKNOWN: Final = OpenApiExample(
    "Nothing says that it is from here",
    value={
        "origin": "unknown",
        "sha256": "0" * 64,
        "kind": None,
        "made_on": None,
        "labels": [],
    },
    response_only=True,
)
# What a multipart body adds around the file: boundaries and part headers.
_MULTIPART_OVERHEAD_BYTES: Final = 64 * 1024


class VerifyView(APIView):
    """Checks of files."""

    permission_classes = [AllowAny]
    parser_classes = [MultiPartParser, JSONParser]

    @extend_schema(
        operation_id="verify_file",
        summary="Ask whether a file came from here",
        tags=["verify"],
        auth=[],
        request={
            "multipart/form-data": serializers.VerifyFileSerializer,
            "application/json": serializers.DigestSerializer,
        },
        examples=[
            OpenApiExample("By its digest", value={"sha256": _SHA256}, request_only=True),
            _ORIGINAL,
            _EDITED,
            _UNKNOWN,
        ],
        responses={
            200: serializers.VerdictSerializer,
            **problems(
                InvalidRequestError,
                ParseError,
                UnsupportedMediaTypeError,
                UploadTooLargeError,
                RateLimitedError,
                ServiceUnavailableError,
                is_public=True,
            ),
        },
    )
    @limit(group="verify", rate="VERIFY_RATE", key="ip")
    def post(self, request: Request) -> Response:
        """Send the file, or the SHA-256 alone. A file is looked into and not kept."""
        # Seen before the body is read: nothing of it is written to disk.
        announced = request.META.get("CONTENT_LENGTH") or ""
        bytes_max = settings.VERIFY_BYTES_MAX + _MULTIPART_OVERHEAD_BYTES
        if announced.isdecimal() and int(announced) > bytes_max:
            raise services.verify_too_large()
        if "file" in request.data:
            sent = valid(serializers.VerifyFileSerializer(data=request.data))
            return _answer(services.verify_file(file=sent["file"]))
        sent = valid(serializers.DigestSerializer(data=request.data))
        return _answer(services.verify_digest(**sent))


class VerifyDigestView(APIView):
    """What is known of one digest."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="verify_digest",
        summary="Ask whether a digest is known",
        tags=["verify"],
        auth=[],
        parameters=[
            OpenApiParameter(
                "sha256", str, OpenApiParameter.PATH, description="64 hex digits of the SHA-256."
            )
        ],
        examples=[_ORIGINAL, _UNKNOWN],
        responses={
            200: serializers.VerdictSerializer,
            **problems(InvalidRequestError, RateLimitedError, is_public=True),
        },
    )
    @limit(group="verify", rate="VERIFY_RATE", key="ip")
    def get(self, request: Request, sha256: str) -> Response:
        """A file that was changed in any way has another digest, and is unknown here."""
        sent = valid(serializers.DigestSerializer(data={"sha256": sha256}))
        return _answer(services.verify_digest(**sent))


def _answer(verdict: Verdict) -> Response:
    return Response(serializers.VerdictSerializer(verdict).data)
