"""Freezes of accounts: placed by staff or by a rule, lifted by staff, or over by themselves."""

from __future__ import annotations

import datetime as dt
import uuid
from functools import partial

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import freeze_selectors, freezes, selectors
from accounts.errors import RoleRequiredError
from accounts.freeze_errors import FreezeEndedError, FreezeInvalidError
from accounts.freeze_types import STAFF_SOURCE, AppealState, FreezeGrounds, FreezeKind
from accounts.models import AccountFreeze, User
from accounts.models.freezes import (
    EVIDENCE_LENGTH_MAX,
    NOTICE_LENGTH_MAX,
    REASON_LENGTH_MAX,
    SOURCE_LENGTH_MAX,
)
from accounts.services.sign_ins import revoke_sign_ins
from accounts.services.webhooks import wake
from accounts.types import ROLE_SCOPES, STAFF_ROLES, Role, Scope
from facefusion_site.common import audit

log = structlog.get_logger(__name__)


def lock_account(*, user_id: int) -> None:
    """Let changes of one account's freezes follow each other, in the caller's transaction.

    For what depends on them and locks more: the account comes before its wallet.

    Raises:
        UserNotFoundError: there is no such user.
    """
    freezes.lock(user_id=user_id)


@transaction.atomic
def freeze_account(
    *,
    user_id: int,
    kind: FreezeKind,
    grounds: FreezeGrounds,
    actor_id: int | None,
    expires_at: dt.datetime | None = None,
    source: str = STAFF_SOURCE,
) -> AccountFreeze:
    """Keep an account from one kind of thing, until it is lifted or its time is over.

    Work that runs already ends as usual. The same source freezing the same again never shortens
    what there is: it prolongs it, or changes nothing. Joins the caller's transaction, or owns one;
    locks the user, and for ``spend`` the wallet after that.

    Args:
        user_id: whom.
        kind: what the account may not do.
        grounds: why, and what the account is told.
        actor_id: a member of staff whose role may freeze; None for a rule.
        expires_at: when it ends by itself; never if None.
        source: ``staff``, or the rule with its version, such as ``rule:burn-after-grant:3``.

    Raises:
        UserNotFoundError: there is no such user.
        RoleRequiredError: the actor may not freeze, or not a member of staff.
        FreezeInvalidError: a text is missing or too long, or the end is not in the future.
        WalletClosedError: there is nothing to freeze: the wallet is closed.
    """
    _check(grounds, source, expires_at)
    user = freezes.lock(user_id=user_id)
    _check_actor(actor_id, user)
    for row in freezes.active(user=user):
        if (row.kind, row.source) == (kind, source):
            if row.expires_at is not None and (expires_at is None or expires_at > row.expires_at):
                freezes.prolong(
                    user=user,
                    freeze=row,
                    until=expires_at,
                    actor_id=actor_id,
                    why=grounds.reason.strip(),
                )
            return row
    row = AccountFreeze(
        user=user,
        kind=kind,
        code=grounds.code,
        reason=grounds.reason.strip(),
        evidence=grounds.evidence.strip(),
        notice=grounds.notice.strip(),
        source=source,
        created_by_id=actor_id,
        expires_at=expires_at,
    )
    wake(freezes.place(user=user, freeze=row))
    if kind is FreezeKind.LOGIN:
        revoke_sign_ins(user_id=user.pk)
    _log_later("accounts.account.frozen", row, actor_id)
    return row


@transaction.atomic
def lift_freeze(*, freeze_id: uuid.UUID, reason: str, actor_id: int | None) -> AccountFreeze:
    """End a freeze. Joins the caller's transaction, or owns one.

    Args:
        freeze_id: which.
        reason: 1 to 255 characters, kept with it and in the audit trail.
        actor_id: a member of staff whose role may freeze; None for a rule.

    Raises:
        FreezeNotFoundError: there is no such freeze.
        FreezeEndedError: it has ended already.
        RoleRequiredError: the actor may not freeze, or not a member of staff.
        FreezeInvalidError: no reason, or a longer one.
        FreezeNeedsAnotherError: the actor placed it, and the account has many tokens.
    """
    _check_reason(reason)
    user = freezes.lock(user_id=freeze_selectors.freeze(freeze_id=freeze_id).user_id)
    # Read under the lock: it may have ended while this waited.
    row = freeze_selectors.freeze(freeze_id=freeze_id)
    _check_actor(actor_id, user)
    if row.lifted_at is not None:
        raise FreezeEndedError(_("This freeze has ended already."))
    wake(freezes.lift(user=user, freeze=row, actor_id=actor_id, reason=reason.strip()))
    _log_later("accounts.account.unfrozen", row, actor_id)
    return row


