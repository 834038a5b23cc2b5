"""Which pages of the console a role can open: the one registry.

A page belongs to scopes, and a role has scopes (``types.ROLE_SCOPES``). Lists and object pages are
found here by the name of their model, because Django's admin asks ``User.has_perm``; pages without
a model and all actions ask ``may`` or ``require`` themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.types import ROLE_SCOPES, TEAM_ROLES, Role, Scope

# By "app.model": any one of the scopes opens the list and the object pages.
PAGES: Final[Mapping[str, frozenset[Scope]]] = {
    "accounts.user": frozenset({Scope.USERS_READ}),
    "accounts.apikey": frozenset({Scope.SUPPORT_READ, Scope.ACCOUNTS_WRITE}),
    "accounts.webhookendpoint": frozenset({Scope.SUPPORT_READ}),
    "accounts.webhookdelivery": frozenset({Scope.SUPPORT_READ}),
    "inference.swapjob": frozenset({Scope.SUPPORT_READ, Scope.OPERATIONS_READ, Scope.MEDIA_REVIEW}),
    "inference.jobbatch": frozenset({Scope.SUPPORT_READ, Scope.OPERATIONS_READ}),
    "inference.worker": frozenset({Scope.OPERATIONS_READ}),
    "inference.mediaasset": frozenset({Scope.MEDIA_REVIEW}),
    "inference.swapquote": frozenset({Scope.SUPPORT_READ, Scope.PRICES_READ}),
    "inference.jobmeter": frozenset({Scope.OPERATIONS_READ, Scope.PRICES_READ}),
    "trust.takedown": frozenset({Scope.MEDIA_REVIEW}),
    "trust.blockedhash": frozenset({Scope.MEDIA_REVIEW}),
    "trust.consent": frozenset({Scope.MEDIA_REVIEW, Scope.SUPPORT_READ}),
    "trust.erasurereceipt": frozenset({Scope.AUDIT_READ, Scope.SUPPORT_READ}),
    "tokens.ratecard": frozenset({Scope.PRICES_READ}),
    "tokens.pricetick": frozenset({Scope.PRICES_READ}),
    "tokens.rechargebatch": frozenset({Scope.RECHARGES_READ}),
    "tokens.rechargedraft": frozenset({Scope.RECHARGES_WRITE}),
    "tokens.usersegment": frozenset({Scope.RECHARGES_WRITE}),
    "tokens.approvalrequest": frozenset({Scope.APPROVALS_READ}),
    "tokens.approvalpolicy": frozenset({Scope.APPROVALS_READ}),
    "tokens.policychange": frozenset({Scope.APPROVALS_READ}),
    "tokens.planrule": frozenset({Scope.RECHARGES_READ, Scope.APPROVALS_READ}),
    "promotions.campaign": frozenset({Scope.RECHARGES_READ}),
    "promotions.rewardrule": frozenset({Scope.RECHARGES_READ}),
    "risk.riskdecision": frozenset({Scope.FREEZES_WRITE, Scope.SUPPORT_READ}),
    "risk.riskrule": frozenset({Scope.FREEZES_WRITE, Scope.SUPPORT_READ}),
    "productions.production": frozenset({Scope.RECHARGES_READ, Scope.OPERATIONS_READ}),
    "tokens.wallet": frozenset({Scope.WALLETS_READ}),
    "tokens.transfer": frozenset({Scope.WALLETS_READ, Scope.AUDIT_READ}),
    "tokens.hold": frozenset({Scope.WALLETS_READ, Scope.AUDIT_READ}),
    "tokens.adjustment": frozenset({Scope.WALLETS_READ, Scope.AUDIT_READ}),
    "tokens.monthclose": frozenset({Scope.AUDIT_READ}),
    "tokens.reconrun": frozenset({Scope.AUDIT_READ}),
    "tokens.auditevent": frozenset({Scope.AUDIT_READ}),
    "tokens.sealblock": frozenset({Scope.AUDIT_READ}),
    "tokens.snapshotday": frozenset({Scope.AUDIT_READ}),
    "tokens.balancesnapshot": frozenset({Scope.AUDIT_READ}),
    "tokens.journalday": frozenset({Scope.AUDIT_READ}),
    "tokens.reconbreak": frozenset({Scope.AUDIT_READ}),
    "tokens.exportjob": frozenset({Scope.AUDIT_READ}),
}
# Django's own permissions to add and change rows; there are no others, for nobody.
CHANGES: Final[Mapping[str, Scope]] = {
    "accounts.add_user": Scope.ACCOUNTS_WRITE,
    "accounts.change_user": Scope.ACCOUNTS_WRITE,
}
_VIEW: Final = "view_"


def role_may(role: Role, *scopes: Scope) -> bool:
    """Whether the role includes one of these scopes."""
    return not ROLE_SCOPES[role].isdisjoint(scopes)


def roles_with(*scopes: Scope) -> frozenset[Role]:
    """The roles that include one of these scopes."""
    return frozenset(role for role in Role if role_may(role, *scopes))


def may(user: object, *scopes: Scope) -> bool:
    """Whether a signed-in person who is not switched off has one of these scopes by role."""
    role = getattr(user, "role", None)
    return role is not None and getattr(user, "is_active", False) and role_may(Role(role), *scopes)


def require(request: HttpRequest, *scopes: Scope) -> None:
    """Guard of a page of the console: the person's role includes one of these scopes.

    Raises:
        PermissionDenied: it does not.
    """
    if not may(request.user, *scopes):
        raise PermissionDenied


def role_has_perm(role: Role, perm: str) -> bool:
    """Django's question ``app.view_model``, ``app.add_model`` and so on, asked of a role.

    A model that is not in the registry is for the roles of small teams alone.
    """
    if perm in CHANGES:
        return role_may(role, CHANGES[perm])
    app, _dot, codename = perm.partition(".")
    if not codename.startswith(_VIEW):
        return False
    scopes = PAGES.get(f"{app}.{codename.removeprefix(_VIEW)}")
    return role in TEAM_ROLES if scopes is None else role_may(role, *scopes)


def role_sees_app(role: Role, app_label: str) -> bool:
    """Whether the role opens any page of the app."""
    if role in TEAM_ROLES:
        return True
    return any(
        role_may(role, *scopes)
        for page, scopes in PAGES.items()
        if page.startswith(f"{app_label}.")
    )
