"""What all back-office screens of the ledger have in common."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model
from django.http import HttpRequest

from facefusion_site.common.unfold import ModelAdmin

Row = TypeVar("Row", bound=Model)


class ReadOnlyMixin:
    """No way to add, change or delete: money moves through services only."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes."""
        return False


class LedgerModelAdmin(ReadOnlyMixin, ModelAdmin[Row]):
    """Defaults that stay fast on large tables."""

    show_full_result_count = False
    list_per_page = 50