@transaction.atomic
def lift_freezes(*, user_id: int, kind: FreezeKind, reason: str, actor_id: int) -> int:
    """End all freezes of one kind of an account, whoever placed them.

    Arguments, errors and transaction are those of ``lift_freeze``.

    Returns:
        How many there were.
    """
    user = freezes.lock(user_id=user_id)
    rows = [row for row in freezes.active(user=user) if row.kind == kind]
    for row in rows:
        lift_freeze(freeze_id=row.pk, reason=reason, actor_id=actor_id)
    return len(rows)


@transaction.atomic
def set_appeal(
    *, freeze_id: uuid.UUID, state: AppealState, reason: str, actor_id: int | None
) -> AccountFreeze:
    """Note that the account objects, or what was decided; lifting is a step of its own.

    Joins the caller's transaction, or owns one. ``actor_id`` is None where the platform notes it.

    Raises:
        FreezeNotFoundError: there is no such freeze.
        RoleRequiredError: the actor may not freeze, or not a member of staff.
        FreezeInvalidError: no reason, or a longer one.
    """
    _check_reason(reason)
    user = freezes.lock(user_id=freeze_selectors.freeze(freeze_id=freeze_id).user_id)
    row = freeze_selectors.freeze(freeze_id=freeze_id)
    _check_actor(actor_id, user)
    before = freezes.state(row)
    row.appeal = state
    row.save(update_fields=["appeal"])
    audit.record(
        actor_id=actor_id,
        action="account.freeze_appealed",
        subject=f"user:{user.user_ref}",
        before=before,
        after=freezes.state(row) | {"why": reason.strip()},
    )
    return row


def _check(grounds: FreezeGrounds, source: str, expires_at: dt.datetime | None) -> None:
    _check_reason(grounds.reason)
    for name, text, length_max in (
        ("evidence", grounds.evidence, EVIDENCE_LENGTH_MAX),
        ("notice", grounds.notice, NOTICE_LENGTH_MAX),
        ("source", source, SOURCE_LENGTH_MAX),
    ):
        if len(text.strip()) > length_max:
            raise FreezeInvalidError(
                _("At most %(max)d characters are kept.") % {"max": length_max}, param=name
            )
    if not source.strip():
        raise FreezeInvalidError(_("Say who or what freezes the account."), param="source")
    if expires_at is not None and expires_at <= timezone.now():
        raise FreezeInvalidError(_("The end of the freeze lies in the past."), param="expires_at")


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= REASON_LENGTH_MAX:
        raise FreezeInvalidError(_("Give a reason of 1 to 255 characters."), param="reason")


def _check_actor(actor_id: int | None, user: User) -> None:
    """Rules may freeze anybody; of people, who may change accounts decides about staff."""
    if actor_id is None:
        return
    role = selectors.active_role(user_id=actor_id)
    needed = {Scope.FREEZES_WRITE, Scope.WALLETS_WRITE}
    if Role(user.role) in STAFF_ROLES:
        needed = {Scope.ACCOUNTS_WRITE}
    if role is None or ROLE_SCOPES[role].isdisjoint(needed):
        raise RoleRequiredError(_("Your role may not freeze this account, nor lift its freezes."))


def _log_later(event: str, row: AccountFreeze, actor_id: int | None) -> None:
    transaction.on_commit(
        partial(
            log.info,
            event,
            user_id=row.user_id,
            freeze_id=str(row.pk),
            kind=row.kind,
            source=row.source,
            actor_id=actor_id,
        )
    )
