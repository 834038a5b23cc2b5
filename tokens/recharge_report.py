"""The failed lines of a batch as CSV that can be corrected and sent again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from django.utils import translation

from tokens.models import RechargeLine
from tokens.recharge_files import NAMES
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
        values = [sent.get(name, cell) for name, cell in _cells(line).items()]
        message = str(RechargeLine.Outcome(line.outcome).label)
        yield _csv_line([str(line.row_no), *map(safe_cell, values), line.outcome, message])


def failures_as_sent(
    lines: Iterable[RechargeLine], *, columns: list[str], cells: dict[int, list[str]]
) -> Iterator[str]:
    """CSV text of failed lines in the columns that were sent, with the code and both languages.

    Begins with the mark by which spreadsheets recognise UTF-8. Without ``columns`` the file has
    those that an upload understands.
    """
    titles = columns or list(COLUMNS[1:8])
    yield "\ufeff" + _csv_line([*map(safe_cell, titles), "code", "message_en", "message_zh"])
    for line in lines:
        sent = cells.get(line.row_no)
        if sent is None:
            known = _cells(line)
            names = (NAMES.get(title.strip().lower(), title) for title in titles)
            sent = [known.get(name, "") for name in names]
        padded = [*sent, *[""] * (len(titles) - len(sent))][: len(titles)]
        yield _csv_line([*map(safe_cell, padded), line.outcome, *_messages(line.outcome)])


@lru_cache(maxsize=64)
def _messages(outcome: str) -> tuple[str, ...]:
    """The outcome in English and in Chinese."""
    texts = []
    for language in ("en", "zh-hans"):
        with translation.override(language):
            texts.append(str(RechargeLine.Outcome(outcome).label))
    return tuple(texts)


def safe_cell(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula; numbers stay as they are."""
    is_risky = text.startswith(RISKY_START) and not NUMBER.fullmatch(text)
    return f"'{text}" if is_risky else text


def _cells(line: RechargeLine) -> dict[str, str]:
    """A line in the columns that an upload understands."""
    return {
        "user": line.user_ref,
        "amount": str(line.amount),
        "key": line.item_key,
        "category": line.category.lower(),
        "priority": str(line.priority),
        "effective_at": iso(line.effective_at) or "",
        "expires_at": iso(line.expires_at) or "",
    }


def _csv_line(values: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()
