"""How far productions are, over HTTP."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import InvalidRequestError
from facefusion_site.common.schema import problems
from productions import selectors
from productions.api import schema, serializers
from productions.errors import ProductionNotFoundError
from productions.reports import report_csv

_PROBLEMS = problems(ProductionNotFoundError, *schema.READ_ERRORS)


class CsvRenderer(BaseRenderer):
    """Lets a client ask for CSV; the view streams it itself."""

    media_type = "text/csv"
    format = "csv"


class ProductionView(ScopedView):
    """One production."""

    scopes: ClassVar = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="productions_get",
        summary="Read a production",
        tags=["productions"],
        responses={200: serializers.ProductionSerializer} | _PROBLEMS,
        examples=[schema.PRODUCTION],
    )
    def get(self, request: Request, production_id: uuid.UUID) -> Response:
        """State, rows by state, people with their quotas, and every token."""
        owner_id = drf.user_id(request)
        return schema.shown(selectors.owned(owner_id=owner_id, production_id=production_id))


class RowListView(ScopedView):
    """The rows of a production."""

    scopes: ClassVar = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="productions_list_rows",
        summary="List the rows of a production",
        tags=["productions"],
        parameters=[serializers.RowQuerySerializer],
        responses={200: serializers.ProductionRowListSerializer}
        | problems(InvalidRequestError, ProductionNotFoundError, *schema.READ_ERRORS),
    )
    def get(self, request: Request, production_id: uuid.UUID) -> Response:
        """By number, each with its job or its error; `state=failed` for those that failed."""
        query = serializers.RowQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        production = selectors.owned(owner_id=drf.user_id(request), production_id=production_id)
        given = query.validated_data
        rows = selectors.rows(
            production=production,
            after=given["after"],
            limit=given["limit"],
            states=None if given["state"] is None else [given["state"]],
        )
        is_full = len(rows) == given["limit"]
        page = {"items": rows, "next_after": rows[-1].row_no if is_full else None}
        return Response(serializers.ProductionRowListSerializer(page).data)


class ReportView(ScopedView):
    """The report of a production."""

    scopes: ClassVar = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="productions_report",
        summary="Read the report of a production",
        tags=["productions"],
        responses={200: serializers.ProductionReportSerializer} | _PROBLEMS,
    )
    def get(self, request: Request, production_id: uuid.UUID) -> Response:
        """The production with its books and all its rows, at any time."""
        production = selectors.owned(owner_id=drf.user_id(request), production_id=production_id)
        return schema.reported(production, list(selectors.every_row(production=production)))


class ReportCsvView(ScopedView):
    """The rows of a production as a file."""

    scopes: ClassVar = {"GET": "jobs:read"}
    renderer_classes = (CsvRenderer, JSONRenderer)

    @extend_schema(
        operation_id="productions_report_csv",
        summary="Download the report of a production",
        tags=["productions"],
        responses={(200, "text/csv"): OpenApiTypes.STR} | _PROBLEMS,
    )
    def get(self, request: Request, production_id: uuid.UUID) -> StreamingHttpResponse:
        """One line for each row."""
        production = selectors.owned(owner_id=drf.user_id(request), production_id=production_id)
        return StreamingHttpResponse(
            report_csv(selectors.every_row(production=production)),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="production-{production_id}.csv"'
            },
        )
