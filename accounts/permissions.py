"""What a caller may do: permission classes for the API of every app."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import signatures, step_up
from accounts.errors import (
    KeyCannotManageKeysError,
    RoleRequiredError,
    SandboxOnlyError,
    ScopeMissingError,
)
from accounts.models import ApiKey, User
from accounts.types import MONEY_SCOPES, ROLE_SCOPES, STAFF_SCOPES, Role, Scope


class HasScope(BasePermission):
    """The caller's role includes ``required_scope``, and so does the API key if one is used."""

    required_scope: ClassVar[Scope]

    def has_permission(self, request: Request, view: APIView) -> bool:
        """False for anonymous callers, which DRF answers with 401.

        Raises:
            RoleRequiredError: the user's role never includes the scope.
            ScopeMissingError: the user could, this key cannot.
            StepUpRequiredError, SecondFactorMissingError: the scope is one of staff's, and the
                person has not shown a second factor.
            DomainError: the key asks for signatures, the request moves tokens, and
                ``signatures.verify`` refuses it.
        """
        user = request.user
        if not isinstance(user, User):
            return False
        required = self.required_scope
        if required not in ROLE_SCOPES[Role(user.role)]:
            raise RoleRequiredError(
                _("This needs a role that includes the scope %(scope)s.") % {"scope": required},
                required_scope=required.value,
            )
        if isinstance(request.auth, ApiKey) and required not in request.auth.scopes:
            raise ScopeMissingError(
                _("This API key was issued without the scope %(scope)s.") % {"scope": required},
                required_scope=required.value,
            )
        if required in STAFF_SCOPES:
            step_up.require_shown(request)
        if (
            isinstance(request.auth, ApiKey)
            and request.auth.requires_signature
            and required in MONEY_SCOPES
            and request.method not in SAFE_METHODS
        ):
            signatures.verify(request, key_id=request.auth.pk)
        return True


def scope(required: str) -> type[HasScope]:
    """A permission class that asks for one scope, for example ``scope("jobs:write")``."""
    member = Scope(required)
    return type(
        f"Has{member.name.title().replace('_', '')}", (HasScope,), {"required_scope": member}
    )


class ScopedView(APIView):
    """A view whose methods need a signed-in caller with one scope each, named in ``scopes``."""

    scopes: ClassVar[Mapping[str, str]]

    def get_permissions(self) -> list[Any]:
        """Reading and writing are different scopes."""
        method = "GET" if self.request.method in {"HEAD", "OPTIONS"} else self.request.method or ""
        needed = self.scopes.get(method)
        return [IsAuthenticated(), scope(needed)()] if needed else [IsAuthenticated()]


class IsSandbox(BasePermission):
    """The caller used a test key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """False for anonymous callers, which DRF answers with 401.

        Raises:
            SandboxOnlyError: the caller is no sandbox.
        """
        user = request.user
        if not isinstance(user, User):
            return False
        if not user.is_sandbox:
            raise SandboxOnlyError(_("Live accounts have no free tokens."))
        return True


class IsSignedInWithoutKey(BasePermission):
    """A signed-in person: session or access token, no API key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """False for anonymous callers, which DRF answers with 401.

        Raises:
            KeyCannotManageKeysError: the caller used an API key.
        """
        if isinstance(request.auth, ApiKey):
            raise KeyCannotManageKeysError(_("Sign in with user name and password for this."))
        return isinstance(request.user, User)


def budget_key_id(request: Request) -> uuid.UUID | None:
    """The API key that the caller used, if it has a daily budget."""
    key = request.auth
    return key.pk if isinstance(key, ApiKey) and key.daily_token_budget is not None else None
