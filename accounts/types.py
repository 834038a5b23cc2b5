"""Values that cross the border of the accounts app."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

USER_REF_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}"


class Role(models.TextChoices):
    """What a user is on the platform."""

    USER = "USER", _("User")
    OPERATOR = "OPERATOR", _("Operator")
    ADMIN = "ADMIN", _("Administrator")


class Plan(models.TextChoices):
    """What a user has subscribed to; it says nothing about what the user may do."""

    FREE = "free", _("Free")
    VIP = "vip", _("VIP")
    ENTERPRISE = "enterprise", _("Enterprise")
    CUSTOM = "custom", _("Custom")


class Scope(models.TextChoices):
    """What a request may do. Sessions and access tokens carry all scopes of the user's role."""

    MEDIA_WRITE = "media:write", _("Upload pictures")
    MEDIA_READ = "media:read", _("See uploaded pictures")
    JOBS_WRITE = "jobs:write", _("Price and run swaps")
    JOBS_READ = "jobs:read", _("See swaps and download results")
    LEDGER_READ = "ledger:read", _("See balance and statement")
    RECHARGES_WRITE = "recharges:write", _("Credit tokens to users")
    RECHARGES_READ = "recharges:read", _("See recharges")
    WEBHOOKS_WRITE = "webhooks:write", _("Change and replay webhooks")
    WEBHOOKS_READ = "webhooks:read", _("See webhooks and events")
    APPROVALS_READ = "approvals:read", _("See approval requests and policies")
    APPROVALS_VOTE = "approvals:vote", _("Vote on approval requests")
    AUDIT_READ = "audit:read", _("See the books and their proof")
    WALLETS_WRITE = "wallets:write", _("Freeze, close and correct wallets")
    WALLETS_READ = "wallets:read", _("See wallets of others")
    USERS_WRITE = "users:write", _("Create users")
    USERS_READ = "users:read", _("See users")


STAFF_ROLES: Final = frozenset({Role.OPERATOR, Role.ADMIN})
STAFF_SCOPES: Final = frozenset(
    {
        Scope.RECHARGES_WRITE,
        Scope.RECHARGES_READ,
        Scope.APPROVALS_READ,
        Scope.APPROVALS_VOTE,
        Scope.AUDIT_READ,
        Scope.WALLETS_WRITE,
        Scope.WALLETS_READ,
        Scope.USERS_WRITE,
        Scope.USERS_READ,
    }
)
ROLE_SCOPES: Final[Mapping[Role, frozenset[Scope]]] = MappingProxyType(
    {
        Role.USER: frozenset(Scope) - STAFF_SCOPES,
        Role.OPERATOR: frozenset(Scope),
        Role.ADMIN: frozenset(Scope),
    }
)


# Requests that move tokens or decide about them; keys may be told to sign these.
MONEY_SCOPES: Final = frozenset(
    {Scope.JOBS_WRITE, Scope.RECHARGES_WRITE, Scope.WALLETS_WRITE, Scope.APPROVALS_VOTE}
)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may do beside its scopes.

    Attributes:
        allowed_networks: where it works from, in CIDR notation; from anywhere when empty.
        daily_token_budget: tokens that its jobs may set aside in a day of UTC; None for no limit.
        requests_per_minute: None for the limits of the account alone.
        requires_signature: whether requests that move tokens must be signed.
    """

    allowed_networks: tuple[str, ...] = ()
    daily_token_budget: int | None = None
    requests_per_minute: int | None = None
    requires_signature: bool = False


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key. ``key`` is the only copy of the secret: show it once, never log it.

    Attributes:
        signing_secret: what requests are signed with, for keys that must; None for the others.
    """

    key: str
    id: uuid.UUID
    signing_secret: str | None = None

    def __repr__(self) -> str:
        return f"IssuedKey(id={self.id})"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that waits for its first code. Show both once: they are the secret."""

    secret: str
    url: str

    def __repr__(self) -> str:
        return "Enrolment(…)"


@dataclass(frozen=True, slots=True)
class SecondFactorState:
    """What a user has: a confirmed authenticator, and how many recovery codes are unused."""

    is_enrolled: bool
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class ReencryptedFactors:
    """Authenticators looked at, brought under the newest key, and readable with no key at all."""

    total: int
    changed: int
    unreadable: tuple[str, ...]
