"""The steps of a production over HTTP. Each may be repeated: its key is the production."""

from __future__ import annotations

import uuid
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import step_up
from accounts.errors import (
    SecondFactorMissingError,
    SecondFactorUnreadableError,
    StepUpRefusedError,
    StepUpRequiredError,
    StepUpThrottledError,
)
from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import InvalidRequestError, ParseError, UnsupportedMediaTypeError
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from inference.errors import AssetNotFoundError
from productions import selectors, services
from productions.api import schema, serializers
from productions.errors import (
    NothingToRetryError,
    PersonNotFoundError,
    ProductionBusyError,
    ProductionEmptyError,
    ProductionNotFoundError,
    ProductionOverBudgetError,
    ProductionStateError,
    ProductionWalletBusyError,
)
from productions.models import Production
from tokens.errors import RechargeBusyError, WalletFrozenError
from tokens.wallet_errors import WalletClosedError

_ERRORS = (ProductionNotFoundError, ProductionStateError, *schema.STEP_ERRORS)


class StepView(ScopedView):
    """A step that the owner takes."""

    scopes: ClassVar = {"POST": "jobs:write"}

    def mine(self, request: Request, production_id: uuid.UUID) -> Production:
        """The production of the path, if it is the caller's."""
        return selectors.owned(owner_id=drf.user_id(request), production_id=production_id)


class EstimateView(StepView):
    """What it would cost."""

    @extend_schema(
        operation_id="productions_estimate",
        summary="Estimate a production",
        tags=["productions"],
        request=None,
        responses={200: serializers.ProductionSerializer}
        | problems(ProductionEmptyError, *_ERRORS),
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID) -> Response:
        """Prices every row as prices are now; rows that cannot be jobs say why. Free."""
        return schema.shown(
            services.estimate(
                production=self.mine(request, production_id), actor_id=drf.user_id(request)
            )
        )


class FundView(ScopedView):
    """Its tokens."""

    scopes: ClassVar = {"POST": "recharges:write"}

    @extend_schema(
        operation_id="productions_fund",
        summary="Recharge the wallet of a production",
        tags=["productions"],
        request=None,
        responses={200: serializers.ProductionSerializer}
        | problems(
            ProductionOverBudgetError,
            ProductionWalletBusyError,
            RechargeBusyError,
            SecondFactorMissingError,
            SecondFactorUnreadableError,
            StepUpRefusedError,
            StepUpRequiredError,
            StepUpThrottledError,
            *_ERRORS,
        ),
    )
    @limit(group="recharges", rate="RECHARGES_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID) -> Response:
        """One recharge of the budget, or of the estimate; approval policies may hold it up.

        For operators, with the production of any account. Repeating it asks for nothing again.
        """
        return schema.shown(
            services.fund(
                production=selectors.production(production_id=production_id),
                actor_id=drf.user_id(request),
                unproven_tokens_max=step_up.unproven_tokens_max(request),
            )
        )


class StartView(StepView):
    """Its jobs."""

    @extend_schema(
        operation_id="productions_start",
        summary="Start a production",
        tags=["productions"],
        request=None,
        responses={200: serializers.ProductionSerializer}
        | problems(WalletFrozenError, WalletClosedError, *_ERRORS),
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID) -> Response:
        """Makes jobs of the first rows; the platform makes those of the others within seconds."""
        return schema.shown(
            services.start(
                production=self.mine(request, production_id), actor_id=drf.user_id(request)
            )
        )


class RetryView(StepView):
    """Rows that came to nothing."""

    @extend_schema(
        operation_id="productions_retry",
        summary="Try rows of a production again",
        tags=["productions"],
        request=serializers.ProductionRetrySerializer,
        responses={200: serializers.ProductionSerializer}
        | problems(
            InvalidRequestError,
            ParseError,
            UnsupportedMediaTypeError,
            NothingToRetryError,
            AssetNotFoundError,
            *_ERRORS,
        ),
        examples=[schema.RETRY],
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID) -> Response:
        """Rows that failed, expired, were canceled or refused; all of them without `rows`.

        The platform makes their jobs within seconds, within the same quotas and budget.
        """
        production = self.mine(request, production_id)
        body = serializers.ProductionRetrySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.retry(
            production=production, orders=body.to_orders(), actor_id=drf.user_id(request)
        )
        return schema.shown(production)


class FinishView(StepView):
    """The end after the last row."""

    @extend_schema(
        operation_id="productions_finish",
        summary="Finish a production",
        tags=["productions"],
        request=None,
        responses={200: serializers.ProductionSerializer}
        | problems(ProductionBusyError, RechargeBusyError, *_ERRORS),
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID) -> Response:
        """Once every row has ended: the unspent tokens go back."""
        return schema.shown(
            services.finish(
                production=self.mine(request, production_id), actor_id=drf.user_id(request)
            )
        )


class CancelView(StepView):
    """The end before that."""

    @extend_schema(
        operation_id="productions_cancel",
        summary="Cancel a production",
        tags=["productions"],
        request=None,
        responses={200: serializers.ProductionSerializer} | problems(RechargeBusyError, *_ERRORS),
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID) -> Response:
        """Cancels its jobs, recalls tokens that have not come, and returns those not used."""
        return schema.shown(
            services.cancel(
                production=self.mine(request, production_id), actor_id=drf.user_id(request)
            )
        )


class RevokeConsentView(StepView):
    """Somebody agrees no longer."""

    @extend_schema(
        operation_id="productions_revoke_consent",
        summary="Revoke a person's consent",
        tags=["productions"],
        request=None,
        responses={200: serializers.ProductionSerializer}
        | problems(PersonNotFoundError, ProductionNotFoundError, *schema.STEP_ERRORS),
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request, production_id: uuid.UUID, person_ref: str) -> Response:
        """Starts no more jobs with this face, and cancels those that have not ended. For good."""
        production = self.mine(request, production_id)
        services.revoke_consent(
            production=production, ref=person_ref, actor_id=drf.user_id(request)
        )
        return schema.shown(production)
