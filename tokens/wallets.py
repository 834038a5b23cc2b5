"""Wallets and corrections by hand, as values. No database. Amounts are whole tokens."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from tokens.types import TransferView


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet as operators see it.

    ``status`` is active, frozen or closed; ``reason`` and ``changed_at`` say why and since when,
    where it was ever changed. ``opened_at`` is None while the wallet was never used.
    """

    user_ref: str
    status: str
    available: int
    held: int
    pending: int
    balance_max: int | None
    opened_at: dt.datetime | None
    reason: str
    changed_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class AdjustmentOrder:
    """A correction of one wallet: ``amount`` above zero gives tokens, below zero takes them."""

    user_ref: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class LotDraw:
    """How many tokens a correction takes from one lot."""

    lot: str
    tokens: int


@dataclass(frozen=True, slots=True)
class AdjustmentPreview:
    """What a correction would do at this moment; nothing was written.

    ``available_before`` and ``available_after`` count what may be spent; ``draws`` names the lots
    it would take from, the first of them if there are many.
    """

    user_ref: str
    amount: int
    available_before: int
    available_after: int
    lots_count: int
    draws: tuple[LotDraw, ...]


@dataclass(frozen=True, slots=True)
class AdjustmentView:
    """A correction that was made, with its transfers; ``actor`` is a ``user_ref``."""

    id: uuid.UUID
    user_ref: str
    amount: int
    reason: str
    actor: str
    available_before: int
    available_after: int
    created_at: dt.datetime
    transfers: tuple[TransferView, ...]
    is_replay: bool = False
