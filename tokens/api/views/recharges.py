"""Bulk recharges over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import step_up
from accounts.errors import (
    RoleRequiredError,
    ScopeMissingError,
    SecondFactorMissingError,
    SecondFactorUnreadableError,
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
)
from accounts.permissions import scope
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import (
    InvalidCursorError,
    InvalidRequestError,
    ParseError,
    RateLimitedError,
    ServiceUnavailableError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import KEY_PARAMETER, KEY_PROBLEMS, problems
from facefusion_site.common.serializers import PageQuerySerializer
from tokens import recharge_selectors, services
from tokens.api import uploads
from tokens.api.pages import page_query
from tokens.api.serializers import recharge_requests as requests
from tokens.api.serializers import recharges as serializers
from tokens.api.submissions import Submission, submission
from tokens.errors import (
    BatchNotFoundError,
    FileTooLargeError,
    IdempotencyInProgressError,
    InvalidRechargeError,
    RechargeBusyError,
    RechargeRefusedError,
    RechargeTooLargeError,
    UnreadableFileError,
)
from tokens.models import RechargeLine
from tokens.recharge_report import failures_csv
from tokens.types import RechargePreview, RechargeReceipt

READ_ERRORS = (RoleRequiredError, ScopeMissingError)
# What any change of tokens may be refused with, besides its own reasons.
WRITE_ERRORS = (
    InvalidRequestError,
    ParseError,
    UnsupportedMediaTypeError,
    RateLimitedError,
    ServiceUnavailableError,
    RechargeBusyError,
    *READ_ERRORS,
)
# What a new batch may be refused with.
BATCH_ERRORS = (
    *KEY_PROBLEMS,
    *WRITE_ERRORS,
    InvalidRechargeError,
    IdempotencyInProgressError,
    RechargeTooLargeError,
    RechargeRefusedError,
    SecondFactorMissingError,
    SecondFactorUnreadableError,
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
)
FILE_ERRORS = (UnreadableFileError, FileTooLargeError)
UNFINISHED = frozenset({"queued", "pending_approval"})
UPLOAD_PARAMETERS = [
    OpenApiParameter(
        name=name,
        description="Only where the body is a stream of rows (NDJSON, CSV or XLSX).",
        enum=requests.MODES if name == "mode" else None,
    )
    for name in (
        "mode",
        "reason",
        "operator",
        "amount",
        "category",
        "priority",
        "effective_at",
        "expires_at",
        "dry_run",
    )
]
RECHARGE_EXAMPLE = OpenApiExample(
    "Credit three users, let good lines through",
    value={
        "users": ["alice", "bob", "nobody"],
        "amount": 100,
        "mode": "soft_fail",
        "operator": "june.campaign",
        "reason": "June campaign",
    },
    request_only=True,
    media_type="application/json",
)
BODIES = {
    "application/json": requests.RechargeCreateSerializer,
    uploads.NdjsonParser.media_type: OpenApiTypes.BINARY,
    uploads.CsvParser.media_type: OpenApiTypes.BINARY,
    uploads.XLSX_TYPE: OpenApiTypes.BINARY,
    "multipart/form-data": requests.RechargeUploadSerializer,
}
PARSERS = [
    JSONParser,
    uploads.NdjsonParser,
    uploads.CsvParser,
    uploads.XlsxParser,
    MultiPartParser,
]


class CsvRenderer(BaseRenderer):
    """Lets a client ask for CSV; the view streams it itself."""

    media_type = "text/csv"
    format = "csv"


class RechargeBatchListView(APIView):
    """Bulk recharges."""

    parser_classes = PARSERS

    def get_permissions(self) -> list[Any]:
        """Reading and writing are different scopes."""
        needed = "recharges:write" if self.request.method == "POST" else "recharges:read"
        return [IsAuthenticated(), scope(needed)()]

    @extend_schema(
        operation_id="recharge_batches_list",
        summary="List recharge batches",
        tags=["recharges"],
        parameters=[PageQuerySerializer, serializers.BatchQuerySerializer],
        responses={200: serializers.RechargeBatchPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        query = serializers.BatchQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        receipts, next_cursor = recharge_selectors.recharge_batches(
            **page_query(request), **query.validated_data
        )
        page = {"items": receipts, "next_cursor": next_cursor}
        return Response(serializers.RechargeBatchPageSerializer(page).data)

    @extend_schema(
        operation_id="recharge_batches_create",
        summary="Recharge many accounts at once",
        tags=["recharges"],
        parameters=[KEY_PARAMETER, step_up.CODE_PARAMETER, *UPLOAD_PARAMETERS],
        request=BODIES,
        examples=[RECHARGE_EXAMPLE],
        responses={
            200: serializers.RechargePreviewSerializer,
            201: serializers.RechargeReceiptSerializer,
            202: serializers.RechargeReceiptSerializer,
            **problems(*BATCH_ERRORS, *FILE_ERRORS),
        },
    )
    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Atomic: all lines or none. Soft-fail: good lines go through, the rest is reported.

        Small batches are applied at once (201). Large ones, and those that need an approval, are
        accepted (202): read the batch until it has ended. `dry_run` changes nothing (200).
        """
        wanted = submission(request)
        if wanted.is_dry_run:
            return _preview(wanted)
        receipt = services.create_batch(
            order=wanted.order,
            rows=wanted.rows,
            actor_id=drf.user_id(request),
            idempotency_key=idempotency.require_key(request),
            unproven_tokens_max=step_up.unproven_tokens_max(request),
        )
        return created(receipt, path=request.path, pointer=wanted.pointer)


