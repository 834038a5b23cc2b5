"""Jobs and their results."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import FileResponse, HttpResponseBase
from django.urls import reverse
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import ApiKeyBudgetExceededError
from accounts.permissions import ScopedView, budget_key_id
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import (
    InvalidRequestError,
    ParseError,
    RateLimitedError,
    ServiceUnavailableError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import KEY_PROBLEMS, problems
from inference import downloads, selectors, services, storage
from inference.api import schema, serializers, waiting
from inference.api.negotiation import AnyAcceptNegotiation
from inference.api.views.parsing import LIST_ERRORS, erased, valid
from inference.api.views.quotes import QUOTE_ERRORS
from inference.errors import (
    JobFailedError,
    JobFinishedError,
    JobNotFinishedError,
    JobNotFoundError,
    QuoteExpiredError,
    QuoteNotFoundError,
    QuoteRedeemedError,
)
from inference.job_errors import (
    JobCanceledError,
    JobNotRetryableError,
    QuoteMismatchError,
    ResultDeletedError,
)
from inference.models import SwapJob
from inference.selectors import JobDetail
from inference.types import SubmittedJob
from tokens.errors import InsufficientTokensError, WalletFrozenError
from tokens.wallet_errors import WalletClosedError

_POLL_S: Final = 1
_NO_RESULT_ERRORS: Final = (
    JobNotFinishedError,
    JobFailedError,
    JobCanceledError,
    ResultDeletedError,
)
_SUBMIT_ERRORS: Final = (
    *KEY_PROBLEMS,
    InvalidRequestError,
    ParseError,
    ApiKeyBudgetExceededError,
    InsufficientTokensError,
    WalletFrozenError,
    WalletClosedError,
    QuoteNotFoundError,
    QuoteExpiredError,
    QuoteRedeemedError,
    UnsupportedMediaTypeError,
    RateLimitedError,
    ServiceUnavailableError,
)


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
        body = serializers.JobQuerySerializer(data=request.query_params)
        query = valid(body)
        items, next_cursor = selectors.jobs(
            owner_id=drf.user_id(request),
            wanted=body.to_filter(),
            limit=query["limit"],
            cursor=query["cursor"],
        )
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.JobPageSerializer(page, context={"request": request}).data)

    @extend_schema(
        operation_id="jobs_create",
        summary="Submit a swap",
        tags=["jobs"],
        parameters=schema.SUBMIT_PARAMETERS,
        request=serializers.JobCreateSerializer,
        responses={
            200: serializers.JobSerializer,
            202: serializers.JobSerializer,
            **problems(*_SUBMIT_ERRORS),
        },
        examples=[schema.JOB_REQUEST, schema.JOB_ANSWER],
    )
    @limit(group="jobs", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Redeems a quote: its tokens are held now, and charged only for a result."""
        key = idempotency.require_key(request)
        data = valid(serializers.JobCreateSerializer(data=request.data))
        owner_id = drf.user_id(request)
        submitted = services.submit_swap_job(
            owner_id=owner_id,
            quote_id=data["quote_id"],
            start_deadline_s=data.get("start_deadline_s"),
            idempotency_key=key,
            api_key_id=budget_key_id(request),
        )
        return _submitted(request, submitted)


