"""Jobs and their results."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import FileResponse, HttpResponseBase
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
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
from inference import downloads, selectors, services, storage
from inference.api import schema, serializers
from inference.api.negotiation import AnyAcceptNegotiation
from inference.api.views.parsing import LIST_ERRORS, valid
from inference.errors import (
    JobFailedError,
    JobNotFinishedError,
    JobNotFoundError,
    QuoteExpiredError,
    QuoteNotFoundError,
    QuoteRedeemedError,
    failure_text,
)
from inference.models import SwapJob
from tokens.errors import InsufficientTokensError, WalletFrozenError
from tokens.wallet_errors import WalletClosedError

_POLL_S: Final = 1


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
        query = valid(serializers.JobQuerySerializer(data=request.query_params))
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
                WalletFrozenError,
                WalletClosedError,
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
        data = valid(serializers.JobCreateSerializer(data=request.data))
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


def _finished_job(request: Request, job_id: uuid.UUID) -> SwapJob:
    job = selectors.job(owner_id=drf.user_id(request), job_id=job_id)
    if not job.is_final:
        raise JobNotFinishedError(
            _("The job has no result yet."), state=job.status.lower(), retry_after_s=_POLL_S
        )
    if job.status != SwapJob.Status.SUCCEEDED:
        raise JobFailedError(failure_text(job.error_code), error_code=job.error_code)
    return job
