"""What staff look up about one account: who it is, and what happened to it."""

from __future__ import annotations

from typing import Final

from django.db.models import Q
from django.db.models.functions import Upper

from accounts.models import AccountFreeze, AccountNote, ApiKey, SignIn, User
from accounts.selectors import keys_of
from facefusion_site.common.timeline import Entry, Source, after_time, time_position

_PREFIX_LENGTH_MIN: Final = 2


def find_users(*, text: str, limit: int) -> list[User]:
    """Users whose name, user_ref or e-mail begins like this, whatever its case. One query."""
    wanted = text.strip()
    if len(wanted) < _PREFIX_LENGTH_MIN:
        return []
    # Each comparison has an index of its own: see ``User.Meta``.
    begins = Q(name__startswith=wanted.upper())
    rows = User.objects.annotate(
        name=Upper("username"), ref=Upper("user_ref"), mail=Upper("email")
    ).filter(begins | Q(ref__startswith=wanted.upper()) | Q(mail__startswith=wanted.upper()))
    return list(rows.select_related("sandbox_of").order_by("username")[:limit])


def notes(*, user_id: int, limit: int) -> list[AccountNote]:
    """What staff noted about the account, newest first."""
    rows = AccountNote.objects.filter(user_id=user_id).select_related("author")
    return list(rows.order_by("-created_at", "-pk")[:limit])


def sign_in_entries(*, user: User) -> Source:
    """When and from where the account signed in."""

    def read(position: str | None, limit: int) -> list[Entry]:
        """One page, newest first; see ``Source``."""
        mine = SignIn.objects.filter(user=user)
        return [
            Entry(
                at=row.created_at,
                kind=f"sign_in.{row.way.lower()}",
                position=time_position(row.created_at, row.pk),
                text=row.address or "",
            )
            for row in after_time(mine, field="created_at", position=position)[:limit]
        ]

    return read


def note_entries(*, user: User) -> Source:
    """What staff noted about the account."""

    def read(position: str | None, limit: int) -> list[Entry]:
        """One page, newest first; see ``Source``."""
        mine = AccountNote.objects.filter(user=user).select_related("author")
        return [
            Entry(
                at=row.created_at,
                kind="note.written",
                position=time_position(row.created_at, row.pk),
                actor=row.author.user_ref,
                text=row.text,
            )
            for row in after_time(mine, field="created_at", position=position)[:limit]
        ]

    return read


def freeze_entries(*, user: User, is_end: bool) -> Source:
    """The freezes of the account, by when they began or by when they ended."""
    field = "lifted_at" if is_end else "created_at"

    def read(position: str | None, limit: int) -> list[Entry]:
        """One page, newest first; see ``Source``."""
        mine = AccountFreeze.objects.filter(user=user).select_related("created_by", "lifted_by")
        entries = []
        for row in after_time(mine, field=field, position=position)[:limit]:
            at = getattr(row, field)
            who = row.lifted_by if is_end else row.created_by
            entries.append(
                Entry(
                    at=at,
                    kind="freeze.lifted" if is_end else "freeze.placed",
                    position=time_position(at, row.pk),
                    actor="" if who is None else who.user_ref,
                    text=f"{row.kind}: {row.lift_reason if is_end else row.reason}",
                )
            )
        return entries

    return read


def key_entries(*, user: User, field: str) -> Source:
    """The keys of the account, live and test, by ``created_at``, ``revoked_at`` or last use."""
    word = {"created_at": "issued", "revoked_at": "revoked", "last_used_at": "used"}[field]

    def read(position: str | None, limit: int) -> list[Entry]:
        """One page, newest first; see ``Source``."""
        mine = ApiKey.objects.filter(keys_of(user.pk))
        entries = []
        for row in after_time(mine, field=field, position=position)[:limit]:
            at = getattr(row, field)
            where = f" · {row.last_used_from}" if word == "used" and row.last_used_from else ""
            entries.append(
                Entry(
                    at=at,
                    kind=f"key.{word}",
                    position=time_position(at, row.pk),
                    text=f"{row.name} (…{row.last4}){where}",
                )
            )
        return entries

    return read