class RechargePreviewView(APIView):
    """Dry runs."""

    permission_classes = [IsAuthenticated, scope("recharges:write")]
    parser_classes = PARSERS

    @extend_schema(
        operation_id="recharge_batches_preview",
        summary="See what a recharge would do",
        tags=["recharges"],
        parameters=UPLOAD_PARAMETERS,
        request=BODIES,
        responses={200: serializers.RechargePreviewSerializer}
        | problems(InvalidRechargeError, RechargeTooLargeError, *FILE_ERRORS, *WRITE_ERRORS),
    )
    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """The same verdicts as the recharge itself at this moment, without any effect."""
        return _preview(submission(request))


class RechargeBatchView(APIView):
    """One bulk recharge."""

    permission_classes = [IsAuthenticated, scope("recharges:read")]

    @extend_schema(
        operation_id="recharge_batches_get",
        summary="Read a recharge batch",
        tags=["recharges"],
        responses={200: serializers.RechargeReceiptSerializer}
        | problems(BatchNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """Status, progress, and the first of the lines that failed."""
        receipt = recharge_selectors.recharge_receipt(batch_id=batch_id)
        return Response(serializers.RechargeReceiptSerializer(receipt).data)


class RechargeLineListView(APIView):
    """The lines of one bulk recharge."""

    permission_classes = [IsAuthenticated, scope("recharges:read")]

    @extend_schema(
        operation_id="recharge_lines_list",
        summary="List the lines of a recharge batch",
        tags=["recharges"],
        parameters=[PageQuerySerializer, serializers.LineQuerySerializer],
        responses={200: serializers.RechargeLinePageSerializer}
        | problems(BatchNotFoundError, InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """In the order of the request, each with its outcome; lines appear as they are done."""
        query = serializers.LineQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        lines, next_cursor = recharge_selectors.recharge_lines(
            batch_id=batch_id, **page_query(request), **query.validated_data
        )
        page = {"items": lines, "next_cursor": next_cursor}
        return Response(serializers.RechargeLinePageSerializer(page).data)


class RechargeFailuresView(APIView):
    """The failed lines of one bulk recharge as a file."""

    permission_classes = [IsAuthenticated, scope("recharges:read")]
    renderer_classes = [CsvRenderer, JSONRenderer]

    @extend_schema(
        operation_id="recharge_failures_csv",
        summary="Download the failed lines",
        tags=["recharges"],
        responses={(200, "text/csv"): OpenApiTypes.STR}
        | problems(BatchNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> StreamingHttpResponse:
        """Every failed line with its code, in the columns that an upload understands."""
        lines = recharge_selectors.failed_lines(batch_id=batch_id)
        return StreamingHttpResponse(
            failures_csv(lines),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="failures-{batch_id}.csv"'},
        )


def created(receipt: RechargeReceipt, *, path: str, pointer: str) -> Response:
    """201 for a batch that has ended, 202 for one that goes on; a refused one raises.

    Raises:
        RechargeRefusedError: an atomic batch had bad lines.
    """
    replayed = {idempotency.REPLAYED_HEADER: "true"} if receipt.is_replay else {}
    if receipt.mode == "atomic" and receipt.status == "failed":
        error = _refusal(receipt, pointer)
        error.headers.update(replayed)
        raise error
    is_accepted = receipt.status in UNFINISHED
    collection = path.split("/recharge-batches", maxsplit=1)[0] + "/recharge-batches"
    return Response(
        serializers.RechargeReceiptSerializer(receipt).data,
        status=status.HTTP_202_ACCEPTED if is_accepted else status.HTTP_201_CREATED,
        headers={"Location": f"{collection}/{receipt.batch_id}", **replayed},
    )


def previewed(preview: RechargePreview) -> Response:
    """What a batch would do."""
    return Response(serializers.RechargePreviewSerializer(preview).data)


def _preview(wanted: Submission) -> Response:
    return previewed(services.preview(order=wanted.order, rows=wanted.rows))


def _refusal(receipt: RechargeReceipt, pointer: str) -> RechargeRefusedError:
    """Name the lines at fault; the innocent ones are in the stored batch."""
    faults = [line for line in receipt.failures if line.code != RechargeLine.Outcome.ROLLED_BACK]
    return RechargeRefusedError(
        _("Nothing was changed: %(bad)d of %(count)d lines were refused.")
        % {"bad": len(faults), "count": receipt.lines_count},
        errors=[
            {
                "pointer": f"{pointer}/{line.row_no - 1}",
                "code": line.code,
                "detail": line.message,
                "user": line.user_ref,
            }
            for line in faults
        ],
        batch_id=str(receipt.batch_id),
        failed_users=[line.user_ref for line in faults],
    )
