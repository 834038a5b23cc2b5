"""Wallets of others, and corrections by hand, over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
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
    UserNotFoundError,
)
from accounts.permissions import scope
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import KEY_PARAMETER, KEY_PROBLEMS, problems
from tokens import services, wallet_selectors, wallets
from tokens.api.serializers import wallets as serializers
from tokens.wallet_errors import (
    AdjustmentExceedsBalanceError,
    AdjustmentNeedsApprovalError,
    AdjustmentNotFoundError,
    BalanceMaxExceededError,
    InvalidAdjustmentError,
    ReasonMissingError,
    WalletClosedError,
    WalletNotEmptyError,
)

READ_ERRORS = (UserNotFoundError, RoleRequiredError, ScopeMissingError)
WRITE_ERRORS = (
    *READ_ERRORS,
    InvalidRequestError,
    ReasonMissingError,
    WalletClosedError,
    SecondFactorMissingError,
    SecondFactorUnreadableError,
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
    RateLimitedError,
    ServiceUnavailableError,
)


class WalletView(APIView):
    """One wallet."""

    permission_classes = [IsAuthenticated, scope("wallets:read")]

    @extend_schema(
        operation_id="wallets_get",
        summary="Read a user's wallet",
        tags=["wallets"],
        responses={200: serializers.WalletSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request, user_ref: str) -> Response:
        """Status and balance; a wallet that was never used is active and empty."""
        wallet = wallet_selectors.wallet(user_ref=user_ref)
        return Response(serializers.WalletSerializer(wallet).data)


class WalletStepView(APIView):
    """A change of a wallet's status; repeating it changes nothing, so it needs no key."""

    permission_classes = [IsAuthenticated, scope("wallets:write")]
    step: ClassVar[Callable[..., wallets.WalletView]]

    @limit(group="wallets", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, user_ref: str) -> Response:
        """Answer with the wallet as it is then; one with many tokens asks for a second factor."""
        body = serializers.ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wallet = type(self).step(
            user_ref=user_ref,
            reason=body.validated_data["reason"],
            actor_id=drf.user_id(request),
            unproven_tokens_max=step_up.unproven_tokens_max(request),
        )
        return Response(serializers.WalletSerializer(wallet).data)


def _step(name: str, summary: str) -> Callable[[type[WalletStepView]], type[WalletStepView]]:
    return extend_schema_view(
        post=extend_schema(
            operation_id=f"wallets_{name}",
            summary=summary,
            tags=["wallets"],
            parameters=[step_up.CODE_PARAMETER],
            request=serializers.ReasonSerializer,
            responses={200: serializers.WalletSerializer} | problems(*WRITE_ERRORS),
        )
    )


@_step("freeze", "Stop spending and recharges of a wallet")
class WalletFreezeView(WalletStepView):
    """Freeze."""

    step = staticmethod(services.freeze_wallet)


@_step("unfreeze", "Let a frozen wallet spend and receive again")
class WalletUnfreezeView(WalletStepView):
    """Unfreeze."""

    step = staticmethod(services.unfreeze_wallet)


class WalletCloseView(APIView):
    """Close."""

    permission_classes = [IsAuthenticated, scope("wallets:write")]

    @extend_schema(
        operation_id="wallets_close",
        summary="Close a wallet for good",
        tags=["wallets"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.CloseSerializer,
        responses={200: serializers.WalletSerializer}
        | problems(*WRITE_ERRORS, WalletNotEmptyError, AdjustmentNeedsApprovalError),
    )
    @limit(group="wallets", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, user_ref: str) -> Response:
        """Empty wallets only; `write_off` takes what is left and asks people for a code."""
        body = serializers.CloseSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        writes_off = body.validated_data["write_off"]
        if writes_off:
            step_up.require(request)
        wallet = services.close_wallet(
            user_ref=user_ref,
            reason=body.validated_data["reason"],
            actor_id=drf.user_id(request),
            writes_off=writes_off,
            unproven_tokens_max=None if writes_off else step_up.unproven_tokens_max(request),
        )
        return Response(serializers.WalletSerializer(wallet).data)


class AdjustmentListView(APIView):
    """Corrections by hand."""

    permission_classes = [IsAuthenticated, scope("wallets:write")]

    @extend_schema(
        operation_id="adjustments_create",
        summary="Give or take tokens by hand",
        tags=["wallets"],
        parameters=[KEY_PARAMETER, step_up.CODE_PARAMETER],
        request=serializers.AdjustmentRequestSerializer,
        responses={
            200: serializers.AdjustmentPreviewSerializer,
            201: serializers.AdjustmentSerializer,
        }
        | problems(
            *WRITE_ERRORS,
            *KEY_PROBLEMS,
            InvalidAdjustmentError,
            AdjustmentNeedsApprovalError,
            AdjustmentExceedsBalanceError,
            BalanceMaxExceededError,
        ),
    )
    @limit(group="wallets", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """For people with a fresh second factor; `dry_run` needs neither code nor key."""
        body = serializers.AdjustmentRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        order, actor_id = body.order(), drf.user_id(request)
        if body.validated_data["dry_run"]:
            preview = services.preview_adjustment(order=order, actor_id=actor_id)
            return Response(serializers.AdjustmentPreviewSerializer(preview).data)
        key = idempotency.require_key(request)
        step_up.require(request)
        done = services.adjust_wallet(order=order, actor_id=actor_id, idempotency_key=key)
        replayed = {idempotency.REPLAYED_HEADER: "true"} if done.is_replay else {}
        return Response(
            serializers.AdjustmentSerializer(done).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{done.id}", **replayed},
        )


class AdjustmentView(APIView):
    """One correction by hand."""

    permission_classes = [IsAuthenticated, scope("wallets:read")]

    @extend_schema(
        operation_id="adjustments_get",
        summary="Read an adjustment",
        tags=["wallets"],
        responses={200: serializers.AdjustmentSerializer}
        | problems(AdjustmentNotFoundError, RoleRequiredError, ScopeMissingError),
    )
    def get(self, request: Request, adjustment_id: uuid.UUID) -> Response:
        """What was done, by whom, why, and its transfers."""
        done = wallet_selectors.adjustment(adjustment_id=adjustment_id)
        return Response(serializers.AdjustmentSerializer(done).data)
