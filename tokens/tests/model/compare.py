"""The database as the model sees it."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from tokens import selectors
from tokens.models import HoldEvent, Transfer
from tokens.models import Wallet as WalletRow
from tokens.tests.model.batches import Batch
from tokens.tests.model.clock import StandingClock
from tokens.tests.model.wallets import Wallet

# One statement, because it follows every step.
FIGURES_SQL = """
SELECT (SELECT json_agg(json_build_array(id, status, available, held))
          FROM tokens_wallet WHERE id = ANY (%s)),
       (SELECT json_agg(json_build_array(
                   wallet_id, expires_at, category, granted, priority, available, held) ORDER BY id)
          FROM tokens_creditlot WHERE wallet_id = ANY (%s)),
       (SELECT json_agg(json_build_array(
                   wallet_id, id, expires_at, status, amount, settled, overrun, refunded))
          FROM tokens_hold WHERE wallet_id = ANY (%s)),
       (SELECT json_agg(json_build_array(
                   id, status, lines_count, done_count, applied_count, tokens_total))
          FROM tokens_rechargebatch WHERE id = ANY (%s)),
       (SELECT json_agg(json_build_array(batch_id, row_no, outcome, amount) ORDER BY row_no)
          FROM tokens_rechargeline WHERE batch_id = ANY (%s))
"""


def same(what: str, stored: object, wanted: object) -> None:
    """Fail with both sides in view."""
    if stored != wanted:
        raise AssertionError(f"{what}\n  ledger: {stored}\n   model: {wanted}")


class Mirror:
    """Reads what belongs to the wallets of one run and compares it with them."""

    def __init__(self, *, wallets: dict[int, Wallet], clock: StandingClock) -> None:
        """``wallets`` are those of the model by the primary key of their owner."""
        self.by_owner = wallets
        ids = WalletRow.objects.filter(owner_id__in=wallets).values_list("pk", "owner_id")
        self.by_id = {pk: wallets[owner_id] for pk, owner_id in ids}
        self.clock = clock
        self.told: dict[int, tuple[int, int, int]] = {}

    def check(self, open_batches: Iterable[Batch], *, changed: Collection[Batch], now: int) -> None:
        """Compare every figure of wallets, lots, holds and batches, and the balances that moved.

        Args:
            open_batches: those of which status and counts are compared.
            changed: those whose lines are compared as well.
            now: the hour.
        """
        wanted = {batch.id: batch for batch in (*open_batches, *changed)}
        ids = list(self.by_id)
        with connection.cursor() as cursor:
            cursor.execute(
                FIGURES_SQL, [ids, ids, ids, list(wanted), [batch.id for batch in changed]]
            )
            wallets, lots, holds, stored, lines = (rows or [] for rows in cursor.fetchone())
        for pk, *row in wallets:
            wallet = self.by_id[pk]
            same("wallet", row, [wallet.status, *wallet.figures()])
            same(
                "lots",
                [self._timed(row) for owner, *row in lots if owner == pk],
                [lot.row() for lot in wallet.lots],
            )
            same(
                "holds",
                {UUID(key): self._timed(row) for owner, key, *row in holds if owner == pk},
                {hold.id: hold.row() for hold in wallet.holds},
            )
        same(
            "batches",
            {UUID(key): tuple(row) for key, *row in stored},
            {key: batch.row() for key, batch in wanted.items()},
        )
        for batch in changed:
            same(
                "lines",
                [tuple(row) for key, *row in lines if UUID(key) == batch.id],
                [
                    (number, line.code, line.amount)
                    for number, line in enumerate(batch.lines, start=1)
                ],
            )
        self._check_balances(now)

    def _check_balances(self, now: int) -> None:
        """What owners are told; asked where the answer has to be another one than before."""
        for owner_id, wallet in self.by_owner.items():
            wanted = wallet.balance(now)
            if self.told.get(owner_id) != wanted:
                balance = selectors.balance(user_id=owner_id, now=self.clock.moment(now))
                same("balance", (balance.available, balance.held, balance.pending), wanted)
                self.told[owner_id] = wanted

    def _timed(self, row: list[object]) -> tuple[object, ...]:
        """A row whose first column is a time, with the hour instead."""
        moment, *figures = row
        ends = None if moment is None else self.clock.hour(dt.datetime.fromisoformat(str(moment)))
        return ends, *figures

    def check_history(self) -> None:
        """The journal by kind, and the events and the receipt of every hold."""
        journal: dict[int, Counter[str]] = defaultdict(Counter)
        for wallet_id, kind, tokens in (
            Transfer.objects.filter(wallet_id__in=self.by_id)
            .values_list("wallet_id", "kind")
            .annotate(tokens=Sum("amount"))
        ):
            journal[wallet_id][kind] = tokens
        events = defaultdict(list)
        for hold_id, kind, tokens in (
            HoldEvent.objects.filter(hold__wallet_id__in=self.by_id)
            .order_by("pk")
            .values_list("hold_id", "kind", "tokens")
        ):
            events[hold_id].append((kind, tokens))
        receipts = selectors.hold_receipts(
            hold_ids=[hold.id for wallet in self.by_id.values() for hold in wallet.holds]
        )
        for pk, wallet in self.by_id.items():
            same("journal", journal[pk], +wallet.journal)
            for hold in wallet.holds:
                same("events", events[hold.id], hold.events)
                receipt = receipts[hold.id]
                paid = hold.settled + hold.overrun - hold.refunded
                returned = hold.amount - hold.settled + hold.refunded
                same("receipt", (receipt.settled, receipt.refunded), (paid, returned))
