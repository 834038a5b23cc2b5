"""Tables that people do not bring as a file: pasted lists, chosen users, and empty templates."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

import openpyxl

from tokens.recharge_files import NAMES

TEMPLATE_COLUMNS: Final = {
    "en": ("user", "amount", "key", "category", "expires_at"),
    "zh": ("用户", "数量", "编号", "类别", "到期时间"),
}
BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
# Columns of a pasted list without a header, in this order.
BARE_COLUMNS: Final = ("user", "amount")


def pasted(text: str) -> bytes:
    """A pasted list as CSV with a header: ``user`` and ``amount``, where it brings none itself.

    Cells are separated by commas, semicolons or tabs, as a spreadsheet's clipboard or a typed list
    has them; full-width commas of Chinese keyboards count as commas.
    """
    lines = text.replace("\N{FULLWIDTH COMMA}", ",").strip("\ufeff\r\n").splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    titles = next(csv.reader([first], delimiter=delimiter), [])
    has_header = any(NAMES.get(title.strip().lower()) == "user" for title in titles)
    if not has_header:
        lines = [delimiter.join(BARE_COLUMNS[: max(1, len(titles))]), *lines]
    return "\n".join(lines).encode()


def chosen(user_refs: Iterable[str]) -> bytes:
    """Users without an amount as CSV; each gets that of the terms."""
    return "\n".join(["user", *user_refs, ""]).encode()


def template_csv(*, language: str) -> bytes:
    """An empty table to fill in, with the mark by which spreadsheets recognise UTF-8."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(TEMPLATE_COLUMNS[language])
    return f"{BOM}{buffer.getvalue()}".encode()


def template_xlsx(*, language: str) -> bytes:
    """The same table as a workbook; its cells are text, so that no reference becomes a number."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None, "a new workbook has a sheet"
    sheet.append(TEMPLATE_COLUMNS[language])
    sheet.freeze_panes = "A2"
    for letter in "ABCDE":
        sheet.column_dimensions[letter].width = 24
        sheet.column_dimensions[letter].number_format = "@"
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()
