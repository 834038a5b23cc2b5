"""Balance and statement over HTTP."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.errors import RoleRequiredError, ScopeMissingError
from accounts.permissions import scope
from facefusion_site.common import drf
from facefusion_site.common.errors import InvalidCursorError, InvalidRequestError
from facefusion_site.common.schema import problems
from facefusion_site.common.serializers import PageQuerySerializer
from tokens import selectors
from tokens.api.pages import page_query
from tokens.api.serializers import balance as serializers

READ_ERRORS = (RoleRequiredError, ScopeMissingError)


class BalanceView(APIView):
    """The caller's wallet."""

    permission_classes = [IsAuthenticated, scope("ledger:read")]

    @extend_schema(
        operation_id="balance_get",
        summary="Read your balance",
        tags=["tokens"],
        responses={200: serializers.BalanceSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Available, held and total tokens."""
        balance = selectors.balance(user_id=drf.user_id(request))
        return Response(serializers.BalanceSerializer(balance).data)


class StatementView(APIView):
    """The caller's journal."""

    permission_classes = [IsAuthenticated, scope("ledger:read")]

    @extend_schema(
        operation_id="statement_list",
        summary="Read your statement",
        tags=["tokens"],
        parameters=[PageQuerySerializer],
        responses={200: serializers.StatementPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Every movement, newest first, with the balance right after it."""
        page = selectors.statement(user_id=drf.user_id(request), **page_query(request))
        return Response(serializers.StatementPageSerializer(page).data)
