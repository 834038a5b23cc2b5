"""Uploads."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import FileResponse, HttpResponseBase
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from facefusion_site.common.serializers import PageQuerySerializer
from inference import downloads, selectors, services, storage
from inference.api import schema, serializers
from inference.api.negotiation import AnyAcceptNegotiation
from inference.api.views.parsing import LIST_ERRORS, erased, valid
from inference.errors import (
    VIDEO_REFUSALS,
    AssetNotFoundError,
    ImageTooLargeError,
    UnreadableImageError,
    UnsupportedImageError,
    UploadTooLargeError,
)
from inference.job_errors import InputsMissingError
from inference.media_errors import ADMISSION_REFUSALS, AssetDeletedError, AssetInUseError
from trust.errors import FILE_REFUSALS as TRUST_REFUSALS

UNUSABLE: Final = (AssetDeletedError, InputsMissingError)
# What a multipart body adds around the file: boundaries and part headers.
_MULTIPART_OVERHEAD_BYTES: Final = 64 * 1024


class AssetListView(ScopedView):
    """Uploads."""

    scopes = {"GET": "media:read", "POST": "media:write"}
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="assets_list",
        summary="List your uploads",
        tags=["assets"],
        parameters=[PageQuerySerializer],
        responses={200: serializers.AssetPageSerializer, **problems(*LIST_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        query = valid(PageQuerySerializer(data=request.query_params))
        items, next_cursor = selectors.assets(owner_id=drf.user_id(request), **query)
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.AssetPageSerializer(page, context={"request": request}).data)

    @extend_schema(
        operation_id="assets_create",
        summary="Upload a picture or a video",
        tags=["assets"],
        request={"multipart/form-data": serializers.UploadSerializer},
        responses={
            201: serializers.AssetSerializer,
            **problems(
                InvalidRequestError,
                UploadTooLargeError,
                UnsupportedImageError,
                UnreadableImageError,
                ImageTooLargeError,
                *VIDEO_REFUSALS,
                *ADMISSION_REFUSALS,
                *TRUST_REFUSALS,
                UnsupportedMediaTypeError,
                RateLimitedError,
            ),
        },
    )
    @limit(group="uploads", rate="UPLOADS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """What is in the file is looked at before it is accepted; only its owner can fetch it."""
        # Seen before the body is read: nothing of it is written to disk.
        announced = request.META.get("CONTENT_LENGTH") or ""
        bytes_max = services.upload_bytes_max(owner_id=drf.user_id(request))
        if announced.isdecimal() and int(announced) > bytes_max + _MULTIPART_OVERHEAD_BYTES:
            raise services.upload_too_large(bytes_max=bytes_max)
        file = valid(serializers.UploadSerializer(data=request.data))["file"]
        asset = services.register_media(
            owner_id=drf.user_id(request), file=file, name=file.name or ""
        )
        return Response(
            serializers.AssetSerializer(asset, context={"request": request}).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{asset.pk}"},
        )


class AssetView(ScopedView):
    """One upload."""

    scopes = {"GET": "media:read", "DELETE": "media:write"}

    @extend_schema(
        operation_id="assets_get",
        summary="Read an upload",
        tags=["assets"],
        responses={200: serializers.AssetSerializer, **problems(AssetNotFoundError)},
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> Response:
        """What was found in the file; its state says whether it can be used."""
        asset = selectors.any_asset(owner_id=drf.user_id(request), asset_id=asset_id)
        return Response(serializers.AssetSerializer(asset, context={"request": request}).data)

    @extend_schema(
        operation_id="assets_delete",
        summary="Delete an upload now",
        tags=["assets"],
        responses={
            204: OpenApiResponse(
                description="Its bytes are gone; the header `Erasure-Receipt` names the receipt."
            ),
            **problems(AssetNotFoundError, AssetInUseError),
        },
    )
    def delete(self, request: Request, asset_id: uuid.UUID) -> Response:
        """Bytes and faces are gone at once; receipts of jobs stay. Repeating it does nothing."""
        receipt_id = services.delete_asset(owner_id=drf.user_id(request), asset_id=asset_id)
        return erased(receipt_id)


class MediaErasureView(ScopedView):
    """All media of the account."""

    scopes = {"POST": "media:write"}

    @extend_schema(
        operation_id="account_erase_media",
        summary="Delete all media of the account",
        tags=["assets"],
        request=None,
        examples=[
            OpenApiExample(
                "all gone",
                response_only=True,
                value={
                    "receipt_id": "2f0c2a0e-5a3e-4d2c-9a55-9a2f1e0f7c01",
                    "erased_count": 12,
                    "remaining_count": 0,
                },
            )
        ],
        responses={
            200: serializers.ErasureSerializer,
            **problems(AssetInUseError, RateLimitedError, ServiceUnavailableError),
        },
    )
    @limit(group="erasures", rate="JOBS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """Uploads, faces and results, five hundred of each at once; repeat it while some remain.

        Jobs and their receipts stay, without pictures. Cancel jobs that have not ended first.
        """
        done = services.erase_media(owner_id=drf.user_id(request))
        return Response(serializers.ErasureSerializer(done).data)


class AssetContentView(ScopedView):
    """The bytes of one upload."""

    scopes = {"GET": "media:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="assets_content",
        summary="Download an upload",
        tags=["assets"],
        parameters=[schema.RANGE],
        responses={**schema.MEDIA, **problems(AssetNotFoundError, *UNUSABLE)},
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> HttpResponseBase:
        """The file as it is kept, or a part of it; from a bucket by a redirect."""
        asset = selectors.asset(owner_id=drf.user_id(request), asset_id=asset_id)
        return downloads.media(
            request,
            key=asset.file_key,
            content_type=asset.content_type,
            file_name=f"{asset.pk}.{storage.EXTENSIONS[asset.content_type]}",
            sha256=asset.sha256,
            is_attachment=True,
        )


class AssetThumbnailView(ScopedView):
    """A small picture of one upload."""

    scopes = {"GET": "media:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="assets_thumbnail",
        summary="See an upload in small",
        tags=["assets"],
        responses={**schema.THUMBNAIL, **problems(AssetNotFoundError, *UNUSABLE)},
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> FileResponse:
        """A JPEG of at most 320 pixels a side."""
        asset = selectors.asset(owner_id=drf.user_id(request), asset_id=asset_id)
        return downloads.thumbnail(key=asset.file_key)
