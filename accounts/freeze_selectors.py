"""Read queries on freezes and notes, and the refusals that follow from a freeze."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.errors import ApiFrozenError, LoginFrozenError, UploadFrozenError
from accounts.freeze_errors import FreezeNotFoundError
from accounts.freeze_types import FreezeKind
from accounts.models import AccountFreeze, User
from facefusion_site.common.errors import DomainError

_REFUSALS: Final[dict[FreezeKind, tuple[type[DomainError], Any]]] = {
    FreezeKind.API: (
        ApiFrozenError,
        _("This account may not use the API with keys or access tokens for now."),
    ),
    FreezeKind.LOGIN: (LoginFrozenError, _("This account may not sign in for now.")),
    FreezeKind.UPLOAD: (UploadFrozenError, _("This account may not upload for now.")),
}


def is_frozen(*, user: User, kind: FreezeKind) -> bool:
    """Whether the account may not do this now; a sandbox shares the freezes of its account.

    No query for accounts of people, one for a sandbox unless its account was read with it.
    """
    if kind in user.frozen_kinds:
        return True
    return user.sandbox_of is not None and kind in user.sandbox_of.frozen_kinds


def require_not_frozen(*, user: User, kind: FreezeKind) -> None:
    """Let the account do this, or say why it may not.

    Raises:
        ApiFrozenError, LoginFrozenError, UploadFrozenError: by ``kind``; spending is refused with
            the wallet.
    """
    if is_frozen(user=user, kind=kind):
        raise refusal(user=user, kind=kind)


def refusal(*, user: User, kind: FreezeKind) -> DomainError:
    """The refusal of a frozen account, with the latest notice and the time it ends by itself."""
    error, text = _REFUSALS[kind]
    whose = Q(user=user) | Q(user=user.sandbox_of_id)
    rows = AccountFreeze.objects.filter(whose, kind=kind, lifted_at=None)
    latest = rows.order_by("-created_at").first()
    return error(
        f"{text} {latest.notice_text}".strip() if latest is not None else text,
        notice="" if latest is None else latest.notice_text,
        until=None
        if latest is None or latest.expires_at is None
        else latest.expires_at.isoformat(),
    )


def uploader_plan(*, user_id: int) -> str:
    """What an account that may upload has subscribed to. One query.

    Raises:
        User.DoesNotExist: there is no such user.
        UploadFrozenError: it may not upload for now.
    """
    user = User.objects.select_related("sandbox_of").get(pk=user_id)
    require_not_frozen(user=user, kind=FreezeKind.UPLOAD)
    return user.plan


def frozen_user_ids(*, user_ids: Collection[int]) -> set[int]:
    """Which of these accounts are frozen in any way now. One query."""
    rows = User.objects.filter(pk__in=set(user_ids)).exclude(frozen_kinds=[])
    return set(rows.values_list("pk", flat=True))


def freezes(*, user_id: int, limit: int = 100) -> list[AccountFreeze]:
    """The account's freezes, active and ended, newest first."""
    rows = AccountFreeze.objects.filter(user_id=user_id).select_related("created_by", "lifted_by")
    return list(rows.order_by("-created_at", "pk")[:limit])


def active_freezes(*, user: User) -> list[AccountFreeze]:
    """What the account may not do now, and what it is told about it. No query where it is free."""
    if not user.frozen_kinds:
        return []
    rows = AccountFreeze.objects.filter(user=user, lifted_at=None)
    return list(rows.order_by("created_at", "pk"))


def freezes_to_tell(*, reader: object) -> list[AccountFreeze]:
    """The active freezes of who is signed in; none of anybody else."""
    return active_freezes(user=reader) if isinstance(reader, User) else []


def freeze(*, freeze_id: uuid.UUID) -> AccountFreeze:
    """One freeze with its user and who placed and lifted it.

    Raises:
        FreezeNotFoundError: there is none of this id.
    """
    rows = AccountFreeze.objects.select_related("user", "created_by", "lifted_by")
    row = rows.filter(pk=freeze_id).first()
    if row is None:
        raise FreezeNotFoundError(_("No freeze has this id."))
    return row
