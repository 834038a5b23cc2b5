"""What all back-office screens of the ledger have in common."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model
from django.http import HttpRequest

from accounts import selectors as accounts_selectors
from facefusion_site.common.changelists import MATCHES_MAX, CappedPaginator, keys
from facefusion_site.common.unfold import ModelAdmin
from tokens.models import Wallet

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

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50


def wallet_ids(text: str) -> list[int]:
    """Wallets of people whose user_ref, name or address begins so."""
    owner_ids = accounts_selectors.user_ids_beginning(text=text, limit=MATCHES_MAX)
    return keys(Wallet.objects.filter(owner_id__in=owner_ids))
