"""Throwing away what is of no use any more."""

from __future__ import annotations

from tokens.ledger.staged_rows import StagedCount
from tokens.purge_handlers import purge_staged_rows, staged_rows_due

__all__ = ["StagedCount", "purge_staged_rows", "staged_rows_due"]
