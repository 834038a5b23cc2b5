"""What can be done with a batch over HTTP: pause, resume, stop, retry, reverse."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import step_up
from accounts.permissions import scope
from facefusion_site.common import drf, idempotency
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import KEY_PARAMETER, problems
from tokens import services
from tokens.api.serializers import recharge_requests as requests
from tokens.api.serializers import recharges as serializers
from tokens.api.views.recharges import BATCH_ERRORS, WRITE_ERRORS, created, previewed
from tokens.errors import (
    AlreadyRetriedError,
    BatchNotFoundError,
    BatchStateError,
    NothingToRetryError,
    NothingToReverseError,
)
from tokens.types import RechargeReceipt

RECEIPT = serializers.RechargeReceiptSerializer


class BatchStepView(APIView):
    """A change of a batch's state; repeating it changes nothing, so it needs no key."""

    permission_classes = [IsAuthenticated, scope("recharges:write")]
    step: ClassVar[Callable[..., RechargeReceipt]]

    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        """Answer with the batch as it is then."""
        receipt = type(self).step(batch_id=batch_id, actor_id=drf.user_id(request))
        return Response(RECEIPT(receipt).data)


def _step(name: str, summary: str) -> Callable[[type[BatchStepView]], type[BatchStepView]]:
    return extend_schema_view(
        post=extend_schema(
            operation_id=f"recharge_batches_{name}",
            summary=summary,
            tags=["recharges"],
            request=None,
            responses={200: RECEIPT} | problems(BatchNotFoundError, BatchStateError, *WRITE_ERRORS),
        )
    )


@_step("pause", "Pause a batch between two chunks")
class PauseView(BatchStepView):
    """Pause."""

    step = staticmethod(services.pause_batch)


@_step("resume", "Go on with a paused batch")
class ResumeView(BatchStepView):
    """Resume."""

    step = staticmethod(services.resume_batch)


@_step("stop", "End a batch; lines not applied yet will not be")
class StopView(BatchStepView):
    """Stop."""

    step = staticmethod(services.stop_batch)


class RetryView(APIView):
    """Retries of failed lines."""

    permission_classes = [IsAuthenticated, scope("recharges:write")]

    @extend_schema(
        operation_id="recharge_batches_retry_failed",
        summary="Send the failed lines again as a batch of its own",
        tags=["recharges"],
        parameters=[KEY_PARAMETER, step_up.CODE_PARAMETER],
        request=requests.RetrySerializer,
        responses={201: RECEIPT, 202: RECEIPT}
        | problems(
            BatchNotFoundError,
            BatchStateError,
            NothingToRetryError,
            AlreadyRetriedError,
            *BATCH_ERRORS,
        ),
    )
    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        """Once per batch; rows that could not be read are left out."""
        body = requests.RetrySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        receipt = services.retry_failures(
            batch_id=batch_id,
            actor_id=drf.user_id(request),
            idempotency_key=idempotency.require_key(request),
            mode=body.mode_wanted(),
            unproven_tokens_max=step_up.unproven_tokens_max(request),
        )
        return created(receipt, path=request.path, pointer="#/rows")


class ReverseView(APIView):
    """Reversals."""

    permission_classes = [IsAuthenticated, scope("recharges:write")]

    @extend_schema(
        operation_id="recharge_batches_reverse",
        summary="Take back what a batch has granted",
        tags=["recharges"],
        parameters=[KEY_PARAMETER, step_up.CODE_PARAMETER],
        request=requests.ReversalSerializer,
        responses={
            200: serializers.RechargePreviewSerializer,
            201: RECEIPT,
            202: RECEIPT,
            **problems(BatchNotFoundError, BatchStateError, NothingToReverseError, *BATCH_ERRORS),
        },
    )
    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        """Whole or in chosen rows, each row at most once; a batch of its own."""
        body = requests.ReversalSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if body.validated_data["dry_run"]:
            return previewed(services.preview_reversal(batch_id=batch_id, order=body.order()))
        receipt = services.reverse_batch(
            batch_id=batch_id,
            order=body.order(),
            actor_id=drf.user_id(request),
            idempotency_key=idempotency.require_key(request),
            unproven_tokens_max=step_up.unproven_tokens_max(request),
        )
        return created(receipt, path=request.path, pointer="#/rows")
