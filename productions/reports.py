"""The report of a production as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from productions.types import RowView
from tokens.recharge_report import safe_cell

COLUMNS: Final = (
    "row",
    "person",
    "target_asset_id",
    "operation",
    "state",
    "attempts",
    "job_id",
    "estimate",
    "tokens",
    "error",
    "detail",
)


def report_csv(rows: Iterable[RowView]) -> Iterator[str]:
    """CSV text, line by line; a cell that a spreadsheet would run gets an apostrophe in front."""
    yield _line(COLUMNS)
    for row in rows:
        cells = (
            row.row_no,
            row.person,
            row.target_asset_id,
            row.operation,
            row.state,
            len(row.attempts),
            row.job_id,
            row.estimate,
            row.tokens,
            row.error_code,
            row.error_detail,
        )
        yield _line(["" if cell is None else safe_cell(str(cell)) for cell in cells])


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue()
