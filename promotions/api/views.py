"""Codes of campaigns over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import RoleRequiredError, ScopeMissingError
from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from promotions import services
from promotions.api import serializers
from promotions.errors import (
    CampaignBudgetError,
    CampaignCodeUnknownError,
    CampaignNotForYouError,
    CampaignOverError,
    CampaignRedeemedError,
)
from tokens.errors import RechargeBusyError, WalletFrozenError
from tokens.wallet_errors import BalanceMaxExceededError, WalletClosedError


class RedemptionView(ScopedView):
    """Codes of campaigns."""

    scopes: ClassVar = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="redemptions_create",
        summary="Redeem the code of a campaign",
        tags=["tokens"],
        request=serializers.RedemptionCreateSerializer,
        examples=[
            OpenApiExample("a code", request_only=True, value={"code": "SPRING-2027"}),
            OpenApiExample(
                "its tokens",
                response_only=True,
                status_codes=["201"],
                value={
                    "campaign": "spring-2027",
                    "title": "Spring",
                    "tokens": 25,
                    "expires_at": "2027-05-01T00:00:00Z",
                },
            ),
        ],
        responses={201: serializers.RedemptionSerializer}
        | problems(
            InvalidRequestError,
            CampaignCodeUnknownError,
            CampaignOverError,
            CampaignBudgetError,
            CampaignRedeemedError,
            CampaignNotForYouError,
            WalletFrozenError,
            WalletClosedError,
            BalanceMaxExceededError,
            RechargeBusyError,
            RateLimitedError,
            ServiceUnavailableError,
            RoleRequiredError,
            ScopeMissingError,
        ),
    )
    @limit(group="redemptions", rate="REDEEM_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Once per account and campaign, while the campaign runs and its budget lasts.

        Repeating it is safe: a code that you have redeemed answers 409 `campaign_redeemed`.
        """
        body = serializers.RedemptionCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        done = services.redeem(code=body.validated_data["code"], user_id=drf.user_id(request))
        return Response(serializers.RedemptionSerializer(done).data, status=status.HTTP_201_CREATED)
