"""The one timeline of a customer: which sources it has, and what each entry is called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts import customer_selectors as accounts_customers
from accounts import selectors as accounts_selectors
from accounts import webhook_selectors
from facefusion_site.common.timeline import Entry, Source, merge
from facefusion_site.customers.rights import Rights, masked_network
from tokens import customer_selectors as tokens_customers

if TYPE_CHECKING:
    from accounts.models import User

PAGE_ENTRIES: Final = 30
_DETAIL_LENGTH_MAX: Final = 400

KINDS: Final[Mapping[str, Promise]] = {
    "grants": _("Grants"),
    "holds": _("Holds and charges"),
    "refunds": _("Refunds"),
    "corrections": _("Corrections, reversals, expiry"),
    "sign_ins": _("Sign-ins"),
    "keys": _("API keys"),
    "freezes": _("Freezes"),
    "notes": _("Notes"),
    "changes": _("Changes by staff"),
}
_TRANSFERS: Final[Mapping[str, tuple[str, ...]]] = {
    "grants": ("RECHARGE",),
    "holds": ("HOLD", "SETTLE", "RELEASE", "OVERRUN"),
    "refunds": ("REFUND", "REGRANT"),
    "corrections": ("CREDIT", "DEBIT", "REVERSE", "EXPIRE"),
}
TEXTS: Final[Mapping[str, Promise]] = {
    "transfer.recharge": _("Tokens granted"),
    "transfer.hold": _("Set aside for a swap"),
    "transfer.settle": _("Swap charged"),
    "transfer.release": _("Given back"),
    "transfer.overrun": _("Swap charged beyond its hold"),
    "transfer.expire": _("Tokens expired"),
    "transfer.regrant": _("Given back after expiry"),
    "transfer.refund": _("Refund"),
    "transfer.reverse": _("Recharge reversed"),
    "transfer.credit": _("Correction upwards"),
    "transfer.debit": _("Correction downwards"),
    "sign_in.page": _("Signed in on the site"),
    "sign_in.program": _("Signed in by a program"),
    "note.written": _("Note"),
    "freeze.placed": _("Frozen"),
    "freeze.lifted": _("Freeze ended"),
    "key.issued": _("API key issued"),
    "key.revoked": _("API key revoked"),
    "key.used": _("API key used last"),
    "audit.changed": _("Changed by staff"),
}
ICONS: Final[Mapping[str, str]] = {
    "transfer": "toll",
    "sign_in": "login",
    "note": "sticky_note_2",
    "freeze": "ac_unit",
    "key": "key",
    "audit": "manage_history",
}


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as the page shows it; ``changes`` are column, before and after."""

    entry: Entry
    text: Promise
    icon: str
    changes: tuple[tuple[str, str, str], ...]


def read(
    *, user: User, rights: Rights, kind: str, cursor: str | None
) -> tuple[list[Line], str | None]:
    """One page of the timeline as far as the viewer may see it; of one of ``KINDS``, or all.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    sources = _sources(user, rights, kind)
    entries, next_cursor = merge(sources=sources, limit=PAGE_ENTRIES, cursor=cursor)
    return [_line(entry, rights) for entry in entries], next_cursor


def _sources(user: User, rights: Rights, kind: str) -> dict[str, Source]:
    """The sources of the wanted kind, by a name that cursors keep."""
    freezes = accounts_customers.freeze_entries
    keys = accounts_customers.key_entries
    found: dict[str, Source] = {}
    if rights.money and (not kind or kind in _TRANSFERS):
        wanted = _TRANSFERS.get(kind, ())
        found["t"] = tokens_customers.transfer_entries(user_id=user.pk, kinds=wanted)
    if rights.work and kind in {"", "sign_ins"}:
        found["s"] = accounts_customers.sign_in_entries(user=user)
    if rights.work and kind in {"", "keys"}:
        found["ki"] = keys(user=user, field="created_at")
        found["kr"] = keys(user=user, field="revoked_at")
        found["ku"] = keys(user=user, field="last_used_at")
    if kind in {"", "freezes"}:
        found["fp"] = freezes(user=user, is_end=False)
        found["fl"] = freezes(user=user, is_end=True)
    if rights.notes and kind in {"", "notes"}:
        found["n"] = accounts_customers.note_entries(user=user)
    if rights.trail and kind in {"", "changes"}:
        found["a"] = tokens_customers.audit_entries(subjects=_subjects(user))
    return found


def _subjects(user: User) -> list[str]:
    """What the audit trail calls the account and what belongs to it."""
    keys = accounts_selectors.api_keys(user_id=user.pk)
    endpoints = webhook_selectors.endpoints(user_id=user.pk)
    return [
        f"user:{user.user_ref}",
        f"wallet:{user.user_ref}",
        *(f"api_key:{key.pk}" for key in keys),
        *(f"webhook_endpoint:{endpoint.pk}" for endpoint in endpoints),
    ]


def _line(entry: Entry, rights: Rights) -> Line:
    family = entry.kind.partition(".")[0]
    if family == "sign_in" and not rights.contact:
        entry = replace(entry, text=masked_network(entry.text))
    # What exactly was changed may be somebody's address: only who sees addresses sees it.
    changes = _changes(entry) if rights.contact or not entry.kind.startswith("audit.") else ()
    return Line(entry=entry, text=TEXTS[entry.kind], icon=ICONS[family], changes=changes)


def _changes(entry: Entry) -> tuple[tuple[str, str, str], ...]:
    before, after = entry.before or {}, entry.after or {}
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        (name, _value(before.get(name)), _value(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    )


def _value(value: Any) -> str:
    if value is None or value == "":
        return "—"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _DETAIL_LENGTH_MAX else f"{text[:_DETAIL_LENGTH_MAX]}…"
