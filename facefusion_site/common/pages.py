"""Pages of lists that are read newest first: by time, then by id, so that no row is seen twice."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
from typing import Final, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import InvalidCursorError

Row = TypeVar("Row", bound=Model)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def newest_first(
    rows: QuerySet[Row], *, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """One page of rows that have ``created_at`` and a UUID, and the cursor of the next page.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    if cursor is not None:
        created_at, row_id = _decode(cursor)
        rows = rows.filter(Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=row_id))
    page = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    if len(page) <= limit:
        return page, None
    return page[:limit], _encode(page[limit - 1])


def _encode(row: Model) -> str:
    created_at: dt.datetime = row.created_at  # type: ignore[attr-defined]  # every listed model has it
    micros = (created_at - _EPOCH) // dt.timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{micros} {row.pk}".encode()).decode()


def _decode(cursor: str) -> tuple[dt.datetime, uuid.UUID]:
    try:
        micros, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return _EPOCH + dt.timedelta(microseconds=int(micros)), uuid.UUID(row_id)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidCursorError(
            _("The page cursor is not one of ours."), param="cursor"
        ) from error
