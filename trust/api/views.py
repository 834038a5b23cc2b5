"""Consents, reports of media, and receipts of erasure over HTTP."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.errors import RoleRequiredError, ScopeMissingError
from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import (
    InvalidCursorError,
    InvalidRequestError,
    RateLimitedError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from facefusion_site.common.serializers import PageQuerySerializer
from trust import consent_texts, selectors, services, signing
from trust.api import serializers
from trust.copies import digest_of
from trust.errors import (
    ConsentInvalidError,
    ConsentNotFoundError,
    ConsentTextOutdatedError,
    ReceiptNotFoundError,
    TakedownInvalidError,
    TakedownNotFoundError,
)
from trust.types import TakedownOrder, TakedownReason

_SCOPE: Final = (RoleRequiredError, ScopeMissingError)
_CONSENT: Final = {
    "id": "6d2a8a4e-6d0e-4b57-9d0c-2f6a7b0f1c11",
    "kind": "documented",
    "uses": ["image_swap"],
    "covers_account": False,
    "asset_ids": ["0b8b7d6c-51f5-4c3e-8a39-1f2a63e1a001"],
    "evidence": "Release form 2026-117, file cabinet B",
    "expires_at": "2027-06-30T22:00:00Z",
    "text_version": "2026-11",
    "text_language": "en",
    "text_sha256": "0" * 64,
    "attested_by": "studio-7",
    "attested_at": "2026-11-24T09:00:00Z",
    "revoked_at": None,
    "enforced_at": None,
}


class ConsentTextView(APIView):
    """The text that consents refer to."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="consents_text",
        summary="Read the text of consents",
        tags=["trust"],
        auth=[],
        parameters=[serializers.ConsentTextQuerySerializer],
        responses={
            200: serializers.ConsentTextSerializer,
            **problems(InvalidRequestError, is_public=True),
        },
    )
    def get(self, request: Request) -> Response:
        """Word for word, with digests. A changed wording is a new version."""
        query = serializers.ConsentTextQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        language = query.validated_data["language"]
        found = {
            "version": consent_texts.VERSION,
            "language": language,
            "texts": selectors.texts_of(language=language),
        }
        return Response(found)


class ConsentListView(ScopedView):
    """Consents of the account."""

    scopes: ClassVar = {"GET": "media:read", "POST": "media:write"}

    @extend_schema(
        operation_id="consents_list",
        summary="List consents",
        tags=["trust"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.ConsentPageSerializer,
            **problems(InvalidRequestError, InvalidCursorError, *_SCOPE),
        },
    )
    def get(self, request: Request) -> Response:
        """All that were ever attested, revoked ones included, newest first."""
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        items, next_cursor = selectors.consents(
            owner_id=drf.user_id(request), **query.validated_data
        )
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.ConsentPageSerializer(page).data)

    @extend_schema(
        operation_id="consents_create",
        summary="Attest a consent",
        tags=["trust"],
        request=serializers.ConsentCreateSerializer,
        examples=[
            OpenApiExample(
                "my own face", request_only=True, value={"kind": "self", "text_version": "2026-11"}
            ),
            OpenApiExample(
                "somebody who signed",
                request_only=True,
                value={
                    "kind": "documented",
                    "text_version": "2026-11",
                    "uses": ["image_swap"],
                    "asset_ids": _CONSENT["asset_ids"],
                    "evidence": _CONSENT["evidence"],
                    "expires_at": _CONSENT["expires_at"],
                },
            ),
            OpenApiExample("attested", response_only=True, status_codes=["201"], value=_CONSENT),
        ],
        responses={
            201: serializers.ConsentSerializer,
            **problems(
                InvalidRequestError,
                ConsentInvalidError,
                ConsentTextOutdatedError,
                RateLimitedError,
                *_SCOPE,
            ),
        },
    )
    @limit(group="consents", rate="JOBS_RATE", key="user")
    def post(self, request: Request) -> Response:
        """You vouch for it: who, when and for which text is kept for good."""
        body = serializers.ConsentCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        owner_id = drf.user_id(request)
        made = services.attest(owner_id=owner_id, actor_id=owner_id, order=body.to_order())
        return Response(serializers.ConsentSerializer(made).data, status=status.HTTP_201_CREATED)


class ConsentView(ScopedView):
    """One consent."""

    scopes: ClassVar = {"GET": "media:read"}

    @extend_schema(
        operation_id="consents_get",
        summary="Read a consent",
        tags=["trust"],
        responses={
            200: serializers.ConsentSerializer,
            **problems(ConsentNotFoundError, *_SCOPE),
        },
    )
    def get(self, request: Request, consent_id: uuid.UUID) -> Response:
        """As it was attested, and whether it was revoked."""
        found = selectors.consent(owner_id=drf.user_id(request), consent_id=consent_id)
        return Response(serializers.ConsentSerializer(found).data)


class ConsentRevokeView(ScopedView):
    """The end of a consent."""

    scopes: ClassVar = {"POST": "media:write"}

    @extend_schema(
        operation_id="consents_revoke",
        summary="Revoke a consent",
        tags=["trust"],
        request=None,
        examples=[
            OpenApiExample(
                "revoked",
                response_only=True,
                value=_CONSENT
                | {
                    "revoked_at": "2026-12-01T08:00:00Z",
                    "enforced_at": "2026-12-01T08:00:01Z",
                },
            )
        ],
        responses={
            200: serializers.ConsentSerializer,
            **problems(ConsentNotFoundError, RateLimitedError, *_SCOPE),
        },
    )
    @limit(group="consents", rate="JOBS_RATE", key="user")
    def post(self, request: Request, consent_id: uuid.UUID) -> Response:
        """Its source pictures and their faces are deleted, and what waits or runs with them ends.

        Such jobs fail with `consent_revoked` and give every token back. Repeating it changes
        nothing.
        """
        owner_id = drf.user_id(request)
        done = services.revoke(owner_id=owner_id, consent_id=consent_id, actor_id=owner_id)
        return Response(serializers.ConsentSerializer(done).data)


