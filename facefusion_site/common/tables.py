"""Tables of figures for pages of the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.functional import Promise

Text = str | Promise


@dataclass(frozen=True, slots=True)
class FigureTable:
    """A table that ``console/figures.html`` renders.

    Attributes:
        key: its id on the page.
        caption: what it shows, and in which unit.
        head: one text per column.
        rows: one cell per column; the first one names the row.
        foot: a last row of totals; empty for none.
        numbers_from: columns from this one on are numbers, set right-aligned.
        texts_from: columns from this one on are texts again; none by default.
        empty: what to say when there are no rows.
    """

    key: str
    caption: Text
    head: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    foot: Sequence[Text] = field(default=())
    numbers_from: int = 1
    texts_from: int = 99
    empty: Text = ""


def figure(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"
