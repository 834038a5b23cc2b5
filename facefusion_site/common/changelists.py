"""Lists of the console that stay fast over millions of rows."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

COUNT_MAX: Final = 10_000
# People whose names begin alike; more of them are found by typing more.
MATCHES_MAX: Final = 50


class CappedPaginator(Paginator[Any]):
    """Counts to COUNT_MAX rows and no further: beyond them one searches instead of paging."""

    @cached_property
    def count(self) -> int:
        """Rows that can be paged through."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        # In the order of the list, or the planner would read the table instead of its index.
        return rows[:COUNT_MAX].count()


class IndexedSearchMixin:
    """A search that finds rows by their indexes.

    Django's own asks all columns of several tables in one condition, which no index answers.
    """

    def matches(self, text: str) -> Q:
        """The rows that this text finds; an index answers each part of the condition."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Replace Django's search; the rows are never doubled."""
        text = search_term.strip()
        return (queryset.filter(self.matches(text)) if text else queryset), False


def by_number(text: str) -> Q:
    """The row with this primary key, if the text is a number that can be one."""
    is_number = text.isdecimal() and text.isascii() and len(text) <= len(str(2**62))
    return Q(pk=int(text)) if is_number else nothing()


def by_uuid(text: str, *columns: str) -> Q:
    """Rows with this id in one of the columns, if the text is a UUID."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return nothing()
    found = nothing()
    for column in columns:
        found |= Q(**{column: value})
    return found


def nothing() -> Q:
    """No row."""
    return Q(pk__in=())


def keys(rows: QuerySet[Model]) -> list[Any]:
    """Primary keys of the first rows, so that the outer query has a list instead of a join."""
    return list(rows.order_by().values_list("pk", flat=True)[:MATCHES_MAX])
