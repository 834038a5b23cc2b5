"""HTTP face of accounts: access tokens and API keys."""

from __future__ import annotations

import uuid

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import (
    TokenObtainPairSerializer,
    TokenRefreshSerializer,
)

from accounts import selectors, services
from accounts.api.serializers import (
    AccessTokenSerializer,
    ApiKeyCreateSerializer,
    ApiKeyListSerializer,
    ApiKeySerializer,
    IssuedKeySerializer,
    RefreshSerializer,
    SignInSerializer,
    TokenPairSerializer,
)
from accounts.errors import (
    ApiKeyNotFoundError,
    ApiKeyRequestInvalidError,
    KeyCannotManageKeysError,
    SignInFailedError,
    TokenInvalidError,
)
from accounts.permissions import IsSignedInWithoutKey
from facefusion_site.common.drf import user_id
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems


class TokenView(APIView):
    """Sign in for programs that act for a person."""

    permission_classes = [AllowAny]
    # Credentials of an earlier sign-in must not decide about this one.
    authentication_classes = []

    @extend_schema(
        operation_id="auth_token",
        summary="Sign in",
        tags=["accounts"],
        request=SignInSerializer,
        responses={200: TokenPairSerializer}
        | problems(
            InvalidRequestError,
            SignInFailedError,
            RateLimitedError,
            ServiceUnavailableError,
            is_public=True,
        ),
        auth=[],
    )
    @limit(group="login", rate="LOGIN_RATE", key="ip", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Exchange user name and password for an access and a refresh token."""
        body = SignInSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        pair = TokenObtainPairSerializer(data=body.validated_data, context={"request": request})
        try:
            pair.is_valid(raise_exception=True)
        except AuthenticationFailed as error:
            raise SignInFailedError(_("The user name or the password is wrong.")) from error
        return Response(TokenPairSerializer(pair.validated_data).data)


class TokenRefreshView(APIView):
    """Renew an access token."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(
        operation_id="auth_token_refresh",
        summary="Renew an access token",
        tags=["accounts"],
        request=RefreshSerializer,
        responses={200: AccessTokenSerializer}
        | problems(
            InvalidRequestError,
            TokenInvalidError,
            RateLimitedError,
            ServiceUnavailableError,
            is_public=True,
        ),
        auth=[],
    )
    @limit(group="login", rate="LOGIN_RATE", key="ip", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new access token."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        renewed = TokenRefreshSerializer(data=body.validated_data)
        try:
            renewed.is_valid(raise_exception=True)
        except (TokenError, AuthenticationFailed) as error:
            raise TokenInvalidError(
                _("The refresh token is wrong or has expired, or its account is switched off.")
            ) from error
        return Response(AccessTokenSerializer(renewed.validated_data).data)


class ApiKeyListView(APIView):
    """The caller's API keys."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="api_keys_list",
        summary="List your API keys",
        tags=["accounts"],
        responses={200: ApiKeyListSerializer} | problems(KeyCannotManageKeysError),
    )
    def get(self, request: Request) -> Response:
        """List your keys, newest first. Secrets are never shown again."""
        rows = selectors.api_keys(user_id=user_id(request))
        return Response({"items": ApiKeySerializer(rows, many=True).data})

    @extend_schema(
        operation_id="api_keys_create",
        summary="Issue an API key",
        tags=["accounts"],
        request=ApiKeyCreateSerializer,
        responses={201: IssuedKeySerializer}
        | problems(InvalidRequestError, ApiKeyRequestInvalidError, KeyCannotManageKeysError),
    )
    def post(self, request: Request) -> Response:
        """Issue a key. The answer is the only time its secret is shown."""
        body = ApiKeyCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller_id = user_id(request)
        issued = services.issue_api_key(user_id=caller_id, **body.validated_data)
        row = selectors.api_key(key_id=issued.id, user_id=caller_id)
        answer = ApiKeySerializer(row).data | {"key": issued.key}
        return Response(
            answer, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"}
        )


class ApiKeyView(APIView):
    """One of the caller's API keys."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="api_keys_revoke",
        summary="Revoke an API key",
        tags=["accounts"],
        responses={204: None} | problems(ApiKeyNotFoundError, KeyCannotManageKeysError),
    )
    def delete(self, request: Request, key_id: uuid.UUID) -> Response:
        """Revoke a key at once. Revoking it again changes nothing."""
        services.revoke_api_key(key_id=key_id, user_id=user_id(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
