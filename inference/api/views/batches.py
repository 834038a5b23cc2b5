"""Many jobs in one request."""

from __future__ import annotations

import uuid

from django.urls import reverse
from drf_spectacular.utils import extend_schema
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
from facefusion_site.common.schema import KEY_PARAMETER, KEY_PROBLEMS, problems
from inference import batch_selectors, services
from inference.api import schema, serializers
from inference.api.views.parsing import valid
from inference.job_errors import BatchNotFoundError, BatchRefusedError, PriceAboveLimitError
from tokens.errors import InsufficientTokensError, WalletFrozenError
from tokens.wallet_errors import WalletClosedError


class JobBatchListView(ScopedView):
    """Batches of jobs."""

    scopes = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="job_batches_create",
        summary="Submit many swaps",
        tags=["jobs"],
        parameters=[KEY_PARAMETER, schema.LOCATION_HEADER, schema.REPLAYED_HEADER],
        request=serializers.BatchCreateSerializer,
        responses={
            200: serializers.BatchPreviewSerializer,
            202: serializers.BatchSerializer,
            **problems(
                *KEY_PROBLEMS,
                InvalidRequestError,
                ParseError,
                UnsupportedMediaTypeError,
                RateLimitedError,
                ServiceUnavailableError,
                ApiKeyBudgetExceededError,
                BatchRefusedError,
                PriceAboveLimitError,
                InsufficientTokensError,
                WalletFrozenError,
                WalletClosedError,
            ),
        },
        examples=[schema.BATCH_REQUEST, schema.IMAGE_SET_REQUEST],
    )
    @limit(group="jobs", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Up to 1,000 jobs with one price and an outcome for each row; `dry_run` writes nothing."""
        key = idempotency.require_key(request)
        body = serializers.BatchCreateSerializer(data=request.data)
        is_dry_run = valid(body)["dry_run"]
        owner_id, order = drf.user_id(request), body.to_order()
        if is_dry_run:
            preview = services.preview_job_batch(owner_id=owner_id, order=order)
            return Response(serializers.BatchPreviewSerializer(preview).data)
        batch_id, is_replay = services.create_job_batch(
            owner_id=owner_id,
            order=order,
            idempotency_key=key,
            api_key_id=budget_key_id(request),
        )
        headers = {"Location": reverse("job-batch", kwargs={"batch_id": batch_id})}
        if is_replay:
            headers[idempotency.REPLAYED_HEADER] = "true"
        detail = batch_selectors.batch_detail(owner_id=owner_id, batch_id=batch_id)
        return Response(
            serializers.BatchSerializer(detail).data,
            status=status.HTTP_202_ACCEPTED,
            headers=headers,
        )


class JobBatchView(ScopedView):
    """One batch of jobs."""

    scopes = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="job_batches_get",
        summary="Read a batch",
        tags=["jobs"],
        responses={200: serializers.BatchSerializer, **problems(BatchNotFoundError)},
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """Counts by state, one receipt, and the rows; its jobs are listed by `batch_id`."""
        detail = batch_selectors.batch_detail(owner_id=drf.user_id(request), batch_id=batch_id)
        return Response(serializers.BatchSerializer(detail).data)


class JobBatchCancelView(ScopedView):
    """The end of a batch, by its owner."""

    scopes = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="job_batches_cancel",
        summary="Cancel a batch",
        tags=["jobs"],
        request=None,
        responses={
            200: serializers.BatchSerializer,
            **problems(BatchNotFoundError, RateLimitedError),
        },
    )
    @limit(group="jobs-cancel", rate="JOBS_RATE", key="user")
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        """Cancels each of its jobs that has not ended; may be repeated."""
        owner_id = drf.user_id(request)
        services.cancel_job_batch(owner_id=owner_id, batch_id=batch_id)
        detail = batch_selectors.batch_detail(owner_id=owner_id, batch_id=batch_id)
        return Response(serializers.BatchSerializer(detail).data)
