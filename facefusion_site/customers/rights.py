"""Which parts of a customer's page a member of staff sees, and what they may do there."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.console_permissions import may
from accounts.types import Scope


@dataclass(frozen=True, slots=True)
class Rights:
    """By the scopes of the viewer's role; the services check again what is done."""

    money: bool
    work: bool
    notes: bool
    trail: bool
    contact: bool
    freeze: bool
    note: bool
    refund: bool
    factor: bool
    pictures: bool
    replay: bool
    recharge: bool


def rights_of(user: object) -> Rights:
    """What this person may see and do."""
    return Rights(
        money=may(user, Scope.WALLETS_READ, Scope.AUDIT_READ),
        work=may(user, Scope.SUPPORT_READ),
        notes=may(user, Scope.SUPPORT_READ, Scope.FREEZES_WRITE),
        trail=may(user, Scope.AUDIT_READ, Scope.SUPPORT_READ),
        contact=may(user, Scope.ACCOUNTS_WRITE, Scope.FREEZES_WRITE),
        freeze=may(user, Scope.FREEZES_WRITE),
        note=may(user, Scope.SUPPORT_WRITE),
        refund=may(user, Scope.WALLETS_WRITE),
        factor=may(user, Scope.ACCOUNTS_WRITE),
        pictures=may(user, Scope.MEDIA_REVIEW),
        replay=may(user, Scope.SUPPORT_WRITE),
        recharge=may(user, Scope.RECHARGES_WRITE),
    )


def masked_email(address: str) -> str:
    """An address of which one letter and the provider are left."""
    name, at, provider = address.partition("@")
    return f"{name[:1]}…{at}{provider}" if at else ""


def masked_network(text: str) -> str:
    """The network of an address, without the last part that names a machine."""
    for mark in (".", ":"):
        head, found, _tail = text.rpartition(mark)
        if found:
            return f"{head}{mark}…"
    return text
