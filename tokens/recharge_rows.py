"""Rows of a recharge on their way into the database: pure, streamed, at most one chunk in memory.

A row is a tuple whose order is that of the staged JSON arrays. The digest of a batch is SHA-256
over a header (what applies to all rows) and then each row's canonical JSON, one per line; the same
content gives the same digest, however it arrived and however it was cut into chunks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from json.encoder import encode_basestring as _text_json
from typing import Any, NamedTuple

from tokens.types import LotTerms, RechargeItem

# PostgreSQL stores neither NUL nor halves of surrogate pairs.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
TEXT_MAX = 64
BIGINT_MAX = 2**63 - 1


class StagedRow(NamedTuple):
    """One row as it is staged; times are ISO 8601 text.

    ``fault`` is the outcome of a row that could not be read, and ``original`` its cells;
    ``origin`` is the id of the line that a row of a reversal takes back.
    """

    user_ref: str
    amount: int
    key: str
    category: str
    priority: int
    effective_at: str | None
    expires_at: str | None
    fault: str = ""
    origin: int | None = None
    original: Mapping[str, Any] | None = None


@dataclass(slots=True)
class RowTotals:
    """What streamed past: rows, positive tokens, the largest amount, and the digest so far."""

    rows: int = 0
    tokens: int = 0
    largest: int = 0
    has_keys: bool = False
    digest: Any = field(default_factory=hashlib.sha256)

    @classmethod
    def start(cls, header: Mapping[str, Any]) -> RowTotals:
        """Totals of nothing; ``header`` is what applies to all rows."""
        totals = cls()
        totals.digest.update(canonical(header).encode())
        return totals

    @property
    def sha256(self) -> str:
        """The digest of everything so far, 64 hex digits."""
        return str(self.digest.hexdigest())

    def add(self, rows: list[StagedRow]) -> str:
        """Count one chunk.

        Returns:
            Its canonical JSON: encoding rows is most of what a chunk costs here, so do it once.
        """
        self.rows += len(rows)
        lines = []
        for row in rows:
            amount = row.amount
            if amount > 0:
                self.tokens += amount
                self.largest = max(self.largest, amount)
            self.has_keys = self.has_keys or bool(row.key)
            lines.append(_row_json(row))
        self.digest.update("".join(f"\n{line}" for line in lines).encode())
        return f"[{','.join(lines)}]"


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no blanks."""
    return _ENCODER.encode(value)


def _row_json(row: StagedRow) -> str:
    """``canonical(row)``, four times as fast: most rows share everything but the user."""
    if row.original is not None:
        return canonical(row)
    user_ref, amount, key, *shared = row[:-1]
    return f"[{_text_json(user_ref)},{amount},{_text_json(key)},{_shared_json(*shared)}"


@lru_cache(maxsize=256, typed=True)
def _shared_json(*shared: object) -> str:
    """The end of a row without ``original``, from the category on."""
    return canonical([*shared, None])[1:]


def chunks(rows: Iterable[StagedRow], *, size: int) -> Iterator[list[StagedRow]]:
    """Cut a stream into lists of ``size`` rows."""
    stream = iter(rows)
    while chunk := list(islice(stream, size)):
        yield chunk


def storable(text: str, *, length: int = TEXT_MAX) -> str:
    """``text`` without what PostgreSQL cannot store and not longer than ``length``.

    What was changed can be recognised by a character that no reference of a user may have, so a
    mangled reference never names somebody else.
    """
    is_plain = text.isascii() and "\x00" not in text
    clean = text if is_plain else UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return clean if len(clean) <= length else f"{clean[: length - 1]}…"


def staged(item: RechargeItem, *, terms: LotTerms) -> StagedRow:
    """A requested line as a staged row; ``terms`` are those of the request."""
    own = item.terms or terms
    return StagedRow(
        user_ref=storable(item.user_ref),
        amount=item.amount,
        key=storable(item.key),
        category=own.category.name,
        priority=own.priority,
        effective_at=iso(own.effective_at),
        expires_at=iso(own.expires_at),
        fault="key_invalid" if len(item.key) > TEXT_MAX else "",
    )


def iso(moment: dt.datetime | None) -> str | None:
    """ISO 8601 text in UTC; None stays None."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat()
