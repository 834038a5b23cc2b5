"""Prices."""

from __future__ import annotations

import uuid
from typing import Final

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import (
    InvalidRequestError,
    ParseError,
    RateLimitedError,
    UnsupportedMediaTypeError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from inference import selectors, services
from inference.api import face_schema, schema, serializers
from inference.api.views.parsing import valid
from inference.errors import (
    AssetNotFoundError,
    InvalidTrimError,
    ModelNotInstalledError,
    OperationMismatchError,
    QuoteNotFoundError,
    ResultTooLargeError,
    SourceNotAPictureError,
    SwapOptionsError,
)
from inference.face_errors import CASTING_ERRORS
from inference.job_errors import InputsMissingError
from inference.media_errors import AssetDeletedError, SandboxMediaError
from tokens.types import Operation
from trust.errors import ConsentRequiredError, ConsentRevokedError

QUOTE_ERRORS: Final = (
    InvalidRequestError,
    AssetNotFoundError,
    AssetDeletedError,
    InputsMissingError,
    SandboxMediaError,
    SourceNotAPictureError,
    OperationMismatchError,
    InvalidTrimError,
    SwapOptionsError,
    ModelNotInstalledError,
    ResultTooLargeError,
    *CASTING_ERRORS,
    ConsentRequiredError,
    ConsentRevokedError,
)


class QuoteListView(ScopedView):
    """Quotes."""

    scopes = {"POST": "jobs:write"}

    @extend_schema(
        operation_id="quotes_create",
        summary="Price a swap",
        tags=["jobs"],
        request=serializers.QuoteCreateSerializer,
        responses={
            201: serializers.QuoteSerializer,
            **problems(ParseError, UnsupportedMediaTypeError, RateLimitedError, *QUOTE_ERRORS),
        },
        examples=[
            schema.QUOTE_REQUEST,
            schema.VIDEO_QUOTE_REQUEST,
            face_schema.MAPPING_REQUEST,
            schema.QUOTE_ANSWER,
        ],
    )
    @limit(group="quotes", rate="JOBS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """Free. The price is promised until the quote expires, and pays for one job."""
        body = serializers.QuoteCreateSerializer(data=request.data)
        data = valid(body)
        owner_id = drf.user_id(request)
        quote = services.quote_swap(
            owner_id=owner_id,
            source_asset_id=data["source_asset_id"],
            target_asset_id=data["target_asset_id"],
            operation=Operation(data["operation"]),
            options=body.to_options(),
        )
        detail = selectors.quote_detail(owner_id=owner_id, quote_id=quote.pk)
        return Response(
            serializers.QuoteSerializer(detail).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{quote.pk}"},
        )


class QuoteView(ScopedView):
    """One quote."""

    scopes = {"GET": "jobs:read"}

    @extend_schema(
        operation_id="quotes_get",
        summary="Read a quote",
        tags=["jobs"],
        responses={200: serializers.QuoteSerializer, **problems(QuoteNotFoundError)},
        examples=[schema.QUOTE_ANSWER],
    )
    def get(self, request: Request, quote_id: uuid.UUID) -> Response:
        """With the balance as it is now, and the job it paid for."""
        detail = selectors.quote_detail(owner_id=drf.user_id(request), quote_id=quote_id)
        return Response(serializers.QuoteSerializer(detail).data)
