"""Daily tokens that an account claims, over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import RoleRequiredError, ScopeMissingError, TimeZoneUnknownError
from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from tokens import services
from tokens.api.serializers import claims as serializers
from tokens.errors import RechargeBusyError, WalletFrozenError
from tokens.grant_errors import DailyClaimTakenError, DailyClaimUnavailableError
from tokens.wallet_errors import BalanceMaxExceededError, WalletClosedError

READ_ERRORS = (RoleRequiredError, ScopeMissingError)


class DailyClaimView(ScopedView):
    """The tokens that some plans let their accounts claim once a day."""

    scopes: ClassVar = {"GET": "ledger:read", "POST": "jobs:write"}

    @extend_schema(
        operation_id="daily_claim_get",
        summary="See whether you can claim tokens today",
        tags=["tokens"],
        responses={200: serializers.DailyClaimSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """How many, and when next. `tokens` is 0 where your plan has none to claim."""
        standing = services.daily_claim(user_id=drf.user_id(request))
        return Response(serializers.DailyClaimSerializer(standing).data)

    @extend_schema(
        operation_id="daily_claim_create",
        summary="Claim your tokens of the day",
        tags=["tokens"],
        request=serializers.DailyClaimCreateSerializer,
        responses={201: serializers.DailyClaimSerializer}
        | problems(
            InvalidRequestError,
            TimeZoneUnknownError,
            DailyClaimUnavailableError,
            DailyClaimTakenError,
            WalletFrozenError,
            WalletClosedError,
            BalanceMaxExceededError,
            RechargeBusyError,
            RateLimitedError,
            ServiceUnavailableError,
            *READ_ERRORS,
        ),
    )
    @limit(group="daily-claim", rate="CLAIM_RATE", key="user")
    def post(self, request: Request) -> Response:
        """Once in each of your days; they can be spent until its midnight.

        Repeating it is safe: a day that was claimed answers 409 `daily_claim_taken`. A day begins
        at midnight of your time zone, and no moment lies in two days that you have claimed, so
        another time zone makes no second day.
        """
        body = serializers.DailyClaimCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        claimed = services.claim_daily(
            user_id=drf.user_id(request), time_zone=body.validated_data.get("time_zone")
        )
        return Response(
            serializers.DailyClaimSerializer(claimed).data, status=status.HTTP_201_CREATED
        )
