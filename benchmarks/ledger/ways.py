"""Ways to credit many wallets: through the service, and what it is compared with."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from django.db import connection, transaction

from benchmarks.ledger.server import Server
from tokens import batch_handlers, services
from tokens.models import CreditLot, RechargeLine, Transfer, Wallet
from tokens.recharge_rows import staged
from tokens.types import LotTerms, RechargeItem, RechargeMode, RechargeOrder

AMOUNT: Final = 5
ATOMIC: Final = RechargeMode.ATOMIC
SOFT_FAIL: Final = RechargeMode.SOFT_FAIL
HAND_WRITTEN: Final = Path(__file__).with_name("hand_written.sql")
# The loop: what a programmer writes first. It opens no lot and stores no outcome, so the numbers
# of both are merely drawn; everything the two tables demand is met.
LOOP_UPDATE_SQL = """
UPDATE tokens_wallet w SET available = w.available + %s
  FROM accounts_user u WHERE u.user_ref = %s AND w.owner_id = u.id RETURNING w.id
"""
LOOP_INSERT_SQL = """
INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, recharge_line_id)
VALUES ('RECHARGE', %s, nextval('tokens_creditlot_id_seq'), 'ISSUANCE_PAID', 'WALLET', %s,
        nextval('tokens_rechargeline_id_seq'))
"""
STATE_SQL = """
SELECT (SELECT sum(available) FROM tokens_wallet), (SELECT count(*) FROM tokens_transfer)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one recharge took: seconds, and bytes of the write-ahead log."""

    seconds: float
    wal_bytes: int


@dataclass(frozen=True, slots=True)
class Work:
    """What every way is given: whom to credit, in whose name, and on which server and database."""

    refs: Sequence[str]
    actor_id: int
    server: Server
    database: str


# Does the work and returns the seconds that count.
Way = Callable[[Work], float]


def recharge(*, mode: RechargeMode, items: Sequence[RechargeItem], actor_id: int) -> None:
    """Create a batch through the service, and do the worker's part where one is needed."""
    terms = LotTerms()
    order = RechargeOrder(
        mode=mode, reason="benchmark", operator="benchmark", fingerprint=uuid.uuid4().hex * 2
    )
    receipt = services.create_batch(
        order=order,
        rows=lambda: (staged(item, terms=terms) for item in items),
        actor_id=actor_id,
        idempotency_key=uuid.uuid4().hex,
    )
    if not receipt.is_finished:
        batch_handlers.apply_recharge_batch(batch_id=receipt.batch_id)


def service_atomic(work: Work) -> float:
    """The service, all lines or none."""
    return _through_service(work, ATOMIC)


def service_soft_fail(work: Work) -> float:
    """The service, line by line."""
    return _through_service(work, SOFT_FAIL)


def reference_loop(work: Work) -> float:
    """One UPDATE and one INSERT per user, prepared by the driver, in one transaction."""
    with psycopg.connect(work.server.url(database=work.database)) as plain:

        def credit_all() -> None:
            with plain.transaction():
                for ref in work.refs:
                    row = plain.execute(LOOP_UPDATE_SQL, (AMOUNT, ref)).fetchone()
                    assert row is not None, "every reference has a wallet"
                    plain.execute(LOOP_INSERT_SQL, (row[0], AMOUNT))

        return _timed(credit_all)


def hand_written(work: Work) -> float:
    """Set SQL in psql: the limit of what this server does with these tables.

    Raises:
        CalledProcessError: psql failed; its words are on standard error.
    """
    rows = "".join(f"{number},{ref},{AMOUNT}\n" for number, ref in enumerate(work.refs, 1))
    command: list[str | Path] = [
        work.server.bin_dir / "psql",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        f"--file={HAND_WRITTEN}",
        work.server.url(database=work.database),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(  # noqa: S603  # the server's own program
        command, input=rows, stdout=subprocess.PIPE, text=True, check=True, env=environ
    )
    return float(done.stdout)


def orm_bulk(work: Work) -> float:
    """``select_for_update``, ``bulk_update`` and ``bulk_create`` of the same rows."""

    def credit_all() -> None:
        """One transaction, as a service written with the ORM would do it."""
        number = uuid.uuid4()
        with transaction.atomic():
            wallets = {
                wallet.owner.user_ref: wallet
                for wallet in Wallet.objects.select_related("owner")
                .filter(owner__user_ref__in=work.refs)
                .select_for_update(no_key=True, of=("self",))
                .order_by("pk")
            }
            lots = CreditLot.objects.bulk_create(
                [
                    CreditLot(wallet=wallet, category="PAID", granted=AMOUNT, available=AMOUNT)
                    for wallet in wallets.values()
                ],
                batch_size=1_000,
            )
            lots_by_wallet = {lot.wallet_id: lot for lot in lots}
            lines = RechargeLine.objects.bulk_create(
                [
                    _line(number, row_no, ref, wallets[ref], lots_by_wallet[wallets[ref].pk])
                    for row_no, ref in enumerate(work.refs, 1)
                ],
                batch_size=1_000,
            )
            Transfer.objects.bulk_create([_transfer(line) for line in lines], batch_size=1_000)
            for wallet in wallets.values():
                wallet.available += AMOUNT
            Wallet.objects.bulk_update(wallets.values(), ["available"], batch_size=1_000)

    return _timed(credit_all)


def measure(*, way: Way, work: Work) -> Sample:
    """Do the work once.

    Raises:
        RuntimeError: the wallets or the journal do not show what was to be written.
    """
    tokens_before, transfers_before = _state()
    start = _wal_position()
    seconds = way(work)
    wal_bytes = _wal_position() - start
    tokens, transfers = _state()
    count = len(work.refs)
    if (tokens - tokens_before, transfers - transfers_before) != (count * AMOUNT, count):
        raise RuntimeError(f"The recharge of {count} accounts did not credit all of them.")
    return Sample(seconds=seconds, wal_bytes=wal_bytes)


def _through_service(work: Work, mode: RechargeMode) -> float:
    # Like the input of every other way, the request is there before the clock starts.
    items = [RechargeItem(ref, AMOUNT) for ref in work.refs]
    return _timed(lambda: recharge(mode=mode, items=items, actor_id=work.actor_id))


def _line(
    batch_id: uuid.UUID, row_no: int, ref: str, wallet: Wallet, lot: CreditLot
) -> RechargeLine:
    return RechargeLine(
        batch_id=batch_id,
        row_no=row_no,
        user_ref=ref,
        amount=AMOUNT,
        category="PAID",
        priority=50,
        outcome=RechargeLine.Outcome.APPLIED,
        wallet=wallet,
        lot=lot,
    )


def _transfer(line: RechargeLine) -> Transfer:
    assert line.wallet is not None
    assert line.lot is not None
    return Transfer(
        kind=Transfer.Kind.RECHARGE,
        wallet=line.wallet,
        lot=line.lot,
        debit="ISSUANCE_PAID",
        credit="WALLET",
        amount=AMOUNT,
        recharge_line=line,
    )


def _timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _state() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(STATE_SQL)
        tokens, transfers = cursor.fetchone()
    return int(tokens), int(transfers)


def _wal_position() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        (position,) = cursor.fetchone()
    return int(position)
