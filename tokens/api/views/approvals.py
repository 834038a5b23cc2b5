"""Approvals and their policies over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
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
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
)
from accounts.permissions import scope
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from tokens import approval_selectors, services
from tokens.api.serializers import approvals as serializers
from tokens.approval_selectors import Inbox
from tokens.errors import (
    AlreadyVotedError,
    ApprovalClosedError,
    ApprovalCommentMissingError,
    ApprovalContentChangedError,
    ApprovalExpiredError,
    ApprovalNotFoundError,
    ApproverNotEligibleError,
    InvalidCursorError,
    InvalidPolicyError,
    KeyMayNotVoteError,
    MakerMayNotCheckError,
    PolicyNotFoundError,
)

STEP_UP_ERRORS = (
    SecondFactorMissingError,
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
    RateLimitedError,
    ServiceUnavailableError,
)
READ_ERRORS = (RoleRequiredError, ScopeMissingError)


class ApprovalListView(APIView):
    """The inbox of approvers."""

    permission_classes = [IsAuthenticated, scope("approvals:read")]

    @extend_schema(
        operation_id="approvals_list",
        summary="List approval requests",
        tags=["approvals"],
        parameters=[serializers.ApprovalQuerySerializer],
        responses={200: serializers.ApprovalPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Yours to decide unless you ask otherwise; what has waited longest comes first."""
        query = serializers.ApprovalQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        items, next_cursor = approval_selectors.approval_requests(
            viewer_id=drf.user_id(request),
            inbox=Inbox(wanted["inbox"]),
            limit=wanted["limit"],
            cursor=wanted["cursor"],
        )
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.ApprovalPageSerializer(page).data)


class ApprovalView(APIView):
    """One approval request."""

    permission_classes = [IsAuthenticated, scope("approvals:read")]

    @extend_schema(
        operation_id="approvals_get",
        summary="Read an approval request",
        tags=["approvals"],
        responses={200: serializers.ApprovalSerializer}
        | problems(ApprovalNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, request_id: uuid.UUID) -> Response:
        """What was asked, by whom, and what has been said."""
        view = approval_selectors.approval_request(
            request_id=request_id, viewer_id=drf.user_id(request)
        )
        return Response(serializers.ApprovalSerializer(view).data)


class ApprovalVoteView(APIView):
    """Votes on one approval request."""

    permission_classes = [IsAuthenticated, scope("approvals:vote")]

    @extend_schema(
        operation_id="approvals_vote",
        summary="Approve, reject or ask",
        tags=["approvals"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.VoteRequestSerializer,
        responses={200: serializers.DecisionSerializer}
        | problems(
            InvalidRequestError,
            ApprovalNotFoundError,
            ApprovalClosedError,
            ApprovalExpiredError,
            ApprovalContentChangedError,
            ApprovalCommentMissingError,
            ApproverNotEligibleError,
            AlreadyVotedError,
            MakerMayNotCheckError,
            KeyMayNotVoteError,
            *STEP_UP_ERRORS,
            *READ_ERRORS,
        ),
    )
    @limit(group="approval-votes", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        """Your vote binds to the content you name. Repeating it is safe: one vote per person."""
        body = serializers.VoteRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        ballot = body.to_ballot(
            second_factor_at=step_up.proven_at(request), is_by_key=step_up.is_by_key(request)
        )
        decision = services.vote_on_batch(
            request_id=request_id, voter_id=drf.user_id(request), ballot=ballot
        )
        headers = {idempotency.REPLAYED_HEADER: "true"} if decision.is_replay else {}
        return Response(serializers.DecisionSerializer(decision).data, headers=headers)


class PolicyListView(APIView):
    """Approval policies."""

    def get_permissions(self) -> list[Any]:
        """Approvers read; ``post`` asks for an administrator with a fresh second factor."""
        return [IsAuthenticated(), scope("approvals:read")()]

    @extend_schema(
        operation_id="approval_policies_list",
        summary="List approval policies",
        tags=["approvals"],
        responses={200: serializers.PolicyListSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """All policies by name; the strictest of all that a batch reaches counts."""
        items = approval_selectors.policies()
        return Response(serializers.PolicyListSerializer({"items": items}).data)

    @extend_schema(
        operation_id="approval_policies_create",
        summary="Create an approval policy",
        tags=["approvals"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.PolicyWriteSerializer,
        responses={201: serializers.PolicySerializer}
        | problems(InvalidRequestError, InvalidPolicyError, *STEP_UP_ERRORS, *READ_ERRORS),
    )
    def post(self, request: Request) -> Response:
        """For administrators with a fresh second factor; a name is taken once."""
        step_up.require(request)
        body = serializers.PolicyWriteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        policy_id = services.save_policy(
            actor_id=drf.user_id(request), policy_id=None, values=body.to_values()
        )
        return Response(
            serializers.PolicySerializer(approval_selectors.policy(policy_id=policy_id)).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{policy_id}"},
        )


class PolicyView(APIView):
    """One approval policy."""

    permission_classes = [IsAuthenticated, scope("approvals:read")]

    @extend_schema(
        operation_id="approval_policies_get",
        summary="Read an approval policy",
        tags=["approvals"],
        responses={200: serializers.PolicySerializer} | problems(PolicyNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, policy_id: uuid.UUID) -> Response:
        """Bounds, quorum, roles and time."""
        policy = approval_selectors.policy(policy_id=policy_id)
        return Response(serializers.PolicySerializer(policy).data)

    @extend_schema(
        operation_id="approval_policies_update",
        summary="Change an approval policy",
        tags=["approvals"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.PolicyWriteSerializer(partial=True),
        responses={200: serializers.PolicySerializer}
        | problems(
            InvalidRequestError,
            InvalidPolicyError,
            PolicyNotFoundError,
            *STEP_UP_ERRORS,
            *READ_ERRORS,
        ),
    )
    def patch(self, request: Request, policy_id: uuid.UUID) -> Response:
        """For administrators with a fresh second factor; open requests keep the old terms."""
        step_up.require(request)
        body = serializers.PolicyWriteSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        services.save_policy(
            actor_id=drf.user_id(request), policy_id=policy_id, values=body.to_values()
        )
        policy = approval_selectors.policy(policy_id=policy_id)
        return Response(serializers.PolicySerializer(policy).data)
