"""Rows of a recharge out of CSV, XLSX, NDJSON and JSON: pure, streamed, one row in memory.

A row that cannot be read becomes a row with a fault and its cells as they were sent; only a file
that cannot be read at all raises. Formulas are never evaluated: such a cell is a fault.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final
from xml.etree.ElementTree import ParseError

import openpyxl
from django.utils.translation import gettext as _
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from tokens import json_arrays
from tokens.errors import FileTooLargeError, UnreadableFileError
from tokens.recharge_rows import BIGINT_MAX, TEXT_MAX, StagedRow, iso, storable
from tokens.types import Category, RechargeSource

COLUMNS_MAX: Final = 64
LINE_BYTES_MAX: Final = 64 * 1024
# Archives may unpack to this many times the largest file.
UNPACKED_FACTOR: Final = 4
SCAN_BYTES: Final = 1 << 20
ORIGINAL_CELL_LENGTH: Final = 200
WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,4000}")
NUMBER: Final = re.compile(r"[+-]?[0-9.,]+")
# Spreadsheets take a cell that begins like this for a formula.
FORMULA_START: Final = ("=", "@", "+", "-", "\t", "\r")
ALIASES: Final = {
    "user": ("user_ref", "user_id", "userid", "account", "用户", "用户id", "用户编号"),
    "amount": ("tokens", "credits", "数量", "金额", "代币", "点数"),
    "key": ("item_key", "row_key", "reference", "编号", "键"),
    "category": ("type", "类别", "类型"),
    "priority": ("优先级",),
    "effective_at": ("effective", "valid_from", "生效时间"),
    "expires_at": ("expires", "expiry", "valid_until", "过期时间", "到期时间"),
}
NAMES: Final = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
CATEGORIES: Final = {category.value: category.name for category in Category}


class RowFaultError(Exception):
    """One cell of a row is wrong; ``code`` is the outcome of the row."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class RowRules:
    """What a row gets where a cell is empty, and how much a file may hold.

    ``template`` carries the terms of the request; ``amount`` None means that every row needs one.
    """

    template: StagedRow
    amount: int | None
    cell_length_max: int
    bytes_max: int


def read_rows(file: IO[bytes], *, source: RechargeSource, rules: RowRules) -> Iterator[StagedRow]:
    """The rows of a file from its beginning; blank rows do not count.

    Raises:
        UnreadableFileError: not a file of this kind, or no column names the users.
        FileTooLargeError: more columns than a row may have, or an archive that unpacks too large.
    """
    file.seek(0)
    if source is RechargeSource.NDJSON:
        return _ndjson_rows(file, rules)
    if source is RechargeSource.JSON:
        return _json_rows(file, rules)
    table = _csv_table(file) if source is RechargeSource.CSV else _xlsx_table(file, rules)
    return _table_rows(table, rules)


def parse_row(cells: Mapping[str, Any], *, rules: RowRules) -> StagedRow:
    """One row from its cells by canonical column name; other columns are only kept."""
    try:
        return _parse(cells, rules)
    except RowFaultError as fault:
        return rules.template._replace(
            user_ref=storable(str(cells.get("user") or "")),
            amount=0,
            key=storable(str(cells.get("key") or "")),
            fault=fault.code,
            original=_original(cells),
        )


def _parse(cells: Mapping[str, Any], rules: RowRules) -> StagedRow:
    for cell in cells.values():
        _check_cell(cell, rules.cell_length_max)
    template = rules.template
    user_ref = _text(cells.get("user"))
    if not user_ref:
        raise RowFaultError("user_missing")
    key = _text(cells.get("key"))
    if len(key) > TEXT_MAX:
        raise RowFaultError("key_invalid")
    return StagedRow(
        user_ref=storable(user_ref),
        amount=_amount(cells.get("amount"), rules.amount),
        key=storable(key),
        category=_category(cells.get("category"), template.category),
        priority=_priority(cells.get("priority"), template.priority),
        effective_at=_moment(cells.get("effective_at"), template.effective_at),
        expires_at=_moment(cells.get("expires_at"), template.expires_at),
    )


