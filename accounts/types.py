"""Values that cross the border of the accounts app."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

USER_REF_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}"


class Role(models.TextChoices):
    """What a user is on the platform. One person has one role, so that no duties ever add up.

    OPERATOR and ADMIN are for small teams, where the same people do most things; the others
    divide the work so that nobody both asks for tokens and agrees to it.
    """

    USER = "USER", _("User")
    OPERATOR = "OPERATOR", _("Operator")
    ADMIN = "ADMIN", _("Administrator")
    MAKER = "MAKER", _("Recharge maker")
    APPROVER = "APPROVER", _("Recharge approver")
    FINANCE = "FINANCE", _("Finance")
    RISK = "RISK", _("Risk analyst")
    SAFETY = "SAFETY", _("Safety reviewer")
    SUPPORT = "SUPPORT", _("Support")
    PRICING = "PRICING", _("Pricing manager")
    SRE = "SRE", _("Site reliability")
    AUDITOR = "AUDITOR", _("Auditor")
    OWNER = "OWNER", _("Owner")


class LabelProfile(models.TextChoices):
    """Whose rules decide on the text that people see on results."""

    CN = "cn", _("China")
    EU = "eu", _("European Union")


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
    FREEZES_WRITE = "freezes:write", _("Freeze accounts and lift freezes")
    USERS_WRITE = "users:write", _("Create users")
    USERS_READ = "users:read", _("See users")
    ACCOUNTS_WRITE = "accounts:write", _("Change users, their roles and their keys")
    SUPPORT_READ = "support:read", _("See swaps, keys and webhooks of others")
    SUPPORT_WRITE = "support:write", _("Write notes, send webhooks of others again")
    MEDIA_REVIEW = "media:review", _("See pictures and videos of others")
    BOOKS_WRITE = "books:write", _("Reconcile, close months, settle breaks")
    POLICIES_WRITE = "policies:write", _("Propose and decide changes of approval policies")
    PRICES_READ = "prices:read", _("See rate cards and calibration")
    PRICES_WRITE = "prices:write", _("Draft rate cards and steer prices")
    OPERATIONS_READ = "operations:read", _("See queues, workers and models")
    OPERATIONS_WRITE = "operations:write", _("Drain workers, queue again and stop jobs")


STAFF_ROLES: Final = frozenset(Role) - {Role.USER}
STAFF_SCOPES: Final = frozenset(
    {
        Scope.RECHARGES_WRITE,
        Scope.RECHARGES_READ,
        Scope.APPROVALS_READ,
        Scope.APPROVALS_VOTE,
        Scope.AUDIT_READ,
        Scope.WALLETS_WRITE,
        Scope.WALLETS_READ,
        Scope.FREEZES_WRITE,
        Scope.USERS_WRITE,
        Scope.USERS_READ,
        Scope.ACCOUNTS_WRITE,
        Scope.SUPPORT_READ,
        Scope.SUPPORT_WRITE,
        Scope.MEDIA_REVIEW,
        Scope.BOOKS_WRITE,
        Scope.POLICIES_WRITE,
        Scope.PRICES_READ,
        Scope.PRICES_WRITE,
        Scope.OPERATIONS_READ,
        Scope.OPERATIONS_WRITE,
    }
)
_OWN_SCOPES: Final = frozenset(Scope) - STAFF_SCOPES
# Beside what everybody may do with an account of their own.
_DUTIES: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.USER: frozenset(),
    Role.ADMIN: STAFF_SCOPES,
    Role.OPERATOR: STAFF_SCOPES
    - {Scope.ACCOUNTS_WRITE, Scope.BOOKS_WRITE, Scope.POLICIES_WRITE, Scope.PRICES_WRITE},
    Role.MAKER: frozenset(
        {
            Scope.RECHARGES_WRITE,
            Scope.RECHARGES_READ,
            Scope.APPROVALS_READ,
            Scope.WALLETS_READ,
            Scope.USERS_READ,
        }
    ),
    Role.APPROVER: frozenset(
        {
            Scope.APPROVALS_VOTE,
            Scope.APPROVALS_READ,
            Scope.RECHARGES_READ,
            Scope.WALLETS_READ,
            Scope.USERS_READ,
        }
    ),
    Role.FINANCE: frozenset(
        {
            Scope.BOOKS_WRITE,
            Scope.AUDIT_READ,
            Scope.RECHARGES_READ,
            Scope.APPROVALS_READ,
            Scope.WALLETS_READ,
            Scope.USERS_READ,
            Scope.PRICES_READ,
        }
    ),
    Role.RISK: frozenset(
        {
            Scope.FREEZES_WRITE,
            Scope.SUPPORT_READ,
            Scope.AUDIT_READ,
            Scope.WALLETS_READ,
            Scope.USERS_READ,
        }
    ),
    Role.SAFETY: frozenset({Scope.MEDIA_REVIEW}),
    Role.SUPPORT: frozenset(
        {Scope.SUPPORT_WRITE, Scope.SUPPORT_READ, Scope.WALLETS_READ, Scope.USERS_READ}
    ),
    Role.PRICING: frozenset({Scope.PRICES_WRITE, Scope.PRICES_READ, Scope.OPERATIONS_READ}),
    Role.SRE: frozenset({Scope.OPERATIONS_WRITE, Scope.OPERATIONS_READ}),
    # Everything that is written, and none of the faces.
    Role.AUDITOR: frozenset(
        {
            Scope.AUDIT_READ,
            Scope.RECHARGES_READ,
            Scope.APPROVALS_READ,
            Scope.WALLETS_READ,
            Scope.USERS_READ,
            Scope.SUPPORT_READ,
            Scope.PRICES_READ,
            Scope.OPERATIONS_READ,
        }
    ),
    Role.OWNER: frozenset(
        {
            Scope.ACCOUNTS_WRITE,
            Scope.FREEZES_WRITE,
            Scope.USERS_WRITE,
            Scope.USERS_READ,
            Scope.POLICIES_WRITE,
            Scope.APPROVALS_READ,
            Scope.AUDIT_READ,
        }
    ),
}
ROLE_SCOPES: Final[Mapping[Role, frozenset[Scope]]] = MappingProxyType(
    {role: _OWN_SCOPES | duties for role, duties in _DUTIES.items()}
)


# Requests that move tokens or decide about them; keys may be told to sign these.
MONEY_SCOPES: Final = frozenset(
    {Scope.JOBS_WRITE, Scope.RECHARGES_WRITE, Scope.WALLETS_WRITE, Scope.APPROVALS_VOTE}
)
# No role has two of one set: what one person asks for, another one decides. Roles of small teams
# have them; there the services see to it that nobody decides about what they made themselves.
SEPARATE_DUTIES: Final = (
    frozenset({Scope.RECHARGES_WRITE, Scope.APPROVALS_VOTE}),
    frozenset({Scope.RECHARGES_WRITE, Scope.BOOKS_WRITE}),
    frozenset({Scope.WALLETS_WRITE, Scope.APPROVALS_VOTE}),
    frozenset({Scope.ACCOUNTS_WRITE, Scope.RECHARGES_WRITE}),
    frozenset({Scope.ACCOUNTS_WRITE, Scope.APPROVALS_VOTE}),
    frozenset({Scope.MEDIA_REVIEW, Scope.WALLETS_READ}),
)
TEAM_ROLES: Final = frozenset({Role.OPERATOR, Role.ADMIN})


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
class PlanStanding:
    """What grants by plan go by: an active account, its plan, and where its days begin."""

    user_ref: str
    plan: Plan
    time_zone: str
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """Which active accounts something is for; every condition that is set must hold.

    Sandboxes are never among them.
    """

    plan: str | None = None
    user_ref_prefix: str | None = None
    joined_after: dt.datetime | None = None
    joined_before: dt.datetime | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class ReencryptedFactors:
    """Authenticators looked at, brought under the newest key, and readable with no key at all."""

    total: int
    changed: int
    unreadable: tuple[str, ...]
