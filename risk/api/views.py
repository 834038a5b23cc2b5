"""Decisions about one's own account over HTTP, and the appeal against them."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import RoleRequiredError, ScopeMissingError
from accounts.permissions import ScopedView
from facefusion_site.common.drf import user_id
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from risk import selectors, services
from risk.api.serializers import (
    RiskAppealSerializer,
    RiskDecisionListSerializer,
    RiskDecisionSerializer,
)
from risk.errors import (
    RiskAppealStateError,
    RiskDecisionClosedError,
    RiskDecisionNotFoundError,
    RiskTextInvalidError,
)

READ_ERRORS: Final = (RoleRequiredError, ScopeMissingError)
DECISION: Final = {
    "id": "0d6c5c8e-3a0f-4b5e-9d1a-6c1f0a2b3c4d",
    "action": "freeze",
    "freeze_kind": "spend",
    "notice": "Nearly all of your jobs were canceled.",
    "decided_at": "2026-11-24T03:02:11Z",
    "expires_at": "2026-11-24T04:02:11Z",
    "closed_at": None,
    "appeal": "open",
    "appeal_text": "Our uploads were broken; we have repaired them.",
    "answer": "",
}


class RiskDecisionListView(ScopedView):
    """Decisions of rules about the caller's account."""

    scopes: ClassVar = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="risk_decisions_list",
        summary="List the decisions of rules about your account",
        tags=["accounts"],
        responses={200: RiskDecisionListSerializer} | problems(*READ_ERRORS),
        examples=[OpenApiExample("one freeze", response_only=True, value={"items": [DECISION]})],
    )
    def get(self, request: Request) -> Response:
        """What keeps or kept the account from something, newest first; at most a hundred."""
        rows = selectors.decisions_about(user_id=user_id(request))
        return Response({"items": RiskDecisionSerializer(rows, many=True).data})


class RiskAppealView(ScopedView):
    """The appeal against a decision."""

    scopes: ClassVar = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="risk_decisions_appeal",
        summary="Object to a decision about your account",
        tags=["accounts"],
        request=RiskAppealSerializer,
        responses={200: RiskDecisionSerializer}
        | problems(
            *READ_ERRORS,
            InvalidRequestError,
            RiskTextInvalidError,
            RiskDecisionNotFoundError,
            RiskDecisionClosedError,
            RiskAppealStateError,
            RateLimitedError,
            ServiceUnavailableError,
        ),
        examples=[
            OpenApiExample("a reason", request_only=True, value={"text": DECISION["appeal_text"]}),
            OpenApiExample("it waits", response_only=True, value=DECISION),
        ],
    )
    @limit(group="risk-appeals", rate="RISK_APPEALS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, decision_id: uuid.UUID) -> Response:
        """Say once why the account should be free; a person answers.

        While the API is frozen for the account, send this signed in on the site.
        """
        body = RiskAppealSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.appeal(
            decision_id=decision_id, user_id=user_id(request), text=body.validated_data["text"]
        )
        row = selectors.decision_about(user_id=user_id(request), decision_id=decision_id)
        return Response(RiskDecisionSerializer(row).data)
