"""HTTP face of the second factor."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import second_factor, step_up
from accounts.api.serializers import (
    CodeSerializer,
    EnrolmentSerializer,
    PasswordSerializer,
    RecoveryCodesSerializer,
    SecondFactorSerializer,
    StepUpSerializer,
)
from accounts.errors import (
    KeyCannotManageKeysError,
    SecondFactorExistsError,
    SecondFactorMissingError,
    SignInFailedError,
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
)
from accounts.permissions import IsSignedInWithoutKey
from facefusion_site.common.drf import user_id
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems

NO_STORE = {"Cache-Control": "no-store"}
CODE_ERRORS = (
    InvalidRequestError,
    KeyCannotManageKeysError,
    SecondFactorMissingError,
    StepUpRefusedError,
    StepUpThrottledError,
    RateLimitedError,
    ServiceUnavailableError,
)


class SecondFactorView(APIView):
    """The caller's authenticator."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="second_factor_get",
        summary="Show your second factor",
        tags=["accounts"],
        responses={200: SecondFactorSerializer} | problems(KeyCannotManageKeysError),
    )
    def get(self, request: Request) -> Response:
        """Show whether you have a second factor and until when your last code counts."""
        found = second_factor.state(user_id=user_id(request))
        moment = step_up.proven_at(request)
        body = {
            "is_enrolled": found.is_enrolled,
            "recovery_codes_left": found.recovery_codes_left,
            "proven_until": None if moment is None else _until(moment),
        }
        return Response(SecondFactorSerializer(body).data)

    @extend_schema(
        operation_id="second_factor_enrol",
        summary="Begin to set up a second factor",
        tags=["accounts"],
        request=PasswordSerializer,
        responses={201: EnrolmentSerializer}
        | problems(
            InvalidRequestError,
            SignInFailedError,
            KeyCannotManageKeysError,
            SecondFactorExistsError,
            RateLimitedError,
            ServiceUnavailableError,
        ),
    )
    @limit(group="step-up", rate="STEP_UP_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Start with your password. Put the answer into an authenticator app, then confirm."""
        body = PasswordSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        second_factor.check_password(
            user_id=user_id(request), password=body.validated_data["password"]
        )
        enrolment = second_factor.start_enrolment(user_id=user_id(request))
        return Response(
            EnrolmentSerializer(enrolment).data, status=status.HTTP_201_CREATED, headers=NO_STORE
        )


class SecondFactorConfirmView(APIView):
    """The first code of a new authenticator."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="second_factor_confirm",
        summary="Confirm a second factor",
        tags=["accounts"],
        request=CodeSerializer,
        responses={200: RecoveryCodesSerializer} | problems(*CODE_ERRORS),
    )
    @limit(group="step-up", rate="STEP_UP_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Switch the authenticator on. The recovery codes are shown this once."""
        body = CodeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        codes = second_factor.confirm_enrolment(
            user_id=user_id(request), code=body.validated_data["code"]
        )
        return Response({"recovery_codes": codes}, headers=NO_STORE)


class RecoveryCodesView(APIView):
    """The caller's recovery codes."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="recovery_codes_renew",
        summary="Replace the recovery codes",
        tags=["accounts"],
        parameters=[step_up.CODE_PARAMETER],
        request=None,
        responses={200: RecoveryCodesSerializer} | problems(StepUpRequiredError, *CODE_ERRORS),
    )
    def post(self, request: Request) -> Response:
        """Replace all recovery codes; needs a fresh second factor."""
        step_up.require(request)
        codes = second_factor.renew_recovery_codes(user_id=user_id(request))
        return Response({"recovery_codes": codes}, headers=NO_STORE)


class StepUpView(APIView):
    """A second factor for the next minutes."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="step_up",
        summary="Prove your second factor",
        tags=["accounts"],
        request=CodeSerializer,
        responses={200: StepUpSerializer} | problems(*CODE_ERRORS),
    )
    def post(self, request: Request) -> Response:
        """Prove your second factor once for several requests of this session or token."""
        body = CodeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        moment = step_up.prove(request, code=body.validated_data["code"])
        return Response(StepUpSerializer({"proven_until": _until(moment)}).data)


def _until(moment: datetime) -> datetime:
    return moment + timedelta(seconds=settings.STEP_UP_TTL_S)
