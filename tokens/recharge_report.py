"""The failed lines of a batch as CSV that can be corrected and sent again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from tokens.models import RechargeLine
from tokens.recharge_rows import iso

COLUMNS = (
    "row_no",
    "user",
    "amount",
    "key",
    "category",
    "priority",
    "effective_at",
    "expires_at",
    "code",
    "message",
)
RISKY_START = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[+-]?[0-9]+")


def failures_csv(lines: Iterable[RechargeLine]) -> Iterator[str]:
    """CSV text, line by line; a cell that a spreadsheet would run gets an apostrophe in front.

    The columns are those that an upload understands. A row that could not be read shows its cells
    as they were sent.
    """
    yield _csv_line(COLUMNS)
    for line in lines:
        sent = line.original or {}
        cells = {
            "user": line.user_ref,
            "amount": str(line.amount),
            "key": line.item_key,
            "category": line.category.lower(),
            "priority": str(line.priority),
            "effective_at": iso(line.effective_at) or "",
            "expires_at": iso(line.expires_at) or "",
        }
        values = [sent.get(name, cell) for name, cell in cells.items()]
        message = str(RechargeLine.Outcome(line.outcome).label)
        yield _csv_line([str(line.row_no), *map(safe_cell, values), line.outcome, message])


def safe_cell(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula; numbers stay as they are."""
    is_risky = text.startswith(RISKY_START) and not NUMBER.fullmatch(text)
    return f"'{text}" if is_risky else text


def _csv_line(values: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()