def _check_cell(cell: object, length_max: int) -> None:
    if cell is None or isinstance(cell, int | float | dt.date):
        return
    if not isinstance(cell, str):
        # A formula over several cells arrives as an object; NDJSON nests, workbooks have durations.
        is_formula = isinstance(cell, ArrayFormula | DataTableFormula)
        raise RowFaultError("formula_refused" if is_formula else "row_unreadable")
    if len(cell) > length_max:
        raise RowFaultError("cell_too_long")
    if cell.startswith(FORMULA_START) and not NUMBER.fullmatch(cell.strip()):
        raise RowFaultError("formula_refused")


def _text(cell: object) -> str:
    """Text of a cell; a workbook gives a reference of digits as a number."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _whole(cell: object) -> int | None:
    """A whole number; None when it is none."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int):
        return cell
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else None
    text = _text(cell)
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None


def _amount(cell: object, default: int | None) -> int:
    amount = default if _text(cell) == "" else _whole(cell)
    if amount is None:
        raise RowFaultError("amount_scale_invalid")
    if abs(amount) > BIGINT_MAX:
        raise RowFaultError("amount_out_of_range")
    return amount


def _category(cell: object, default: str) -> str:
    text = _text(cell).lower()
    if text and text not in CATEGORIES:
        raise RowFaultError("category_unknown")
    return CATEGORIES[text] if text else default


def _priority(cell: object, default: int) -> int:
    priority = default if _text(cell) == "" else _whole(cell)
    if priority is None or not 0 <= priority <= 100:  # noqa: PLR2004  # a percentage
        raise RowFaultError("priority_invalid")
    return priority


