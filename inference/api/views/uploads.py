"""Uploads whose bytes are sent on their own."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ScopedView
from facefusion_site.common import drf
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
from inference.api import schema, serializers
from inference.api.views.parsing import valid
from inference.errors import (
    VIDEO_REFUSALS,
    AssetNotFoundError,
    ImageTooLargeError,
    UnreadableImageError,
    UnsupportedImageError,
    UploadTooLargeError,
)
from inference.media_errors import (
    ADMISSION_REFUSALS,
    IMPORT_REFUSALS,
    AssetDeletedError,
    TooManyOpenUploadsError,
    UploadCompletedError,
    UploadExpiredError,
    UploadIncompleteError,
    UploadMismatchError,
    UploadUrlError,
)
from trust.errors import FILE_REFUSALS as TRUST_REFUSALS

FILE_REFUSALS: Final = (
    UploadTooLargeError,
    UnsupportedImageError,
    UnreadableImageError,
    ImageTooLargeError,
    *VIDEO_REFUSALS,
    *ADMISSION_REFUSALS,
    *TRUST_REFUSALS,
    ServiceUnavailableError,
)


class UploadListView(ScopedView):
    """Announced uploads."""

    scopes = {"POST": "media:write"}

    @extend_schema(
        operation_id="uploads_create",
        summary="Announce an upload",
        tags=["assets"],
        request=serializers.UploadAnnounceSerializer,
        examples=[schema.UPLOAD_REQUEST],
        responses={
            201: serializers.OpenUploadSerializer,
            **problems(
                InvalidRequestError,
                ParseError,
                UnsupportedMediaTypeError,
                UploadTooLargeError,
                TooManyOpenUploadsError,
                *ADMISSION_REFUSALS,
                RateLimitedError,
            ),
        },
    )
    @limit(group="uploads", rate="UPLOADS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """Then send the bytes to “upload.url” with its method and headers, and complete it."""
        data = valid(serializers.UploadAnnounceSerializer(data=request.data))
        opened = services.announce_upload(
            owner_id=drf.user_id(request),
            name=data["filename"],
            size_bytes=data["size_bytes"],
            sha256=data["sha256"],
            content_type=data["content_type"],
        )
        return Response(
            serializers.OpenUploadSerializer(opened, context={"request": request}).data,
            status=status.HTTP_201_CREATED,
        )


class UploadContentView(APIView):
    """Where the bytes of an announced upload go when media lies with us."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="uploads_content",
        summary="Send the bytes of an upload",
        description="The address, method and headers are those of the announcement.",
        tags=["assets"],
        auth=[],
        parameters=[OpenApiParameter("signature", str, required=True)],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={
            204: OpenApiResponse(description="The bytes are here; complete the upload next."),
            **problems(
                UploadUrlError,
                UploadExpiredError,
                UploadCompletedError,
                AssetDeletedError,
                UploadMismatchError,
                is_public=True,
            ),
        },
    )
    def put(self, request: Request, asset_id: uuid.UUID) -> Response:
        """The body is the file itself."""
        raw: HttpRequest = request._request  # noqa: SLF001 - DRF would parse the body
        announced = request.META.get("CONTENT_LENGTH") or ""
        services.receive_bytes(
            asset_id=asset_id,
            signature=request.query_params.get("signature", ""),
            stream=raw,
            content_length=int(announced) if announced.isdecimal() else None,
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class UploadCompleteView(ScopedView):
    """The last step of an announced upload."""

    scopes = {"POST": "media:write"}

    @extend_schema(
        operation_id="uploads_complete",
        summary="Complete an upload",
        tags=["assets"],
        request=None,
        responses={
            200: serializers.AssetSerializer,
            **problems(
                AssetNotFoundError,
                UploadExpiredError,
                UploadIncompleteError,
                UploadMismatchError,
                AssetDeletedError,
                *FILE_REFUSALS,
                RateLimitedError,
            ),
        },
    )
    @limit(group="uploads", rate="UPLOADS_RATE", key="user")
    def post(self, request: Request, asset_id: uuid.UUID) -> Response:
        """Looks into the bytes that were sent. Repeating it gives the same answer."""
        asset = services.complete_upload(owner_id=drf.user_id(request), asset_id=asset_id)
        return Response(serializers.AssetSerializer(asset, context={"request": request}).data)


class ImportListView(ScopedView):
    """Uploads that are fetched from an address."""

    scopes = {"POST": "media:write"}

    @extend_schema(
        operation_id="imports_create",
        summary="Import a file by its address",
        tags=["assets"],
        request=serializers.ImportSerializer,
        examples=[schema.IMPORT_REQUEST],
        responses={
            201: serializers.AssetSerializer,
            **problems(
                InvalidRequestError,
                ParseError,
                UnsupportedMediaTypeError,
                *IMPORT_REFUSALS,
                *FILE_REFUSALS,
                RateLimitedError,
            ),
        },
    )
    @limit(group="imports", rate="IMPORTS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Answers when the file is here. What takes longer is an announced upload."""
        data = valid(serializers.ImportSerializer(data=request.data))
        asset = services.import_media(
            owner_id=drf.user_id(request), url=data["url"], name=data["filename"]
        )
        return Response(
            serializers.AssetSerializer(asset, context={"request": request}).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": absolute_path(request, asset.pk)},
        )


def absolute_path(request: Request, asset_id: uuid.UUID) -> str:
    """Where the new upload is read."""
    return f"{request.path.removesuffix('imports')}assets/{asset_id}"
