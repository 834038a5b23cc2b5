"""The steps of a freeze, in the caller's transaction and under the lock on the user.

The lock comes before that of the user's wallet, which follows what is decided here.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import outbox
from accounts.errors import UserNotFoundError
from accounts.freeze_types import FreezeKind
from accounts.models import AccountFreeze, User
from accounts.signals import freeze_changed
from accounts.webhook_types import WebhookEventType
from facefusion_site.common import audit


def lock(*, user_id: int) -> User:
    """The user, whose freezes nobody else changes until the transaction ends.

    Raises:
        UserNotFoundError: there is no such user.
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise UserNotFoundError(_("No such user."))
    return user


def active(*, user: User) -> list[AccountFreeze]:
    """The freezes of a locked user that have not ended, oldest first."""
    rows = AccountFreeze.objects.filter(user=user, lifted_at=None)
    return list(rows.order_by("created_at", "pk"))


def place(*, user: User, freeze: AccountFreeze) -> int:
    """Store a freeze of a locked user; the number of webhook deliveries that are due."""
    freeze.save(force_insert=True)
    freeze.refresh_from_db(fields=["created_at"])
    _record(freeze, user, "account.frozen", before=None, actor_id=freeze.created_by_id)
    return _follow(user, freeze, actor_id=freeze.created_by_id, reason=freeze.reason)


def prolong(
    *, user: User, freeze: AccountFreeze, until: dt.datetime | None, actor_id: int | None, why: str
) -> None:
    """Let an active freeze of a locked user end later, or not by itself."""
    before = state(freeze)
    freeze.expires_at = until
    freeze.save(update_fields=["expires_at"])
    _record(freeze, user, "account.freeze_prolonged", before, actor_id, why=why)


def lift(*, user: User, freeze: AccountFreeze, actor_id: int | None, reason: str) -> int:
    """End an active freeze of a locked user; the number of webhook deliveries that are due."""
    before = state(freeze)
    freeze.lifted_at = timezone.now()
    freeze.lifted_by_id = actor_id
    freeze.lift_reason = reason
    freeze.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
    _record(freeze, user, "account.unfrozen", before, actor_id)
    return _follow(user, freeze, actor_id=actor_id, reason=reason)


def state(freeze: AccountFreeze) -> dict[str, Any]:
    """A freeze as audit events keep it."""
    return {
        "id": str(freeze.pk),
        "kind": freeze.kind,
        "code": freeze.code,
        "reason": freeze.reason,
        "source": freeze.source,
        "expires_at": _iso(freeze.expires_at),
        "lifted_at": _iso(freeze.lifted_at),
        "lift_reason": freeze.lift_reason,
        "appeal": freeze.appeal,
    }


def _follow(user: User, freeze: AccountFreeze, *, actor_id: int | None, reason: str) -> int:
    """Bring the user's row and the apps above up to date, and tell the account, if need be."""
    kind = FreezeKind(freeze.kind)
    kinds = sorted({row.kind for row in active(user=user)})
    is_frozen, was_frozen = kind in kinds, kind in user.frozen_kinds
    if is_frozen == was_frozen:
        return 0
    user.frozen_kinds = kinds
    user.save(update_fields=["frozen_kinds"])
    freeze_changed.send(
        sender=AccountFreeze,
        user_id=user.pk,
        kind=kind,
        is_frozen=is_frozen,
        actor_id=actor_id,
        placed_by_id=freeze.created_by_id,
        reason=reason,
    )
    if not outbox.has_listener(user_id=user.pk):
        return 0
    event = WebhookEventType.ACCOUNT_FROZEN if is_frozen else WebhookEventType.ACCOUNT_UNFROZEN
    data = {
        "user_ref": user.user_ref,
        "kind": kind.value,
        "notice": freeze.notice,
        "until": _iso(freeze.expires_at) if is_frozen else None,
    }
    return outbox.write(event_type=event, user_id=user.pk, data=data)


def _record(
    freeze: AccountFreeze,
    user: User,
    action: str,
    before: dict[str, Any] | None,
    actor_id: int | None,
    **more: str,
) -> None:
    audit.record(
        actor_id=actor_id,
        action=action,
        subject=f"user:{user.user_ref}",
        before=before,
        after=state(freeze) | more,
    )


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
