"""Writing an export into a file, as CSV or as an Excel workbook, with bounded memory.

A connection of its own reads one snapshot of the books, so that the caller's connection can say how
far the work has come.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import IllegalCharacterError

from tokens import exports
from tokens.exports import ExportRequest

# A sheet holds 1,048,576 rows; the header is on each.
SHEET_ROWS_MAX = 1_000_000
# Excel keeps 15 digits of a number; longer ones stay exact as text.
EXACT_MAX = 10**15
SNAPSHOT_SQL = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
Progress = Callable[[int, int], None]


def write_csv(*, request: ExportRequest, path: Path, progress: Progress) -> int:
    """Write the export as CSV in UTF-8.

    Args:
        request: what to export.
        path: the file to write.
        progress: told after each row how many rows of how many are written.

    Returns:
        The number of rows, without the header.

    Raises:
        UnknownExportError: there is no such export.
    """
    with _snapshot() as reader, path.open("wb") as file:
        total = exports.count_rows(request=request, using=reader)
        for done, piece in enumerate(exports.stream(request=request, using=reader)):
            file.write(piece)
            progress(done, total)
    return total


def write_xlsx(*, request: ExportRequest, path: Path, progress: Progress) -> int:
    """Write the export as a workbook; takes and raises what ``write_csv`` does.

    Texts stay texts, so no cell is a formula; days and times are ISO 8601.
    """
    book = Workbook(write_only=True)
    with _snapshot() as reader:
        total = exports.count_rows(request=request, using=reader)
        names, entries = exports.rows(request=request, using=reader)
        sheet = _new_sheet(book, request.name, names)
        for done, entry in enumerate(entries, start=1):
            if done > 1 and done % SHEET_ROWS_MAX == 1:
                sheet = _new_sheet(book, request.name, names)
            sheet.append([_cell(sheet, value) for value in entry])
            progress(done, total)
    book.save(path)
    return total


WRITERS = {"csv": write_csv, "xlsx": write_xlsx}


@contextmanager
def _snapshot() -> Iterator[BaseDatabaseWrapper]:
    reader = connection.copy()
    try:
        with reader.cursor() as cursor:
            cursor.execute(SNAPSHOT_SQL)
        yield reader
    finally:
        # Ends the transaction, which has written nothing.
        reader.close()


def _new_sheet(book: Workbook, name: str, names: list[str]) -> Any:
    sheet = book.create_sheet(f"{name} {len(book.worksheets) + 1}")
    sheet.freeze_panes = "A2"
    sheet.append(names)
    return sheet


def _cell(sheet: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Decimal):
        value = int(value)
    if isinstance(value, int):
        return value if abs(value) < EXACT_MAX else str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    try:
        cell = WriteOnlyCell(sheet, value=text)
    except IllegalCharacterError:
        # Control characters that XML cannot hold.
        cell = WriteOnlyCell(sheet, value=text.encode("unicode_escape").decode("ascii"))
    cell.data_type = "s"
    return cell
