"""What the OpenAPI document says of every operation, because it holds for every one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS

from accounts.errors import (
    ApiKeyAddressRefusedError,
    ApiKeyExpiredError,
    ApiKeyInvalidError,
    ApiKeyRevokedError,
    HttpsRequiredError,
    KeyCannotManageKeysError,
    RoleRequiredError,
    ScopeMissingError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureReplayedError,
    SignatureRequiredError,
    SignedBodyTooLargeError,
    TokenInvalidError,
    UserInactiveError,
)
from accounts.freeze_errors import ApiFrozenError
from accounts.permissions import HasScope, IsSignedInWithoutKey
from accounts.types import MONEY_SCOPES
from facefusion_site.common.drf import PROBLEM_TYPE
from facefusion_site.common.errors import (
    DomainError,
    NotFoundError,
    ParseError,
    RateLimitedError,
    ServiceUnavailableError,
    UnsupportedMediaTypeError,
)

Operation = dict[str, Any]

CREDENTIAL_ERRORS: Final = (
    ApiFrozenError,
    ApiKeyAddressRefusedError,
    ApiKeyInvalidError,
    ApiKeyExpiredError,
    ApiKeyRevokedError,
    HttpsRequiredError,
    TokenInvalidError,
    UserInactiveError,
)
SCOPE_ERRORS: Final = (RoleRequiredError, ScopeMissingError)
# While counters and used signatures cannot be looked up, money stays where it is.
MONEY_ERRORS: Final = (
    ServiceUnavailableError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureReplayedError,
    SignatureRequiredError,
    SignedBodyTooLargeError,
)
BODY_ERRORS: Final = (ParseError, UnsupportedMediaTypeError)
_PROBLEM: Final = {"schema": {"$ref": "#/components/schemas/Problem"}}


class ApiSchema(AutoSchema):
    """Adds the refusals that come before a view's own code, from the classes that refuse."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Operation | None:
        """The operation with every code that its callers may see."""
        operation: Operation | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for error in self._refusals(operation):
            _document(operation["responses"], error)
        return operation

    def _refusals(self, operation: Operation) -> Iterator[type[DomainError]]:
        if self.view.authentication_classes:
            yield from CREDENTIAL_ERRORS
        if self.view.throttle_classes:
            yield RateLimitedError
        permissions = self.view.get_permissions()
        scopes = {it.required_scope for it in permissions if isinstance(it, HasScope)}
        if scopes:
            yield from SCOPE_ERRORS
        if scopes & MONEY_SCOPES and self.method not in SAFE_METHODS:
            yield from MONEY_ERRORS
        if any(isinstance(it, IsSignedInWithoutKey) for it in permissions):
            yield KeyCannotManageKeysError
        if "requestBody" in operation:
            yield from BODY_ERRORS
        if "{" in self.path:
            # Where a parameter is not even of the right form, no route takes the path.
            yield NotFoundError


def _document(responses: dict[str, Any], error: type[DomainError]) -> None:
    """Name the code in the entry of its status, which lists codes in the order of the alphabet."""
    entry = responses.setdefault(str(error.http_status), {"content": {PROBLEM_TYPE: _PROBLEM}})
    codes = {*re.findall(r"`\w+`", entry.get("description", "")), f"`{error.code}`"}
    entry["description"] = ", ".join(sorted(codes))