class TakedownListView(APIView):
    """Reports by anybody."""

    permission_classes = [AllowAny]
    authentication_classes = []
    parser_classes = [JSONParser, MultiPartParser, FormParser]

    @extend_schema(
        operation_id="takedowns_create",
        summary="Report a picture or a video",
        tags=["trust"],
        auth=[],
        request={
            "application/json": serializers.TakedownCreateSerializer,
            "multipart/form-data": serializers.TakedownCreateSerializer,
        },
        responses={
            201: serializers.TakedownSerializer,
            **problems(InvalidRequestError, TakedownInvalidError, RateLimitedError, is_public=True),
        },
    )
    @limit(group="takedowns", rate="TAKEDOWNS_RATE", key="ip")
    def post(self, request: Request) -> Response:
        """No account is needed. It is decided within 48 hours; keep the reference."""
        announced = request.META.get("CONTENT_LENGTH") or ""
        # Seen before the body is read: nothing of it is written to disk.
        digest_of(None, announced_bytes=int(announced) if announced.isdecimal() else 0)
        body = serializers.TakedownCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        copy = data.get("file")
        row = services.report(
            order=TakedownOrder(
                reason=TakedownReason(data["reason"]),
                contact=data["contact"],
                statement=data["statement"],
                link=data["link"],
                sha256=data["sha256"] if copy is None else digest_of(copy),
                is_copy_sent=copy is not None,
            )
        )
        return Response(serializers.TakedownSerializer(row).data, status=status.HTTP_201_CREATED)


class TakedownView(APIView):
    """One report, by its reference."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(
        operation_id="takedowns_get",
        summary="See where a report stands",
        tags=["trust"],
        auth=[],
        responses={
            200: serializers.TakedownSerializer,
            **problems(TakedownNotFoundError, RateLimitedError, is_public=True),
        },
    )
    @limit(group="takedown-status", rate="TAKEDOWN_STATUS_RATE", key="ip")
    def get(self, request: Request, reference: str) -> Response:
        """Whoever has the reference sees the state and the answer, and nothing personal."""
        return Response(
            serializers.TakedownSerializer(selectors.takedown(reference=reference)).data
        )


class ErasureReceiptListView(ScopedView):
    """Receipts of erasure of the account."""

    scopes: ClassVar = {"GET": "media:read"}

    @extend_schema(
        operation_id="erasure_receipts_list",
        summary="List receipts of erasure",
        tags=["trust"],
        parameters=[PageQuerySerializer],
        responses={
            200: serializers.ErasureReceiptPageSerializer,
            **problems(InvalidRequestError, InvalidCursorError, *_SCOPE),
        },
    )
    def get(self, request: Request) -> Response:
        """Each says what was deleted and when, and is signed."""
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        items, next_cursor = selectors.receipts(
            owner_id=drf.user_id(request), **query.validated_data
        )
        page = {"items": items, "next_cursor": next_cursor}
        return Response(serializers.ErasureReceiptPageSerializer(page).data)


class ErasureReceiptView(ScopedView):
    """One receipt of erasure."""

    scopes: ClassVar = {"GET": "media:read"}

    @extend_schema(
        operation_id="erasure_receipts_get",
        summary="Read a receipt of erasure",
        tags=["trust"],
        responses={
            200: serializers.ErasureReceiptSerializer,
            **problems(ReceiptNotFoundError, *_SCOPE),
        },
    )
    def get(self, request: Request, receipt_id: uuid.UUID) -> Response:
        """The document and its signature; keep both."""
        found = selectors.receipt(owner_id=drf.user_id(request), receipt_id=receipt_id)
        return Response(serializers.ErasureReceiptSerializer(found).data)


class ErasureVerifyView(APIView):
    """Whether a receipt is ours."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(
        operation_id="erasure_receipts_verify",
        summary="Check a receipt of erasure",
        tags=["trust"],
        auth=[],
        request=serializers.ReceiptCheckSerializer,
        responses={
            200: serializers.ReceiptVerdictSerializer,
            **problems(InvalidRequestError, RateLimitedError, is_public=True),
        },
    )
    @limit(group="receipt-checks", rate="TAKEDOWN_STATUS_RATE", key="ip")
    def post(self, request: Request) -> Response:
        """No account is needed, and the public key alone is enough to do it without us."""
        body = serializers.ReceiptCheckSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        verdict = services.verify_receipt(**body.validated_data)
        return Response(serializers.ReceiptVerdictSerializer(verdict).data)


class ErasureKeysView(APIView):
    """The public keys of receipts."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(
        operation_id="erasure_receipts_keys",
        summary="Read the public keys of receipts",
        tags=["trust"],
        auth=[],
        responses={200: serializers.ReceiptKeysSerializer},
    )
    def get(self, request: Request) -> Response:
        """The current key first, then former ones."""
        current = signing.public_key()
        items = [
            {"key_id": key_id, "public_key": key, "current": key == current}
            for key_id, key in signing.known_keys().items()
        ]
        return Response({"items": items})
