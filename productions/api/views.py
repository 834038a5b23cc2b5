"""Productions over HTTP: written down, listed, given their rows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
from facefusion_site.common import drf, idempotency
from facefusion_site.common.errors import (
    InvalidCursorError,
    InvalidRequestError,
    ParseError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import KEY_PARAMETER, KEY_PROBLEMS, problems
from facefusion_site.common.serializers import PageQuerySerializer
from inference.errors import AssetNotFoundError
from productions import manifest_files, selectors, services
from productions.api import schema, serializers
from productions.errors import (
    ManifestUnreadableError,
    ProductionNotFoundError,
    ProductionStateError,
)
from productions.order_files import ProductionCreateSerializer


class CsvParser(BaseParser):
    """Reads a manifest in CSV; ``request.data`` is then its bytes."""

    media_type = "text/csv"

    def parse(  # type: ignore[override]  # DRF takes any object, its stubs know two
        self,
        stream: Any,
        media_type: str | None = None,  # DRF's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Read one byte more than a manifest may have, so that a larger one is known."""
        return bytes(stream.read(manifest_files.BYTES_MAX + 1))


class ProductionListView(ScopedView):
    """Productions of the caller."""

    scopes: ClassVar = {"GET": "jobs:read", "POST": "jobs:write"}

    @extend_schema(
        operation_id="productions_list",
        summary="List productions",
        tags=["productions"],
        parameters=[PageQuerySerializer],
        responses={200: serializers.ProductionPageSerializer}
        | problems(InvalidRequestError, InvalidCursorError, *schema.READ_ERRORS),
    )
    def get(self, request: Request) -> Response:
        """Newest first, without their progress."""
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        rows, next_cursor = selectors.productions(
            owner_id=drf.user_id(request), **query.validated_data
        )
        page = {"items": rows, "next_cursor": next_cursor}
        return Response(serializers.ProductionPageSerializer(page).data)

    @extend_schema(
        operation_id="productions_create",
        summary="Create a production",
        tags=["productions"],
        parameters=[KEY_PARAMETER],
        request=ProductionCreateSerializer,
        responses={201: serializers.ProductionSerializer}
        | problems(
            *KEY_PROBLEMS,
            InvalidRequestError,
            ParseError,
            UnsupportedMediaTypeError,
            AssetNotFoundError,
            *schema.STEP_ERRORS,
        ),
        examples=[schema.CREATE],
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """People with their faces, quotas and consents; costs and starts nothing."""
        key = idempotency.require_key(request)
        body = ProductionCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        owner_id = drf.user_id(request)
        production, is_replay = services.create_production(
            owner_id=owner_id, order=body.to_order(), actor_id=owner_id, idempotency_key=key
        )
        headers = {"Location": reverse("production", kwargs={"production_id": production.pk})}
        if is_replay:
            headers[idempotency.REPLAYED_HEADER] = "true"
        return schema.shown(production, status=status.HTTP_201_CREATED, **headers)


class ManifestView(ScopedView):
    """The rows of a production."""

    scopes: ClassVar = {"PUT": "jobs:write"}
    parser_classes = (JSONParser, CsvParser)

    @extend_schema(
        operation_id="productions_load_manifest",
        summary="Load the manifest",
        tags=["productions"],
        request={
            "application/json": serializers.ManifestDocumentSerializer,
            "text/csv": OpenApiTypes.STR,
        },
        responses={200: serializers.ProductionSerializer}
        | problems(
            InvalidRequestError,
            ParseError,
            UnsupportedMediaTypeError,
            ManifestUnreadableError,
            ProductionNotFoundError,
            ProductionStateError,
            *schema.STEP_ERRORS,
        ),
        examples=[schema.MANIFEST, schema.PRODUCTION],
    )
    @limit(group="productions", rate="JOBS_RATE", key="user", is_fail_open=False)
    def put(self, request: Request, production_id: uuid.UUID) -> Response:
        """Replaces all rows, from JSON or CSV, until tokens are asked for.

        Faulty rows are kept with their error and never become jobs; read them at `rows`.
        """
        owner_id = drf.user_id(request)
        production = selectors.owned(owner_id=owner_id, production_id=production_id)
        if isinstance(request.data, bytes):
            rows = manifest_files.read_csv(request.data)
        else:
            body = serializers.ManifestSerializer(data=request.data)
            body.is_valid(raise_exception=True)
            rows = manifest_files.read_rows(body.validated_data["rows"])
        return schema.shown(
            services.load_manifest(production=production, rows=rows, actor_id=owner_id)
        )