def _moment(cell: object, default: str | None) -> str | None:
    """ISO 8601 in UTC; a time without a zone is taken as UTC, a date as its first moment."""
    if isinstance(cell, dt.datetime):
        moment = cell
    elif isinstance(cell, dt.date):
        moment = dt.datetime.combine(cell, dt.time())
    else:
        text = _text(cell)
        if not text:
            return default
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError as error:
            raise RowFaultError("time_invalid") from error
    try:
        return iso(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
    except OverflowError as error:
        raise RowFaultError("time_invalid") from error


def _original(cells: Mapping[str, Any]) -> dict[str, str]:
    return {storable(str(name)): _kept(cell) for name, cell in list(cells.items())[:COLUMNS_MAX]}


# --- Tables ---------------------------------------------------------------------------------------
def read_table(
    file: IO[bytes], *, source: RechargeSource, rules: RowRules
) -> tuple[list[str], Iterator[tuple[StagedRow, list[str]]]]:
    """The titles of the columns as they were sent, and each row with its cells as text.

    Raises what ``read_rows`` raises; only CSV and workbooks are tables.
    """
    file.seek(0)
    table = _xlsx_table(file, rules) if source is RechargeSource.XLSX else _csv_table(file)
    filled = (row for row in table if any(cell not in (None, "") for cell in row))
    header = next(filled, ())
    columns = _columns(header)
    titles = [_kept(cell) for cell in header[: len(columns)]]
    return titles, ((_table_row(row, columns, rules), [*map(_kept, row)]) for row in filled)


def _table_rows(table: Iterable[Sequence[Any]], rules: RowRules) -> Iterator[StagedRow]:
    filled = (row for row in table if any(cell not in (None, "") for cell in row))
    columns = _columns(next(filled, ()))
    yield from (_table_row(row, columns, rules) for row in filled)


def _table_row(row: Sequence[Any], columns: list[str], rules: RowRules) -> StagedRow:
    cells = dict(zip(columns, row, strict=False))
    if any(cell not in (None, "") for cell in row[len(columns) :]):
        return rules.template._replace(
            user_ref=storable(str(cells.get("user") or "")),
            amount=0,
            fault="row_unreadable",
            original=_original(cells),
        )
    return parse_row(cells, rules=rules)


def _kept(cell: object) -> str:
    return storable("" if cell is None else str(cell), length=ORIGINAL_CELL_LENGTH)


def _columns(header: Sequence[Any]) -> list[str]:
    """Canonical names of the columns; unknown ones keep their own."""
    titles = ["" if cell is None else str(cell).strip() for cell in header]
    while titles and not titles[-1]:
        titles.pop()
    if len(titles) > COLUMNS_MAX:
        raise FileTooLargeError(
            _("A row has at most %(max)d columns.") % {"max": COLUMNS_MAX}, columns_max=COLUMNS_MAX
        )
    names = [
        NAMES.get(re.sub(r"[\s-]+", "_", title.lower()), title or f"column {position}")
        for position, title in enumerate(titles, start=1)
    ]
    if "user" not in names:
        raise UnreadableFileError(
            _("The first row must name the columns, and one of them “user”."), param="file"
        )
    if len(set(names)) < len(names):
        raise UnreadableFileError(_("Two columns have the same name."), param="file")
    return names


def _csv_table(file: IO[bytes]) -> Iterator[Sequence[str]]:
    text = io.TextIOWrapper(file, encoding=_encoding(file), newline="")
    try:
        first_line = text.readline(LINE_BYTES_MAX)
        text.seek(0)
        delimiter = max(",;\t", key=first_line.count)
        try:
            yield from csv.reader(text, delimiter=delimiter)
        except csv.Error as error:
            raise UnreadableFileError(
                _("The file is not valid CSV: %(fault)s.") % {"fault": error}, param="file"
            ) from error
    finally:
        # The caller's file stays open, to be read again.
        text.detach()


def _encoding(file: IO[bytes]) -> str:
    """The encoding that decodes the whole file: UTF-8, with or without a mark, or GB18030."""
    mark = file.read(4)
    if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnreadableFileError(_("Save the file as UTF-8, not as UTF-16."), param="file")
    for encoding in ("utf-8-sig", "gb18030"):
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while block := file.read(SCAN_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        file.seek(0)
        return encoding
    raise UnreadableFileError(_("The file is neither UTF-8 nor GB18030."), param="file")


def _xlsx_table(file: IO[bytes], rules: RowRules) -> Iterator[Sequence[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > rules.bytes_max * UNPACKED_FACTOR:
            raise FileTooLargeError(_("The workbook unpacks to more than is allowed."))
        # Formulas arrive as text and are refused; their last values are never trusted.
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=False)
        try:
            sheet = workbook.worksheets[0]
            # The size that a workbook claims for its sheet may be anything.
            sheet.reset_dimensions()
            yield from sheet.iter_rows(max_col=COLUMNS_MAX + 1, values_only=True)
        finally:
            workbook.close()
    except (
        zipfile.BadZipFile,
        InvalidFileException,
        ParseError,
        KeyError,
        ValueError,
        IndexError,
        OSError,
    ) as error:
        raise UnreadableFileError(
            _("The file is not a readable workbook."), param="file"
        ) from error


# --- JSON and NDJSON ------------------------------------------------------------------------------
def _json_rows(file: IO[bytes], rules: RowRules) -> Iterator[StagedRow]:
    try:
        for value in json_arrays.elements(file, chars_max=LINE_BYTES_MAX):
            if isinstance(value, dict):
                yield _object_row(value, rules)
            else:
                yield _unreadable(json.dumps(value, ensure_ascii=False).encode(), rules)
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(
            _("The file is not one JSON array of rows."), param="file"
        ) from error


def _ndjson_rows(file: IO[bytes], rules: RowRules) -> Iterator[StagedRow]:
    while line := file.readline(LINE_BYTES_MAX):
        if not line.endswith(b"\n") and len(line) == LINE_BYTES_MAX:
            _skip_line(file)
            yield _unreadable(line, rules)
        elif line.strip():
            yield _ndjson_row(line, rules)


def _ndjson_row(line: bytes, rules: RowRules) -> StagedRow:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _unreadable(line, rules)
    if not isinstance(value, dict):
        return _unreadable(line, rules)
    return _object_row(value, rules)


def _object_row(value: Mapping[str, Any], rules: RowRules) -> StagedRow:
    cells = {NAMES.get(str(name), str(name)): cell for name, cell in value.items()}
    row = parse_row(cells, rules=rules)
    # A program that writes 5.0 does not count tokens.
    if not row.fault and isinstance(cells.get("amount"), float):
        return row._replace(amount=0, fault="amount_scale_invalid", original=_original(cells))
    return row


def _unreadable(line: bytes, rules: RowRules) -> StagedRow:
    text = line.decode(errors="replace").strip()
    return rules.template._replace(
        user_ref="",
        amount=0,
        fault="row_unreadable",
        original={"line": storable(text, length=ORIGINAL_CELL_LENGTH)},
    )


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
        pass
