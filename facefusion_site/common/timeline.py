"""One list, newest first, of what happened in many tables, read a page at a time.

Each source goes on from its own position, so a page costs one indexed read per source however far
back it lies, and rows that share a moment are neither lost nor shown twice.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import InvalidCursorError

Row = TypeVar("Row", bound=Model)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
# Far more than any source's position takes.
_CURSOR_LENGTH_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        at: when.
        kind: what, dotted: the source's word and what it did, such as ``key.issued``.
        position: where the source goes on after this.
        actor: the user_ref of who did it; empty for the account itself or the platform.
        tokens: how the spendable tokens changed, where they did.
        text: words of whoever did it, or what it was about.
        before: the state before, where it is known.
        after: the state after.
    """

    at: dt.datetime
    kind: str
    position: str
    actor: str = ""
    tokens: int | None = None
    text: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


# Reads at most so many entries (the second argument) after a position, newest first.
Source = Callable[[str | None, int], list[Entry]]


def merge(
    *, sources: Mapping[str, Source], limit: int, cursor: str | None
) -> tuple[list[Entry], str | None]:
    """One page of all sources together, and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    positions = {} if cursor is None else _decode(cursor)
    found = {
        name: [(entry, name) for entry in source(positions.get(name), limit + 1)]
        for name, source in sources.items()
    }
    merged = list(heapq.merge(*found.values(), key=lambda pair: pair[0].at, reverse=True))
    page = merged[:limit]
    if len(merged) <= limit:
        return [entry for entry, _name in page], None
    positions |= {name: entry.position for entry, name in page}
    return [entry for entry, _name in page], _encode(positions)


def after_time(rows: QuerySet[Row], *, field: str, position: str | None) -> QuerySet[Row]:
    """Rows that have this moment, newest first, from a ``time_position`` on.

    Raises:
        InvalidCursorError: the position is not one of ours.
    """
    rows = rows.filter(**{f"{field}__isnull": False}).order_by(f"-{field}", "-pk")
    if position is None:
        return rows
    try:
        micros, pk = position.split(" ")
        moment = _EPOCH + int(micros) * _MICROSECOND
        key = rows.model._meta.pk.to_python(pk)  # noqa: SLF001  # Django documents it
    except Exception as error:
        raise _invalid() from error
    return rows.filter(Q(**{f"{field}__lt": moment}) | Q(**{field: moment, "pk__lt": key}))


def time_position(at: dt.datetime, pk: object) -> str:
    """Where a source that is read by a moment goes on after this row."""
    return f"{(at - _EPOCH) // _MICROSECOND} {pk}"


def _encode(positions: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(positions).encode()).decode()


def _decode(cursor: str) -> dict[str, str]:
    try:
        if len(cursor) > _CURSOR_LENGTH_MAX:
            raise _invalid()
        positions = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _invalid() from error
    if not isinstance(positions, dict) or not all(
        isinstance(value, str) for value in positions.values()
    ):
        raise _invalid()
    return positions


def _invalid() -> InvalidCursorError:
    return InvalidCursorError(_("The page cursor is not one of ours."), param="cursor")
