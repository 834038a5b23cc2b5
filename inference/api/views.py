"""HTTP face of inference."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.http import FileResponse, HttpResponseBase
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import (
    InvalidRequestError,
    ParseError,
    RateLimitedError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import KEY_PARAMETER, KEY_PROBLEMS, problems
from facefusion_site.common.serializers import PageQuerySerializer
from inference import downloads, selectors, services, storage
from inference.api import schema, serializers
from inference.api.negotiation import AnyAcceptNegotiation
from inference.errors import (
    VIDEO_REFUSALS,
    AssetNotFoundError,
    ImageTooLargeError,
    InvalidTrimError,
    JobFailedError,
    JobNotFinishedError,
    JobNotFoundError,
    OperationMismatchError,
    QuoteExpiredError,
    QuoteNotFoundError,
    QuoteRedeemedError,
    SourceNotAPictureError,
    SwapOptionsError,
    UnreadableImageError,
    UnsupportedImageError,
    UploadTooLargeError,
    failure_text,
)
from inference.models import SwapJob
from tokens.errors import InsufficientTokensError, InvalidCursorError
from tokens.types import Operation

# What a multipart body adds around the file: boundaries and part headers.
_MULTIPART_OVERHEAD_BYTES: Final = 64 * 1024
_POLL_S: Final = 1
LIST_ERRORS: Final = (InvalidRequestError, InvalidCursorError)


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
        query = _valid(PageQuerySerializer(data=request.query_params))
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
        if (
            announced.isdecimal()
            and int(announced) > services.upload_bytes_max() + _MULTIPART_OVERHEAD_BYTES
        ):
            raise services.upload_too_large(bytes_max=services.upload_bytes_max())
        file = _valid(serializers.UploadSerializer(data=request.data))["file"]
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

    scopes = {"GET": "media:read"}

    @extend_schema(
        operation_id="assets_get",
        summary="Read an upload",
        tags=["assets"],
        responses={200: serializers.AssetSerializer, **problems(AssetNotFoundError)},
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> Response:
        """What was found in the file."""
        asset = selectors.asset(owner_id=drf.user_id(request), asset_id=asset_id)
        return Response(serializers.AssetSerializer(asset, context={"request": request}).data)


class AssetContentView(ScopedView):
    """The bytes of one upload."""

    scopes = {"GET": "media:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="assets_content",
        summary="Download an upload",
        tags=["assets"],
        parameters=[schema.RANGE],
        responses={**schema.MEDIA, **problems(AssetNotFoundError)},
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> HttpResponseBase:
        """The file as it was uploaded, or a part of it."""
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
        responses={**schema.THUMBNAIL, **problems(AssetNotFoundError)},
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> FileResponse:
        """A JPEG of at most 320 pixels a side."""
        asset = selectors.asset(owner_id=drf.user_id(request), asset_id=asset_id)
        return downloads.thumbnail(key=asset.file_key)


class QuoteListView(ScopedView):
    """Quotes."""

    scopes = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="quotes_create",
        summary="Price a swap",
        tags=["jobs"],
        request=serializers.QuoteCreateSerializer,
        responses={
            201: serializers.QuoteSerializer,
            **problems(
                InvalidRequestError,
                ParseError,
                AssetNotFoundError,
                SourceNotAPictureError,
                OperationMismatchError,
                InvalidTrimError,
                SwapOptionsError,
                UnsupportedMediaTypeError,
                RateLimitedError,
            ),
        },
        examples=[schema.QUOTE_REQUEST, schema.VIDEO_QUOTE_REQUEST, schema.QUOTE_ANSWER],
    )
    @limit(group="quotes", rate="JOBS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """Free. The price is promised until the quote expires, and pays for one job."""
        body = serializers.QuoteCreateSerializer(data=request.data)
        data = _valid(body)
        owner_id = drf.user_id(request)
        quote = services.quote_swap(
            owner_id=owner_id,
            source_asset_id=data["source_asset_id"],
            target_asset_id=data["target_asset_id"],
            operation=Operation(data["operation"]),
            options=body.to_options(),
        )
        detail = selectors.quote_detail(owner_id=owner_id, quote_id=quote.pk)
        return Response(
            serializers.QuoteSerializer(detail).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{quote.pk}"},
        )


class QuoteView(ScopedView):
    """One quote."""

    scopes = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="quotes_get",
        summary="Read a quote",
        tags=["jobs"],
        responses={200: serializers.QuoteSerializer, **problems(QuoteNotFoundError)},
        examples=[schema.QUOTE_ANSWER],
    )
    def get(self, request: Request, quote_id: uuid.UUID) -> Response:
        """With the balance as it is now, and the job it paid for."""
        detail = selectors.quote_detail(owner_id=drf.user_id(request), quote_id=quote_id)
        return Response(serializers.QuoteSerializer(detail).data)


class JobListView(ScopedView):
    """Swap jobs."""

    scopes = {"GET": "jobs:read", "POST": "jobs:write"}

    @extend_schema(
        operation_id="jobs_list",
        summary="List your jobs",
        tags=["jobs"],
        parameters=[serializers.JobQuerySerializer],
        responses={200: serializers.JobPageSerializer, **problems(*LIST_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Newest first, each with its receipt."""
        query = _valid(serializers.JobQuerySerializer(data=request.query_params))
        items, next_cursor = selectors.jobs(
            owner_id=drf.user_id(request),
            status=query["state"],
            limit=query["limit"],
            cursor=query["cursor"],
        )
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.JobPageSerializer(page, context={"request": request}).data)

    @extend_schema(
        operation_id="jobs_create",
        summary="Submit a swap",
        tags=["jobs"],
        parameters=[KEY_PARAMETER, schema.LOCATION_HEADER, schema.REPLAYED_HEADER],
        request=serializers.JobCreateSerializer,
        responses={
            202: serializers.JobSerializer,
            **problems(
                *KEY_PROBLEMS,
                InvalidRequestError,
                ParseError,
                InsufficientTokensError,
                QuoteNotFoundError,
                QuoteExpiredError,
                QuoteRedeemedError,
                UnsupportedMediaTypeError,
                RateLimitedError,
            ),
        },
        examples=[schema.JOB_REQUEST, schema.JOB_ANSWER],
    )
    @limit(group="jobs", rate="JOBS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """Redeems a quote: its tokens are held now, and charged only for a result."""
        key = idempotency.require_key(request)
        data = _valid(serializers.JobCreateSerializer(data=request.data))
        owner_id = drf.user_id(request)
        submitted = services.submit_swap_job(
            owner_id=owner_id, quote_id=data["quote_id"], idempotency_key=key
        )
        detail = selectors.job_detail(owner_id=owner_id, job_id=submitted.job_id)
        headers = {"Location": f"{request.path}/{submitted.job_id}", "Retry-After": str(_POLL_S)}
        if submitted.is_replay:
            headers[idempotency.REPLAYED_HEADER] = "true"
        return Response(
            serializers.JobSerializer(detail, context={"request": request}).data,
            status=status.HTTP_202_ACCEPTED,
            headers=headers,
        )


class JobView(ScopedView):
    """One swap job."""

    scopes = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="jobs_get",
        summary="Read a job",
        tags=["jobs"],
        parameters=[schema.IF_NONE_MATCH, schema.ETAG_HEADER, schema.RETRY_HEADER],
        responses={
            200: serializers.JobSerializer,
            304: schema.NOT_MODIFIED,
            **problems(JobNotFoundError),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """Poll this until the state is succeeded or failed."""
        detail = selectors.job_detail(owner_id=drf.user_id(request), job_id=job_id)
        body = serializers.JobSerializer(detail, context={"request": request}).data
        etag = f'W/"{idempotency.fingerprint(body)}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if not detail.job.is_final:
            headers["Retry-After"] = str(_POLL_S)
        if etag in parse_etags(request.headers.get("If-None-Match", "")):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
        return Response(body, headers=headers)


class JobResultView(ScopedView):
    """The result of one job."""

    scopes = {"GET": "jobs:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="jobs_result",
        summary="Download a result",
        tags=["jobs"],
        parameters=[schema.RANGE],
        responses={
            **schema.MEDIA,
            **problems(JobNotFoundError, JobNotFinishedError, JobFailedError),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponseBase:
        """The new picture or video, or a part of it, for its owner only."""
        job = _finished_job(request, job_id)
        return downloads.media(
            request,
            key=job.result_key,
            content_type=job.result_content_type,
            file_name=f"swap-{job.pk}.{storage.EXTENSIONS[job.result_content_type]}",
            sha256=job.result_sha256,
            is_attachment=True,
        )


class JobThumbnailView(ScopedView):
    """A small picture of one result."""

    scopes = {"GET": "jobs:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="jobs_thumbnail",
        summary="See a result in small",
        tags=["jobs"],
        responses={
            **schema.THUMBNAIL,
            **problems(JobNotFoundError, JobNotFinishedError, JobFailedError),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> FileResponse:
        """A JPEG of at most 320 pixels a side."""
        return downloads.thumbnail(key=_finished_job(request, job_id).result_key)


def _valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _finished_job(request: Request, job_id: uuid.UUID) -> SwapJob:
    job = selectors.job(owner_id=drf.user_id(request), job_id=job_id)
    if not job.is_final:
        raise JobNotFinishedError(
            _("The job has no result yet."), state=job.status.lower(), retry_after_s=_POLL_S
        )
    if job.status != SwapJob.Status.SUCCEEDED:
        raise JobFailedError(failure_text(job.error_code), error_code=job.error_code)
    return job
