"""Approvals over HTTP."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
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
from tokens.approval_errors import AlreadyAnsweredError, OnlyTheMakerError, QuestionNotFoundError
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
    KeyMayNotVoteError,
    MakerMayNotCheckError,
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


class ApprovalAnswerView(APIView):
    """Answers to the questions of approvers."""

    # The scope of makers: whoever may create a batch may explain it.
    permission_classes = [IsAuthenticated, scope("recharges:write")]

    @extend_schema(
        operation_id="approvals_answer",
        summary="Answer a question",
        tags=["approvals"],
        request=serializers.AnswerRequestSerializer,
        responses={200: serializers.ApprovalSerializer}
        | problems(
            InvalidRequestError,
            ApprovalNotFoundError,
            ApprovalClosedError,
            ApprovalExpiredError,
            OnlyTheMakerError,
            QuestionNotFoundError,
            AlreadyAnsweredError,
            RateLimitedError,
            ServiceUnavailableError,
            *READ_ERRORS,
        ),
    )
    @limit(group="approval-votes", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        """For the maker. Votes stay as they were cast: the content and its digest do not change."""
        body = serializers.AnswerRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        is_replay = services.answer_question(
            request_id=request_id, author_id=drf.user_id(request), **body.validated_data
        )
        view = approval_selectors.approval_request(
            request_id=request_id, viewer_id=drf.user_id(request)
        )
        headers = {idempotency.REPLAYED_HEADER: "true"} if is_replay else {}
        return Response(serializers.ApprovalSerializer(view).data, headers=headers)
