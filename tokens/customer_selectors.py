"""What staff look up about the tokens of one account, and about the audit trail around it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Final

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import InvalidCursorError
from facefusion_site.common.timeline import Entry, Source
from tokens import books
from tokens.books import Basis, WalletBalance
from tokens.models import AuditEvent, RechargeBatch, Transfer
from tokens.selectors import AVAILABLE_CHANGE, transfer_view

# The freezes of an account are told with their reasons by the app that keeps them.
_TOLD_ELSEWHERE: Final = (
    "account.frozen",
    "account.unfrozen",
    "wallet.frozen",
    "wallet.unfrozen",
)


def balance_at(*, user_id: int, at: dt.datetime) -> WalletBalance:
    """What the wallet held at a past moment, by the time of the books."""
    return books.wallet_at(user_id=user_id, at=at, basis=Basis.RECORDED)


def transfer_entries(*, user_id: int, kinds: Collection[str] = ()) -> Source:
    """The account's journal in its own order; of some kinds only, where any are named."""

    def read(position: str | None, limit: int) -> list[Entry]:
        """One page, newest first; see ``Source``."""
        mine = Transfer.objects.filter(wallet__owner_id=user_id)
        if kinds:
            mine = mine.filter(kind__in=kinds)
        if position is not None:
            mine = mine.filter(pk__lt=_number(position))
        rows = mine.select_related("hold", "recharge_line").annotate(
            available_change=AVAILABLE_CHANGE
        )
        entries = []
        for row in rows.order_by("-pk")[:limit]:
            view = transfer_view(row)
            entries.append(
                Entry(
                    at=view.recorded_at,
                    kind=f"transfer.{view.kind}",
                    position=str(row.pk),
                    tokens=view.available_change,
                    text=f"{view.tokens} · {view.reference}",
                )
            )
        return entries

    return read


def audit_entries(*, subjects: Collection[str]) -> Source:
    """What was changed of these subjects, by whom, with the state before and after."""

    def read(position: str | None, limit: int) -> list[Entry]:
        """One page, newest first; see ``Source``."""
        rows = AuditEvent.objects.filter(subject__in=subjects).exclude(action__in=_TOLD_ELSEWHERE)
        if position is not None:
            rows = rows.filter(pk__lt=_number(position))
        return [
            Entry(
                at=row.recorded_at,
                kind="audit.changed",
                position=str(row.pk),
                actor="" if row.actor is None else row.actor.user_ref,
                text=f"{row.action} · {row.subject}",
                before=row.before,
                after=row.after,
            )
            for row in rows.select_related("actor").order_by("-pk")[:limit]
        ]

    return read


def events_of_request(*, request_id: str, limit: int) -> list[AuditEvent]:
    """What one request changed, latest first."""
    return list(AuditEvent.objects.filter(request_id=request_id).order_by("-pk")[:limit])


def is_recharge_batch(*, batch_id: uuid.UUID) -> bool:
    """Whether a recharge batch has this id."""
    return RechargeBatch.objects.filter(pk=batch_id).exists()


def _number(position: str) -> int:
    if not position.isdecimal() or len(position) > len(str(2**63)) - 1:
        raise InvalidCursorError(_("The page cursor is not one of ours."), param="cursor")
    return int(position)
