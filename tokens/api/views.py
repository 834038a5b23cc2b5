"""HTTP face of tokens."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
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
from facefusion_site.common.serializers import PageQuerySerializer
from tokens import selectors, services
from tokens.api import serializers
from tokens.errors import (
    BatchNotFoundError,
    InvalidCursorError,
    InvalidRechargeError,
    RechargeRefusedError,
    RechargeTooLargeError,
)
from tokens.models import RechargeLine
from tokens.types import RechargeReceipt

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


class BalanceView(ScopedView):
    """The caller's wallet."""

    scopes = {"GET": "ledger:read"}

    @extend_schema(
        operation_id="balance_get",
        summary="Read your balance",
        tags=["tokens"],
        responses={200: serializers.BalanceSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        """Available, held and total tokens."""
        balance = selectors.balance(user_id=drf.user_id(request))
        return Response(serializers.BalanceSerializer(balance).data)


class StatementView(ScopedView):
    """The caller's journal."""

    scopes = {"GET": "ledger:read"}

    @extend_schema(
        operation_id="statement_list",
        summary="Read your statement",
        tags=["tokens"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.StatementPageSerializer,
            **problems(InvalidRequestError, InvalidCursorError),
        },
    )
    def get(self, request: Request) -> Response:
        """Every movement, newest first, with the balance right after it."""
        page = selectors.statement(user_id=drf.user_id(request), **_page(request))
        return Response(serializers.StatementPageSerializer(page).data)


class RechargeBatchListView(ScopedView):
    """Bulk recharges."""

    scopes = {"GET": "recharges:read", "POST": "recharges:write"}

    @extend_schema(
        operation_id="recharge_batches_list",
        summary="List recharge batches",
        tags=["recharges"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.RechargeBatchPageSerializer,
            **problems(InvalidRequestError, InvalidCursorError),
        },
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        receipts, next_cursor = selectors.recharge_batches(**_page(request))
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
            **problems(
                *KEY_PROBLEMS,
                InvalidRequestError,
                ParseError,
                InvalidRechargeError,
                RechargeTooLargeError,
                RechargeRefusedError,
                UnsupportedMediaTypeError,
                RateLimitedError,
                ServiceUnavailableError,
            ),
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


class RechargeBatchView(ScopedView):
    """One bulk recharge."""

    scopes = {"GET": "recharges:read"}

    @extend_schema(
        operation_id="recharge_batches_get",
        summary="Read a recharge batch",
        tags=["recharges"],
        responses={200: serializers.RechargeReceiptSerializer, **problems(BatchNotFoundError)},
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """The outcome, with every line that failed."""
        receipt = selectors.recharge_receipt(batch_id=batch_id)
        return Response(serializers.RechargeReceiptSerializer(receipt).data)


class RechargeLineListView(ScopedView):
    """The lines of one bulk recharge."""

    scopes = {"GET": "recharges:read"}

    @extend_schema(
        operation_id="recharge_lines_list",
        summary="List the lines of a recharge batch",
        tags=["recharges"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.RechargeLinePageSerializer,
            **problems(InvalidRequestError, InvalidCursorError, BatchNotFoundError),
        },
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """In the order of the request, each with its outcome."""
        lines, next_cursor = selectors.recharge_lines(batch_id=batch_id, **_page(request))
        page = {"items": lines, "next_cursor": next_cursor}
        return Response(serializers.RechargeLinePageSerializer(page).data)


def _page(request: Request) -> dict[str, Any]:
    query = PageQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


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
