"""The books and their proof over HTTP: for operators, to read."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts import selectors as accounts_selectors
from accounts.errors import RoleRequiredError, ScopeMissingError, UserNotFoundError
from accounts.permissions import scope
from facefusion_site.common.errors import InvalidRequestError, NotFoundError
from facefusion_site.common.schema import problems
from facefusion_site.common.serializers import PageQuerySerializer
from tokens import books, exports, proof_selectors
from tokens.api.pages import page_query
from tokens.api.serializers import books as serializers
from tokens.books import Basis
from tokens.errors import InvalidCursorError, UnknownExportError
from tokens.exports import ExportRequest
from tokens.services import proof

READ_ERRORS = (RoleRequiredError, ScopeMissingError)


class BooksView(APIView):
    """Operators and administrators read the books."""

    permission_classes = [IsAuthenticated, scope("audit:read")]


class CsvRenderer(BaseRenderer):
    """Lets clients ask for CSV; the body is streamed past it."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> bytes:
        """Never reached: errors are rendered as JSON, exports are streamed."""
        return str(data).encode()


class WalletAtView(BooksView):
    """A wallet at any time."""

    @extend_schema(
        operation_id="ledger_wallet_at",
        summary="Read a user's balance at any time",
        tags=["ledger"],
        parameters=[serializers.MomentQuerySerializer],
        responses={200: serializers.WalletAtSerializer}
        | problems(InvalidRequestError, UserNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, user_ref: str) -> Response:
        """By business time or by system time."""
        wanted = _query(serializers.MomentQuerySerializer, request)
        user = accounts_selectors.user_by_ref(user_ref=user_ref)
        basis = Basis(wanted["basis"])
        balance = books.wallet_at(user_id=user.pk, at=wanted["at"], basis=basis)
        body = {
            **wanted,
            "user": user_ref,
            "available": balance.available,
            "held": balance.held,
            "total": balance.total,
        }
        return Response(serializers.WalletAtSerializer(body).data)


class AccountsAtView(BooksView):
    """Every account at any time."""

    @extend_schema(
        operation_id="ledger_accounts_at",
        summary="Read all accounts at any time",
        tags=["ledger"],
        parameters=[serializers.MomentQuerySerializer],
        responses={200: serializers.AccountsAtSerializer}
        | problems(InvalidRequestError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """The balances sum to 0."""
        wanted = _query(serializers.MomentQuerySerializer, request)
        accounts = books.accounts_at(at=wanted["at"], basis=Basis(wanted["basis"]))
        lowered = {name.lower(): balance for name, balance in accounts.items()}
        return Response(serializers.AccountsAtSerializer({**wanted, "accounts": lowered}).data)


class AccountDaysView(BooksView):
    """Opening, in, out and closing by day."""

    @extend_schema(
        operation_id="ledger_days",
        summary="Read daily openings and closings",
        tags=["ledger"],
        parameters=[serializers.ShortRangeQuerySerializer],
        responses={200: serializers.AccountDaysSerializer}
        | problems(InvalidRequestError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """By system time; days that were reconciled."""
        wanted = _query(serializers.ShortRangeQuerySerializer, request)
        items = books.account_days(first=wanted["first"], last=wanted["last"])
        return Response(serializers.AccountDaysSerializer({"items": items}).data)


class ConsumptionView(BooksView):
    """What was spent on what."""

    @extend_schema(
        operation_id="ledger_consumption",
        summary="Read consumption by day, user and operation",
        tags=["ledger"],
        parameters=[serializers.ConsumptionQuerySerializer],
        responses={200: serializers.ConsumptionListSerializer}
        | problems(InvalidRequestError, UserNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Refunds are shown beside the charges, on the day they were made."""
        wanted = _query(serializers.ConsumptionQuerySerializer, request)
        owner_id = None
        if wanted["user"]:
            owner_id = accounts_selectors.user_by_ref(user_ref=wanted["user"]).pk
        items = books.consumption(
            first=wanted["first"],
            last=wanted["last"],
            basis=Basis(wanted["basis"]),
            owner_id=owner_id,
        )
        return Response(serializers.ConsumptionListSerializer({"items": items}).data)


class ProofStatusView(BooksView):
    """Where the proof stands."""

    @extend_schema(
        operation_id="ledger_proof_status",
        summary="Read where the proof of the books stands",
        tags=["ledger"],
        responses={200: serializers.ProofStatusSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Seals, snapshots, and the newest run with what it found."""
        status = proof_selectors.proof_status()
        return Response(serializers.ProofStatusSerializer(status).data)


class ReconRunListView(BooksView):
    """Verifications and reconciliations."""

    @extend_schema(
        operation_id="reconciliation_runs_list",
        summary="List reconciliation runs",
        tags=["ledger"],
        parameters=[PageQuerySerializer],
        responses={200: serializers.ReconRunPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        items, next_cursor = proof_selectors.recon_runs(**page_query(request))
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.ReconRunPageSerializer(page).data)


class SealListView(BooksView):
    """The hash chain."""

    @extend_schema(
        operation_id="seals_list",
        summary="List seals",
        tags=["ledger"],
        parameters=[PageQuerySerializer],
        responses={200: serializers.SealPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        items, next_cursor = proof_selectors.seals(**page_query(request))
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.SealPageSerializer(page).data)


class StatementOfHeadView(BooksView):
    """The signed statement."""

    @extend_schema(
        operation_id="seals_statement",
        summary="Read the signed statement of the newest seal",
        tags=["ledger"],
        responses={200: serializers.StatementOfHeadSerializer}
        | problems(NotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Keep it elsewhere: it shows later whether the chain was replaced or cut."""
        document = proof.make_statement()
        if document is None:
            raise NotFoundError(_("Nothing is sealed yet."))
        return Response(serializers.StatementOfHeadSerializer(document).data)


class AuditEventListView(BooksView):
    """The audit trail."""

    @extend_schema(
        operation_id="audit_events_list",
        summary="List audit events",
        tags=["ledger"],
        parameters=[serializers.AuditQuerySerializer],
        responses={200: serializers.AuditEventPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Newest first, of everything or of one subject."""
        wanted = _query(serializers.AuditQuerySerializer, request)
        items, next_cursor = proof_selectors.audit_events(**wanted)
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.AuditEventPageSerializer(page).data)


class MonthCloseListView(BooksView):
    """Closed months."""

    @extend_schema(
        operation_id="closed_months_list",
        summary="List closed months",
        tags=["ledger"],
        responses={200: serializers.MonthCloseListSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Every closing, also those that were reopened."""
        items = proof_selectors.closed_months()
        return Response(serializers.MonthCloseListSerializer({"items": items}).data)


class ExportListView(BooksView):
    """What can be exported."""

    @extend_schema(
        operation_id="exports_list",
        summary="List exports",
        tags=["ledger"],
        responses={200: serializers.ExportListSerializer} | problems(*READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Their names."""
        return Response(serializers.ExportListSerializer({"items": exports.NAMES}).data)


class ExportView(BooksView):
    """One export."""

    renderer_classes = [JSONRenderer, CsvRenderer]

    @extend_schema(
        operation_id="exports_get",
        summary="Download an export as CSV",
        tags=["ledger"],
        parameters=[serializers.ExportQuerySerializer],
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="CSV")}
        | problems(InvalidRequestError, UnknownExportError, UserNotFoundError, *READ_ERRORS),
    )
    def get(self, request: Request, name: str) -> HttpResponseBase:
        """Streamed; amounts are whole tokens, times ISO 8601 in UTC."""
        wanted = _query(serializers.ExportQuerySerializer, request)
        first, last, user_ref = wanted["first"], wanted["last"], wanted["user"]
        owner_id = accounts_selectors.user_by_ref(user_ref=user_ref).pk if user_ref else None
        pieces = exports.stream(
            request=ExportRequest(name, first, last, Basis(wanted["basis"]), owner_id)
        )
        return StreamingHttpResponse(
            pieces,
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}-{first}-{last}.csv"',
                "Cache-Control": "no-store",
            },
        )


def _query(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    query = shape(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)
