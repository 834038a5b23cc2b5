"""HTTP face of sandboxes: free tokens."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.errors import RoleRequiredError, SandboxOnlyError, ScopeMissingError
from accounts.permissions import IsSandbox, scope
from facefusion_site.common import drf
from facefusion_site.common.errors import RateLimitedError, ServiceUnavailableError
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from tokens import services
from tokens.api.serializers import balance as serializers
from tokens.errors import RechargeBusyError


class SandboxRefillView(APIView):
    """Free tokens for a sandbox."""

    permission_classes = [IsAuthenticated, IsSandbox, scope("jobs:write")]

    @extend_schema(
        operation_id="sandbox_refill",
        summary="Fill the wallet of your sandbox",
        tags=["tokens"],
        request=None,
        responses={200: serializers.BalanceSerializer}
        | problems(
            SandboxOnlyError,
            RoleRequiredError,
            ScopeMissingError,
            RateLimitedError,
            RechargeBusyError,
            ServiceUnavailableError,
        ),
    )
    @limit(group="sandbox-refill", rate="SANDBOX_REFILL_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Top the wallet of a test key up for free. A wallet that is full stays as it is."""
        balance = services.refill_sandbox(owner_id=drf.user_id(request))
        return Response(serializers.BalanceSerializer(balance).data)
