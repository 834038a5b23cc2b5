"""HTTP face of accounts: access tokens and API keys."""

from __future__ import annotations

import uuid
from typing import Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.serializers import TokenObtainSerializer
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import selectors, services, sign_in_limits
from accounts.api.serializers import (
    ApiKeyCreateSerializer,
    ApiKeyListSerializer,
    ApiKeyRotateSerializer,
    ApiKeySerializer,
    IssuedKeySerializer,
    RefreshSerializer,
    SignInSerializer,
    TokenPairSerializer,
)
from accounts.errors import (
    ApiKeyNotActiveError,
    ApiKeyNotFoundError,
    ApiKeyRequestInvalidError,
    KeyCannotManageKeysError,
    LoginFrozenError,
    RefreshTokenReusedError,
    SignInFailedError,
    TokenInvalidError,
)
from accounts.models import ApiKey, User
from accounts.permissions import IsSignedInWithoutKey
from accounts.types import IssuedKey
from facefusion_site.common.clients import client_address
from facefusion_site.common.drf import user_id
from facefusion_site.common.errors import (
    InvalidRequestError,
    RateLimitedError,
    ServiceUnavailableError,
)
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems

_KEY_FIELDS: Final = ("name", "scopes", "expires_at", "is_test")


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
            LoginFrozenError,
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
        sign_in_limits.check_account(request, name=body.validated_data["username"])
        pair = TokenObtainSerializer(data=body.validated_data, context={"request": request})
        try:
            pair.is_valid(raise_exception=True)
        except AuthenticationFailed as error:
            raise SignInFailedError(_("The user name or the password is wrong.")) from error
        assert isinstance(pair.user, User), "the serializer has found the user"
        address = client_address(request)
        return _pair(
            services.open_sign_in(user=pair.user, address=None if address is None else str(address))
        )


class TokenRefreshView(APIView):
    """Renew an access token."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(
        operation_id="auth_token_refresh",
        summary="Renew an access token",
        tags=["accounts"],
        request=RefreshSerializer,
        responses={200: TokenPairSerializer}
        | problems(
            InvalidRequestError,
            TokenInvalidError,
            RefreshTokenReusedError,
            LoginFrozenError,
            RateLimitedError,
            ServiceUnavailableError,
            is_public=True,
        ),
        auth=[],
    )
    @limit(group="login", rate="LOGIN_RATE", key="ip", is_fail_open=False)
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair; one that comes twice ends the sign-in."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return _pair(services.renew_sign_in(refresh=body.validated_data["refresh"]))


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
        wanted = {name: body.validated_data[name] for name in _KEY_FIELDS}
        issued = services.issue_api_key(user_id=caller_id, limits=body.to_limits(), **wanted)
        return _issued(selectors.api_key(key_id=issued.id, user_id=caller_id), issued)


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


class ApiKeyRotateView(APIView):
    """The replacement of a key, with time to bring the new one everywhere."""

    permission_classes = [IsSignedInWithoutKey]

    @extend_schema(
        operation_id="api_keys_rotate",
        summary="Rotate an API key",
        tags=["accounts"],
        request=ApiKeyRotateSerializer,
        responses={201: IssuedKeySerializer}
        | problems(
            InvalidRequestError,
            ApiKeyNotFoundError,
            ApiKeyNotActiveError,
            KeyCannotManageKeysError,
        ),
    )
    def post(self, request: Request, key_id: uuid.UUID) -> Response:
        """A new key with the same rights; the old one works `grace_s` seconds more."""
        body = ApiKeyRotateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller_id = user_id(request)
        issued = services.rotate_api_key(
            key_id=key_id, user_id=caller_id, grace_s=body.validated_data["grace_s"]
        )
        return _issued(selectors.api_key(key_id=issued.id, user_id=caller_id), issued)


def _issued(row: ApiKey, issued: IssuedKey) -> Response:
    answer = ApiKeySerializer(row).data | {
        "key": issued.key,
        "signing_secret": issued.signing_secret,
    }
    return Response(answer, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


def _pair(token: RefreshToken) -> Response:
    pair = {"access": str(token.access_token), "refresh": str(token)}
    return Response(TokenPairSerializer(pair).data, headers={"Cache-Control": "no-store"})
