"""Rows of models out of hand-written SQL, for the reads that every request makes.

Building such a statement from a queryset costs more than running it. A statement that is written
once names all columns of a model by ``Columns.sql``, and ``Columns.load`` makes its rows instances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from django.db import connection
from django.db.models import Model

Row = TypeVar("Row", bound=Model)
Convert = Callable[[Any], Any]


class Columns(Generic[Row]):
    """All columns of one model in a SELECT.

    Args:
        model: whose rows.
        alias: what the statement calls its table.
    """

    def __init__(self, model: type[Row], *, alias: str) -> None:
        self._model: Final = model
        self._fields: Final = model._meta.concrete_fields  # noqa: SLF001  # documented by Django
        self._names: Final = [field.attname for field in self._fields]
        self.sql: Final = ", ".join(f'{alias}."{field.column}"' for field in self._fields)
        self.count: Final = len(self._fields)

    def load(self, values: Sequence[Any]) -> Row:
        """The instance that these values are, in the order of ``sql``."""
        converted = list(values)
        for position, convert in self._converters:
            converted[position] = convert(converted[position])
        return self._model.from_db(connection.alias, self._names, converted)

    @cached_property
    def _converters(self) -> list[tuple[int, Convert]]:
        """Of the columns that the driver reads otherwise than the model's fields."""
        return [
            (position, _converter(field, convert))
            for position, field in enumerate(self._fields)
            for convert in (
                *connection.ops.get_db_converters(field.cached_col),
                *field.get_db_converters(connection),
            )
        ]


def _converter(field: Any, convert: Callable[..., Any]) -> Convert:
    return lambda value: convert(value, field.cached_col, connection)
