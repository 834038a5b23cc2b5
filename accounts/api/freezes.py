"""Freezes of accounts over HTTP, for staff."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import freeze_selectors, selectors, services
from accounts.api.freeze_serializers import (
    AppealSerializer,
    FreezeCreateSerializer,
    FreezeListSerializer,
    FreezeReasonSerializer,
    FreezeSerializer,
)
from accounts.errors import (
    FreezeEndedError,
    FreezeInvalidError,
    FreezeNeedsAnotherError,
    FreezeNotFoundError,
    RoleRequiredError,
    ScopeMissingError,
    UserNotFoundError,
)
from accounts.freeze_types import AppealState, FreezeKind
from accounts.permissions import ScopedView
from facefusion_site.common.drf import user_id
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems

READ_ERRORS: Final = (RoleRequiredError, ScopeMissingError)
WRITE_ERRORS: Final = (
    *READ_ERRORS,
    InvalidRequestError,
    FreezeInvalidError,
    RateLimitedError,
    ServiceUnavailableError,
)


class FreezeListView(ScopedView):
    """The freezes of an account."""

    scopes: ClassVar = {"GET": "users:read", "POST": "freezes:write"}

    @extend_schema(
        operation_id="freezes_list",
        summary="List the freezes of a user",
        tags=["accounts"],
        responses={200: FreezeListSerializer} | problems(*READ_ERRORS, UserNotFoundError),
    )
    def get(self, request: Request, user_ref: str) -> Response:
        """Active and ended ones, newest first; at most a hundred."""
        user = selectors.user_by_ref(user_ref=user_ref)
        rows = freeze_selectors.freezes(user_id=user.pk)
        return Response({"items": FreezeSerializer(rows, many=True).data})

    @extend_schema(
        operation_id="freezes_create",
        summary="Freeze a user",
        tags=["accounts"],
        request=FreezeCreateSerializer,
        responses={201: FreezeSerializer} | problems(*WRITE_ERRORS, UserNotFoundError),
        examples=[
            OpenApiExample(
                "No uploads until support has looked",
                value={
                    "kind": "upload",
                    "code": "abuse",
                    "reason": "many pictures of one stranger",
                    "notice": "Please answer our mail about your uploads.",
                },
                request_only=True,
            )
        ],
    )
    @limit(group="freezes", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, user_ref: str) -> Response:
        """Freeze one kind of thing. What is frozen already is prolonged, never shortened."""
        body = FreezeCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = services.freeze_account(
            user_id=selectors.user_by_ref(user_ref=user_ref).pk,
            kind=FreezeKind(body.validated_data["kind"]),
            grounds=body.grounds(),
            actor_id=user_id(request),
            expires_at=body.validated_data["expires_at"],
        )
        found = freeze_selectors.freeze(freeze_id=row.pk)
        return Response(FreezeSerializer(found).data, status=status.HTTP_201_CREATED)


class FreezeView(ScopedView):
    """One freeze."""

    scopes: ClassVar = {"GET": "users:read"}

    @extend_schema(
        operation_id="freezes_retrieve",
        summary="Show a freeze",
        tags=["accounts"],
        responses={200: FreezeSerializer} | problems(*READ_ERRORS, FreezeNotFoundError),
    )
    def get(self, request: Request, freeze_id: uuid.UUID) -> Response:
        """One freeze with its reason, its evidence and its end."""
        return _answer(freeze_id)


class FreezeLiftView(ScopedView):
    """The end of a freeze."""

    scopes: ClassVar = {"POST": "freezes:write"}

    @extend_schema(
        operation_id="freezes_lift",
        summary="Lift a freeze",
        tags=["accounts"],
        request=FreezeReasonSerializer,
        responses={200: FreezeSerializer}
        | problems(*WRITE_ERRORS, FreezeNotFoundError, FreezeEndedError, FreezeNeedsAnotherError),
    )
    @limit(group="freezes", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, freeze_id: uuid.UUID) -> Response:
        """End a freeze. Who froze an account with many tokens leaves this to somebody else."""
        body = FreezeReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.lift_freeze(
            freeze_id=freeze_id, reason=body.validated_data["reason"], actor_id=user_id(request)
        )
        return _answer(freeze_id)


class FreezeAppealView(ScopedView):
    """The appeal against a freeze."""

    scopes: ClassVar = {"POST": "freezes:write"}

    @extend_schema(
        operation_id="freezes_appeal",
        summary="Note an appeal against a freeze",
        tags=["accounts"],
        request=AppealSerializer,
        responses={200: FreezeSerializer} | problems(*WRITE_ERRORS, FreezeNotFoundError),
    )
    @limit(group="freezes", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, freeze_id: uuid.UUID) -> Response:
        """Note that the account objects, or what was decided. Lifting is a step of its own."""
        body = AppealSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.set_appeal(
            freeze_id=freeze_id,
            state=AppealState(body.validated_data["state"]),
            reason=body.validated_data["reason"],
            actor_id=user_id(request),
        )
        return _answer(freeze_id)


def _answer(freeze_id: uuid.UUID) -> Response:
    return Response(FreezeSerializer(freeze_selectors.freeze(freeze_id=freeze_id)).data)
