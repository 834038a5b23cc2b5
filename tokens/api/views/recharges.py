"""Bulk recharges over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import scope
from facefusion_site.common import drf, idempotency
from facefusion_site.common.limits import limit
from tokens import selectors, services
from tokens.api.pages import PageQuerySerializer, page_query
from tokens.api.serializers import recharges as serializers
from tokens.errors import RechargeRefusedError
from tokens.models import RechargeLine
from tokens.types import RechargeReceipt

PROBLEM = drf.ProblemSerializer
KEY_PARAMETER = OpenApiParameter(
    name=idempotency.KEY_HEADER,
    location=OpenApiParameter.HEADER,
    required=True,
    description="Up to 255 printable ASCII characters; repeat it when you retry.",
)
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
)


class RechargeBatchListView(APIView):
    """Bulk recharges."""

    def get_permissions(self) -> list[Any]:
        """Reading and writing are different scopes."""
        needed = "recharges:write" if self.request.method == "POST" else "recharges:read"
        return [IsAuthenticated(), scope(needed)()]

    @extend_schema(
        operation_id="recharge_batches_list",
        summary="List recharge batches",
        tags=["recharges"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.RechargeBatchPageSerializer,
            400: PROBLEM,
            401: PROBLEM,
            403: PROBLEM,
        },
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        receipts, next_cursor = selectors.recharge_batches(**page_query(request))
        page = {"items": receipts, "next_cursor": next_cursor}
        return Response(serializers.RechargeBatchPageSerializer(page).data)

    @extend_schema(
        operation_id="recharge_batches_create",
        summary="Recharge many accounts at once",
        tags=["recharges"],
        parameters=[KEY_PARAMETER],
        request=serializers.RechargeCreateSerializer,
        examples=[RECHARGE_EXAMPLE],
        responses={
            201: serializers.RechargeReceiptSerializer,
            400: PROBLEM,
            401: PROBLEM,
            403: PROBLEM,
            413: PROBLEM,
            415: PROBLEM,
            422: PROBLEM,
            429: PROBLEM,
            503: PROBLEM,
        },
    )
    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Atomic: all lines or none. Soft-fail: good lines go through, the rest is reported."""
        key = idempotency.require_key(request)
        body = serializers.RechargeCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        receipt = services.bulk_recharge(
            request=body.to_request(), actor_id=drf.user_id(request), idempotency_key=key
        )
        replayed = {idempotency.REPLAYED_HEADER: "true"} if receipt.is_replay else {}
        if receipt.mode == "atomic" and receipt.applied_count == 0:
            error = _refusal(receipt, "#/lines" if "lines" in body.validated_data else "#/users")
            error.headers.update(replayed)
            raise error
        return Response(
            serializers.RechargeReceiptSerializer(receipt).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{receipt.batch_id}", **replayed},
        )


class RechargeBatchView(APIView):
    """One bulk recharge."""

    permission_classes = [IsAuthenticated, scope("recharges:read")]

    @extend_schema(
        operation_id="recharge_batches_get",
        summary="Read a recharge batch",
        tags=["recharges"],
        responses={
            200: serializers.RechargeReceiptSerializer,
            401: PROBLEM,
            403: PROBLEM,
            404: PROBLEM,
        },
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """The outcome, with every line that failed."""
        receipt = selectors.recharge_receipt(batch_id=batch_id)
        return Response(serializers.RechargeReceiptSerializer(receipt).data)


class RechargeLineListView(APIView):
    """The lines of one bulk recharge."""

    permission_classes = [IsAuthenticated, scope("recharges:read")]

    @extend_schema(
        operation_id="recharge_lines_list",
        summary="List the lines of a recharge batch",
        tags=["recharges"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.RechargeLinePageSerializer,
            400: PROBLEM,
            401: PROBLEM,
            403: PROBLEM,
            404: PROBLEM,
        },
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """In the order of the request, each with its outcome."""
        lines, next_cursor = selectors.recharge_lines(batch_id=batch_id, **page_query(request))
        page = {"items": lines, "next_cursor": next_cursor}
        return Response(serializers.RechargeLinePageSerializer(page).data)


def _refusal(receipt: RechargeReceipt, pointer: str) -> RechargeRefusedError:
    """Name the lines at fault; the innocent ones are in the stored batch."""
    faults = [line for line in receipt.failures if line.code != RechargeLine.Outcome.ROLLED_BACK]
    return RechargeRefusedError(
        _("Nothing was credited: %(bad)d of %(count)d lines were refused.")
        % {"bad": len(faults), "count": receipt.lines_count},
        errors=[
            {
                "pointer": f"{pointer}/{line.row_no - 1}",
                "code": line.code,
                "detail": str(RechargeLine.Outcome(line.code).label),
                "user": line.user_ref,
            }
            for line in faults
        ],
        batch_id=str(receipt.batch_id),
        failed_users=[line.user_ref for line in faults],
    )
