"""Unfold's admin classes with Django's types.

Unfold annotates its classes in ways that contradict django-stubs, so a type checker is shown the
Django classes they extend; at run time the real ones are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from django.contrib.admin import ModelAdmin, TabularInline
    from django_stubs_ext import StrOrPromise

    Column = TypeVar("Column", bound=Callable[..., Any])

    def display(
        *,
        description: StrOrPromise,
        ordering: str | None = None,
        label: bool | Mapping[Any, str] | None = None,
        header: bool | None = None,
        image: bool | None = None,
    ) -> Callable[[Column], Column]:
        """A list column; with ``label`` its ``(value, text)`` is shown as a coloured badge."""

    def action(
        *, description: StrOrPromise, url_path: str, permissions: list[str], icon: str
    ) -> Callable[[Column], Column]:
        """A page of its own behind a button; ``permissions`` name ``has_…_permission`` methods."""
else:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.decorators import action, display

__all__ = ["ModelAdmin", "TabularInline", "action", "display"]
