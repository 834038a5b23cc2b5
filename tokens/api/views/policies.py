"""Approval policies and their changes over HTTP."""

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
from accounts.permissions import scope
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import InvalidRequestError
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from tokens import approval_selectors, policy_selectors, services
from tokens.api.serializers import policies as serializers
from tokens.api.views.approvals import READ_ERRORS, STEP_UP_ERRORS
from tokens.approval_errors import (
    OnlyTheMakerError,
    PolicyChangeClosedError,
    PolicyChangedMeanwhileError,
    PolicyChangeExpiredError,
    PolicyChangeNotFoundError,
    PolicyChangeOpenError,
)
from tokens.errors import (
    ApprovalCommentMissingError,
    InvalidCursorError,
    InvalidPolicyError,
    MakerMayNotCheckError,
    PolicyNotFoundError,
)


class PolicyListView(APIView):
    """Approval policies."""

    permission_classes = [IsAuthenticated, scope("approvals:read")]

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
        summary="Propose an approval policy",
        tags=["approvals"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.PolicyWriteSerializer,
        responses={
            201: serializers.PolicyChangeSerializer,
            202: serializers.PolicyChangeSerializer,
        }
        | problems(InvalidRequestError, InvalidPolicyError, *STEP_UP_ERRORS, *READ_ERRORS),
    )
    def post(self, request: Request) -> Response:
        """For administrators with a fresh second factor; another one decides (202).

        The first policy of all is applied at once (201).
        """
        return _propose(request, policy_id=None)


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
        summary="Propose other values for an approval policy",
        tags=["approvals"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.PolicyWriteSerializer(partial=True),
        responses={202: serializers.PolicyChangeSerializer}
        | problems(
            InvalidRequestError,
            InvalidPolicyError,
            PolicyNotFoundError,
            PolicyChangeOpenError,
            *STEP_UP_ERRORS,
            *READ_ERRORS,
        ),
    )
    def patch(self, request: Request, policy_id: uuid.UUID) -> Response:
        """For administrators with a fresh second factor; another one decides."""
        return _propose(request, policy_id=policy_id)


class PolicyChangeListView(APIView):
    """Changes of policies."""

    permission_classes = [IsAuthenticated, scope("approvals:read")]

    @extend_schema(
        operation_id="policy_changes_list",
        summary="List policy changes",
        tags=["approvals"],
        parameters=[serializers.PolicyChangeQuerySerializer],
        responses={200: serializers.PolicyChangePageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Newest first; decided ones too, unless you ask otherwise."""
        query = serializers.PolicyChangeQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        items, next_cursor = policy_selectors.policy_changes(
            viewer_id=drf.user_id(request),
            limit=wanted["limit"],
            cursor=wanted["cursor"],
            is_open=wanted["open"],
        )
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.PolicyChangePageSerializer(page).data)


class PolicyChangeView(APIView):
    """One change of a policy."""

    permission_classes = [IsAuthenticated, scope("approvals:read")]

    @extend_schema(
        operation_id="policy_changes_get",
        summary="Read a policy change",
        tags=["approvals"],
        responses={200: serializers.PolicyChangeSerializer}
        | problems(PolicyChangeNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, change_id: uuid.UUID) -> Response:
        """Before, after, and who decided it."""
        return Response(_change(request, change_id))


class PolicyChangeVoteView(APIView):
    """The decision on a change."""

    permission_classes = [IsAuthenticated, scope("policies:write")]

    @extend_schema(
        operation_id="policy_changes_vote",
        summary="Approve or reject a policy change",
        tags=["approvals"],
        parameters=[step_up.CODE_PARAMETER],
        request=serializers.PolicyChangeVoteSerializer,
        responses={200: serializers.PolicyChangeSerializer}
        | problems(
            InvalidRequestError,
            InvalidPolicyError,
            PolicyChangeNotFoundError,
            PolicyChangeClosedError,
            PolicyChangeExpiredError,
            PolicyChangedMeanwhileError,
            MakerMayNotCheckError,
            ApprovalCommentMissingError,
            *STEP_UP_ERRORS,
            *READ_ERRORS,
        ),
    )
    @limit(group="approval-votes", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, change_id: uuid.UUID) -> Response:
        """For another administrator than the maker. Repeating one's own decision is safe."""
        factor_at = step_up.require(request)
        body = serializers.PolicyChangeVoteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        is_replay = services.decide_policy_change(
            change_id=change_id,
            checker_id=drf.user_id(request),
            ballot=body.to_ballot(second_factor_at=factor_at),
        )
        headers = {idempotency.REPLAYED_HEADER: "true"} if is_replay else {}
        return Response(_change(request, change_id), headers=headers)


class PolicyChangeRecallView(APIView):
    """Taking a proposal back."""

    permission_classes = [IsAuthenticated, scope("policies:write")]

    @extend_schema(
        operation_id="policy_changes_recall",
        summary="Recall a policy change",
        tags=["approvals"],
        request=None,
        responses={200: serializers.PolicyChangeSerializer}
        | problems(
            PolicyChangeNotFoundError,
            PolicyChangeClosedError,
            PolicyChangeExpiredError,
            OnlyTheMakerError,
            *READ_ERRORS,
        ),
    )
    def post(self, request: Request, change_id: uuid.UUID) -> Response:
        """For its maker; nothing changes."""
        services.recall_policy_change(change_id=change_id, actor_id=drf.user_id(request))
        return Response(_change(request, change_id))


def _propose(request: Request, *, policy_id: uuid.UUID | None) -> Response:
    factor_at = step_up.require(request)
    body = serializers.PolicyWriteSerializer(data=request.data, partial=policy_id is not None)
    body.is_valid(raise_exception=True)
    change_id = services.propose_policy(
        actor_id=drf.user_id(request),
        policy_id=policy_id,
        values=body.to_values(),
        second_factor_at=factor_at,
    )
    change = _change(request, change_id)
    is_applied = change["status"] == "applied"
    return Response(
        change,
        status=status.HTTP_201_CREATED if is_applied else status.HTTP_202_ACCEPTED,
        headers={"Location": f"/api/v1/approval-policy-changes/{change_id}"},
    )


def _change(request: Request, change_id: uuid.UUID) -> Any:
    view = policy_selectors.policy_change(change_id=change_id, viewer_id=drf.user_id(request))
    return serializers.PolicyChangeSerializer(view).data
