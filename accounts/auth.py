"""Who is calling: authentication of API requests."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import AuthUser, JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from accounts import freeze_selectors, keys, selectors, services
from accounts.errors import (
    ApiKeyAddressRefusedError,
    ApiKeyExpiredError,
    ApiKeyInvalidError,
    ApiKeyRevokedError,
    TokenInvalidError,
    UserInactiveError,
)
from accounts.freeze_types import FreezeKind
from accounts.key_header import KEY_HEADER, presented_key
from accounts.models import ApiKey, User
from facefusion_site.common.clients import client_address, is_inside
from facefusion_site.common.drf import AuthenticationRefusedError

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer ffk_…`` or ``X-Api-Key: ffk_…``; ``request.auth`` is the ``ApiKey``.

    A bearer token that is no API key is left to the next authentication class.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        """Find the key's user.

        Raises:
            AuthenticationRefusedError: the key is malformed, unknown, revoked or expired, its user
                is switched off or kept from the API, or it does not work from the caller's
                address.
        """
        key = presented_key(request.headers)
        if key is None:
            return None
        # A mistyped key costs no query.
        row = _find(key) if keys.is_well_formed(key) else None
        if row is None:
            raise AuthenticationRefusedError(
                ApiKeyInvalidError(_("The API key is mistyped or unknown."))
            )
        now = timezone.now()
        if row.revoked_at is not None:
            raise AuthenticationRefusedError(ApiKeyRevokedError(_("This API key was revoked.")))
        if row.expires_at is not None and row.expires_at <= now:
            raise AuthenticationRefusedError(ApiKeyExpiredError(_("This API key has expired.")))
        owner = row.user.sandbox_of
        if not row.user.is_active or (owner is not None and not owner.is_active):
            raise AuthenticationRefusedError(
                UserInactiveError(_("The account of this API key is switched off."))
            )
        _refuse_frozen(row.user, FreezeKind.API)
        address = client_address(request)
        if row.allowed_networks and (
            address is None or not is_inside(address, row.allowed_networks)
        ):
            raise AuthenticationRefusedError(
                ApiKeyAddressRefusedError(
                    _("This API key does not work from the address %(address)s.")
                    % {"address": address or "?"}
                )
            )
        services.note_key_use(
            key_id=row.pk,
            last_used_at=row.last_used_at,
            now=now,
            address=None if address is None else str(address),
        )
        return row.user, row

    def authenticate_header(self, request: Request) -> str:
        """Scheme for the WWW-Authenticate header of a 401."""
        return 'Bearer realm="api"'


class AccessTokenAuthentication(JWTAuthentication):
    """Signed access tokens of people who signed in at ``auth/token``."""

    def authenticate(self, request: Request) -> tuple[AuthUser, Token] | None:
        """As in the base class, with the codes of our error catalogue.

        Raises:
            AuthenticationRefusedError: the token is wrong or expired, or its user is gone, or kept
                from the API or from signing in.
        """
        try:
            found = super().authenticate(request)
        except AuthenticationFailed as error:
            raise AuthenticationRefusedError(
                TokenInvalidError(
                    _("The access token is wrong or has expired, or its account is switched off.")
                )
            ) from error
        if found is None:
            return None
        user: object = found[0]
        assert isinstance(user, User), "tokens name users of ours"
        _refuse_frozen(user, FreezeKind.LOGIN)
        _refuse_frozen(user, FreezeKind.API)
        return found  # type: ignore[return-value]  # the base class's variable: one of two users


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    """Describes API keys in the OpenAPI document."""

    target_class = ApiKeyAuthentication
    name = ["apiKeyBearer", "apiKeyHeader"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """One scheme per way to send the key."""
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "ffk_live_… or ffk_test_…"},
            {"type": "apiKey", "in": "header", "name": KEY_HEADER},
        ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Either way is enough; in one entry they would be wanted both."""
        return [{name: []} for name in self.name]


class AccessTokenScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]  # untyped base
    """Describes access tokens in the OpenAPI document."""

    target_class = AccessTokenAuthentication  # type: ignore[assignment]  # a class is allowed too
    name = "accessToken"


def _refuse_frozen(user: User, kind: FreezeKind) -> None:
    if freeze_selectors.is_frozen(user=user, kind=kind):
        raise AuthenticationRefusedError(freeze_selectors.refusal(user=user, kind=kind))


def _find(key: str) -> ApiKey | None:
    digest = keys.digest(key)
    row = selectors.api_key_by_hash(key_hash=digest)
    # The index lookup may stop at the first differing byte; this comparison never does.
    if row is None or not hmac.compare_digest(row.key_hash, digest):
        return None
    return row