class JobView(ScopedView):
    """One swap job."""

    scopes = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="jobs_get",
        summary="Read a job",
        tags=["jobs"],
        parameters=[
            schema.PREFER,
            schema.IF_NONE_MATCH,
            schema.ETAG_HEADER,
            schema.RETRY_HEADER,
            schema.APPLIED_HEADER,
        ],
        responses={
            200: serializers.JobSerializer,
            304: schema.NOT_MODIFIED,
            **problems(JobNotFoundError),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """Poll this until `finished_at` is there; with `Prefer: wait` it answers at the end."""
        detail, headers = _waited(request, job_id)
        body = serializers.JobSerializer(detail, context={"request": request}).data
        etag = f'W/"{idempotency.fingerprint(body)}"'
        headers |= {"ETag": etag, "Cache-Control": "private, no-cache"}
        if not detail.job.is_final:
            headers["Retry-After"] = str(_POLL_S)
        if etag in parse_etags(request.headers.get("If-None-Match", "")):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
        return Response(body, headers=headers)


class JobCancelView(ScopedView):
    """The end of a job, by its owner."""

    scopes = {"GET": "jobs:read", "POST": "jobs:write"}

    @extend_schema(
        operation_id="jobs_cancel_preview",
        summary="Ask what canceling would cost",
        tags=["jobs"],
        responses={
            200: serializers.CancelPreviewSerializer,
            **problems(JobNotFoundError, JobFinishedError),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """What would be charged and given back at this moment. Nothing is canceled."""
        preview = services.preview_cancel_of(owner_id=drf.user_id(request), job_id=job_id)
        return Response(serializers.CancelPreviewSerializer(preview).data)

    @extend_schema(
        operation_id="jobs_cancel",
        summary="Cancel a job",
        tags=["jobs"],
        request=None,
        responses={
            200: serializers.JobSerializer,
            **problems(JobNotFoundError, JobFinishedError, RateLimitedError),
        },
    )
    @limit(group="jobs-cancel", rate="JOBS_RATE", key="user")
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """A queued job costs nothing; of a running video the frames that are done are charged."""
        owner_id = drf.user_id(request)
        services.cancel_swap_job(owner_id=owner_id, job_id=job_id)
        detail = selectors.job_detail(owner_id=owner_id, job_id=job_id)
        return Response(serializers.JobSerializer(detail, context={"request": request}).data)


class JobRetryView(ScopedView):
    """Another try of a job that came to nothing."""

    scopes = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="jobs_retry",
        summary="Retry a job",
        tags=["jobs"],
        parameters=schema.SUBMIT_PARAMETERS,
        request=serializers.JobRetrySerializer,
        responses={
            200: serializers.JobSerializer,
            202: serializers.JobSerializer,
            **problems(
                *_SUBMIT_ERRORS,
                JobNotFoundError,
                JobNotRetryableError,
                QuoteMismatchError,
                *QUOTE_ERRORS,
            ),
        },
    )
    @limit(group="jobs", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """A new job with the same uploads and options, at the price of now or of a quote."""
        key = idempotency.require_key(request)
        data = valid(serializers.JobRetrySerializer(data=request.data))
        submitted = services.retry_swap_job(
            owner_id=drf.user_id(request),
            job_id=job_id,
            quote_id=data.get("quote_id"),
            start_deadline_s=data.get("start_deadline_s"),
            idempotency_key=key,
            api_key_id=budget_key_id(request),
        )
        return _submitted(request, submitted)


class JobResultView(ScopedView):
    """The result of one job."""

    scopes = {"GET": "jobs:read", "DELETE": "jobs:write"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="jobs_result",
        summary="Download a result",
        tags=["jobs"],
        parameters=[schema.RANGE],
        responses={
            **schema.MEDIA,
            **problems(JobNotFoundError, *_NO_RESULT_ERRORS),
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

    @extend_schema(
        operation_id="jobs_result_delete",
        summary="Delete a result",
        tags=["jobs"],
        responses={
            204: OpenApiResponse(
                description=(
                    "The bytes are gone; the job and its receipt stay. The header "
                    "`Erasure-Receipt` names the receipt of erasure."
                )
            ),
            **problems(
                JobNotFoundError,
                JobNotFinishedError,
                JobFailedError,
                JobCanceledError,
                ServiceUnavailableError,
            ),
        },
    )
    def delete(self, request: Request, job_id: uuid.UUID) -> Response:
        """At once, and as often as you like."""
        return erased(services.erase_result(owner_id=drf.user_id(request), job_id=job_id))


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
            **problems(JobNotFoundError, *_NO_RESULT_ERRORS),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> FileResponse:
        """A JPEG of at most 320 pixels a side."""
        return downloads.thumbnail(key=_finished_job(request, job_id).result_key)


def _finished_job(request: Request, job_id: uuid.UUID) -> SwapJob:
    job = selectors.job(owner_id=drf.user_id(request), job_id=job_id)
    services.require_result(job)
    return job


def _submitted(request: Request, submitted: SubmittedJob) -> Response:
    """The job that a request made: 200 if the caller waited for its end, else 202."""
    detail, headers = _waited(request, submitted.job_id)
    headers["Location"] = reverse("job", kwargs={"job_id": submitted.job_id})
    if submitted.is_replay:
        headers[idempotency.REPLAYED_HEADER] = "true"
    has_waited = waiting.APPLIED_HEADER in headers
    is_ended = has_waited and detail.job.is_final
    if not is_ended:
        headers["Retry-After"] = str(_POLL_S)
    return Response(
        serializers.JobSerializer(detail, context={"request": request}).data,
        status=status.HTTP_200_OK if is_ended else status.HTTP_202_ACCEPTED,
        headers=headers,
    )


def _waited(request: Request, job_id: uuid.UUID) -> tuple[JobDetail, dict[str, str]]:
    """The caller's job after the wait that it prefers, and the header that says so."""
    owner_id = drf.user_id(request)
    detail = selectors.job_detail(owner_id=owner_id, job_id=job_id)
    wait_s = waiting.preferred_s(request)
    if not wait_s:
        return detail, {}
    if not detail.job.is_final:
        if not waiting.until_end(job_id=job_id, owner_id=owner_id, wait_s=wait_s):
            return detail, {}
        detail = selectors.job_detail(owner_id=owner_id, job_id=job_id)
    return detail, {waiting.APPLIED_HEADER: f"wait={wait_s}"}
