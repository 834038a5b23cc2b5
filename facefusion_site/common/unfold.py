"""Unfold's admin classes with Django's types, and with the audit trail.

Unfold annotates its classes in ways that contradict django-stubs, so a type checker is shown the
Django classes they extend; at run time the real ones are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db.models import Model

from facefusion_site.common.trail import AuditedMixin

Row = TypeVar("Row", bound=Model)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from django.contrib.admin import ModelAdmin as PlainModelAdmin
    from django.contrib.admin import TabularInline
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
    from unfold.admin import ModelAdmin as PlainModelAdmin
    from unfold.admin import TabularInline
    from unfold.decorators import action, display


class ModelAdmin(AuditedMixin, PlainModelAdmin[Row]):
    """What every screen of the console is built on."""


__all__ = ["ModelAdmin", "TabularInline", "action", "display"]
